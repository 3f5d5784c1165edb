"""Ways to break a set of files: by its bytes, by its text, by what it says, and by the files themselves."""

import re
from typing import NamedTuple

from numpy.random import Generator

from benchmarks.fuzzing import structured
from benchmarks.fuzzing.files import FileSet
from benchmarks.fuzzing.structured import ESCAPES, Way, pick

_NUMBER = re.compile(rb"(?<![\w.])[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[^\s,\"]+\.(?:png|jpg|txt|ply)")
_NUMBERS = (
    *(b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"0", b"-1", b"1", b"0.5", b"9223372036854775808"),
    *(b"1" + b"0" * 400, b"9" * 5000, b"-1e300", b"1e-320", b"", b"word", b"null", b"0x10", b"1_000", b"\xd9\xa3"),
)

# Offsets and counts of binary formats.
_COUNTS = ((2**63).to_bytes(8, "little"), b"\xff" * 8, b"\xff" * 4, bytes(8), (10**12).to_bytes(8, "little"))


def _place(rng: Generator, data: bytes) -> int:
    return int(rng.integers(len(data) + 1))


def _truncated(rng: Generator, data: bytes) -> bytes:
    return data[: _place(rng, data)]


def _flipped(rng: Generator, data: bytes) -> bytes | None:
    if not data:
        return None
    broken = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        broken[int(rng.integers(len(broken)))] ^= 1 << int(rng.integers(8))
    return bytes(broken)


def _overwritten(rng: Generator, data: bytes) -> bytes:
    start, noise = _place(rng, data), rng.bytes(int(rng.integers(1, 40)))
    return data[:start] + noise + data[start + len(noise) :]


def _counted(rng: Generator, data: bytes) -> bytes:
    # The first counts of a file are at its beginning.
    start = _place(rng, data) if rng.random() < 0.5 else int(rng.integers(16))
    count = pick(rng, _COUNTS)
    return data[:start] + count + data[start + len(count) :]


def _inserted(what: bytes) -> Way:
    def way(rng: Generator, data: bytes) -> bytes:
        start = _place(rng, data)
        return data[:start] + what + data[start:]

    return way


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:1000] and not data.startswith((b"PK", b"\x89", b"\xff\xd8", b"\x80"))


def _in_text(way: Way) -> Way:
    return lambda rng, data: way(rng, data) if _is_text(data) else None


def _token(pattern: re.Pattern[bytes], words: tuple[bytes, ...]) -> Way:
    def way(rng: Generator, data: bytes) -> bytes | None:
        found = list(pattern.finditer(data))
        if not found:
            return None
        one = found[int(rng.integers(len(found)))]
        return data[: one.start()] + pick(rng, words) + data[one.end() :]

    return way


def _lines(change: str) -> Way:
    def way(rng: Generator, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True) or [b""]
        at = int(rng.integers(len(lines)))
        match change:
            case "dropped":
                lines = lines[:at] + lines[at + 1 :]
            case "twice":
                lines.insert(at, lines[at])
            case "shuffled":
                lines = [lines[i] for i in rng.permutation(len(lines))]
            case "joined":
                lines[at] = lines[at].rstrip(b"\n")
            case "long":
                lines[at] = b"1 " * 100_000 + lines[at]
        return b"".join(lines)

    return way


def _utf16(rng: Generator, data: bytes) -> bytes:
    return data.decode("latin-1").encode("utf-16")


BYTES: dict[str, Way] = {
    "truncated": _truncated,
    "empty": lambda rng, data: b"",
    "garbage": lambda rng, data: rng.bytes(int(rng.integers(1, 2000))),
    "zeros": lambda rng, data: bytes(len(data)),
    "bits flipped": _flipped,
    "overwritten": _overwritten,
    "gigantic count": _counted,
    "byte order mark": lambda rng, data: b"\xef\xbb\xbf" + data,
    "latin-1": _inserted("é".encode("latin-1")),
    "nul bytes": _inserted(b"\0\0"),
    "twice over": lambda rng, data: data + data,
    "trailing bytes": lambda rng, data: data + rng.bytes(17),
    "head cut": lambda rng, data: data[int(rng.integers(1, 20)) :],
}
TEXT: dict[str, Way] = {
    "text: wrong number": _token(_NUMBER, _NUMBERS),
    "text: path that escapes": _token(_WORD, tuple(path.encode("utf-8", "replace") for path in ESCAPES)),
    "text: carriage returns": lambda rng, data: data.replace(b"\n", b"\r\n"),
    "text: UTF-16": _utf16,
    "text: tabs": lambda rng, data: data.replace(b" ", b"\t"),
    **{f"text: line {change}": _lines(change) for change in ("dropped", "twice", "shuffled", "joined", "long")},
}
SINGLE: dict[str, Way] = {
    **BYTES,
    **{name: _in_text(way) for name, way in TEXT.items()},
    **structured.JSON,
    **structured.NPZ,
    **structured.PICTURE,
    **structured.PLY,
}
"""Ways that break one file."""
OF_SETS = ("file missing", "folder in its place", "link that leads out", "link to itself", "exchanged", "all missing")
KINDS = (*SINGLE, *OF_SETS)


class Spoilt(NamedTuple):
    """A set that is broken, and how."""

    kind: str
    where: str
    files: FileSet


def spoilt(whole: FileSet, rng: Generator, main: tuple[str, ...], outside: str) -> Spoilt:
    """A set broken in one way, in one file; the way fits the file.

    Args:
        whole: the sound set.
        rng: decides all.
        main: files that say how the others are to be read, which are broken more often.
        outside: folder out of the set to which links lead, with files of the same names.
    """
    names = list(whole.content)
    while True:
        name = pick(rng, main if main and rng.random() < 0.75 else names)
        kind = pick(rng, KINDS)
        if kind in OF_SETS:
            return Spoilt(kind, name, _of_set(whole, kind, name, rng, outside))
        made = SINGLE[kind](rng, whole.content[name])
        if made is not None:
            return Spoilt(kind, name, FileSet({**whole.content, name: made}))


def _of_set(whole: FileSet, kind: str, name: str, rng: Generator, outside: str) -> FileSet:
    rest = {other: data for other, data in whole.content.items() if other != name}
    match kind:
        case "folder in its place":
            return FileSet(rest, folders=(name,))
        case "link that leads out":
            return FileSet(rest, links={name: f"{outside}/{name}"})
        case "link to itself":
            return FileSet(rest, links={name: f"./{name.rsplit('/', 1)[-1]}"})
        case "exchanged":
            return FileSet({**whole.content, name: whole.content[pick(rng, list(whole.content))]})
        case "all missing":
            return FileSet({})
    return FileSet(rest)
