"""A figure that strides and waves: limbs away from the body and in front of one another. It faces +z, upright in y."""

import numpy as np

from experiments.synthetic.paint import over, rise, spot
from experiments.synthetic.parts import Part, Point, at, ball, bone, chain, merged, ring
from sdfrepar import fields

SKIN, SHIRT, STRIPE = (0.80, 0.45, 0.30), (0.75, 0.12, 0.10), (0.90, 0.65, 0.15)
TROUSERS, PATCH, SHOES, HAT = (0.10, 0.20, 0.55), (0.25, 0.50, 0.75), (0.30, 0.14, 0.07), (0.15, 0.45, 0.22)
DARK = (0.06, 0.05, 0.05)

_BELT, _COLLAR, _BRIM = -0.02, 0.42, 0.73


def solid() -> Part:
    """The whole figure."""
    clothes = merged(0.05, _body(), *_waving_arm(), *_hanging_arm(), *_leg(*_FORWARD), *_leg(*_BACK))
    return merged(0.015, clothes, *_head(), ring((0.0, _COLLAR, 0.0), 0.075, 0.035), ring((0, _BELT, 0), 0.125, 0.03))


def albedo(x: np.ndarray) -> np.ndarray:
    """Colours (N, 3), linear, at points (N, 3): skin, striped shirt, patterned trousers, shoes, hat and face."""
    colour = np.tile(np.array(SKIN), (len(x), 1))
    for share, cloth in (_shirt(x), _trousers(x)):
        colour = over(colour, cloth, share)
    height = x[:, 1]
    colour = over(colour, SHOES, 1.0 - rise(height, -0.76, -0.73))
    for side in (-1.0, 1.0):
        colour = over(colour, DARK, spot(x, (0.052 * side, 0.64, 0.125), 0.026))
    colour = over(colour, SHIRT, spot(x * (0.6, 1.0, 1.0), (0.0, 0.555, 0.12), 0.022))
    return over(colour, HAT, rise(height, _BRIM - 0.03, _BRIM - 0.01) * (1.0 - rise(np.abs(x[:, 0]), 0.3, 0.32)))


def _shirt(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where it is (N,), and its stripes (N, 3); the sleeves end above the elbows."""
    height, from_heart = x[:, 1], np.linalg.norm(x[:, :2] - (0.0, 0.2), axis=1)
    share = rise(height, _BELT - 0.02, _BELT + 0.02) * (1.0 - rise(height, 0.46, 0.49))
    stripes = rise(np.sin(26.0 * height + 5.0 * x[:, 0]), -0.3, 0.3)
    return share * (1.0 - rise(from_heart, 0.38, 0.42)), over(np.array([SHIRT]), STRIPE, stripes)


def _trousers(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where they are (N,), and their patches (N, 3); the hanging hand is further out."""
    height, side = x[:, 1], np.abs(x[:, 0])
    share = (1.0 - rise(height, _BELT - 0.02, _BELT + 0.02)) * (1.0 - rise(side, 0.27, 0.31))
    patches = rise(np.sin(24.0 * x[:, 0] + 4.0 * height) * np.sin(20.0 * height + 9.0 * x[:, 2]), -0.1, 0.4)
    return share, over(np.array([TROUSERS]), PATCH, patches)


def _body() -> Part:
    torso = bone((0.0, 0.02, 0.0), (0.0, 0.28, 0.0), 0.115, 0.15)
    shoulders = bone((-0.17, 0.37, 0.0), (0.17, 0.37, 0.0), 0.065)
    hips = bone((-0.06, -0.09, 0.0), (0.06, -0.09, 0.0), 0.11)
    return merged(0.08, torso, shoulders, hips, bone((0.0, 0.4, 0.0), (0.0, 0.55, 0.0), 0.055))


def _head() -> tuple[Part, ...]:
    skull = bone((0.0, 0.59, 0.015), (0.0, 0.68, 0.0), 0.105, 0.125)
    brim = at((0.0, _BRIM, 0.0), fields.cylinder, (0.0, 1.0, 0.12), radius=0.18, half_height=0.004, rounding=0.018)
    crown = bone((0.0, 0.76, -0.01), (0.0, 0.81, -0.02), 0.11, 0.085)
    ears = (ball((0.12, 0.63, 0.0), 0.035), ball((-0.12, 0.63, 0.0), 0.035))
    return skull, brim, crown, ball((0.0, 0.605, 0.135), 0.032), *ears


def _waving_arm() -> tuple[Part, ...]:
    arm = chain([(0.2, 0.37, 0.0), (0.45, 0.27, 0.05), (0.54, 0.49, 0.15)], [0.068, 0.052, 0.038])
    return *arm, *_hand((0.55, 0.55, 0.17), (0.56, 0.63, 0.18), (0.48, 0.58, 0.18))


def _hanging_arm() -> tuple[Part, ...]:
    arm = chain([(-0.2, 0.37, 0.0), (-0.42, 0.16, -0.09), (-0.46, -0.1, 0.1)], [0.068, 0.052, 0.038])
    return *arm, *_hand((-0.465, -0.15, 0.14), (-0.46, -0.22, 0.18), (-0.41, -0.15, 0.19))


def _hand(palm: Point, fingers: Point, thumb: Point) -> tuple[Part, ...]:
    return bone(palm, fingers, 0.048, 0.036), bone(palm, thumb, 0.03, 0.024)


_FORWARD = ((0.09, -0.12, 0.0), (0.15, -0.42, 0.17), (0.17, -0.74, 0.11), (0.19, -0.78, 0.27))
_BACK = ((-0.09, -0.12, 0.0), (-0.14, -0.45, -0.03), (-0.16, -0.74, -0.24), (-0.18, -0.8, -0.09))
"""Hip, knee, ankle, toe."""


def _leg(hip: Point, knee: Point, ankle: Point, toe: Point) -> tuple[Part, ...]:
    heel = (ankle[0], toe[1], ankle[2] - 0.02)
    return *chain([hip, knee, ankle], [0.095, 0.07, 0.05]), bone(heel, toe, 0.055, 0.05)
