"""A spotted animal on four thin legs, with tail, ears, horns and snout. It faces +x, upright in y."""

import numpy as np

from experiments.synthetic.paint import over, rise, spot
from experiments.synthetic.parts import Part, Point, ball, bone, chain, merged

COAT, PALE, PATCH = (0.80, 0.48, 0.14), (0.90, 0.76, 0.52), (0.34, 0.12, 0.05)
HOOF, DARK, ROSY = (0.09, 0.07, 0.10), (0.06, 0.05, 0.06), (0.75, 0.32, 0.30)

_SIDES = (-1.0, 1.0)
_EYE, _NOSTRIL = (0.565, 0.485, 0.085), (0.785, 0.375, 0.03)


def solid() -> Part:
    """The whole animal."""
    limbs = [part for side in _SIDES for part in (*_fore_leg(side), *_hind_leg(side))]
    return merged(0.02, merged(0.04, merged(0.1, *_trunk()), *limbs, *_tail()), *_features())


def albedo(x: np.ndarray) -> np.ndarray:
    """Colours (N, 3), linear, at points (N, 3): a coat with patches, pale below, dark hooves, nose, eyes and tuft."""
    height, mirrored = x[:, 1], x * (1.0, 1.0, np.nan)
    mirrored[:, 2] = np.abs(x[:, 2])
    colour = np.tile(np.array(COAT), (len(x), 1))
    blotches = np.sin(13.0 * x[:, 0] + 2.0 * np.sin(9.0 * x[:, 2])) * np.sin(
        12.0 * height + 2.0 * np.sin(8.0 * x[:, 0])
    )
    colour = over(colour, PATCH, rise(blotches + 0.5 * np.sin(11.0 * x[:, 2] + 3.0 * x[:, 0]), 0.15, 0.5))
    colour = over(colour, PALE, 1.0 - rise(height + 0.1 * np.sin(9.0 * x[:, 0]), -0.2, -0.08))
    colour = over(colour, PALE, rise(x[:, 0], 0.6, 0.68))
    colour = over(colour, HOOF, 1.0 - rise(height, -0.66, -0.62))
    colour = over(colour, DARK, spot(x, (-0.72, -0.1, 0.0), 0.13))
    colour = over(colour, ROSY, spot(mirrored, (0.45, 0.65, 0.15), 0.05))
    for centre, radius in ((_EYE, 0.032), (_NOSTRIL, 0.022)):
        colour = over(colour, DARK, spot(mirrored, centre, radius))
    return colour


def _trunk() -> tuple[Part, ...]:
    barrel = bone((-0.3, 0.06, 0.0), (0.18, 0.04, 0.0), 0.19, 0.21)
    neck = chain([(0.22, 0.12, 0.0), (0.44, 0.44, 0.0)], [0.15, 0.085])
    head = chain([(0.46, 0.47, 0.0), (0.56, 0.44, 0.0), (0.72, 0.36, 0.0)], [0.1, 0.09, 0.06])
    return barrel, *neck, *head


def _fore_leg(side: float) -> tuple[Part, ...]:
    stride = 0.06 * side
    hip, knee, ankle = (
        (0.2, -0.05, 0.1 * side),
        (0.22 + stride, -0.36, 0.12 * side),
        (0.2 + 2 * stride, -0.64, 0.12 * side),
    )
    return *chain([hip, knee, ankle], [0.09, 0.045, 0.032]), _hoof(ankle)


def _hind_leg(side: float) -> tuple[Part, ...]:
    stride = -0.05 * side
    hip, knee = (-0.34, 0.0, 0.1 * side), (-0.3 + stride, -0.27, 0.12 * side)
    hock, ankle = (-0.42 + stride, -0.44, 0.12 * side), (-0.38 + 2.0 * stride, -0.64, 0.12 * side)
    return *chain([hip, knee, hock, ankle], [0.12, 0.06, 0.038, 0.032]), _hoof(ankle)


def _hoof(ankle: Point) -> Part:
    return bone((ankle[0], -0.67, ankle[2]), (ankle[0] + 0.04, -0.68, ankle[2]), 0.045, 0.04)


def _tail() -> tuple[Part, ...]:
    points = [(-0.46, 0.16, 0.0), (-0.58, 0.22, 0.0), (-0.67, 0.1, 0.0), (-0.7, -0.06, 0.0), (-0.72, -0.16, 0.0)]
    return chain(points, [0.05, 0.036, 0.032, 0.034, 0.055])


def _features() -> tuple[Part, ...]:
    """Ears, horns, eyes and the ridge of the nostrils, on both sides."""
    return tuple(part for side in _SIDES for part in _features_of(side))


def _features_of(side: float) -> tuple[Part, ...]:
    ear = bone((0.43, 0.54, 0.08 * side), (0.39, 0.62, 0.2 * side), 0.045, 0.032)
    horn = chain([(0.5, 0.55, 0.045 * side), (0.5, 0.62, 0.065 * side), (0.54, 0.68, 0.07 * side)], [0.04, 0.033, 0.03])
    eye = ball((_EYE[0], _EYE[1], 0.95 * side * _EYE[2]), 0.03)
    return ear, *horn, eye
