"""Animations: a looping GIF, or an MP4 where ffmpeg is there."""

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar import files

_SUFFIXES = (".gif", ".mp4")


def write(path: str | Path, frames_srgb: Sequence[np.ndarray], frames_per_second: float) -> None:
    """Write an animation, atomically, creating parent folders; the suffix of `path` (.gif, .mp4) chooses the format.

    Args:
        path: where to.
        frames_srgb: at least one, each (H, W, 3), sRGB in [0, 1]. A GIF keeps 256 colours a frame; an MP4 repeats the
            last row or column where their number is odd.
        frames_per_second: positive.

    Raises:
        ValueError: another suffix, or frames of unlike shapes.
        ImportError: an `.mp4` without imageio-ffmpeg.
    """
    import imageio.v3 as imageio

    path = require(path)
    shapes = sorted({np.shape(frame) for frame in frames_srgb})
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 3:
        raise ValueError(f"Cannot write {path} from frames of shapes {shapes}; expected one shape (H, W, 3) for all.")
    frames = np.stack([files.as_bytes(np.asarray(frame)) for frame in frames_srgb])
    options: dict[str, Any] = {"plugin": "pillow", "duration": 1000.0 / frames_per_second, "loop": 0}
    if path.suffix.lower() == ".mp4":
        # Its colours are stored for blocks of 2 x 2 pixels.
        frames = np.pad(frames, ((0, 0), (0, shapes[0][0] % 2), (0, shapes[0][1] % 2), (0, 0)), mode="edge")
        options = {"plugin": "FFMPEG", "fps": frames_per_second, "macro_block_size": 2}
    with warnings.catch_warnings():
        # JAX warns of every fork; the child becomes ffmpeg at once.
        warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
        data = imageio.imwrite("<bytes>", frames, extension=path.suffix.lower(), **options)
    files.write_bytes(path, data)


def require(path: str | Path) -> Path:
    """`path`, if `write` can write it; to be asked before the frames are made. Raises as `write`."""
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{path} has no known film format; end the name in one of {', '.join(_SUFFIXES)}.")
    if path.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ImportError(f"Cannot write {path} without imageio-ffmpeg; pip install imageio-ffmpeg, or write a .gif.")
    return path
