"""Find the code of a shape from one view of it: depth, normals and silhouette, by first-order gradients [D20 Fig. 5].

    python -m experiments.fit_code --prior=runs/prior --shape="plane 40" --workdir=runs/code
    python -m experiments.fit_code --prior=runs/prior --shape=FILE --observe.gradient=implicit --workdir=runs/code

The shape is a member of a procedural family, best one that the prior has not learnt, or a closed mesh. The fit starts
at the mean code. Leaves in the work directory: metrics.json and way.md, the loss of the picture and the Chamfer
distance on the way; way.png, pictures of the way from two sides; curves.png.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import curves, runs
from experiments import flags as experiment_flags
from experiments.flags import RunError
from experiments.priors import listing, pictures, scores, store
from experiments.priors.pictures import Pictures
from experiments.priors.samples import Shape
from experiments.priors.store import Prior
from experiments.synthetic import photography
from experiments.versions import versions
from sdfrepar import files, fitting, reports
from sdfrepar.fitting import CompletionConfig
from sdfrepar.observing import ObserveConfig
from sdfrepar.reports import Progress

_TERMS = ("image", "depth", "normal", "silhouette")


@dataclass(frozen=True)
class FitCodeConfig:
    """Everything that decides the fit, besides prior and shape."""

    start: str = ""
    """Shapes at whose mean code the fit starts, by how their names begin: plane; all if empty."""
    resolution: int = 64
    """Of the square view, pixels."""
    position: tuple[float, float, float] = pictures.POSITION
    """Where the camera stands that sees the shape, scene units; it looks at the origin."""
    recorded: int = 25
    """How often on the way the Chamfer distance is measured, the start left out."""
    shown: int = 6
    """Pictures of the way."""
    mesh_resolution: int = 64
    """Grid points a side of the meshes for the Chamfer distance."""
    observe: ObserveConfig = field(default_factory=lambda: ObserveConfig(pixels=0.1))
    fit: CompletionConfig = field(default_factory=CompletionConfig)

    def __post_init__(self) -> None:
        """Refuse what shows nothing."""
        if not 1 <= self.recorded <= self.fit.steps:
            raise ValueError(f"recorded is {self.recorded}; it must be from 1 to the {self.fit.steps} steps.")
        if not 2 <= self.shown <= self.recorded + 1:
            raise ValueError(f"shown is {self.shown}; it must be from 2 to {self.recorded + 1}, as many as recorded.")


@dataclass(frozen=True)
class Way:
    """What was recorded, start and end included."""

    codes: list[np.ndarray]  # (latent,) each
    lines: list[dict[str, float]]  # step, the losses there, and the Chamfer distance


def main(argv: Sequence[str]) -> None:
    """Fit, then draw."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --prior=FOLDER --shape='plane 40' --workdir=FOLDER.")
    given, config = flags.FLAGS, experiment_flags.read(FitCodeConfig())
    workdir, prior = Path(given.workdir), store.load(Path(given.prior))
    shape = listing.one(prior.config, given.shape)
    found = fit(config, prior, shape)
    metrics = {"prior": given.prior, "shape": given.shape, "learnt": given.shape in prior.names}
    metrics |= {"config": experiment_flags.to_json(config), **summary(found), "versions": versions()}
    files.write_json(workdir / runs.METRICS, metrics)
    files.write_bytes(workdir / "way.md", table(found).encode())
    print(", ".join(f"{name} {metrics[name]:.4g}" for name in ("fall", "correlation", "first_chamfer", "last_chamfer")))
    files.write_image(workdir / "way.png", way_picture(config, prior, shape, found))
    files.write_bytes(workdir / "curves.png", plot(found))


def fit(config: FitCodeConfig, prior: Prior, shape: Shape) -> Way:
    """The whole way from the mean code.

    Raises:
        ValueError: the camera does not see the shape, or there is no shape to start at.
        RunError: the loss is not finite, or nothing is decoded any more.
    """
    camera = pictures.camera(config.resolution, config.position)
    true = photography.survey(shape.surface, camera)
    if not true.mask.any():
        raise ValueError(f"The camera at {config.position} sees nothing of the shape; choose another --position.")
    maps, points = fitting.whole_maps(*true), scores.true_points(shape)
    step = fitting.make_completion_step(prior.decoder, config.observe, config.fit)
    state = fitting.first_completion_state(config.fit, jnp.asarray(prior.mean_code(config.start)))
    due = set(np.linspace(0, config.fit.steps, config.recorded + 1).round().astype(int).tolist())
    way = Way([], [])
    with Progress(config.fit.steps) as progress:
        # The losses are those before a step, so that the last of these only tells where the one before has come to.
        for number in range(config.fit.steps + 1):
            code = np.array(state.params["code"])
            state, metrics = step(fitting.on_all_devices(state), prior.network, camera, maps)
            if number in due:
                line = _line(config, prior, code, points, number, metrics)
                way.codes.append(code)
                way.lines.append(line)
                progress.update(number, line)
    return way


def _line(
    config: FitCodeConfig, prior: Prior, code: np.ndarray, points: np.ndarray, number: int, metrics: dict[str, Any]
) -> dict[str, float]:
    """What is recorded of a code."""
    losses = {name: float(metrics[name]) for name in (*_TERMS, "code")}
    if not np.isfinite(losses["image"]):
        raise RunError(f"The loss is not finite at step {number}; lower --fit.rate.")
    params = prior.decoder.prepare(prior.params(code))
    chamfer = scores.chamfer(prior.decoder.distance, params, points, config.mesh_resolution)
    if chamfer is None:
        raise RunError(f"Nothing is decoded at step {number}; lower --fit.rate, or --start at shapes of the family.")
    return {"step": number, **losses, "chamfer": chamfer}


def summary(way: Way) -> dict[str, Any]:
    """The way, by how much the loss fell on it, and how the loss of the picture tells of the Chamfer distance."""
    image, chamfer = (np.array([line[name] for line in way.lines]) for name in ("image", "chamfer"))
    return {
        "fall": float(1.0 - image[-1] / image[0]),
        "correlation": float(np.corrcoef(image, chamfer)[0, 1]),
        "first_chamfer": float(chamfer[0]),
        "last_chamfer": float(chamfer[-1]),
        "way": way.lines,
        "code": way.codes[-1].tolist(),
    }


def table(way: Way) -> str:
    """The way in Markdown."""
    names = ("step", *_TERMS, "chamfer")
    return reports.table(names, [[f"{line[name]:.4g}" for name in names] for line in way.lines])


def way_picture(config: FitCodeConfig, prior: Prior, shape: Shape, way: Way) -> np.ndarray:
    """Truth and codes on the way, from start to end: as the fit sees them, and below from the other side."""
    some = np.linspace(0, len(way.codes) - 1, config.shown).round().astype(int)
    x, y, z = config.position
    rows, drawn = [], Pictures(prior)
    for position in ((x, y, z), (-x, y, -z)):
        camera = pictures.camera(config.resolution, position)
        seen = (drawn.decoded(way.codes[i], camera) for i in some)
        rows.append(reports.side_by_side(pictures.true(shape, camera), *seen))
    return np.concatenate(rows)


def plot(way: Way) -> bytes:
    """Loss and Chamfer distance against steps, and against one another, as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """
    steps, image, chamfer = ([line[name] for line in way.lines] for name in ("step", "image", "chamfer"))

    def draw(figure: Any) -> None:
        by_step, together = figure.subplots(1, 2)
        beside = by_step.twinx()
        (first,) = by_step.semilogy(steps, image, label="loss of the picture")
        (second,) = beside.semilogy(steps, chamfer, color="C1", linestyle="--", label="Chamfer distance")
        by_step.set(xlabel="step", ylabel="loss of the picture")
        beside.set(ylabel="Chamfer distance, squared")
        by_step.legend(handles=[first, second])
        together.plot(image, chamfer, marker="o", markersize=3, linewidth=0.8)
        together.set(xlabel="loss of the picture", ylabel="Chamfer distance, squared")
        together.set_title(f"correlation {summary(way)['correlation']:.3f}")
        together.grid(True, alpha=0.25)

    return curves.drawn(draw, (10.0, 4.0))


if __name__ == "__main__":
    flags.DEFINE_string("prior", None, "workdir of experiments.train_prior", required=True)
    flags.DEFINE_string("shape", None, "a family's member like 'plane 40', or a file of a closed mesh", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(FitCodeConfig())
    flags.DEFINE_alias("gradient", "observe.gradient")
    experiment_flags.run(main)
