"""Whether cameras explain what their pictures share, and if not, what was done to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdfrepar.doctor import epipolar, outlines
from sdfrepar.doctor.corrections import corrected
from sdfrepar.doctor.elsewhere import share_elsewhere
from sdfrepar.doctor.features import Pair
from sdfrepar.doctor.outlines import Outline
from sdfrepar.records import Camera

# With fewer matches in fewer pairs the error is not taken for one of the cameras; and so with pairs of outlines.
_FEWEST_PAIRS, _FEWEST_MATCHES, _FEWEST_OUTLINES = 3, 60, 10

# Pixels of pictures of 640: sound cameras stay well below.
_SOUND = 1.5

# A correction must leave at most so much of the errors, and take so many pixels away.
_BETTER, _GAIN = 0.6, 0.25

# A shuffle leaves hardly a pair as it was.
_SHUFFLED = 0.6

# Of what sound cameras share, so much lies before them, and of what mirrored ones share, next to nothing.
_BEFORE = 0.3
_MIRRORED = (
    "the poses are mirrored: what the pictures share lies behind the cameras. Coordinates of a left-handed world, or "
    "one axis negated"
)


@dataclass(frozen=True)
class Consistency:
    """How well cameras explain the points that their pictures share, and the outlines of the object."""

    pairs: int
    """Of pictures that share points."""
    matches: int
    """Points that two pictures share."""
    error: float
    """Median distance to the epipolar lines, pixels; not a number without matches."""
    outlines: float
    """Median distance of outlines' tangents from those of other views, pixels; not a number without outlines."""
    fault: str | None
    """What is wrong with the cameras; None where nothing is, or too little is known."""


def consistency(
    cameras: Camera, pairs: Sequence[Pair], names: Sequence[str], found: Sequence[Outline | None] = ()
) -> Consistency:
    """Measure, and where the errors are large or a correction makes them much smaller, say what is wrong.

    Args:
        cameras: leading axis N, in the world frame of their files.
        pairs: of pictures that share points, numbered as the cameras.
        names: of the N views.
        found: the N outlines of the object, where they are known.
    """
    matches = sum(len(pair.film[0]) for pair in pairs)
    if len(pairs) < _FEWEST_PAIRS or matches < _FEWEST_MATCHES:
        pairs = ()
    errors = _errors(cameras, pairs, found)
    return Consistency(len(pairs), matches, *errors, fault=_fault(cameras, pairs, names, found, errors))


def _errors(cameras: Camera, pairs: Sequence[Pair], found: Sequence[Outline | None]) -> np.ndarray:
    """Of the points and of the outlines (2,), pixels; not a number where too little is known."""
    touching, count = outlines.error(cameras, found)
    return np.array([epipolar.error(cameras, pairs), touching if count >= _FEWEST_OUTLINES else np.nan])


def _fault(
    cameras: Camera,
    pairs: Sequence[Pair],
    names: Sequence[str],
    found: Sequence[Outline | None],
    errors: np.ndarray,
) -> str | None:
    """What is wrong with cameras that leave these errors (2,)."""
    scale = max(max(cameras.resolution) / 640.0, 1.0)
    sound = _SOUND * scale
    known = ~np.isnan(errors)
    if not known.any():
        return None
    tried = [
        (float(np.where(known, _errors(other, pairs, found), 0.0).sum()), cause, other)
        for cause, other in corrected(cameras)
    ]
    least, cause, right = min((one for one in tried if not np.isnan(one[0])), key=lambda one: one[0])
    total = errors[known].sum()
    if least < min(_BETTER * total, total - _GAIN * scale) and least < known.sum() * sound:
        cause = _MIRRORED if _is_mirrored(right, pairs) else cause
        return f"{cause} ({_sentence(errors)}; without the mistake the sum of it is {least:.2f} pixels)"
    if not np.any(errors[known] > sound) or not pairs:
        return _MIRRORED if _is_mirrored(cameras, pairs) else None
    share = share_elsewhere(cameras, pairs, sound)
    if share >= _SHUFFLED:
        return (
            f"the pictures are shuffled against their cameras: {share:.0%} of the pairs of pictures that share points "
            f"fit other cameras of the set, not their own ({_sentence(errors)}); check that both are in one order"
        )
    wrong = [pair for pair in pairs if np.median(epipolar.distances(cameras, pair)) > sound]
    if len(wrong) >= _SHUFFLED * len(pairs):
        return (
            "the pictures do not belong to their cameras: they agree with one another but not with the poses, whatever "
            f"is done to all of these ({_sentence(errors)})"
        )
    if not errors[0] > sound:
        return None
    counts = np.bincount([view for pair in wrong for view in (pair.first, pair.second)], minlength=len(names))
    return f"the camera of {names[int(np.argmax(counts))]} and of some others is off"


def _is_mirrored(cameras: Camera, pairs: Sequence[Pair]) -> bool:
    """Whether cameras that explain matches have them behind: in a mirror, epipolar lines are the same."""
    return bool(pairs) and float(np.mean(epipolar.before(cameras, pairs))) < _BEFORE


def _sentence(errors: np.ndarray) -> str:
    said = (
        f"matches lie {errors[0]:.2f} pixels from their epipolar lines",
        f"outlines {errors[1]:.2f} from touching one another's planes",
    )
    return ", ".join(one for one, error in zip(said, errors, strict=True) if not np.isnan(error))
