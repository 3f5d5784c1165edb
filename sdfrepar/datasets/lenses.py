"""Lens distortion: where a ray lands on the film of a lens that is no pinhole.

A point of the film is counted in focal lengths from the principal point, x = X / Z and y = Y / Z for a pinhole.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Lens(Protocol):
    """A lens in front of a film."""

    def distort(self, ideal: np.ndarray) -> np.ndarray:
        """Where points (M, 2) of a pinhole's film are seen through the lens: (M, 2)."""
        ...


@dataclass(frozen=True)
class Radial:
    """OpenCV's lens: a rational radial polynomial and a decentred axis.

    r' / r = (1 + k₁ r² + k₂ r⁴ + k₃ r⁶) / (1 + k₄ r² + k₅ r⁴ + k₆ r⁶), and p₁, p₂ shift along y and x.
    """

    k: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """k₁ to k₆."""
    p: tuple[float, float] = (0.0, 0.0)
    """p₁ and p₂."""

    def distort(self, ideal: np.ndarray) -> np.ndarray:
        """As `Lens.distort`: points (M, 2) to points (M, 2)."""
        x, y = ideal.T
        square = x**2 + y**2
        above = 1.0 + square * (self.k[0] + square * (self.k[1] + square * self.k[2]))
        below = 1.0 + square * (self.k[3] + square * (self.k[4] + square * self.k[5]))
        ratio, (p1, p2) = above / below, self.p
        return np.stack(
            [
                x * ratio + 2.0 * p1 * x * y + p2 * (square + 2.0 * x**2),
                y * ratio + p1 * (square + 2.0 * y**2) + 2.0 * p2 * x * y,
            ],
            axis=1,
        )


@dataclass(frozen=True)
class Fisheye:
    """OpenCV's equidistant fisheye: r' = θ (1 + k₁ θ² + k₂ θ⁴ + k₃ θ⁶ + k₄ θ⁸) for a ray at the angle θ to the axis."""

    k: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """k₁ to k₄."""

    def distort(self, ideal: np.ndarray) -> np.ndarray:
        """As `Lens.distort`: points (M, 2) to points (M, 2)."""
        radius = np.linalg.norm(ideal, axis=1)
        angle = np.arctan(radius)
        square = angle**2
        bent = angle * (1.0 + square * (self.k[0] + square * (self.k[1] + square * (self.k[2] + square * self.k[3]))))
        # On the axis r' = r.
        return ideal * np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1.0)[:, None]


PINHOLE = Radial()
"""No distortion at all."""
