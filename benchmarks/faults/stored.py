"""Faults of what a run has written: its checkpoints, its log, its config."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from benchmarks.faults.command import DONE, REFUSED, snapshot
from benchmarks.faults.spoils import Place, Spoil, UnexpectedError
from sdfrepar import checkpoints

ABOUT = "_CHECKPOINT_METADATA"
"""The file of a checkpoint that tells what decided its run."""

# What may be missing of a checkpoint: kinds of files, and its folders.
_KINDS = (
    ABOUT,
    "commit_success.txt",
    "state",
    "state/_METADATA",
    "state/_sharding",
    "state/array_metadatas",
    "state/d",
    "state/manifest.ocdbt",
    "state/ocdbt.process_0",
    "state/ocdbt.process_0/d",
    "state/ocdbt.process_0/manifest.ocdbt",
)


def spoils() -> list[Spoil]:
    """All of them."""
    missing = [Spoil(f"checkpoint without {kind}", lambda at, kind=kind: without(at, kind)) for kind in _KINDS]
    return [
        *missing,
        Spoil("checkpoint empty", lambda at: older_used(at, _emptied)),
        Spoil("checkpoint's arrays cut short", lambda at: older_used(at, _cut)),
        Spoil("checkpoint's arrays emptied", lambda at: older_used(at, lambda path: _cut(path, 0.0))),
        Spoil("a bit of a checkpoint's arrays turned", lambda at: older_used(at, _turned)),
        Spoil("checkpoint's description is garbage", lambda at: older_used(at, _garbage)),
        Spoil("checkpoint's description is other JSON", lambda at: older_used(at, _other_json)),
        Spoil("checkpoint with an array of another shape", other_shape),
        Spoil("checkpoint of another config", other_config),
        Spoil("checkpoint of a newer version", newer),
        Spoil("all checkpoints cut short", all_cut),
        Spoil("log with half a line", half_a_line),
        Spoil("log with garbage", garbage_in_log),
        Spoil("config.json of the run is garbage", garbage_config),
        Spoil("left-overs of killed saves", left_overs),
    ]


def without(at: Place, kind: str) -> str:
    """Missing what is not needed changes nothing; for want of anything else the older checkpoint is used."""
    at.half()
    _remove(at.newest / kind)
    said = at.go()
    damaged = "checkpoint.*damaged" if "damaged" in said.out + said.err else None
    words = at.says(said, damaged, DONE)
    at.goes_on()
    return words if damaged else "not needed"


def older_used(at: Place, spoil: Callable[[Path], object]) -> str:
    """A spoilt checkpoint is named, the one before it used, and the run comes to the same end."""
    at.half()
    spoil(at.newest)
    return at.goes_on(because="checkpoint.*(?:damaged|older|instead)")


def other_shape(at: Place) -> str:
    """A later one, of a state in which one array has another shape."""
    at.half()
    grown = jax.tree.map(lambda leaf: np.zeros(4, leaf.dtype) if leaf.shape == (3,) else leaf, snapshot(at.workdir))
    config = json.loads((at.newest / ABOUT).read_text())["custom_metadata"]["config"]
    step = int(at.newest.name) + 1
    checkpoints.save(at.checkpoints, step, grown, config)
    return _older_used_or_refused(at, "shape|state", lambda: shutil.rmtree(at.checkpoints / str(step)))


def other_config(at: Place) -> str:
    """A later one, of another learning rate; the field is named."""
    at.half()
    config = json.loads((at.newest / ABOUT).read_text())["custom_metadata"]["config"]
    config["fit"]["shape_rate"] = 0.123
    step = int(at.newest.name) + 1
    checkpoints.save(at.checkpoints, step, snapshot(at.workdir), config)
    return _older_used_or_refused(at, "shape_rate was 0.123", lambda: shutil.rmtree(at.checkpoints / str(step)))


def newer(at: Place) -> str:
    """Its format has a number that nobody knows yet."""
    at.half()
    path = at.newest / ABOUT
    whole = path.read_text()
    told = json.loads(whole)
    told["custom_metadata"]["format"] = 999
    path.write_text(json.dumps(told))
    return _older_used_or_refused(at, "newer|version|format", lambda: path.write_text(whole))


def _older_used_or_refused(at: Place, because: str, mend: Callable[[], object]) -> str:
    """The checkpoint is named and the one before it used, or the command refused; without it the run goes on."""
    said = at.go()
    words = at.says(said, because, DONE if said.code == DONE else REFUSED)
    if said.code != DONE:
        mend()
    at.goes_on()
    return words


def all_cut(at: Place) -> str:
    """Nothing good is left: refused, and nothing thrown away."""
    at.half()
    before = sorted(path.name for path in at.checkpoints.iterdir() if path.name.isdecimal())
    for name in before:
        _cut(at.checkpoints / name)
    words = at.refused(because="damaged|no other")
    if not any(name in path.name for name in before for path in at.checkpoints.iterdir()):
        raise UnexpectedError("the checkpoints were thrown away")
    shutil.rmtree(at.checkpoints)
    at.goes_on()
    return words


def half_a_line(at: Place) -> str:
    """What a kill in the middle of a line leaves."""
    at.half()
    with (at.workdir / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 21, "seco')
    at.goes_on()
    return "cut off"


def garbage_in_log(at: Place) -> str:
    """A line in its middle is none."""
    at.half()
    log = at.workdir / "metrics.jsonl"
    whole = log.read_bytes()
    log.write_bytes(b"\x00\xff garbage\n" + whole)
    words = at.refused(because="metrics.jsonl")
    log.write_bytes(whole)
    at.goes_on()
    return words


def garbage_config(at: Place) -> str:
    """It is written anew, since the flags say what it should hold; or it is refused."""
    at.half()
    config = at.workdir / "config.json"
    whole = config.read_bytes()
    config.write_bytes(b'{"fit": {"steps": ')
    said = at.go()
    if said.code == DONE:
        at.says(said, None, DONE)
        words = "written anew"
    else:
        words = at.says(said, "error: .*config.json", REFUSED)
        config.write_bytes(whole)
    at.goes_on()
    return words


def left_overs(at: Place) -> str:
    """Unfinished checkpoints of earlier kills are swept away, and never read."""
    at.half()
    for number in (3, 999):
        shutil.copytree(at.newest, at.checkpoints / f"{number}.orbax-checkpoint-tmp")
    at.goes_on()
    if list(at.checkpoints.glob("*tmp*")):
        raise UnexpectedError("they are still there")
    return "swept away"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _emptied(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _arrays(path: Path) -> list[Path]:
    """The files that hold the numbers."""
    return [file for file in path.rglob("*") if file.is_file() and file.parent.name == "d"]


def _cut(path: Path, share: float = 0.5) -> None:
    for file in _arrays(path):
        os.truncate(file, int(file.stat().st_size * share))


def _turned(path: Path) -> None:
    largest = max(_arrays(path), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def _garbage(path: Path) -> None:
    (path / ABOUT).write_bytes(bytes(range(256)))


def _other_json(path: Path) -> None:
    (path / ABOUT).write_text("[1, 2, 3]")
