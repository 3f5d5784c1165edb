"""What comes of a broken input: it is read, refused in a sentence, or something that should not have happened."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from absl import flags as absl_flags

from benchmarks.fuzzing.files import FileSet
from benchmarks.fuzzing.spoiling import Spoilt, spoilt
from benchmarks.fuzzing.subjects import SUBJECTS
from experiments.flags import ConfigError, RunError
from experiments.sentences import sentence_of

_ROOT = Path(__file__).parents[2]
_OURS = tuple(str(_ROOT / name) for name in ("sdfrepar", "experiments"))

# A reader has no business with any of these.
_FORBIDDEN = {"os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class"}
_WRITING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree"}

# How a sentence names a view or a flag in place of a file.
_NAMED = re.compile(r"^View |\bdata\.\w+")

# No sentence is as long.
_LONGEST = 1500


class Outcome(NamedTuple):
    """What came of one input."""

    kind: Literal["read", "refused", "defect"]
    words: str
    """The sentence, or what was wrong."""


def case(subject: str, number: int, whole: FileSet, outside: Path) -> Spoilt:
    """The broken set of a number: the same for the same format and number."""
    rng = np.random.default_rng([sum(subject.encode()), number])
    return spoilt(whole, rng, SUBJECTS[subject].main, str(outside))


def attempt(subject: str, spoilt: Spoilt, folder: Path) -> Outcome:
    """Read a broken set as the programs do.

    Args:
        subject: name of the format.
        spoilt: the set.
        folder: where it is written; there is none of that name yet. Whatever is written must lie in it.
    """
    spoilt.files.write(folder)
    with watched(folder) as events:
        try:
            SUBJECTS[subject].read(folder)
            outcome = Outcome("read", "")
        except SystemExit as error:
            outcome = Outcome("refused" if isinstance(error.code, str) else "defect", str(error.code))
        except Exception as error:
            outcome = judged(error, folder)
    return Outcome("defect", f"it did {events[0]}") if events else outcome


def judged(error: Exception, folder: Path) -> Outcome:
    """Whether an error is a sentence of ours."""
    is_system = isinstance(error, OSError) and error.errno is not None
    text, last = sentence_of(error) if is_system else str(error), traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    wrong = None
    if isinstance(error, absl_flags.Error):
        # absl says these itself, without a traceback.
        return Outcome("refused", text.partition("\n")[0])
    known = type(error) in (ValueError, FileNotFoundError) or isinstance(error, RunError | ConfigError)
    if not (known or is_system):
        wrong = f"it is a {type(error).__name__}"
    elif not last.filename.startswith(_OURS):
        wrong = "it is of another library"
    elif len(text.splitlines()) != 1 or len(text) > _LONGEST or not text.isprintable():
        wrong = "it is not one line"
    elif not text.endswith((".", "?")):
        wrong = "it is no sentence"
    elif str(folder) not in text and not _NAMED.search(text) and not isinstance(error, ConfigError):
        wrong = "it names no file"
    return Outcome("refused", text) if wrong is None else Outcome("defect", f"{wrong} ({where}): {text[:300]!r}")


_watching: list[tuple[str, list[str]]] = []


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """What is done meanwhile that no reader may do: programs, pickles, and writing out of the folder."""
    events: list[str] = []
    _watching.append((str(folder), events))
    try:
        yield events
    finally:
        _watching.pop()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    folder, events = _watching[-1]
    is_writing = event in _WRITING or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    # A file may be moved out of the folder, too; one that takes a link's name takes its place, not its target's.
    places = map(_beside, arguments[:2]) if event == "os.rename" else map(_at, arguments[:1])
    if event in _FORBIDDEN or (is_writing and not all(_may_write(place, folder) for place in places)):
        events.append(f"{event} {arguments[:2]}")


def _at(path: Any) -> str | None:
    """Where a path leads; None if it is none."""
    return os.path.realpath(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else None


def _beside(path: Any) -> str | None:
    """Where a name itself is, whatever it leads to."""
    folder, name = os.path.split(os.fsdecode(path))
    return os.path.join(os.path.realpath(folder), name)


def _may_write(place: str | None, folder: str) -> bool:
    """Within the folder; or what Python and JAX keep of what they have compiled."""
    if place is None:
        return False
    return f"{place}{os.sep}".startswith(os.path.realpath(folder) + os.sep) or "__pycache__" in place


sys.addaudithook(_hook)
