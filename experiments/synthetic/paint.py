"""Colours at points, linear: the few strokes that solid textures are made of, and a texture for any mesh."""

from collections.abc import Sequence

import numpy as np

Colour = Sequence[float] | np.ndarray
"""(3,), or (N, 3): one for each point."""


def over(under: np.ndarray, colour: Colour, share: np.ndarray) -> np.ndarray:
    """`colour` laid over colours (N, 3), or (1, 3) for one under all, with a `share` (N,) in [0, 1]: (N, 3)."""
    return under + share[:, None] * (np.asarray(colour) - under)


def rise(t: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at `low` to 1 at `high`, (N,)."""
    s = np.clip((t - low) / (high - low), 0.0, 1.0)
    return s * s * (3.0 - 2.0 * s)


def spot(x: np.ndarray, centre: Sequence[float], radius: float) -> np.ndarray:
    """The share (N,) of a soft spot around `centre` at points x (N, 3)."""
    return 1.0 - rise(np.linalg.norm(x - np.asarray(centre), axis=1), 0.7 * radius, 1.3 * radius)


def rainbow(phase: np.ndarray) -> np.ndarray:
    """Colours (N, 3) that go around once as `phase` (N,) grows by 1."""
    return 0.48 + 0.36 * np.cos(2.0 * np.pi * (phase[:, None] - np.array([0.0, 1.0, 2.0]) / 3.0))


def waves(x: np.ndarray) -> np.ndarray:
    """A texture (N, 3) for any shape in the unit sphere: bands of all colours, bent and shaded by slower waves."""
    bend = 0.25 * np.sin(4.0 * x[:, 0] + 2.0 * x[:, 2]) + 0.2 * np.sin(5.0 * x[:, 2] - 2.0 * x[:, 1])
    shade = 0.8 + 0.2 * np.sin(9.0 * x[:, 0] - 7.0 * x[:, 1] + 5.0 * x[:, 2])
    return rainbow(0.9 * x[:, 1] + bend) * shade[:, None]
