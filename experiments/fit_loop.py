"""The steps of a reconstruction, with all that happens between them: progress, metrics, pictures, checkpoints."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import hosts
from experiments.board import Board
from experiments.flags import RunError
from experiments.presets import ReconstructConfig
from experiments.runs import Snapshot
from sdfrepar import files, fitting, memory
from sdfrepar.fitting import FitState, Pixels
from sdfrepar.rendering import Scene
from sdfrepar.reports import Progress


class LostSurfaceError(RunError):
    """No ray meets the surface any more."""


def fit(
    config: ReconstructConfig,
    scene: Scene,
    snapshot: Snapshot,
    pixels: Pixels,
    key: jax.Array,
    log: Path,
    *,
    show: Callable[[FitState], None],
    keep: Callable[[Snapshot], None],
    board: Board | None = None,
) -> Snapshot:
    """All the steps that are left, with progress and lines of metrics.jsonl; returns the last snapshot.

    Args:
        config: of the run.
        scene: what is fitted.
        snapshot: where to begin, on all devices.
        pixels: what it is fitted to.
        key: random key of the run.
        log: metrics.jsonl, with the lines up to the snapshot.
        show: writes a picture of a state.
        keep: writes a checkpoint; all hosts together.
        board: is told the metrics as well, on the first host.
    """
    steps, done = config.fit.steps, int(snapshot.state.step)
    if done >= steps:
        return snapshot
    clock, state = Clock(snapshot), snapshot.state
    watch = Watch(config, files.read_json_lines(log) if log.is_file() else ())
    rays = config.fit.pixels * config.render.film.inside
    kept_at = time.monotonic()
    with Progress(steps, start=done) as progress:
        begun = time.monotonic()
        parts, step = compile_step(config, scene, state, pixels, key)
        clock.step_gigabytes = memory.temporary_bytes(step) / 1e9
        # The first exchange of a step fails where another host is half a minute late.
        hosts.meet("compiled")
        progress.note(
            f"compiled in {time.monotonic() - begun:.1f} s; a step takes {clock.step_gigabytes:.2g} GB"
            + (f", in {parts} parts" if parts > 1 else "")
        )
        for number in range(done + 1, steps + 1):
            due = _due(config, number)
            late = time.monotonic() - kept_at >= config.checkpoint_every
            with clock:
                state, metrics = step(state, pixels, key)
                if due.log or due.picture or late:
                    jax.block_until_ready(state)
            if due.log:
                metrics = {name: float(value) for name, value in metrics.items()}
                watch(number, metrics)
                progress.update(number, shown(metrics), rays * number / clock.in_steps)
            if due.log and hosts.is_first():
                files.append_json_line(log, {"step": number, "seconds": clock.in_steps, **metrics})
                if board is not None:
                    board.scalars(number, metrics)
            if due.picture:
                show(state)
            # Nothing else may pass between hosts while a step is under way, so several agree where all have waited.
            if number == steps or ((due.log or jax.process_count() == 1) and hosts.from_the_first(np.asarray(late))):
                snapshot = clock.snapshot(state)
                keep(snapshot)
                kept_at = time.monotonic()
    return snapshot


def shown(metrics: Mapping[str, float]) -> dict[str, float]:
    """What a line of progress tells of a step: loss, its terms, PSNR, shares of rays that hit or are in the band."""
    terms = {name.removeprefix("loss/"): value for name, value in metrics.items() if name.startswith("loss/")}
    measures = {name: metrics[name] for name in ("psnr", "hit_rate", "band") if name in metrics}
    return {"loss": metrics["loss"], **terms, **measures}


class _Due(NamedTuple):
    """What this host is to do after a step."""

    log: bool
    picture: bool


def _due(config: ReconstructConfig, number: int) -> _Due:
    """After step `number`; every host logs at the same steps."""
    last = number == config.fit.steps
    picture_every = max(config.fit.steps // max(config.pictures, 1), 1)
    picture = config.pictures > 0 and (last or number % picture_every == 0)
    return _Due(last or number % config.log_every == 0, picture and hosts.is_first())


def compile_step(
    config: ReconstructConfig, scene: Scene, state: FitState, pixels: Pixels, key: jax.Array
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


class Clock:
    """What a run costs: seconds, and those within steps, which is done inside `with clock`. Breaks are left out."""

    def __init__(self, snapshot: Snapshot):
        """Go on from a snapshot."""
        self._began = time.monotonic() - float(snapshot.seconds)
        self._restarts = snapshot.restarts
        self.in_steps = float(snapshot.in_steps)
        self.step_gigabytes = 0.0

    def __enter__(self) -> None:
        """A step begins."""
        self._step_began = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        """It has ended."""
        self.in_steps += time.monotonic() - self._step_began

    def snapshot(self, state: FitState) -> Snapshot:
        """A state with what it cost, on all devices."""
        costs = np.array([time.monotonic() - self._began, self.in_steps, self.step_gigabytes], np.float32)
        seconds, in_steps, step_gigabytes = fitting.on_all_devices(tuple(hosts.from_the_first(costs)))
        return Snapshot(state, seconds, in_steps, step_gigabytes, self._restarts)


class Watch:
    """Stops a run that has gone wrong, with a sentence that says how."""

    def __init__(self, config: ReconstructConfig, lines: Iterable[Mapping[str, Any]] = ()):
        """Watch a run of this config that has left these lines of metrics.jsonl."""
        level = config.fit.steps * config.fit.descent / config.fit.levels
        self._patience = max(level, 2 * config.log_every)
        self._last_seen = max((line["step"] for line in lines if line["hits"] > 0), default=0)

    def __call__(self, step: int, metrics: dict[str, float]) -> None:
        """Look at the metrics of a step.

        Raises:
            RunError: a value is not finite.
            LostSurfaceError: no ray has met the surface for as long as a pyramid level lasts.
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
            raise LostSurfaceError(
                f"The surface is lost: no ray has hit it since step {self._last_seen}, now {step}. Try a lower "
                "--fit.shape_rate, another --network.initial_radius, or check that the object fills the unit sphere "
                "(--data.centre, --data.radius)."
            )
