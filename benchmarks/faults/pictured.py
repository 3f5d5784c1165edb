"""Faults of the pictures and their cameras."""

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.command import DONE, REFUSED
from benchmarks.faults.spoils import Place, Spoil
from sdfrepar import files

_CAMERAS = "transforms_train.json"


def spoils() -> list[Spoil]:
    """All of them."""
    cameras = {
        "cameras' JSON cut short": (lambda text: text[: len(text) // 2], "JSON"),
        "cameras' JSON empty": (lambda text: "", "JSON"),
        "cameras' JSON is a list": (lambda text: "[]", _CAMERAS),
        "cameras without frames": (_told(lambda told: told.update(frames=[])), "frame|picture|view"),
        "cameras without a focal length": (_told(lambda told: told.pop("camera_angle_x")), "camera_angle_x|fl_x|focal"),
        "zero focal length": (_told(lambda told: told.update(camera_angle_x=np.pi)), "focal|angle"),
        "a camera at NaN": (_told(lambda told: _pose(told, float("nan"))), "finite|nan|not a number"),
        "a camera at infinity": (_told(lambda told: _pose(told, float("inf"))), "finite|inf"),
        "a path that leaves the folder": (
            _told(lambda told: _path(told, "../../../../etc/passwd")),
            "outside|leave|folder",
        ),
    }
    pictures = {
        "a picture cut short": (lambda path: os.truncate(path, path.stat().st_size // 2), "view_000"),
        "a picture emptied": (lambda path: os.truncate(path, 0), "view_000"),
        "a picture missing": (lambda path: path.unlink(), "missing.*view_000"),
        "a picture of another size": (lambda path: files.write_image(path, np.zeros((7, 9, 3))), "pixels.*one size"),
        "a decompression bomb": (_bomb, "pixels|large|bomb"),
    }
    return [
        *(Spoil(name, lambda at, how=how: cameras_spoilt(at, *how)) for name, how in cameras.items()),
        *(Spoil(name, lambda at, how=how: picture_spoilt(at, *how)) for name, how in pictures.items()),
        Spoil("an empty folder of pictures", empty),
        Spoil("pictures of background alone", background),
        Spoil("unicode and space in all names", strange_names),
    ]


def cameras_spoilt(at: Place, change: Callable[[str], str], because: str) -> str:
    """Refused, and sound once they are mended."""
    path = at.own_data() / _CAMERAS
    whole = path.read_text()
    path.write_text(change(whole))
    words = at.refused(because=because)
    path.write_text(whole)
    at.goes_on()
    return words


def picture_spoilt(at: Place, change: Callable[[Path], object], because: str) -> str:
    """As above, for the first picture."""
    path = at.own_data() / "train" / "view_000.png"
    whole = path.read_bytes()
    change(path)
    words = at.refused(because=because)
    path.write_bytes(whole)
    at.goes_on()
    return words


def empty(at: Place) -> str:
    """No format is recognised, and those that are known are named."""
    at.data = at.folder / "data"
    at.data.mkdir()
    return at.refused(because="data")


def background(at: Place) -> str:
    """No silhouette is seen anywhere: the surface is lost, or a run comes to its end; neither is silent about it."""
    for path in at.own_data().glob("t*/*.png"):
        files.write_image(path, np.full((24, 24, 3), 0.5))
    said = at.go("--fit.levels=1")
    if said.code == DONE:
        return at.says(said, None, DONE)
    return at.says(said, "error: .*(?:surface|background)", REFUSED)


def strange_names(at: Place) -> str:
    """Folders and pictures."""
    data = at.own_data()
    at.data = data.rename(at.folder / "Bilder von Käse 漢字 'x' %20")
    at.workdir = at.folder / "Lauf Nr. 1 – ß & <b>"
    (at.data / "train" / "view_000.png").rename(at.data / "train" / "été 1 & <i>.png")
    cameras = at.data / _CAMERAS
    cameras.write_text(_told(lambda told: _path(told, "./train/été 1 & <i>"))(cameras.read_text()))
    return at.goes_on()


def _told(change: Callable[[Any], object]) -> Callable[[str], str]:
    """A change of what JSON tells, as one of its text."""

    def changed(text: str) -> str:
        told = json.loads(text)
        change(told)
        return json.dumps(told)

    return changed


def _pose(told: Any, number: float) -> None:
    told["frames"][0]["transform_matrix"][0][3] = number


def _path(told: Any, path: str) -> None:
    told["frames"][0]["file_path"] = path


def _bomb(path: Path) -> None:
    """A PNG that says it is 60,000 pixels a side, in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1 << 16))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
