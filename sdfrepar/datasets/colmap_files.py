"""Whether the binary files of a COLMAP model are whole.

COLMAP's library takes what a cut file lacks from wherever its memory has it: the cameras are wrong, or the process
ends. So the records are counted before it reads them, by the layout that its documentation gives.
"""

import struct
from collections.abc import Callable
from pathlib import Path

_REFERENCE = 4 + 4
"""A kind of sensor, and its number."""
_POSE = 7 * 8
"""A quaternion and a translation."""


class _Walk:
    """A place in the bytes of a file, which moves over records."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def number(self, layout: str) -> int:
        size = struct.calcsize(layout)
        (value,) = struct.unpack_from(layout, self._data, self.over(size))
        return value

    def over(self, size: int) -> int:
        """Past so many bytes; returns where they began."""
        begun, self._at = self._at, self._at + size
        if size < 0 or self._at > len(self._data):
            raise EOFError
        return begun

    def over_text(self) -> None:
        end = self._data.find(b"\0", self._at)
        self.over((end if end >= 0 else len(self._data)) + 1 - self._at)

    @property
    def is_done(self) -> bool:
        return self._at == len(self._data)


def require_whole(model: Path, params_of: Callable[[int], int]) -> None:
    """Refuse a model, if it is a binary one, that has a file which ends too early or too late.

    Args:
        model: the folder of the files.
        params_of: the number of a camera model -> how many parameters such a camera has.

    Raises:
        ValueError: such a file.
    """

    def camera(walk: _Walk) -> None:
        walk.over(4)
        kind = walk.number("<i")
        walk.over(8 + 8 + 8 * params_of(kind))

    records = {"cameras": camera, "images": _image, "points3D": _point, "rigs": _rig, "frames": _frame}
    for name, one in records.items():
        path = model / f"{name}.bin"
        if not path.is_file():
            continue
        walk = _Walk(path.read_bytes())
        try:
            for _ in range(walk.number("<Q")):
                one(walk)
            whole = walk.is_done
        except (EOFError, ValueError):
            whole = False
        if not whole:
            raise ValueError(f"{path} is not whole; expected all that COLMAP wrote, so copy the model again.")


def _image(walk: _Walk) -> None:
    walk.over(4 + _POSE + 4)
    walk.over_text()
    walk.over(24 * walk.number("<Q"))


def _point(walk: _Walk) -> None:
    walk.over(8 + 3 * 8 + 3 + 8)
    walk.over(8 * walk.number("<Q"))


def _rig(walk: _Walk) -> None:
    walk.over(4)
    sensors = walk.number("<I")
    walk.over(_REFERENCE if sensors else 0)
    for _ in range(sensors - 1):
        walk.over(_REFERENCE)
        walk.over(_POSE if walk.number("<B") else 0)


def _frame(walk: _Walk) -> None:
    walk.over(4 + 4 + _POSE)
    walk.over((_REFERENCE + 8) * walk.number("<I"))
