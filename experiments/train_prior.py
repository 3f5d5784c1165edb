"""Learn a family of shapes: a DeepSDF decoder and a code for each shape [P19].

    python -m experiments.train_prior --workdir=runs/prior
    python -m experiments.train_prior --workdir=runs/mine --meshes=FOLDER,FOLDER --families=

Shapes are closed meshes in folders, and members of procedural families. With --network.channels=3 their colours are
learnt too. The same command goes on where it was stopped; SIGTERM or SIGINT (Ctrl-C) saves the step it is at and ends
it with the code 75.

Leaves in the work directory: config.json, samples.npz, metrics.jsonl and checkpoints/ (as it runs); metrics.json and
scores.md, the Chamfer distance of every shape; images/, true and decoded shapes, and what lies between two codes;
loss.png.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import run_logs, runs, stopping
from experiments.flags import RunError
from experiments.priors import listing, pictures, scores, store
from experiments.priors.pictures import Pictures
from experiments.priors.store import PriorConfig
from experiments.versions import versions
from experiments.watch import not_finite
from sdfrepar import checkpoints, files, fitting
from sdfrepar.fitting import FitState
from sdfrepar.reports import Progress

PICTURE = 160
"""Pixels a side."""


def main(argv: Sequence[str]) -> None:
    """Train the prior that the flags describe, and score it."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --workdir=FOLDER --meshes=FOLDER.")
    config, given = experiment_flags.read(PriorConfig()), flags.FLAGS
    folders, workdir = [Path(name) for name in given.meshes], Path(given.workdir)
    train(config, folders, workdir)
    outcome(folders, workdir)
    files.write_bytes(workdir / "loss.png", pictures.loss(files.read_json_lines(workdir / runs.LOG)))


def train(config: PriorConfig, folders: Sequence[Path], workdir: Path) -> FitState:
    """Sample the shapes, and take all the steps that are left.

    Raises:
        OtherRunError: the workdir holds a prior of another config or of other shapes.
        RunError: the loss is not finite any more.
        Stopped: SIGTERM or SIGINT asked for it, and the last step is saved.
        OSError: a checkpoint cannot be written.
    """
    names = tuple(listing.learnt(config, folders))
    state = _start(config, names, workdir)
    sampled = listing.sampled(config, folders, workdir)
    step = fitting.make_codes_step(config.network, config.fit)
    points, distances, colours = map(jnp.asarray, sampled)
    key, kept_at, done = jax.random.key(config.seed), time.monotonic(), int(state.step)
    kept = store.identity(config, names)
    with Progress(config.fit.steps, start=done) as progress, stopping.when_it_suits() as asked:
        for number in range(done + 1, config.fit.steps + 1):
            state, metrics = step(state, points, distances, colours, key)
            last = number == config.fit.steps
            if number % config.log_every == 0 or last:
                metrics = {name: float(value) for name, value in metrics.items()}
                if not np.isfinite(metrics["distance"]):
                    raise RunError(f"The loss is not finite at step {number}; lower --fit.rate.")
                progress.update(number, metrics)
                files.append_json_line(workdir / runs.LOG, {"step": number, **metrics})
            if last or asked.by or time.monotonic() - kept_at > config.checkpoint_every:
                _require_finite(number, state)
                checkpoints.save(workdir / runs.CHECKPOINTS, number, state, kept)
                kept_at = time.monotonic()
            if asked.by:
                raise stopping.Stopped.at_step(asked.by, number, workdir)
    return state


def outcome(folders: Sequence[Path], workdir: Path) -> dict[str, Any]:
    """Write metrics.json, scores.md and images/ of the last checkpoint; returns the metrics."""
    prior = store.load(workdir)
    shapes = listing.learnt(prior.config, folders)
    for name, picture in Pictures(prior).of_families(shapes, pictures.camera(PICTURE)).items():
        files.write_image(workdir / "images" / f"{name}.png", picture)
    scored = scores.score(prior, shapes)
    metrics = {**scored, "steps": prior.step, "versions": versions()}
    files.write_json(workdir / runs.METRICS, metrics)
    files.write_bytes(workdir / "scores.md", scores.table(scored).encode())
    print(", ".join(f"{name} {value}" for name, value in scored["all"].items()))
    return metrics


def _require_finite(step: int, state: FitState) -> None:
    """Refuse to keep a state that is lost already."""
    if broken := not_finite(state):
        raise RunError(f"At step {step} {', '.join(broken[:3])} became not finite; lower --fit.rate.")


def _start(config: PriorConfig, names: tuple[str, ...], workdir: Path) -> FitState:
    """The last checkpoint of the same prior, or fresh params; config.json is written, metrics.jsonl cut back."""
    if checkpoints.latest_step(workdir / runs.CHECKPOINTS) is None:
        params = fitting.initial_codes(config.network, len(names), key=jax.random.key(config.seed))
        state = fitting.first_codes_state(config.fit, params)
    else:
        like, wanted = store.state_like(config, len(names)), store.identity(config, names)
        try:
            state = checkpoints.restore(workdir / runs.CHECKPOINTS, like, config_json=wanted)
        except checkpoints.OtherConfigError as error:
            raise runs.OtherRunError(f"{error} Choose another --workdir.") from error
        checkpoints.set_aside(workdir / runs.CHECKPOINTS, after=int(state.step))
        print(f"{workdir} holds a checkpoint of this prior; it goes on at step {int(state.step)}.")
    store.write_config(workdir, config, names)
    (workdir / runs.METRICS).unlink(missing_ok=True)
    run_logs.cut(workdir / runs.LOG, int(state.step))
    return fitting.on_all_devices(state)


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder of this prior", required=True)
    flags.DEFINE_list("meshes", [], "folders of closed meshes")
    experiment_flags.define(PriorConfig())
    experiment_flags.run(main)
