"""What a work directory holds of a run, and how to go on with it or read it.

run = runs.load(Path("runs/demo"))
run.scene.distance(run.params, x)
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from experiments import flags, hosts, run_logs
from experiments.flags import RunError
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import checkpoints, files, fitting, networks
from sdfrepar.fitting import FitState
from sdfrepar.rendering import Scene

CONFIG, FLAGS, LOG, METRICS, CHECKPOINTS = "config.json", "flags.txt", "metrics.jsonl", "metrics.json", "checkpoints"

FAILURE = "failure"
"""In metrics.json of a run that went wrong: why."""

# Beside the fields of the config, of which `data` is one, config.json holds the folder of the pictures.
_FOLDER = "data_folder"

# And the number of training views, where something is fitted of each, and the command that began it or went on with it.
_VIEWS, COMMAND = "views", "command"
_BESIDE = (_FOLDER, _VIEWS, COMMAND)

NO_FLAGS = (_VIEWS, COMMAND)
"""What config.json tells that decides nothing."""

# What may change when a run goes on: who works, and what is written when. The rest decides its parameters.
_FREE = (
    *(_VIEWS, COMMAND, "hosts", "memory_gb", "checkpoint_every", "checkpoints_kept", "pictures", "mesh_resolution"),
    *("tensorboard", "rollbacks", "restarts"),
)

_WAYS_OUT = "Choose another --workdir, begin anew with --overwrite, or go on all the same with --resume=force."

# What version 0.1.0 called them.
_RENAMED = {"restarts": "rollbacks"}

Resume = Literal["auto", "never", "force"]
"""What becomes of a run that is in the work directory already: the same one goes on and another is refused; any is
refused; any goes on."""


class OtherRunError(RunError):
    """The work directory holds another run."""


class Snapshot(NamedTuple):
    """All that a run needs to go on."""

    state: FitState
    seconds: jax.Array  # () since the run began, breaks left out
    in_steps: jax.Array  # () seconds of these that went into steps
    step_gigabytes: jax.Array  # () temporary memory that a step takes on a device
    restarts: jax.Array  # () int32, how often the run has gone back and begun again from there, more calmly


@dataclass(frozen=True, eq=False)
class Run:
    """A run as its last checkpoint left it; arrays on the host."""

    config: ReconstructConfig
    scene: Scene
    data: Path
    snapshot: Snapshot
    workdir: Path

    @cached_property
    def params(self) -> Any:
        """The moving average of the parameters, ready to be evaluated, of which pictures and meshes are made."""
        return jax.jit(self.scene.prepare)(self.snapshot.state.average)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.snapshot.state.step)


def begin(
    config: ReconstructConfig,
    data: Path,
    workdir: Path,
    params: Any,
    *,
    resume: Resume = "auto",
    overwrite: bool = False,
    command: str | None = None,
) -> Snapshot:
    """Where a run starts: at the last checkpoint of the same run in `workdir`, or with `params`; on all devices.

    metrics.jsonl is cut back to that step, metrics.json removed, and config.json and flags.txt are written, the former
    with the command line where one is given, the latter with the folder of the pictures and without that of the run.

    `require_resumable` comes before it, and before all that takes time.

    Raises:
        OtherRunError: `workdir` holds a checkpoint of another run, which `resume` does not force to go on and
            `overwrite` does not throw away.
        ValueError: no checkpoint is sound, or the last was written by a newer version, or for other networks.
    """
    if overwrite and hosts.is_first():
        shutil.rmtree(workdir / CHECKPOINTS, ignore_errors=True)
    hosts.meet("the old checkpoints are gone")
    stored = _stored(config, data)
    fresh = fitting.on_all_devices(_at_start(config, params))
    snapshot = _at_last(workdir, fresh, None if resume == "force" else _identity(stored))
    if hosts.is_first():
        (workdir / METRICS).unlink(missing_ok=True)
        run_logs.cut(workdir / LOG, int(snapshot.state.step))
        beside = {_VIEWS: fitting.count_of_views(params)} | ({} if command is None else {COMMAND: command})
        files.write_json(workdir / CONFIG, {**stored, **beside})
        lines = [f"--data={data}", *flags.to_lines(config)]
        files.write_bytes(workdir / FLAGS, ("\n".join(lines) + "\n").encode())
    return snapshot


def require_resumable(config: ReconstructConfig, data: Path, workdir: Path, resume: Resume) -> None:
    """Refuse a work directory that holds another run, or any: as soon as can be told, from config.json alone.

    Raises:
        OtherRunError: it does. With `force` it is said what differs, and the run goes on.
        ValueError: `resume` is no such word.
    """
    if resume not in get_args(Resume):
        raise ValueError(f"resume is {resume!r}, expected one of {', '.join(get_args(Resume))}.")
    has_run = (workdir / METRICS).is_file() or checkpoints.latest_step(workdir / CHECKPOINTS) is not None
    if resume == "never" and (has_run or (workdir / CONFIG).is_file()):
        raise OtherRunError(
            f"{workdir} holds a run, and resume is never; choose another --workdir, or begin anew with --overwrite."
        )
    if not (has_run and (workdir / CONFIG).is_file()):
        return
    different = checkpoints.differences(
        _identity(files.read_json(workdir / CONFIG)), json.loads(json.dumps(_identity(_stored(config, data))))
    )
    if different and resume == "force":
        print(f"{workdir} holds a run of another config, and goes on all the same: {'; '.join(different)}.")
    elif different:
        raise OtherRunError(f"{workdir} holds a run of another config: {'; '.join(different)}. {_WAYS_OUT}")


def _at_last(workdir: Path, fresh: Snapshot, identity: Mapping[str, Any] | None) -> Snapshot:
    """The last checkpoint that is sound, later ones set aside; `fresh` where there is none."""
    folder = workdir / CHECKPOINTS
    if checkpoints.latest_step(folder) is None:
        return fresh
    try:
        snapshot = checkpoints.restore(folder, fresh, config_json=identity)
    except checkpoints.OtherConfigError as error:
        raise OtherRunError(f"{error} {_WAYS_OUT}") from error
    hosts.meet("the checkpoint is read")
    if hosts.is_first():
        checkpoints.set_aside(folder, after=int(snapshot.state.step))
    print(f"{workdir} holds a checkpoint of this run; it goes on at step {int(snapshot.state.step)}.")
    return snapshot


def go_back(config: ReconstructConfig, workdir: Path, params: Any, restarts: int, sound_until: int) -> Snapshot:
    """The last checkpoint at which all was well, or the first state, one restart later; what came after is removed.

    Args:
        config: of the run.
        workdir: its work directory.
        params: with which it began.
        restarts: how often it has gone back already.
        sound_until: the last step at which all was well.
    """
    hosts.meet("the run is in trouble")
    if hosts.is_first():
        checkpoints.discard(workdir / CHECKPOINTS, after=sound_until)
    hosts.meet("its checkpoints are gone")
    snapshot = fitting.on_all_devices(_at_start(config, params))
    if checkpoints.latest_step(workdir / CHECKPOINTS) is not None:
        snapshot = checkpoints.restore(workdir / CHECKPOINTS, snapshot)
    if hosts.is_first():
        checkpoints.set_aside(workdir / CHECKPOINTS, after=int(snapshot.state.step))
        run_logs.cut(workdir / LOG, int(snapshot.state.step))
    return snapshot._replace(restarts=fitting.on_all_devices(jnp.int32(restarts + 1)))


def calmed(config: ReconstructConfig, restarts: int) -> ReconstructConfig:
    """The config after so many restarts."""
    fit, factor = config.fit, 2**restarts
    return replace(config, fit=replace(fit, shape_rate=fit.shape_rate / factor, warm_up=fit.warm_up * factor))


def finished(config: ReconstructConfig, data: Path, workdir: Path) -> dict[str, Any] | None:
    """The metrics of this very run, if `workdir` has them."""
    if not ((workdir / CONFIG).is_file() and (workdir / METRICS).is_file()):
        return None
    # As JSON has it, where a tuple is a list.
    now = json.loads(json.dumps(_identity(_stored(config, data))))
    return (
        files.read_json_object(workdir / METRICS)
        if now == _identity(files.read_json_object(workdir / CONFIG))
        else None
    )


def lines_done(
    workdir: Path, now: Mapping[str, Any], free: Sequence[str], lines: str, what: str
) -> list[dict[str, Any]]:
    """What experiments that write a line for each piece of work have done of theirs already; config.json is written.

    Args:
        workdir: work directory.
        now: the config, as JSON has it.
        free: fields of it that decide no line by itself.
        lines: the file's name.
        what: the lines are, in words, for the error.

    Raises:
        OtherRunError: the work directory holds lines of another config.
    """

    def deciding(stored: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in stored.items() if name not in free}

    path = workdir / CONFIG
    if path.is_file() and deciding(files.read_json_object(path)) != deciding(now):
        raise OtherRunError(f"{workdir} holds {what} of another config; choose another --workdir.")
    files.write_json(path, now)
    return files.read_json_lines(workdir / lines) if (workdir / lines).is_file() else []


def save(config: ReconstructConfig, data: Path, workdir: Path, snapshot: Snapshot, score: float | None = None) -> None:
    """Write a checkpoint, which is as bad as `score` where that can be told; all hosts together.

    Raises:
        OSError: it cannot be written.
    """
    identity, step = _identity(_stored(config, data)), int(snapshot.state.step)
    folder, kept = workdir / CHECKPOINTS, config.checkpoints_kept
    checkpoints.save(folder, step, snapshot, identity, keep=kept, score=score)


def load(workdir: Path) -> Run:
    """A finished or a running run, at its last checkpoint.

    Raises:
        FileNotFoundError: no run, or one that has not written a checkpoint yet.
        ValueError: files that do not belong together, or that another version wrote.
    """
    stored, config = read_config(workdir)
    like = _shapes(config, stored[_VIEWS])
    snapshot = checkpoints.restore(workdir / CHECKPOINTS, like, config_json=_identity(stored))
    scene, data = networks.scene(config.network), Path(stored[_FOLDER])
    return Run(config=config, scene=scene, data=data, snapshot=snapshot, workdir=workdir)


def read_config(workdir: Path) -> tuple[dict[str, Any], ReconstructConfig]:
    """What config.json holds, and the config that it says.

    Raises:
        FileNotFoundError: no run.
        ValueError: a file that another version wrote, or that is broken.
    """
    path = workdir / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"{workdir} holds no {CONFIG}, so no run; set --workdir to that of experiments.reconstruct."
        )
    stored = files.read_json_object(path)
    for name, kind in ((_FOLDER, str), (_VIEWS, int)):
        if type(stored.get(name)) is not kind:
            raise ValueError(
                f"{path}: {name} is {stored.get(name)!r}; expected a {kind.__name__}, as "
                "experiments.reconstruct wrote it."
            )
    fields = {str(_RENAMED.get(name, name)): value for name, value in stored.items() if name not in _BESIDE}
    config = config_of(path, PRESETS["quick"], fields)
    return stored, config


def config_of(path: Path, config_instance: Any, values: Mapping[str, Any]) -> Any:
    """The config that the values of a file say, as `flags.from_json`.

    Raises:
        ValueError: they do not; the sentence names the file.
    """
    try:
        return flags.from_json(config_instance, values)
    except ValueError as error:
        raise ValueError(f"{path} holds no config of this version: {error}") from error


def flat(stored: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The values that config.json holds, as text, by the dotted names of their flags."""
    values: dict[str, str] = {}
    for name, value in stored.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = ",".join(map(_word, value)) if isinstance(value, list) else _word(value)
    return values


def _word(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _stored(config: ReconstructConfig, data: Path) -> dict[str, Any]:
    """What config.json holds."""
    return {_FOLDER: str(data), **flags.to_json(config)}


def _identity(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name not in _FREE}


def _at_start(config: ReconstructConfig, params: Any) -> Snapshot:
    return Snapshot(
        state=fitting.first_state(config.fit, params),
        seconds=jnp.zeros(()),
        in_steps=jnp.zeros(()),
        step_gigabytes=jnp.zeros(()),
        restarts=jnp.zeros((), jnp.int32),
    )


def _shapes(config: ReconstructConfig, views: int) -> Snapshot:
    """A snapshot of empty arrays on the host."""

    def at_start() -> Snapshot:
        params = networks.initialise(config.network, jnp.zeros(3), key=jax.random.key(config.seed))
        return _at_start(config, params | fitting.of_views(config.fit, views))

    return jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), jax.eval_shape(at_start))
