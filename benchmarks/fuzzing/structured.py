"""Ways to break what a file says where it has a structure: JSON, arrays, pictures, headers."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.random import Generator

Way = Callable[[Generator, bytes], bytes | None]
"""Breaks the content of a file; None where it has nothing to break."""

ESCAPES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows\\system.ini",
    "images/../../../secret.png",
    "file:///etc/passwd",
    "~root/.bashrc",
    "a\u0000b.png",
    "two\nlines.png",
    "x" * 5000,
    "\ud800.png",
    "  spaced é 漢字 name .png",
    ".",
    "",
    "images/",
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 2**31, 2**63, -(2**70), 10**400, 1e308, 1e-320, float("nan"), float("inf")),
    *(-float("inf"), "", "text", "1.0", "nan", [], {}, [[]], [1, 2, 3], {"a": 1}, [None], "\ud800", "x" * 100),
)


class Payload:
    """What a pickle would run."""

    def __reduce__(self) -> tuple:
        """A command, if anybody calls it."""
        return os.system, ("true",)


# ---- JSON


def _places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*path, key))


def _changed(value: Any, path: tuple, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(value[path[0]], path[1:], change)
    return copy


def _at(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


def _json_way(wanted: Callable[[Any], bool], change: Callable[[Generator, Any], Any]) -> Way:
    """Changes one of the places of a JSON text whose value is wanted."""

    def way(rng: Generator, data: bytes) -> bytes | None:
        # A line of a file of lines, or the whole file.
        lines = data.split(b"\n")
        number = int(rng.integers(len(lines))) if data.count(b"\n{") else None
        try:
            value = json.loads(data if number is None else lines[number])
        except ValueError:
            return None
        places = [path for path in _places(value) if wanted(_at(value, path))]
        if not places:
            return None
        made = _changed(value, places[int(rng.integers(len(places)))], lambda old: change(rng, old))
        text = json.dumps(made).encode()
        return text if number is None else b"\n".join([*lines[:number], text, *lines[number + 1 :]])

    return way


def _some(value: Any) -> bool:
    return isinstance(value, dict | list) and len(value) > 0


def _without_one(rng: Generator, value: Any) -> Any:
    drop = int(rng.integers(len(value)))
    if isinstance(value, list):
        return value[:drop] + value[drop + 1 :]
    return {key: item for i, (key, item) in enumerate(value.items()) if i != drop}


def pick(rng: Generator, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def _deeper(rng: Generator, data: bytes) -> bytes | None:
    if not data.lstrip().startswith((b"{", b"[")):
        return None
    depth = int(10 ** rng.uniform(2, 5))
    return b"[" * depth + data + b"]" * depth if rng.random() < 0.5 else b'{"frames":' * depth + b"1" + b"}" * depth


def _twice_the_key(rng: Generator, data: bytes) -> bytes | None:
    if not data.lstrip().startswith(b"{"):
        return None
    start = data.index(b"{") + 1
    return data[:start] + b'"frames": 3, "frames": [],' + data[start:]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


JSON: dict[str, Way] = {
    "json: key missing": _json_way(_some, _without_one),
    "json: wrong type": _json_way(lambda value: True, lambda rng, _: pick(rng, _VALUES)),
    "json: wrong number": _json_way(_is_number, lambda rng, _: pick(rng, _VALUES[3:16])),
    "json: number as text": _json_way(_is_number, lambda rng, value: str(value)),
    "json: extra nesting": _json_way(lambda value: True, lambda rng, value: pick(rng, ([value], {"x": value}))),
    "json: entry twice": _json_way(
        lambda value: isinstance(value, list) and bool(value), lambda rng, value: [*value, pick(rng, value)]
    ),
    "json: emptied": _json_way(_some, lambda rng, value: type(value)()),
    "json: list for dict": _json_way(lambda value: isinstance(value, dict), lambda rng, value: list(value.items())),
    "json: unknown key": _json_way(
        lambda value: isinstance(value, dict), lambda rng, value: {**value, "é <script>": 1}
    ),
    "json: path that escapes": _json_way(lambda value: isinstance(value, str), lambda rng, _: pick(rng, ESCAPES)),
    "json: very long list": _json_way(
        lambda value: isinstance(value, list), lambda rng, value: [*value, *[0.0] * 20_000]
    ),
    "json: deep nesting": _deeper,
    "json: key twice": _twice_the_key,
}


# ---- npz


def _members(data: bytes) -> dict[str, np.ndarray] | None:
    if not data.startswith(b"PK\x03\x04"):
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = dict(stored)
    except Exception:
        return None
    # Archives of torch.save hold other things.
    return arrays if arrays and all(isinstance(array, np.ndarray) for array in arrays.values()) else None


def _npz_way(change: Callable[[Generator, np.ndarray], Any]) -> Way:
    """Changes one array of an archive; None leaves it out."""

    def way(rng: Generator, data: bytes) -> bytes | None:
        arrays = _members(data)
        if arrays is None:
            return None
        name = pick(rng, list(arrays))
        made = change(rng, arrays.pop(name))
        if made is not None:
            arrays[name] = made
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    return way


def _raw_npz(change: Callable[[Generator, bytes], bytes]) -> Way:
    """Changes the bytes of one entry of an archive, whose checksums stay right."""

    def way(rng: Generator, data: bytes) -> bytes | None:
        if _members(data) is None:
            return None
        file = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
            changed = pick(rng, old.namelist())
            for name in old.namelist():
                new.writestr(name, change(rng, old.read(name)) if name == changed else old.read(name))
        return file.getvalue()

    return way


def _objects(rng: Generator, array: np.ndarray) -> np.ndarray:
    made = np.empty(2, object)
    made[:] = [Payload(), None]
    return made


def _other_numbers(rng: Generator, array: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.full(array.shape, pick(rng, (np.nan, np.inf, 0.0, -1.0, 1e308, 1e-320)))


def _other_shape(rng: Generator, array: np.ndarray) -> np.ndarray:
    flat = np.atleast_1d(array).ravel()
    one, twice = np.zeros((), flat.dtype), np.concatenate([flat, flat])
    return pick(rng, (flat, flat[:1], flat[:0], flat[None, None], one, twice))


def _other_type(rng: Generator, array: np.ndarray) -> np.ndarray:
    kind = pick(rng, ("U8", "S4", "c16", "M8[s]", "?", "i1", "f2", [("a", "f4"), ("b", "i4")]))
    return np.zeros(array.shape, kind)


def _npy_header(text: str) -> bytes:
    padded = text + " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode("latin-1")


def _claims(rng: Generator, data: bytes) -> bytes:
    shape = pick(rng, ("(1000000000000,)", "(-1,)", "(4, 4, 4294967296)", "(9223372036854775808,)", "(((((())))),)"))
    kind = pick(rng, ("'<f8'", "'O'", "'<U999999999'", "None", "'<f4'"))
    return _npy_header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}") + data[128:]


def _inflates(rng: Generator, data: bytes) -> bytes:
    """Zeros that shrink a thousandfold."""
    return _npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (300000000,), }") + bytes(3 * 10**8)


NPZ: dict[str, Way] = {
    "npz: array missing": _npz_way(lambda rng, array: None),
    "npz: objects": _npz_way(_objects),
    "npz: other numbers": _npz_way(_other_numbers),
    "npz: other shape": _npz_way(_other_shape),
    "npz: other type": _npz_way(_other_type),
    "npz: gigantic shape": _raw_npz(_claims),
    "npz: entry that is no array": _raw_npz(lambda rng, data: rng.bytes(int(rng.integers(200)))),
}
BOMB: Way = _raw_npz(_inflates)
"""Takes a second to make, so that it is tried by itself."""


# ---- PNG


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_header(rng: Generator, data: bytes) -> bytes | None:
    """Other sizes, depths and colours in the header, with a right checksum."""
    if not data.startswith(b"\x89PNG"):
        return None
    width, height, *rest = struct.unpack(">IIBBBBB", data[16:29])
    width, height = pick(rng, ((50_000, 50_000), (0, height), (2**31 - 1, 1), (width + 1, height), (20_000, 2)))
    if rng.random() < 0.3:
        rest[:2] = pick(rng, ([1, 0], [16, 2], [16, 6], [8, 3], [3, 7], [16, 4], [4, 0]))
    return data[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *rest)) + data[33:]


def _postscript(rng: Generator, data: bytes) -> bytes | None:
    """A program in the place of a picture, which some readers would give to an interpreter."""
    if not data.startswith((b"\x89PNG", b"\xff\xd8")):
        return None
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 36\n%%EndComments\nshowpage\n%%EOF\n"


PICTURE: dict[str, Way] = {"picture: header": _png_header, "picture: PostScript": _postscript}


# ---- PLY


def _ply_counts(rng: Generator, data: bytes) -> bytes | None:
    if not data.startswith(b"ply"):
        return None
    head, mark, body = data.partition(b"end_header\n")
    words = head.split(b" ")
    numbers = [i for i, word in enumerate(words) if word[:1].isdigit()]
    place = pick(rng, numbers or [0])
    left = words[place].partition(b"\n")
    count = pick(rng, (b"1000000000000", b"-1", b"0", b"1", b"9999999999999999999999", b"nan", b"", b"1e3"))
    words[place] = count + left[1] + left[2]
    return b" ".join(words) + mark + body


def _ply_types(rng: Generator, data: bytes) -> bytes | None:
    if not data.startswith(b"ply"):
        return None
    head, mark, body = data.partition(b"end_header\n")
    old, new = pick(
        rng,
        (
            *((b"float", b"double"), (b"property", b"properly"), (b"float x", b"uchar x"), (b"list", b"lost")),
            *((b"vertex ", b"vortex "), (b"uchar", b"float"), (b"little", b"big"), (b"binary_little_endian", b"ascii")),
            *((b" x", b" y"), (b"int", b"list int int"), (b"ascii", b"binary_little_endian")),
        ),
    )
    return head.replace(old, new) + mark + body


PLY: dict[str, Way] = {"ply: counts": _ply_counts, "ply: types": _ply_types}
