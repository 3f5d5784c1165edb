"""Checkpoints on the disk: the only module that knows Orbax.

    save(folder, step, state, config_json)
    state = restore(folder, like)

Each lies in a folder of its own, named after its step, which takes that name only when all of it is written: a killed
write leaves nothing that looks like a checkpoint. Several hosts call every function together, on a folder that all of
them see.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

_CONFIG = "config"
_ABSENT = "absent"


class OtherConfigError(ValueError):
    """The checkpoint belongs to a run of another config; the sentence names the first difference."""


def save(folder: str | Path, step: int, state: Any, config_json: Mapping[str, Any], *, keep: int = 2) -> None:
    """Write a checkpoint, atomically, and remove all but the last `keep`.

    Args:
        folder: that of all checkpoints of a run; created where it is missing.
        step: steps done, the checkpoint's name; one of the same step is replaced.
        state: pytree of arrays. Random keys are refused: derive them from a seed and the step.
        config_json: what decided the run, in types that JSON has; `restore` compares it.
        keep: how many checkpoints stay, at least 1.

    Raises:
        ValueError: a random key in the state, or `keep` below 1.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}, expected at least 1; the checkpoint that is being written must stay.")
    for name, leaf in _named(state).items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ValueError(f"{name} is a random key, expected numbers; derive keys from a seed and the step.")
    # Orbax's policies do not fit the type that its checkpointer declares.
    latest: Any = ocp.training.preservation_policies.LatestN(keep)
    with ocp.training.Checkpointer(
        _root(folder), preservation_policy=latest, cleanup_tmp_directories=True
    ) as checkpointer:
        checkpointer.save(step, state, force=True, overwrite=True, custom_metadata={_CONFIG: dict(config_json)})


def latest_step(folder: str | Path) -> int | None:
    """The step of the last finished checkpoint, None where there is none."""
    if not Path(folder).is_dir():
        return None
    with ocp.training.Checkpointer(_root(folder)) as checkpointer:
        return None if checkpointer.latest is None else checkpointer.latest.step


def restore(
    folder: str | Path, like: Any, step: int | None = None, *, config_json: Mapping[str, Any] | None = None
) -> Any:
    """The state of a checkpoint, exactly as it was saved.

    Args:
        folder: as given to `save`.
        like: pytree of the state's structure, shapes and types. Arrays come to the devices of its `jax.Array`s, however
            many had saved them, and to the host where it has NumPy arrays.
        step: which; the last if not given.
        config_json: what decides the run that goes on; compared where it is given.

    Raises:
        FileNotFoundError: no checkpoint, or none of this step.
        OtherConfigError: the checkpoint was written with another `config_json`.
        ValueError: the state had another structure, or arrays of other shapes or types.
    """
    found = latest_step(folder)
    if found is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint; let the run go on until it has written one.")
    with ocp.training.Checkpointer(_root(folder)) as checkpointer:
        steps = [checkpoint.step for checkpoint in checkpointer.checkpoints]
        if step is not None and step not in steps:
            raise FileNotFoundError(
                f"{folder} holds no checkpoint of step {step}, only of {', '.join(map(str, steps))}; choose one."
            )
        step = found if step is None else step
        about: Any = checkpointer.metadata(step)
        where = f"The checkpoint of step {step} in {folder}"
        if config_json is not None:
            _require_same_config(where, about.custom_metadata[_CONFIG], config_json)
        _require_same_tree(where, about.metadata, like)
        return checkpointer.load(step, like)


def _root(folder: str | Path) -> str:
    return str(Path(folder).absolute())


def _require_same_config(where: str, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise and name the first field that differs."""
    before, now = _fields(stored), _fields(wanted)
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, _ABSENT), now.get(name, _ABSENT)
        if old != new:
            raise OtherConfigError(f"{where} was written with another config: {name} was {old!r} and is now {new!r}.")


def _require_same_tree(where: str, stored: Any, like: Any) -> None:
    """Raise and name the first leaf that differs."""
    before, now = _named(stored), _named(like)
    for name in sorted(before.keys() | now.keys()):
        old, new = (_described(leaves.get(name)) for leaves in (before, now))
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
    return _ABSENT if leaf is None else f"{leaf.dtype} {tuple(leaf.shape)}"
