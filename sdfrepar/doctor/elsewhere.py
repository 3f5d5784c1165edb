"""Whether pictures that contradict their own cameras fit others of the set: the proof of a shuffle."""

from collections.abc import Sequence

import numpy as np

from sdfrepar.doctor import epipolar
from sdfrepar.doctor.features import Pair
from sdfrepar.records import Camera

# A pair of pictures belongs to another pair of cameras if the error is then so much of its own.
_BETTER = 0.25


def share_elsewhere(cameras: Camera, pairs: Sequence[Pair], sound: float) -> float:
    """Which share of the pairs of pictures do not fit their own cameras but another pair of them.

    Args:
        cameras: leading axis N, all of the set, not only those of the pictures that were looked at.
        pairs: numbered as the cameras.
        sound: pixels up to which cameras fit.
    """
    matrices = _fundamentals(cameras)
    return float(np.mean([_is_elsewhere(cameras, matrices, pair, sound) for pair in pairs]))


def _fundamentals(cameras: Camera) -> np.ndarray:
    """(N, N, 3, 3): from a point of the first picture to its line in the second."""
    rotation, position, focal, principal = (
        np.asarray(leaf, float) for leaf in (cameras.rotation, cameras.position, cameras.focal, cameras.principal)
    )
    film = np.zeros((len(position), 3, 3))
    film[:, 0, 0], film[:, 1, 1], film[:, 2, 2] = 1.0 / focal[:, 0], 1.0 / focal[:, 1], 1.0
    film[:, :2, 2] = -principal / focal
    ray = rotation @ film
    base = position[:, None] - position[None]
    x, y, z = np.moveaxis(base / np.maximum(np.linalg.norm(base, axis=-1, keepdims=True), 1e-12), -1, 0)
    nought = np.zeros_like(x)
    cross = np.stack([nought, -z, y, z, nought, -x, -y, x, nought], axis=-1).reshape(*base.shape[:2], 3, 3)
    return np.einsum("jba,ijbc,icd->ijad", ray, cross, ray, optimize=True)


def _is_elsewhere(cameras: Camera, matrices: np.ndarray, pair: Pair, sound: float) -> bool:
    own = float(np.median(epipolar.distances(cameras, pair)))
    if own <= sound:
        return False
    one, other = (np.concatenate([film, np.ones((len(film), 1))], axis=1) for film in pair.film)
    lines = np.einsum("ijab,mb->ijma", matrices, one)
    off = np.abs(np.einsum("ijma,ma->ijm", lines, other)) / np.maximum(np.linalg.norm(lines[..., :2], axis=-1), 1e-12)
    best = np.median(off, axis=-1)
    np.fill_diagonal(best, np.inf)
    return bool(best.min() < min(_BETTER * own, sound))
