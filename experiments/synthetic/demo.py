"""The demo's solid: a tilted ring (genus 1), and a ball that hovers above its hole."""

import numpy as np

from experiments.synthetic.parts import Part
from sdfrepar import fields

TILT = 0.45
"""Of the ring, radians."""


def solid() -> Part:
    """The ring and the ball."""
    c, s = np.cos(TILT), np.sin(TILT)
    ring = {
        "solid": {"major": np.float32(0.52), "minor": np.float32(0.21)},
        "position": np.array([0.0, -0.08, 0.0], np.float32),
        "rotation": np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]], np.float32),
    }
    ball = {
        "solid": {"radius": np.float32(0.3)},
        "position": np.array([0.1, 0.56, 0.05], np.float32),
        "rotation": np.eye(3, dtype=np.float32),
    }
    return Part(fields.union(fields.placed(fields.torus), fields.placed(fields.sphere)), (ring, ball))


def albedo(x: np.ndarray) -> np.ndarray:
    """A solid texture (N, 3), linear, at points (N, 3): slow waves of colour."""
    a = np.sin(6.0 * x[:, 0] + 2.0 * np.sin(4.0 * x[:, 1]))
    b = np.sin(5.0 * x[:, 2] - 3.0 * x[:, 1] + 1.0)
    c = np.sin(7.0 * x[:, 1] + 3.0 * x[:, 0] * x[:, 2])
    return 0.45 + np.stack([0.35 * a, 0.2 * a * b + 0.12 * c, 0.3 * b], axis=1)
