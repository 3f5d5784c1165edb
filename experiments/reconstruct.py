"""Reconstruct a shape and its colours from a folder of posed pictures, without masks.

    python -m experiments.reconstruct --data=runs/demo/data --workdir=runs/demo --preset=quick

Seven minutes on two CPU cores for the demo: PSNR about 39 dB, occupancy IoU about 0.97. With --gradient=interior the
same run differentiates the interior of the surface alone, and does not find the shape.

All devices that are visible share the pixels of a step; for several hosts see `experiments.hosts`.

Leaves in the work directory: config.json, metrics.jsonl (as it runs), metrics.json, mesh.ply (world frame), images/.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import hosts
from experiments.flags import RunError
from experiments.outcome import Outcome
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import datasets, files, fitting, memory, networks
from sdfrepar.fitting import FitState, Pixels
from sdfrepar.records import Views
from sdfrepar.reports import Progress


def main(argv: Sequence[str]) -> None:
    """Load, fit, evaluate."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --data=FOLDER --workdir=FOLDER.")
    config = experiment_flags.read(PRESETS[flags.FLAGS.preset])
    hosts.connect(config.hosts)
    with hosts.only_the_first_speaks():
        reconstruct(config, Path(flags.FLAGS.data), Path(flags.FLAGS.workdir))


def reconstruct(config: ReconstructConfig, data: Path, workdir: Path) -> dict[str, Any]:
    """The whole run; returns what it wrote to metrics.json, nothing on hosts that do not write.

    Raises:
        RunError: the surface was lost, or a value is not finite.
        ValueError, FileNotFoundError: data that cannot be used.
    """
    train, test = datasets.load(data, config.data)
    height, width = train.images.shape[1:3]
    print(f"{data}: {len(train)} training and {len(test)} held-out views of {width} x {height} pixels")
    if hosts.is_first():
        files.write_json(workdir / "config.json", {"data": str(data), **experiment_flags.to_json(config)})

    key = jax.random.key(config.seed)
    scene = networks.scene(config.network)
    params = networks.initialise(config.network, border_colour(train), key=key)
    state = fitting.start(config.fit, params | fitting.of_views(config.fit, len(train)))
    pixels = fitting.gather_pixels(train, config.fit.levels)
    pixels, key = fitting.on_all_devices((pixels, key))
    outcome = Outcome(scene, config, data, workdir, test)

    started = time.monotonic()
    state, seconds_per_step = fit(config, scene, state, pixels, key, workdir, outcome.progress_picture)
    if not hosts.is_first():
        return {}
    return outcome.write(state, seconds=time.monotonic() - started, seconds_per_step=seconds_per_step)


def fit(
    config: ReconstructConfig,
    scene: Any,
    state: FitState,
    pixels: Pixels,
    key: jax.Array,
    workdir: Path,
    show: Callable[[FitState], None],
) -> tuple[FitState, float]:
    """All the steps, with progress, lines of metrics.jsonl, and pictures; returns the seconds that a step took."""
    log = workdir / "metrics.jsonl"
    if hosts.is_first():
        log.unlink(missing_ok=True)
    watch = Watch(config)
    picture_every = max(config.fit.steps // max(config.pictures, 1), 1)
    rays = config.fit.pixels * config.render.film.inside
    spent = 0.0
    with Progress(config.fit.steps) as progress:
        begun = time.monotonic()
        parts, step = compile_step(config, scene, state, pixels, key)
        progress.note(
            f"compiled in {time.monotonic() - begun:.1f} s; a step takes {memory.temporary_bytes(step) / 1e9:.2g} GB"
            + (f", in {parts} parts" if parts > 1 else "")
        )
        for number in range(1, config.fit.steps + 1):
            last = number == config.fit.steps
            log_now = number % config.log_every == 0 or last
            begun = time.monotonic()
            state, metrics = step(state, pixels, key)
            if log_now:
                metrics = {name: float(value) for name, value in metrics.items()}
            spent += time.monotonic() - begun
            if log_now:
                watch(number, metrics)
                progress.update(number, metrics, rays * number / spent)
            if log_now and hosts.is_first():
                files.append_json_line(log, {"step": number, "seconds": spent, **metrics})
            if config.pictures and (number % picture_every == 0 or last) and hosts.is_first():
                show(state)
    return state, spent / config.fit.steps


def compile_step(
    config: ReconstructConfig, scene: Any, state: FitState, pixels: Pixels, key: jax.Array
) -> tuple[int, Any]:
    """The step in as few parts as the memory allows: their number, and the compiled program.

    Raises:
        ValueError: pixels that the devices cannot share, or too little memory for even the smallest part.
    """

    def in_parts(parts: int) -> Any:
        step = fitting.make_step(scene, config.render, config.fit, parts=parts)
        return step.lower(state, pixels, key).compile()

    each = math.gcd(config.fit.pixels, config.fit.eikonal_points) // jax.device_count()
    allowed = [parts for parts in range(1, each + 1) if each % parts == 0] or [1]
    return memory.fewest_parts(in_parts, allowed, memory.budget(config.memory_gb, jax.local_devices()[0]))


class Watch:
    """Stops a run that has gone wrong, with a sentence that says how."""

    def __init__(self, config: ReconstructConfig):
        """Watch a run of this config."""
        level = config.fit.steps * config.fit.descent / config.fit.levels
        self._patience = max(level, 2 * config.log_every)
        self._last_seen = 0

    def __call__(self, step: int, metrics: dict[str, float]) -> None:
        """Look at the metrics of a step.

        Raises:
            RunError: a value is not finite, or no ray has met the surface for as long as a pyramid level lasts.
        """
        broken = [name for name, value in metrics.items() if not np.isfinite(value)]
        if broken:
            raise RunError(
                f"At step {step} {', '.join(broken)} became not finite; try a lower --fit.shape_rate, "
                "a lower --fit.clip, or more --fit.warm_up."
            )
        if metrics["hits"] > 0:
            self._last_seen = step
        elif step - self._last_seen >= self._patience:
            raise RunError(
                f"The surface is lost: no ray has hit it since step {self._last_seen}, now {step}. Try a lower "
                "--fit.shape_rate, another --network.initial_radius, or check that the object fills the unit sphere "
                "(--data.centre, --data.radius)."
            )


def border_colour(views: Views) -> jax.Array:
    """The median colour (3,), linear, along the borders of all pictures: the first guess of the background."""
    images = views.images
    edges = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    return jnp.asarray(np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), axis=0))


if __name__ == "__main__":
    flags.DEFINE_string("data", None, "folder of posed pictures", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    flags.DEFINE_enum("preset", "quick", sorted(PRESETS), "sizes of everything; other flags override it")
    experiment_flags.define(PRESETS["quick"])
    flags.DEFINE_alias("gradient", "render.gradient.method")
    experiment_flags.run(main)
