"""How well cameras explain the points that pictures share: distances to epipolar lines, and where the points are."""

from collections.abc import Sequence

import numpy as np

from sdfrepar.doctor.features import Pair
from sdfrepar.records import Camera

# Squared sine of the angle between rays that say nothing of where they meet.
_PARALLEL = 1e-4


def fundamental(cameras: Camera, first: int, second: int) -> np.ndarray:
    """The matrix (3, 3) that takes a point of the first picture to its line in the second; pixels."""
    turn = _rotation(cameras, second).T
    shift = turn @ (_position(cameras, first) - _position(cameras, second))
    x, y, z = shift
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    essential = cross @ turn @ _rotation(cameras, first)
    return _film(cameras, second).T @ essential @ _film(cameras, first)


def distances(cameras: Camera, pair: Pair) -> np.ndarray:
    """How far each match lies from its epipolar lines, pixels, the mean of both pictures: (M,)."""
    off, slopes = _off(cameras, pair)
    return 0.5 * np.sum(off / slopes, axis=0)


def sampson(cameras: Camera, pair: Pair) -> np.ndarray:
    """How far each match must move, in both pictures together and to first order, to lie on its lines, pixels: (M,)."""
    off, slopes = _off(cameras, pair)
    return off / np.linalg.norm(slopes, axis=0)


def error(cameras: Camera, pairs: Sequence[Pair]) -> float:
    """The median distance of all matches to their epipolar lines, pixels; not a number without matches."""
    if not pairs:
        return float("nan")
    return float(np.median(np.concatenate([distances(cameras, pair) for pair in pairs])))


def points(cameras: Camera, pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Where the two rays of each match pass nearest to one another.

    Returns:
        (M, 3), in the frame of the cameras, and whether each lies before both cameras, and the rays are not parallel.
    """
    found = [_crossing(cameras, pair) for pair in pairs]
    middles, along, square = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return middles, np.all(along > 0, axis=1) & (square > _PARALLEL)


def before(cameras: Camera, pairs: Sequence[Pair]) -> np.ndarray:
    """Whether each match (M,) whose rays are not parallel lies before both cameras; `[True]` if there are none."""
    found = [_crossing(cameras, pair) for pair in pairs]
    _, along, square = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = square > _PARALLEL
    return np.all(along[kept] > 0, axis=1) if kept.any() else np.ones(1, bool)


def rays(cameras: Camera, view: int, film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin (3,) and unit directions (M, 3) of a view's rays through film positions (M, 2), pixels."""
    ahead = np.concatenate([film, np.ones((len(film), 1))], axis=1) @ _film(cameras, view).T
    directions = ahead @ _rotation(cameras, view).T
    return _position(cameras, view), directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _crossing(cameras: Camera, pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays of matches pass nearest to one another (M, 3), how far along them (M, 2), and squared sines (M,)."""
    (o1, d1), (o2, d2) = (
        rays(cameras, view, film) for view, film in zip((pair.first, pair.second), pair.film, strict=True)
    )
    between, cosine = o2 - o1, np.sum(d1 * d2, axis=1)
    square = np.maximum(1.0 - cosine**2, 1e-12)
    t1 = (d1 @ between - cosine * (d2 @ between)) / square
    t2 = (cosine * (d1 @ between) - d2 @ between) / square
    middle = 0.5 * (o1 + t1[:, None] * d1 + o2 + t2[:, None] * d2)
    return middle, np.stack([t1, t2], axis=1), square


def _off(cameras: Camera, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """What is left (M,) of the epipolar equation, and how fast that grows (2, M) off the line in either picture."""
    matrix = fundamental(cameras, pair.first, pair.second)
    one, other = (np.concatenate([film, np.ones((len(film), 1))], axis=1) for film in pair.film)
    lines = other @ matrix, one @ matrix.T
    slopes = np.stack([np.maximum(np.linalg.norm(line[:, :2], axis=1), 1e-12) for line in lines])
    return np.abs(np.sum(other * lines[1], axis=1)), slopes


def _film(cameras: Camera, view: int) -> np.ndarray:
    """Directions from pixels: the inverse of K (3, 3)."""
    (fx, fy), (cx, cy) = np.asarray(cameras.focal, float)[view], np.asarray(cameras.principal, float)[view]
    return np.array([[1.0 / fx, 0.0, -cx / fx], [0.0, 1.0 / fy, -cy / fy], [0.0, 0.0, 1.0]])


def _rotation(cameras: Camera, view: int) -> np.ndarray:
    return np.asarray(cameras.rotation, float)[view]


def _position(cameras: Camera, view: int) -> np.ndarray:
    return np.asarray(cameras.position, float)[view]
