"""What pictures have in common: points that look alike, and agree on some geometry, whatever the cameras say."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdfrepar import files

# Pictures are shrunk to so many pixels along the longer side: more takes long and finds little more.
_LONGEST = 640

# Lowe's ratio: how much nearer the best match must be than the second best.
_RATIO = 0.7

# Contrast in the scale space, of a picture from 0 to 1, that a point must have [Lowe 2004].
_CONTRAST = 0.04 / 3

# Points that fewer pairs of pictures share say nothing of two cameras.
_FEWEST = 16

# Epipolar geometry of its own that a pair must obey: pixels, and the share of its matches.
_TOLERANCE, _AGREEING = 1.5, 0.5
_TRIALS = 150


@dataclass(frozen=True)
class Features:
    """The points of one picture."""

    film: np.ndarray  # (F, 2) pixels of the picture, corner convention
    blur: np.ndarray  # (F,) scale: the Gaussian that they stand out of, pixels of the picture, shrunk if it was
    looks: np.ndarray  # (F, 128) unit descriptors


@dataclass(frozen=True)
class Pair:
    """Two pictures of the same thing, and the points that they share."""

    first: int  # index of a picture
    second: int  # of another
    film: tuple[np.ndarray, np.ndarray]  # two of (M, 2), pixels, corner convention


def features_of(picture: np.ndarray, *, contrast: float = _CONTRAST) -> Features:
    """SIFT features [Lowe 2004] of a picture (H, W, 3), linear, compared by the roots of their histograms.

    With less `contrast` more points are found, and less sure ones. The roots weigh large entries less, by which a
    quarter more of the points are found again [Arandjelović 2012].
    """
    from skimage.feature import SIFT
    from skimage.transform import rescale

    grey = files.encode_srgb(picture).mean(axis=-1)
    low, high = np.quantile(grey, [0.01, 0.99])
    grey = np.clip((grey - low) / max(high - low, 0.05), 0.0, 1.0)
    shrink = min(_LONGEST / max(grey.shape), 1.0)
    if shrink < 1.0:
        grey = rescale(grey, shrink, anti_aliasing=True)
    finder = SIFT(c_dog=contrast)
    try:
        finder.detect_and_extract(grey)
    except RuntimeError:  # Nothing found.
        return Features(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 128), np.float32))
    looks, places = np.sqrt(np.asarray(finder.descriptors, np.float32)), np.asarray(finder.positions)
    # Positions are those in the picture of twice the size, halved: its pixels' centres lie a quarter further.
    film = (places[:, ::-1] + 0.25) / shrink
    unit = looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-9)
    return Features(film, np.asarray(finder.sigmas), unit)


def pairs_of(
    found: Sequence[Features], partners: int, likely: np.ndarray | None = None, *, ratio: float = _RATIO
) -> list[Pair]:
    """Pairs of pictures that share points: for each picture, those few that share most with it.

    Pairs whose matches obey no epipolar geometry at all, not even one of their own, are dropped, and so are the
    matches that do not obey it.

    Args:
        found: the features of N pictures.
        partners: pictures that each is paired with at most.
        likely: (N, N) bool, symmetric, which pictures are compared at all; None for all with all.
        ratio: how much nearer the best match must be than the second best [Lowe 2004].
    """
    pairs = [_agreeing(pair) for pair in paired(found, partners, likely, ratio)]
    return [pair for pair in pairs if pair is not None]


def paired(found: Sequence[Features], partners: int, likely: np.ndarray | None, ratio: float) -> list[Pair]:
    """As `pairs_of`, with all matches, whatever they obey."""
    count = len(found)
    compared = np.ones((count, count), bool) if likely is None else likely
    both = [(i, j) for i in range(count) for j in range(i + 1, count) if compared[i, j]]
    matches = {(i, j): _matched(found[i], found[j], ratio) for i, j in both}
    shared = np.zeros((count, count), int)
    for (i, j), match in matches.items():
        shared[i, j] = shared[j, i] = len(match)
    wanted = {
        (min(i, int(j)), max(i, int(j)))
        for i in range(count)
        for j in np.argsort(-shared[i])[:partners]
        if shared[i, j]
    }
    return [
        Pair(i, j, (found[i].film[matches[i, j][:, 0]], found[j].film[matches[i, j][:, 1]])) for i, j in sorted(wanted)
    ]


def _matched(one: Features, other: Features, ratio: float) -> np.ndarray:
    """Mutual best matches (M, 2), as indices, that are nearer than the second best by Lowe's ratio."""
    if min(len(one.film), len(other.film)) < 2:
        return np.zeros((0, 2), int)
    likeness = one.looks @ other.looks.T
    rows, best, back = np.arange(len(likeness)), likeness.argmax(axis=1), likeness.argmax(axis=0)
    nearest = likeness[rows, best]
    # Without the best the second best is the best: sorting would take thirty times as long.
    likeness[rows, best] = -np.inf
    near, next_near = (np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0)) for cosine in (nearest, likeness.max(axis=1)))
    kept = (near < ratio * next_near) & (back[best] == rows)
    return np.stack([rows[kept], best[kept]], axis=1)


def _agreeing(pair: Pair) -> Pair | None:
    """The pair with those of its matches that obey an epipolar geometry of their own, None for too few."""
    from skimage.measure import ransac
    from skimage.transform import FundamentalMatrixTransform

    film = pair.film
    if len(film[0]) < _FEWEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Some samples are degenerate, and it says so for each.
        _, agree = ransac(
            film, FundamentalMatrixTransform, min_samples=8, residual_threshold=_TOLERANCE, max_trials=_TRIALS, rng=0
        )
    agree = np.asarray(agree if agree is not None else [], bool)
    if agree.sum() < max(_FEWEST, _AGREEING * len(agree)):
        return None
    return Pair(pair.first, pair.second, (film[0][agree], film[1][agree]))
