"""What is shown of a frame: its colours, normals, depth, what is wrong with it, or how its film moves."""

import math
from typing import Literal, get_args

import numpy as np

from sdfrepar import reports
from sdfrepar.records import Camera
from sdfrepar.viewer.programs import Frame

Mode = Literal["colour", "normals", "depth", "error", "warp"]

MODES: tuple[Mode, ...] = get_args(Mode)

# Beside a training picture nothing is known of errors.
_UNKNOWN = 0.35

# Of the colours under a warp: darker, and nearer to grey.
_DIMMED = 0.35

# Arrows stand in a square grid of so many a side, and are as long as the film moves for so much of a unit change.
_ARROWS = 32
_STRETCH = 0.1

# A displacement is shown in full colour from this share of the longest on.
_FULL = 0.25


def colour(frame: Frame) -> np.ndarray:
    """The colours (H, W, 3) of a frame, sRGB."""
    return frame.colour


def normals(frame: Frame) -> np.ndarray:
    """The normals of a frame as colours (H, W, 3), over white."""
    return reports.normal_picture(frame.normal, frame.opacity)


def depth(frame: Frame, film: Camera) -> np.ndarray:
    """The depth of a frame in greys (H, W, 3) that are those of the unit sphere's depths, over white."""
    distance = float(np.linalg.norm(film.position))
    return reports.depth_picture(frame.depth, frame.opacity, (max(distance - 1.0, 0.0), distance + 1.0))


def error(frame: Frame, photograph: np.ndarray) -> np.ndarray:
    """The difference to a photograph in false colours (H, W, 3): see `reports.error_map`.

    One ray through the middle of a pixel is compared with a pixel's mean, so that sharp edges show as thin lines.

    Args:
        frame: what is seen from where it was taken.
        photograph: (H, W, 3) sRGB; NaN where it shows nothing, which is grey.
    """
    known = np.isfinite(photograph)
    shown = reports.error_map(np.where(known, photograph, frame.colour), frame.colour)
    return np.where(known, shown, np.float32(_UNKNOWN))


def warp(frame: Frame, displacement: np.ndarray) -> np.ndarray:
    """How the film moves (H, W, 3): colours tell the direction, arrows the way for a tenth of a unit's change.

    Args:
        frame: what is seen, which is dimmed.
        displacement: (H, W, 2) pixels a unit: right is red, down is green, left is cyan, up is violet.
    """
    from skimage.color import hsv2rgb

    grey = _DIMMED * frame.colour.mean(axis=-1, keepdims=True) + 0.5 * _DIMMED
    dimmed = np.repeat(grey, 3, axis=-1)
    length = np.linalg.norm(displacement, axis=-1)
    turn = np.arctan2(displacement[..., 1], displacement[..., 0]) / (2.0 * math.pi) % 1.0
    share = np.clip(length / max(_FULL * float(length.max()), 1e-6), 0.0, 1.0)
    hues = hsv2rgb(np.stack([turn, np.full_like(turn, 0.85), np.ones_like(turn)], axis=-1))
    mixed = share[..., None] * hues + (1.0 - share[..., None]) * dimmed
    return with_arrows(mixed.astype(np.float32), arrows(displacement))


def arrows(displacement: np.ndarray) -> np.ndarray:
    """The arrows (N, 2, 2) of a displacement field (H, W, 2): where each begins and ends, pixels.

    One for each square of a grid in which the film moves, at the point of the square that moves the most.
    """
    height, width = displacement.shape[:2]
    cell = max(height // _ARROWS, 4)
    rows, columns = height // cell, width // cell
    squares = displacement[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell, 2)
    squares = squares.swapaxes(1, 2).reshape(rows * columns, cell * cell, 2)
    most = np.argmax(np.linalg.norm(squares, axis=-1), axis=1)
    motion = squares[np.arange(len(squares)), most]
    square = np.arange(len(squares))
    corner = cell * np.stack([square % columns, square // columns], axis=1)
    start = corner + np.stack([most % cell, most // cell], axis=1) + 0.5
    moving = np.linalg.norm(motion, axis=1) > 0
    return np.stack([start, start + _STRETCH * motion], axis=1)[moving]


def with_arrows(picture: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with arrows (N, 2, 2) in white: lines, and dots where they begin."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    drawn = Pillow.fromarray(np.rint(255.0 * picture).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    for start, end in ends:
        pen.line([*start, *end], fill=(255, 255, 255))
        pen.point([*start], fill=(0, 0, 0))
    return np.asarray(drawn, np.float32) / 255.0
