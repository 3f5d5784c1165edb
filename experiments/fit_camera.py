"""Find the camera that saw a known shape, from one depth map and silhouette, by first-order gradients [D20 Fig. 6].

    python -m experiments.fit_camera --workdir=runs/camera
    python -m experiments.fit_camera --shape="mug 3" --gradient=implicit --workdir=runs/mug
    python -m experiments.fit_camera --decoder=FILE --codes=FILE --shape=0 --workdir=runs/decoded

Cameras stand around the shape, and what they see is computed by a plain march. Each search starts with the object
turned and shifted before the camera. The same command goes on where it was stopped. Leaves in the work directory:

    starts.jsonl     every search: where it started, its way, its errors
    metrics.json     how many come home, and how near; table.md the same in Markdown
    way.png          the best, the median and the worst search
    curves.png       errors against steps
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import camera_figures, runs, shapes
from experiments import flags as experiment_flags
from experiments.flags import RunError
from experiments.shapes import ShapeConfig, Solid
from experiments.synthetic import photography
from experiments.versions import versions
from sdfrepar import cameras, evaluation, files, fitting, reports
from sdfrepar.fitting import Maps, PoseConfig
from sdfrepar.observing import ObserveConfig
from sdfrepar.records import Camera
from sdfrepar.reports import Progress

LINES, TABLE = "starts.jsonl", "table.md"

HOME = 0.5
"""A search has come home if it ends within so many degrees, and hundredths of the distance to the object."""

# What decides no search.
_FREE = ("starts",)


@dataclass(frozen=True)
class FitCameraConfig:
    """Everything that decides the searches."""

    starts: int = 50
    """Searches, each from a start of its own."""
    rotation: float = 15.0
    """A start is turned about the object by up to so many degrees,"""
    shift: float = 10.0
    """and shifted by up to so many hundredths of the distance to it."""
    views: int = 10
    """True cameras, evenly around the object; the searches take turns."""
    resolution: int = 64
    """Of the square depth map, pixels."""
    noise: float = 0.0
    """Standard deviation of noise in the depth map, scene units."""
    seed: int = 0
    shape: ShapeConfig = field(default_factory=ShapeConfig)
    observe: ObserveConfig = field(default_factory=lambda: ObserveConfig(pixels=0.1, block=128))
    fit: PoseConfig = field(default_factory=PoseConfig)

    def __post_init__(self) -> None:
        """Refuse what measures nothing."""
        if self.starts < 1 or self.views < 1:
            raise ValueError(f"starts is {self.starts} and views {self.views}; both must be at least 1.")
        if not (0 <= self.rotation < 180 and 0 <= self.shift < 100):
            raise ValueError(
                f"rotation is {self.rotation} degrees and shift {self.shift} hundredths of the distance; expected "
                "below 180 and below 100."
            )


def main(argv: Sequence[str]) -> None:
    """Search, score and draw."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --shape='mug 3' --workdir=FOLDER.")
    find(experiment_flags.read(FitCameraConfig()), Path(flags.FLAGS.workdir))


def find(config: FitCameraConfig, workdir: Path) -> dict[str, Any]:
    """All the searches that are left, then what they come to; returns what it wrote to metrics.json.

    Raises:
        FileNotFoundError, ValueError: there is no such shape, or a camera does not see it.
        OtherRunError: the workdir holds other searches.
        RunError: a search has left the numbers.
    """
    lines = begun(config, workdir)
    solid = shapes.make(config.shape)
    rig = photography.cameras_around(config.views, 0.0, config.resolution)
    truths = [truth(config, solid, cameras.one_of(rig, view)) for view in range(min(config.views, config.starts))]
    search = fitting.make_pose_search(solid.subject, config.observe, config.fit)
    with Progress(config.starts, start=len(lines), unit="start") as progress:
        for number in range(len(lines), config.starts):
            view = number % config.views
            line = _line(config, solid, search, number, cameras.one_of(rig, view), truths[view])
            files.append_json_line(workdir / LINES, line)
            lines.append(line)
            progress.update(number + 1, {name: line[name][-1] for name in ("rotation", "shift")})
    metrics = {"shape": solid.title, **summary(lines), "versions": versions()}
    files.write_json(workdir / runs.METRICS, metrics)
    files.write_bytes(workdir / TABLE, table(lines).encode())
    print(f"{metrics['home']} of {metrics['starts']} searches come home.")
    files.write_image(workdir / "way.png", camera_figures.ways(solid, rig, truths, lines))
    files.write_bytes(workdir / "curves.png", camera_figures.curves_of(lines, HOME))
    return metrics


def begun(config: FitCameraConfig, workdir: Path) -> list[dict[str, Any]]:
    """The searches that are done already, at most as many as are wanted; config.json is written.

    Raises:
        OtherRunError: the workdir holds searches of another config.
    """
    now = experiment_flags.to_json(config)
    return runs.lines_done(workdir, now, _FREE, LINES, "searches")[: config.starts]


def truth(config: FitCameraConfig, solid: Solid, camera: Camera) -> Maps:
    """What a camera is given of the shape.

    Raises:
        ValueError: nothing of it is in sight.
    """
    exact = photography.survey(solid.surface, camera)
    if not exact.mask.any():
        raise ValueError(f"The camera at {np.asarray(camera.position).round(2)} sees nothing of {solid.title}.")
    rng = np.random.default_rng(config.seed)
    noise = config.noise * rng.standard_normal(exact.depth.shape).astype(np.float32)
    return fitting.whole_maps(exact.depth + noise, exact.normal, exact.mask)


def start_of(config: FitCameraConfig, number: int, distance: float) -> np.ndarray:
    """The motion (6,) of `cameras.moved` from the true camera to where a search starts, `distance` from the object.

    Directions are drawn evenly, and so are sizes up to their bounds.
    """
    rng = np.random.default_rng([config.seed, number])
    ways = rng.standard_normal((2, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    bounds = np.radians(config.rotation), 0.01 * config.shift * distance
    return np.concatenate([size * bound * way for size, bound, way in zip(rng.random(2), bounds, ways, strict=True)])


def summary(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the searches come to."""
    ends = {name: np.array([line[name][-1] for line in lines]) for name in ("rotation", "shift")}
    starts = {name: np.array([line[name][0] for line in lines]) for name in ends}
    home = np.all([end <= HOME for end in ends.values()], axis=0)
    return {
        "starts": len(lines),
        "home": int(home.sum()),
        "share": float(home.mean()),
        "first": {name: _spread(values) for name, values in starts.items()},
        "last": {name: _spread(values) for name, values in ends.items()},
        "astray": [line["number"] for line, is_home in zip(lines, home, strict=True) if not is_home],
        "seconds": float(np.median([line["seconds"] for line in lines])),
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Every search in Markdown: degrees, and hundredths of the distance, at its start and at its end."""
    header = ("start", "view", "rotation at first", "shift at first", "rotation", "shift", "home", "seconds")
    rows = []
    for line in lines:
        rotation, shift = line["rotation"], line["shift"]
        home = "yes" if max(rotation[-1], shift[-1]) <= HOME else "no"
        errors = f"{rotation[0]:.2f}", f"{shift[0]:.2f}", f"{rotation[-1]:.3f}", f"{shift[-1]:.3f}"
        rows.append((str(line["number"]), str(line["view"]), *errors, home, f"{line['seconds']:.1f}"))
    return reports.table(header, rows) + "\n"


def _line(
    config: FitCameraConfig, solid: Solid, search: Any, number: int, camera: Camera, true: Maps
) -> dict[str, Any]:
    """A search: where it started, the motions (N + 1, 6) of its way, and errors on it."""
    distance = float(np.linalg.norm(camera.position))
    start = start_of(config, number, distance)
    first = cameras.moved(camera, jnp.asarray(start, jnp.float32))
    began = time.monotonic()
    way = jax.block_until_ready(search(solid.params, first, true))
    seconds = time.monotonic() - began
    if not np.isfinite(way.motions).all():
        raise RunError(f"Search {number} has left the numbers; lower --fit.rate.")
    found = jax.vmap(cameras.moved, in_axes=(None, 0))(first, way.motions)
    still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(way.motions), *leaf.shape)), camera)
    error = evaluation.object_error(found, still)
    return {
        "number": number,
        "view": number % config.views,
        "start": start.tolist(),
        "rotation": error.rotation.tolist(),
        "shift": (100.0 * error.position / distance).tolist(),
        "loss": np.asarray(way.losses).tolist(),
        "motions": np.asarray(way.motions).tolist(),
        "seconds": seconds,
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    median, most = np.quantile(values, (0.5, 0.9))
    return {"median": float(median), "nine_tenths": float(most), "worst": float(values.max())}


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(FitCameraConfig())
    experiment_flags.define_aliases(shapes.ALIASES)
    flags.DEFINE_alias("gradient", "observe.gradient")
    experiment_flags.run(main)
