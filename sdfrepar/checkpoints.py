"""Checkpoints on the disk: the only module that knows Orbax.

    save(folder, step, state, config_json)
    state = restore(folder, like)

Each lies in a folder of its own, named after its step, which takes that name only when all of it is written: a killed
write leaves nothing that looks like a checkpoint. With each go the checksums of all its arrays, since the files
themselves would give back a flipped bit unnoticed. Several hosts call every function together, on a folder that all of
them see.
"""

import contextlib
import gc
import json
import logging
import re
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

FORMAT = 1
"""Of what stands beside the arrays. Checkpoints of version 0.1.0 have no number, and no checksums."""

_CONFIG, _FORMAT, _LEAVES, _SCORE, _SEAL = "config", "format", "leaves", "score", "seal"
_ABSENT = "absent"

# What Orbax calls a checkpoint that it is writing, and what we call one that cannot be read.
_UNFINISHED, _DAMAGED = ".orbax-checkpoint-tmp", ".damaged"


class OtherConfigError(ValueError):
    """The checkpoint belongs to a run of another config; the sentence names all differences."""


class DamagedError(ValueError):
    """A file of the checkpoint is missing, cut short, or not what was written."""


class NewerFormatError(ValueError):
    """A newer version wrote the checkpoint."""


def save(
    folder: str | Path,
    step: int,
    state: Any,
    config_json: Mapping[str, Any],
    *,
    keep: int = 2,
    score: float | None = None,
) -> None:
    """Write a checkpoint, atomically, and remove all but the last `keep` and the best.

    Args:
        folder: that of all checkpoints of a run; created where it is missing.
        step: steps done, the checkpoint's name; one of the same step is replaced.
        state: pytree of arrays. Random keys are refused: derive them from a seed and the step.
        config_json: what decided the run, in types that JSON has; `restore` compares it.
        keep: how many checkpoints stay, at least 1.
        score: how bad it is, the best having the lowest; None where that cannot be told.

    Raises:
        ValueError: a random key in the state, or `keep` below 1.
        OSError: it cannot be written, for want of room or of the right to; those that were there stay.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}, expected at least 1; the checkpoint that is being written must stay.")
    for name, leaf in _named(state).items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ValueError(f"{name} is a random key, expected numbers; derive keys from a seed and the step.")
    leaves = {name: [_described(leaf), _checksum(leaf)] for name, leaf in _named(state).items()}
    about = {_CONFIG: dict(config_json), _FORMAT: FORMAT, _LEAVES: leaves, _SCORE: score}

    def write() -> None:
        _sweep(folder)
        _require_room(Path(folder), state)
        ocp.save(str(_path(folder, step)), state, overwrite=True, custom_metadata={**about, _SEAL: _seal(about)})
        _prune(folder, step, keep)

    _, reason = _tried(write)
    if reason is not None:
        with contextlib.suppress(OSError):
            _sweep(folder)
        raise OSError(
            f"The checkpoint of step {step} could not be written into {folder} ({reason}); those before it stay, so "
            "make room or let it be written to, and give the same command to go on."
        )


def latest_step(folder: str | Path) -> int | None:
    """The step of the last finished checkpoint, None where there is none."""
    return max(_steps(folder), default=None)


def restore(
    folder: str | Path,
    like: Any,
    step: int | None = None,
    *,
    config_json: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> Any:
    """The state of a checkpoint, exactly as it was saved.

    Args:
        folder: as given to `save`.
        like: pytree of the state's structure, shapes and types. Arrays come to the devices of its `jax.Array`s, however
            many had saved them, and to the host where it has NumPy arrays.
        step: which; if not given, the last that is not damaged.
        config_json: what decides the run that goes on; compared where it is given.
        say: is told, in a sentence, of a damaged checkpoint in whose place an older one is used.

    Raises:
        FileNotFoundError: no checkpoint, or none of this step.
        DamagedError: that of this step is damaged, or all are.
        NewerFormatError: a newer version wrote it.
        OtherConfigError: the checkpoint was written with another `config_json`.
        ValueError: the state had another structure, or arrays of other shapes or types.
    """
    steps = _steps(folder)
    if not steps:
        raise FileNotFoundError(f"{folder} holds no checkpoint; let the run go on until it has written one.")
    if step is not None and step not in steps:
        raise FileNotFoundError(
            f"{folder} holds no checkpoint of step {step}, only of {', '.join(map(str, steps))}; choose one."
        )
    damages: list[DamagedError] = []
    for candidate in steps[::-1] if step is None else [step]:
        try:
            state = _restored(folder, candidate, like, config_json)
        except DamagedError as error:
            damages.append(error)
        else:
            for error in damages:
                say(f"{error} That of step {candidate} is used instead.")
            return state
    if step is not None:
        raise damages[0]
    raise DamagedError(
        f"{damages[0]} {folder} holds no other that is sound; put one back from a copy, or begin anew elsewhere."
    )


def set_aside(folder: str | Path, after: int) -> None:
    """Rename the checkpoints of later steps than `after`, so that they are none any more: they are damaged."""
    for path in [_path(folder, step) for step in _steps(folder) if step > after]:
        aside = path.with_name(path.name + _DAMAGED)
        _remove(aside)
        path.rename(aside)


def discard(folder: str | Path, after: int) -> None:
    """Remove the checkpoints of later steps than `after`."""
    for step in [step for step in _steps(folder) if step > after]:
        _remove(_path(folder, step))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The fields in which two configs differ, and how, in words."""
    old, new = _fields(before), _fields(now)
    pairs = {name: (old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in sorted(old.keys() | new.keys())}
    return [f"{name} was {one!r} and is now {other!r}" for name, (one, other) in pairs.items() if one != other]


def _restored(folder: str | Path, step: int, like: Any, config_json: Mapping[str, Any] | None) -> Any:
    """The state of one checkpoint; errors as `restore` has them."""
    path, where = _path(folder, step), f"The checkpoint of step {step} in {folder}"
    about, stored = _about(path, where)
    if config_json is not None:
        different = differences(about[_CONFIG], config_json)
        if different:
            raise OtherConfigError(f"{where} was written with another config: {'; '.join(different)}.")
    _require_same_tree(where, stored, like)
    state, reason = _tried(lambda: ocp.load(str(path), like))
    if reason is not None:
        raise DamagedError(f"{where} is damaged (its arrays cannot be read).")
    for name, leaf in _named(state).items():
        if _LEAVES in about and _checksum(leaf) != about[_LEAVES][name][1]:
            raise DamagedError(f"{where} is damaged (the numbers of {name} are not those that were written).")
    return state


def _about(path: Path, where: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands beside the arrays, and the arrays' types and shapes by name."""
    metadata, _ = _tried(lambda: ocp.metadata(str(path)))
    about = getattr(metadata, "custom_metadata", None)
    if metadata is None or not isinstance(about, dict) or _CONFIG not in about:
        raise DamagedError(f"{where} is damaged (its description cannot be read).")
    if set(about) == {_CONFIG}:
        return about, {name: _described(leaf) for name, leaf in _named(metadata.metadata).items()}
    written_as = about.get(_FORMAT)
    if isinstance(written_as, int) and written_as > FORMAT:
        raise NewerFormatError(
            f"{where} is of format {written_as}, and this version reads up to {FORMAT}; update sdfrepar, or begin anew "
            "in another folder."
        )
    if about.pop(_SEAL, None) != _seal(about):
        raise DamagedError(f"{where} is damaged (its description is not what was written).")
    return about, {name: described for name, (described, _) in about[_LEAVES].items()}


def _tried(work: Callable[[], Any]) -> tuple[Any, str | None]:
    """What Orbax gives, or why it does not.

    It and TensorStore raise errors of many types, also for files that are broken or cannot be written, and Orbax logs
    the traceback of each from several threads, and once more when its tasks are collected.
    """
    result, reason = None, None
    with _quietly():
        try:
            result = work()
        except (MemoryError, jax.errors.JaxRuntimeError):
            raise
        except Exception as error:
            reason = _in_short(error)
        if reason is not None:
            gc.collect()
            # TensorStore's threads notice that nobody waits for them any more.
            time.sleep(0.1)
    return result, reason


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without log messages, and without what other threads and coroutines say when one of them has failed."""
    disabled, hook = logging.root.manager.disable, sys.unraisablehook
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda error: None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = hook
        logging.disable(disabled)


def _in_short(error: Exception) -> str:
    """The first sentence of an error; of TensorStore's chains the last link, which has the cause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first = (str(error).strip(" '\"").splitlines() or [type(error).__name__])[0].split(". ")[0]
    chain = re.split(r" \[(?:tensorstore_spec|os_error_code)", first)[0]
    return (chain.rsplit(": ", 1)[-1] if re.match(r"[A-Z_]+: ", chain) else chain)[:200].rstrip(" .")


def _path(folder: str | Path, step: int) -> Path:
    return Path(folder).absolute() / str(step)


def _steps(folder: str | Path) -> list[int]:
    """Of all finished checkpoints, in order."""
    if not Path(folder).is_dir():
        return []
    names = [path.name for path in Path(folder).iterdir() if path.is_dir()]
    return sorted(int(name) for name in names if name.isdecimal() and str(int(name)) == name)


def _sweep(folder: str | Path) -> None:
    """Remove what killed writes and removals have left."""
    if jax.process_index() == 0 and Path(folder).is_dir():
        for path in [path for path in Path(folder).iterdir() if _UNFINISHED in path.name]:
            shutil.rmtree(path)


def _require_room(folder: Path, state: Any) -> None:
    """Raise OSError where nothing can be written, or not as much: Orbax's threads would say so many times over."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    if shutil.disk_usage(folder).free < needed:
        raise OSError(f"No space left on device for {needed / 1e6:.3g} MB")


def _prune(folder: str | Path, step: int, keep: int) -> None:
    """Remove all checkpoints but this one, the last ones and the best."""
    if jax.process_index() != 0:
        return
    steps = _steps(folder)
    scores = {step: score for step in steps if (score := _score(_path(folder, step))) is not None}
    kept = {step, *steps[-keep:], *([min(scores, key=lambda step: (scores[step], step))] if scores else [])}
    for old in set(steps) - kept:
        _remove(_path(folder, old))


def _score(path: Path) -> float | None:
    """That with which a checkpoint was saved; None where it has none, or its description is broken."""
    try:
        return _about(path, "")[0].get(_SCORE)
    except ValueError:
        return None


def _remove(path: Path) -> None:
    """Remove a checkpoint; killed half way, this leaves nothing that looks like one."""
    if path.is_dir():
        doomed = path.with_name(path.name + _UNFINISHED)
        path.rename(doomed)
        shutil.rmtree(doomed)


def _require_same_tree(where: str, before: Mapping[str, str], like: Any) -> None:
    """Raise and name the first leaf that differs."""
    now = {name: _described(leaf) for name, leaf in _named(like).items()}
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, _ABSENT), now.get(name, _ABSENT)
        if old != new:
            raise ValueError(
                f"{where} holds another state: {name} is {old} there, expected {new}; restore it with the config and "
                "the version that wrote it."
            )


def _fields(config: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested dicts, by dotted name; lists and tuples alike."""
    if not isinstance(config, Mapping):
        return {prefix: list(config) if isinstance(config, tuple) else config}
    inner = (_fields(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in config.items())
    return {name: value for fields in inner for name, value in fields.items()}


def _named(tree: Any) -> dict[str, Any]:
    """Leaves by path, which is the same for a record, a dict and a list of the same names."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _described(leaf: Any) -> str:
    return f"{leaf.dtype} {tuple(leaf.shape)}"


def _checksum(leaf: Any) -> int:
    """Of an array's bytes, by way of the host."""
    return zlib.crc32(np.ascontiguousarray(np.asarray(leaf)).view(np.uint8).data)


def _seal(about: Mapping[str, Any]) -> int:
    """The checksum of what stands beside the arrays."""
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())
