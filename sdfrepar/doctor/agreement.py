"""How far points that look alike lie from their epipolar lines: the figure that is reported of cameras.

Nothing is thrown away for contradicting a geometry, so wrong matches count too, and the figure can be compared with
those of other programs. It does not decide whether cameras are at fault: see `geometry`, which looks at matches that
agree with one another.
"""

from collections.abc import Sequence

import numpy as np

from sdfrepar.doctor import epipolar
from sdfrepar.doctor.features import Features, Pair, paired
from sdfrepar.records import Camera

# Lowe's own: how much nearer the best match must be than the second best [Lowe 2004, section 7.1].
_RATIO = 0.8

# Pixels. Finer features are found in a picture that was enlarged, and lie where the interpolation has them.
_COARSE = 1.6


def paired_with_nearest(found: Sequence[Features]) -> list[Pair]:
    """Each picture with the one that shares most features with it, and all that the two share.

    Args:
        found: the features of N pictures.
    """
    return paired([_coarse(one) for one in found], 1, None, _RATIO)


def error(cameras: Camera, pairs: Sequence[Pair]) -> float:
    """The median of Sampson's distance over all matches, pixels; not a number without matches.

    Args:
        cameras: leading axis N.
        pairs: numbered as the cameras.
    """
    if not pairs:
        return float("nan")
    return float(np.median(np.concatenate([epipolar.sampson(cameras, pair) for pair in pairs])))


def _coarse(found: Features) -> Features:
    kept = found.blur >= _COARSE
    return Features(found.film[kept], found.blur[kept], found.looks[kept])
