"""Learn a family of shapes: a DeepSDF decoder and a code for each shape [P19].

    python -m experiments.train_prior --workdir=runs/prior
    python -m experiments.train_prior --workdir=runs/mine --meshes=FOLDER,FOLDER --families=

Shapes are closed meshes in folders, and members of procedural families. The same command goes on where it was stopped.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments.flags import RunError
from experiments.priors import folder, samples, store
from experiments.priors.families import FAMILIES
from experiments.priors.samples import Samples, Shape
from experiments.priors.store import PriorConfig
from experiments.runs import CHECKPOINTS, LOG
from sdfrepar import checkpoints, files, fitting
from sdfrepar.fitting import FitState
from sdfrepar.reports import Progress


def main(argv: Sequence[str]) -> None:
    """Train the prior that the flags describe."""
    del argv
    given = flags.FLAGS
    train(experiment_flags.read(PriorConfig()), [Path(name) for name in given.meshes], Path(given.workdir))


def train(config: PriorConfig, folders: Sequence[Path], workdir: Path) -> FitState:
    """Sample the shapes, and take all the steps that are left.

    Raises:
        OtherConfigError: the workdir holds a prior of another config or of other shapes.
        RunError: the loss is not finite any more.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    names, sampled = sample_all(config, folders)
    state = _start(config, names, workdir)
    store.write_config(workdir, config, names)
    step = fitting.make_codes_step(config.network, config.fit)
    points, distances = jnp.asarray(sampled.points), jnp.asarray(sampled.distances)
    key, kept_at, done = jax.random.key(config.seed), time.monotonic(), int(state.step)
    with Progress(config.fit.steps, start=done) as progress:
        for number in range(done + 1, config.fit.steps + 1):
            state, metrics = step(state, points, distances, key)
            if number % config.log_every == 0:
                metrics = {name: float(value) for name, value in metrics.items()}
                if not np.isfinite(metrics["distance"]):
                    raise RunError(f"The loss is not finite at step {number}; lower --fit.rate.")
                progress.update(number, metrics)
                files.append_json_line(workdir / LOG, {"step": number, **metrics})
            if number == config.fit.steps or time.monotonic() - kept_at > config.checkpoint_every:
                checkpoints.save(workdir / CHECKPOINTS, number, state, store.identity(config, names))
                kept_at = time.monotonic()
    return state


def sample_all(config: PriorConfig, folders: Sequence[Path]) -> tuple[tuple[str, ...], Samples]:
    """The names of all shapes, and their samples, leading axis S.

    Raises:
        ValueError: no shapes, or an unknown family.
    """
    shapes = {**_from_folders(config, folders), **_from_families(config)}
    if not shapes:
        raise ValueError("There are no shapes to learn; name --meshes=FOLDER, or --families=plane:40,mug:40.")
    sampled = []
    with Progress(len(shapes), unit="shape") as progress:
        for number, shape in enumerate(shapes.values()):
            sampled.append(samples.sample(shape(), config.samples, np.random.default_rng([config.seed, number])))
            progress.update(number + 1, {"inside": float(np.mean(sampled[-1].distances < 0))})
    return tuple(shapes), Samples(*(np.stack(part) for part in zip(*sampled, strict=True)))


def _from_folders(config: PriorConfig, folders: Sequence[Path]) -> dict[str, Callable[[], Shape]]:
    return {
        f"{path.parent.name} {path.stem}": lambda path=path: folder.read(path, config.radius)
        for one in folders
        for path in folder.paths(one)
    }


def _from_families(config: PriorConfig) -> dict[str, Callable[[], Shape]]:
    found = {}
    for entry in config.families:
        kind, _, count = entry.partition(":")
        if kind not in FAMILIES or not count.isdigit():
            raise ValueError(
                f"--families names {entry!r}, expected entries like plane:40, of {', '.join(FAMILIES)}; correct it."
            )
        for member in range(int(count)):
            found[f"{kind} {member}"] = lambda kind=kind, member=member: samples.of_family(
                FAMILIES[kind], np.random.default_rng(member)
            )
    return found


def _start(config: PriorConfig, names: tuple[str, ...], workdir: Path) -> FitState:
    """The last checkpoint of the same prior, or fresh params."""
    if checkpoints.latest_step(workdir / CHECKPOINTS) is None:
        params = fitting.initial_codes(config.network, len(names), key=jax.random.key(config.seed))
        return fitting.on_all_devices(fitting.first_codes_state(config.fit, params))
    like, wanted = store.state_like(config, len(names)), store.identity(config, names)
    state = checkpoints.restore(workdir / CHECKPOINTS, like, config_json=wanted)
    print(f"{workdir} holds a checkpoint of this prior; it goes on at step {int(state.step)}.")
    return fitting.on_all_devices(state)


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder of this prior", required=True)
    flags.DEFINE_list("meshes", [], "folders of closed meshes")
    experiment_flags.define(PriorConfig())
    experiment_flags.run(main)
