"""The steps of a reconstruction, with all that happens between them: progress, metrics, pictures, checkpoints."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import hosts, stopping
from experiments.board import Board
from experiments.presets import ReconstructConfig
from experiments.runs import Snapshot
from experiments.watch import TroubleError, Watch
from sdfrepar import files, fitting, memory
from sdfrepar.fitting import FitState, Pixels
from sdfrepar.rendering import Scene
from sdfrepar.reports import Progress


def fit(
    config: ReconstructConfig,
    scene: Scene,
    snapshot: Snapshot,
    pixels: Pixels,
    key: jax.Array,
    log: Path,
    *,
    show: Callable[[FitState], None],
    keep: Callable[[Snapshot, float | None], None],
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
        keep: writes a checkpoint, given how bad it is where that can be told; all hosts together.
        board: is told the metrics as well, on the first host.

    Raises:
        TroubleError: the fit has gone wrong.
        Stopped: a signal asked for it; the last step is saved.
        ValueError, OSError: too little memory for a step, or no room for a checkpoint.
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
        with stopping.when_it_suits() as asked, _stopping_in_trouble(asked):
            for number in range(done + 1, steps + 1):
                due = _due(config, number)
                late = time.monotonic() - kept_at >= config.checkpoint_every and watch.sees_surface
                with clock:
                    state, metrics = step(state, pixels, key)
                    if due.log or due.picture or late or asked.by:
                        jax.block_until_ready(state)
                if due.log:
                    line = {name: float(value) for name, value in metrics.items()}
                    if (odd := watch(number, line)) is not None:
                        progress.note(odd)
                    progress.update(number, shown(line), rays * number / clock.in_steps)
                    if hosts.is_first():
                        _write(log, board, number, clock.in_steps, line)
                if due.picture:
                    show(state)
                save, stop = _agreed(due, number == steps or late, asked)
                if save or stop:
                    watch.require_sound(number, state)
                    snapshot = clock.snapshot(state)
                    keep(snapshot, watch.score())
                    kept_at = time.monotonic()
                if stop:
                    raise stopping.Stopped.at_step(asked.by or "another host", number, log.parent)
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


def _write(log: Path, board: Board | None, step: int, seconds: float, metrics: dict[str, float]) -> None:
    """Append a line to metrics.jsonl, and tell the board."""
    files.append_json_line(log, {"step": step, "seconds": seconds, **metrics})
    if board is not None:
        board.scalars(step, metrics)


def _agreed(due: _Due, save: bool, asked: stopping.Request) -> tuple[bool, bool]:
    """Whether all hosts save now, and whether they stop: the first one decides.

    Nothing else may pass between hosts while a step is under way, so several agree where all have waited.
    """
    if not due.log and jax.process_count() > 1:
        return False, False
    save, stop = hosts.from_the_first(np.array([save, asked.by is not None]))
    return bool(save), bool(stop)


@contextlib.contextmanager
def _stopping_in_trouble(asked: stopping.Request) -> Iterator[None]:
    """A run that was asked to stop and is in trouble does so, rather than begin again somewhere."""
    try:
        yield
    except TroubleError as trouble:
        if asked.by is None:
            raise
        raise stopping.Stopped(
            f"Stopped by {asked.by} with nothing new saved, and the run is in trouble: {trouble} The same command goes "
            "on from its last checkpoint."
        ) from trouble


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
