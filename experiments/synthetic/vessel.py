"""A jug: hollow and open, so that its inside is seen, with a lip, a foot and a handle (genus 1). Upright in y."""

import numpy as np

from experiments.synthetic.paint import over, rainbow, rise
from experiments.synthetic.parts import Part, at, ball, bone, carved, merged, ring, shelled
from sdfrepar import fields

WALL = 0.07
"""Thickness, scene units."""
RIM = 0.62
"""Height of the rim, scene units."""


def solid() -> Part:
    """The whole jug."""
    hollow = carved(0.03, shelled(_form(), WALL), _above())
    return merged(0.04, merged(0.02, hollow, *_relief()), _handle())


def albedo(x: np.ndarray) -> np.ndarray:
    """Colours (N, 3), linear, at points (N, 3): a glaze that changes with height, and pale waves around the jug."""
    around, height = np.arctan2(x[:, 2], x[:, 0]), x[:, 1]
    # On the axis, where all directions meet, nothing depends on them.
    swing = rise(np.hypot(x[:, 0], x[:, 2]), 0.02, 0.35)
    glaze = rainbow(0.62 + 0.55 * height + 0.12 * swing * np.sin(3.0 * around + 7.0 * height))
    crests = rise(np.sin(22.0 * height + 1.5 * swing * np.sin(6.0 * around)), 0.55, 0.95)
    return over(glaze, (0.85, 0.78, 0.60), 0.75 * crests)


def _form() -> Part:
    """The surface in the middle of the wall, before it is cut open."""
    belly = bone((0.0, -0.34, 0.0), (0.0, -0.12, 0.0), 0.36, 0.45)
    neck = bone((0.0, 0.2, 0.0), (0.0, 0.8, 0.0), 0.19, 0.36)
    return merged(0.2, belly, neck)


def _above() -> Part:
    """What is cut away: a slab from the rim upwards."""
    half_height = 0.4
    centre = (0.0, RIM + half_height, 0.0)
    return at(centre, fields.box, half_extent=(0.8, half_height, 0.8), rounding=0.0)


def _relief() -> tuple[Part, ...]:
    foot = at((0.0, -0.69, 0.0), fields.cylinder, radius=0.24, half_height=0.03, rounding=0.03)
    beads = [ball((0.5 * np.cos(a), -0.1, 0.5 * np.sin(a)), 0.045) for a in np.arange(10) * 0.2 * np.pi]
    return foot, ring((0.0, 0.2, 0.0), 0.36, 0.03), *beads


def _handle() -> Part:
    """An arc in the plane z = 0 whose ends are in the walls of neck and belly."""
    sizes = {"major": 0.272, "minor": 0.052, "half_angle": 1.79}
    return at((0.436, 0.23, 0.0), fields.arc, (0.0, 0.0, 1.0), facing=(0.94, 0.34, 0.0), **sizes)
