"""What each idea of a fast march saves [D20 Table 1, Fig. 4], and what its threshold does to outlines [D20 Fig. 7].

    python -m experiments.ablate_tracer --prior=runs/prior --shape="mug 3" --workdir=runs/tracer

Every way of `WAYS` marches the same picture of one shape, the plain march of all rays first: every other is compared
with it. Twenty minutes for a decoder of 8 x 512 at 512 x 512 on 2 cores. Writes table.md, table.json, normals.png and
threshold.png.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import shapes
from experiments.priors import pictures
from experiments.shapes import ShapeConfig
from experiments.versions import versions
from sdfrepar import files, observing, raygen, reports, shading
from sdfrepar.imaging import corners
from sdfrepar.observing import Marched, ObserveConfig, Subject
from sdfrepar.records import Camera, Observation, Status
from sdfrepar.rendering import buffers

Stride = Literal["sphere", "aggressive", "secant"]
WayName = Literal["naive", "dynamic", "aggressive", "coarse-to-fine", "secant", "cones", "bfloat16"]

# The true outline is that of so small a threshold, in pixels, after so many steps.
_TRUTH, _MANY = 0.01, 500

# Points whose normals are taken together.
_BLOCK = 1024

_GROUND, _SHAPE, _DILATED, _ERODED = (1.0, 1.0, 1.0), (0.75, 0.75, 0.75), (0.85, 0.1, 0.1), (0.1, 0.2, 0.9)

# Of the table of marches: name in the table, name in the JSON, how it is shown.
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "steps": ("steps", str),
    "march": ("way", str),
    "queries": ("queries", "{:,}".format),
    "of naive": ("share", "{:.1%}".format),
    "seconds": ("seconds", "{:.1f}".format),
    "times faster": ("times_faster", "{:.1f}".format),
    "µs a query": ("microseconds", "{:.1f}".format),
    "memory, MB": ("megabytes", "{:.0f}".format),
    "IoU": ("iou", "{:.4f}".format),
    "same distance": ("within", "{:.2%}".format),
    "of arrived": ("within_arrived", "{:.2%}".format),
}


@dataclass(frozen=True)
class TracerConfig:
    """The picture, and what is measured of it."""

    resolution: int = 512
    """Of the square picture, pixels."""
    azimuth: float = 35.0
    """Of the camera, degrees from z towards x, about y."""
    elevation: float = 25.0
    """Degrees above the horizon."""
    distance: float = 2.4
    """From the camera to the origin, scene units."""
    field_of_view: float = 45.0
    """Degrees: the unit sphere just fits into 49 from 2.4 away."""
    ways: tuple[WayName, ...] = get_args(WayName)
    """What is measured, compared with the first of them."""
    steps: tuple[int, ...] = (50, 100)
    """Most steps of a march; the whole table for each."""
    thresholds: tuple[float, ...] = (0.125, 0.5, 2.0, 8.0)
    """What the outline is drawn with, pixels; at the first number of steps."""
    gradients: bool = True
    """Whether a step of gradient descent is measured as well."""
    shape: ShapeConfig = field(default_factory=ShapeConfig)
    observe: ObserveConfig = field(default_factory=ObserveConfig)
    """Everything that the ways leave as it is."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.ways or not self.steps:
            raise ValueError("ways and steps must not be empty; write --ways=naive,cones --steps=50.")


WAYS: dict[WayName, Callable[[ObserveConfig], ObserveConfig]] = {
    "naive": lambda config: _marching(config, "sphere", dynamic=False, split="none"),
    "dynamic": lambda config: _marching(config, "sphere", split="none"),
    "aggressive": lambda config: _marching(config, "aggressive", split="none"),
    "coarse-to-fine": lambda config: _marching(config, "aggressive", split="inherit", scales=(4, 2)),
    "secant": lambda config: _marching(config, "secant", split="none"),
    "cones": lambda config: _marching(config, "secant"),
    "bfloat16": lambda config: _marching(config, "secant", rough_precision="bfloat16"),
}
"""The steps of [D20 Table 1], and then ours, each with all those before it that it does not replace."""


class Found(NamedTuple):
    """What a way has found, and what it cost."""

    hit: np.ndarray  # (N,) bool
    arrived: np.ndarray  # (N,) bool, whether the march came to its own end
    distance: np.ndarray  # (N,) scene units
    threshold: float  # scene units
    queries: int
    seconds: float
    memory: int  # bytes


def main(argv: Sequence[str]) -> None:
    """Measure and draw."""
    del argv
    config = experiment_flags.read(TracerConfig())
    solid = shapes.make(config.shape)
    ablate(config, solid.subject, solid.params, Path(flags.FLAGS.workdir))


def ablate(config: TracerConfig, subject: Subject, params: Any, workdir: Path) -> dict[str, Any]:
    """The whole experiment; returns what it wrote to table.json."""
    prepared, camera = jax.jit(subject.prepare)(params), camera_of(config)
    normals = normals_seen(subject, prepared, camera)
    table: dict[str, Any] = {
        "config": experiment_flags.to_json(config),
        "versions": versions(),
        "device": jax.devices()[0].device_kind,
        "marches": [],
    }
    panels = []
    for steps in config.steps:
        plain: Found | None = None
        for name in config.ways:
            found = measured(subject, with_steps(WAYS[name](config.observe), steps), prepared, camera)
            plain = plain or found
            table["marches"].append({"steps": steps, "way": name, **compared(found, plain)})
            print(f"{steps} steps, {name}: {found.queries:,} queries, {found.seconds:.1f} s", flush=True)
            files.write_json(workdir / "table.json", table)
            if steps == config.steps[0]:
                panels.append(normals(found))
    files.write_image(workdir / "normals.png", reports.side_by_side(*panels))
    table["thresholds"], panels = outlines(config, subject, prepared, camera)
    if panels:
        files.write_image(workdir / "threshold.png", reports.side_by_side(*panels))
    if config.gradients:
        table["gradients"] = gradients(config, subject, params, camera)
    files.write_json(workdir / "table.json", table)
    text = as_text(table)
    (workdir / "table.md").write_text(text)
    print(text)
    return table


def camera_of(config: TracerConfig) -> Camera:
    """The camera, looking at the origin, y up."""
    position = config.distance * pictures.towards(math.radians(config.azimuth), math.radians(config.elevation))
    return pictures.camera(config.resolution, position, math.radians(config.field_of_view))


def measured(subject: Subject, observe: ObserveConfig, params: Any, camera: Camera) -> Found:
    """One march of a picture, compiled before."""

    def march(params: Any, camera: Camera) -> Marched:
        return observing.march_picture(subject.distance, observe, params, camera)

    program = jax.jit(march).lower(params, camera).compile()
    begun = time.perf_counter()
    marched: Marched = jax.block_until_ready(program(params, camera))
    seconds = time.perf_counter() - begun
    analysis: Any = program.memory_analysis()
    return Found(
        hit=np.asarray(marched.marches.status == Status.HIT),
        arrived=np.asarray(~marched.marches.open),
        distance=np.asarray(marched.marches.settled),
        threshold=float(marched.threshold[0]),
        queries=int(marched.queries),
        seconds=seconds,
        memory=analysis.temp_size_in_bytes + analysis.output_size_in_bytes,
    )


def compared(found: Found, plain: Found) -> dict[str, Any]:
    """One row of the table: the cost of a way, and how its picture differs from that of the plain march.

    `within` is the share of the pixels that both have found at which their distances agree to the threshold, and
    `within_arrived` that among those where the plain march came to its end in the steps that it had.
    """
    both = found.hit & plain.hit
    off = np.abs(found.distance - plain.distance)
    return {
        "queries": found.queries,
        "share": found.queries / plain.queries,
        "seconds": found.seconds,
        "times_faster": plain.seconds / found.seconds,
        "microseconds": 1e6 * found.seconds / max(found.queries, 1),
        "megabytes": found.memory / 1e6,
        "iou": float(both.sum() / max((found.hit | plain.hit).sum(), 1)),
        "within": _share(off[both] < found.threshold),
        "within_arrived": _share(off[both & plain.arrived] < found.threshold),
        "hits": int(found.hit.sum()),
        "unfinished": int((~found.arrived).sum()),
    }


def normals_seen(subject: Subject, params: Any, camera: Camera) -> Callable[[Found], np.ndarray]:
    """What draws the normals that a way sees, (H, W, 3), by one program for all ways."""

    def normal(u: jax.Array, t: jax.Array) -> jax.Array:
        line = raygen.line_through(camera, u)
        return shading.normal(subject.distance, params, line.origin + t * line.direction)

    @jax.jit
    def normals_of(hit: jax.Array, distance: jax.Array) -> jax.Array:
        items = corners(*camera.resolution) + 0.5, distance
        return buffers.skipping(normal, hit, items, parts=max(1, len(hit) // _BLOCK))

    def picture(found: Found) -> np.ndarray:
        seen = normals_of(jnp.asarray(found.hit), jnp.asarray(found.distance))
        height, width = camera.resolution
        return reports.normal_picture(np.asarray(seen).reshape(height, width, 3), found.hit.reshape(height, width))

    return picture


def outlines(
    config: TracerConfig, subject: Subject, params: Any, camera: Camera
) -> tuple[list[dict[str, float]], list[np.ndarray]]:
    """How far a threshold moves the outline of the plain march: rows of a table, and pictures.

    A large one dilates it (red); with a small one rays along the outline are not done in time, and it erodes (blue).
    """
    if not config.thresholds:
        return [], []
    fine = WAYS["secant"](with_steps(config.observe, _MANY))
    truth = measured(subject, replace(fine, pixels=_TRUTH), params, camera).hit
    rows, panels = [], []
    for pixels in config.thresholds:
        observe = replace(WAYS["dynamic"](with_steps(config.observe, config.steps[0])), pixels=pixels)
        hit = measured(subject, observe, params, camera).hit
        dilated, eroded = hit & ~truth, truth & ~hit
        rows.append({"pixels": pixels, "dilated": dilated.sum() / truth.sum(), "eroded": eroded.sum() / truth.sum()})
        colours = np.select(
            [each[:, None] for each in (dilated, eroded, truth)], [_DILATED, _ERODED, _SHAPE], default=_GROUND
        )
        panels.append(colours.reshape(*camera.resolution, 3).astype(np.float32))
    return [{name: float(value) for name, value in row.items()} for row in rows], panels


def gradients(config: TracerConfig, subject: Subject, params: Any, camera: Camera) -> dict[str, float]:
    """Seconds of an observation of every channel, and of one with the gradient of a loss of them: in the code alone,
    where there is one, as a shape is fitted, and in all params, as a decoder is.
    """
    observe = with_steps(config.observe, config.steps[0])

    def see(some: Any, rest: Any) -> Observation:
        return observing.observe(subject, observe, {**rest, **some}, camera)

    def loss(some: Any, rest: Any) -> jax.Array:
        seen = see(some, rest)
        outside = jnp.mean(jax.nn.relu(seen.silhouette))
        return jnp.mean(seen.depth) + jnp.mean(seen.normal) + outside + jnp.sum(seen.properties) / seen.depth.size

    code = {name: leaf for name, leaf in params.items() if name == "code"}
    seconds = {"forward": _seconds(see, params, {}), "all": _seconds(jax.value_and_grad(loss), params, {})}
    return {**seconds, **({"code": _seconds(jax.value_and_grad(loss), code, params)} if code else {})}


def with_steps(config: ObserveConfig, steps: int) -> ObserveConfig:
    """The config with at most so many steps."""
    return replace(config, march=replace(config.march, max_steps=steps))


def as_text(table: dict[str, Any]) -> str:
    """The tables in Markdown."""
    rows = [[shown(row[name]) for name, shown in _COLUMNS.values()] for row in table["marches"]]
    text = reports.table(tuple(_COLUMNS), rows)
    rows = [(f"{row['pixels']:g}", f"{row['dilated']:.2%}", f"{row['eroded']:.2%}") for row in table["thresholds"]]
    text += "\n\n" + reports.table(("threshold, pixels", "dilated", "eroded"), rows) + "\n"
    if "gradients" in table:
        seconds = table["gradients"]
        rows = [(name, f"{value:.1f}", f"{value / seconds['forward']:.2f}") for name, value in seconds.items()]
        text += "\n" + reports.table(("gradient in", "seconds", "of an observation without"), rows) + "\n"
    return text


def _marching(config: ObserveConfig, stride: Stride, **settings: Any) -> ObserveConfig:
    return replace(config, march=replace(config.march, stride=stride), **settings)


def _seconds(function: Callable[[Any, Any], Any], some: Any, rest: Any) -> float:
    """Of a call, after one that is not counted."""
    program = jax.jit(function).lower(some, rest).compile()
    jax.block_until_ready(program(some, rest))
    begun = time.perf_counter()
    jax.block_until_ready(program(some, rest))
    return time.perf_counter() - begun


def _share(which: np.ndarray) -> float:
    return float(np.mean(which)) if which.size else 1.0


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(TracerConfig())
    experiment_flags.define_aliases(shapes.ALIASES)
    experiment_flags.run(main)
