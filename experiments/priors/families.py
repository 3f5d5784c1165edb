"""Families of solids drawn at random: planes, mugs and tables, as fields whose params have as many freedoms.

Frame: y up; planes fly along -x, as those of the Princeton benchmark do once they are turned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from sdfrepar import fields
from sdfrepar.fields import Distance

_ALONG_X = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
"""Scene from solid, for solids made along y."""


@dataclass(frozen=True)
class Family:
    """Solids of one kind, each inside the unit sphere."""

    distance: Distance
    draw: Callable[[np.random.Generator], Any]
    """random numbers -> params of one member."""


def _place(solid: dict[str, Any], position: Any, rotation: np.ndarray | None = None) -> dict[str, Any]:
    """Params of `fields.placed`."""
    turned = np.eye(3, dtype=np.float32) if rotation is None else rotation
    return _arrays({"solid": solid, "position": position, "rotation": turned})


def _box(half_extent: Any, rounding: float) -> dict[str, Any]:
    return {"half_extent": np.asarray(half_extent, np.float32) - rounding, "rounding": rounding}


def _arrays(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _arrays(leaf) for name, leaf in tree.items()}
    return jnp.asarray(tree, jnp.float32)


def _about_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], np.float32)


def _about_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]], np.float32)


_BOX, _CONE = fields.placed(fields.box), fields.placed(fields.rounded_cone)
_WINGS = fields.smooth_union_of(_BOX)


def _plane(rng: np.random.Generator) -> Any:
    """Length and girth of the body; span, chord, sweep, dihedral and place of the wings; span of the tail; the fin."""
    length, girth = rng.uniform(0.6, 0.75), rng.uniform(0.08, 0.13)
    span, chord, sweep = rng.uniform(0.5, 0.85), rng.uniform(0.09, 0.16), rng.uniform(0.0, 0.5)
    lifted, at = rng.uniform(0.0, 0.15), rng.uniform(-0.15, 0.1)
    tail_span, fin = rng.uniform(0.2, 0.32), rng.uniform(0.18, 0.32)
    thickness = 0.025
    body = {"half_length": length - girth, "lower": girth, "upper": rng.uniform(0.4, 0.8) * girth}
    flats = []
    for side in (-1.0, 1.0):
        turn = _about_y(-side * sweep) @ _about_x(-side * lifted)
        middle = np.array([at, -0.3 * girth, 0.0]) + turn @ np.array([0.0, 0.0, 0.5 * side * span])
        flats.append(_place(_box((chord, thickness, 0.5 * span), 0.02), middle, turn))
        turn = _about_y(-side * sweep)
        middle = np.array([length - 0.12, 0.3 * girth, 0.0]) + turn @ np.array([0.0, 0.0, 0.5 * side * tail_span])
        flats.append(_place(_box((0.6 * chord, thickness, 0.5 * tail_span), 0.02), middle, turn))
    flats.append(_place(_box((0.6 * chord, 0.5 * fin, thickness), 0.02), (length - 0.1, 0.5 * fin, 0.0)))
    stacked = {"solids": _stacked(flats), "width": jnp.asarray(0.02)}
    return {"first": _place(body, (0.0, 0.0, 0.0), _ALONG_X), "second": stacked, "width": jnp.asarray(0.05)}


def _mug(rng: np.random.Generator) -> Any:
    """Radius, height and wall of the cup, its floor; size, girth, place and opening of the handle."""
    radius, height, wall = rng.uniform(0.3, 0.5), rng.uniform(0.35, 0.6), rng.uniform(0.04, 0.08)
    handle, girth = rng.uniform(0.18, 0.28), rng.uniform(0.04, 0.065)
    floor, up = rng.uniform(0.05, 0.12), rng.uniform(-0.1, 0.1) * height
    cup = {"radius": radius - 0.03, "half_height": height - 0.03, "rounding": 0.03}
    hollow = {"radius": radius - wall - 0.02, "half_height": height, "rounding": 0.02}
    bow = {"major": handle, "minor": girth, "half_angle": rng.uniform(1.7, 2.1)}
    upright = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], np.float32)
    # Its ends stand in the middle of the wall.
    out = radius - 0.5 * wall - handle * np.cos(bow["half_angle"])
    with_handle = {
        "first": _place(cup, np.zeros(3)),
        "second": _place(bow, (out, up, 0.0), upright),
        "width": jnp.asarray(0.04),
    }
    return {"first": with_handle, "second": _place(hollow, (0.0, floor + 0.02, 0.0)), "width": jnp.asarray(0.02)}


def _table(rng: np.random.Generator) -> Any:
    """Width, depth and thickness of the top, its rounding; girth, splay and inset of the legs; height; the shelf."""
    width, depth, height = rng.uniform(0.45, 0.65), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5)
    top, girth = rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.06)
    inset, splay, rounding = rng.uniform(0.02, 0.12), rng.uniform(-0.15, 0.15), rng.uniform(0.01, 0.025)
    shelf = rng.uniform(-0.6, 0.3) * height
    boards = [_place(_box((width, top, depth), rounding), (0.0, height, 0.0))]
    for x in (-1.0, 1.0):
        for z in (-1.0, 1.0):
            middle = np.array([x * (width - girth - inset), 0.0, z * (depth - girth - inset)])
            boards.append(_place(_box((girth, height, girth), 0.015), middle, _about_x(-z * splay)))
    half = (0.85 * (width - inset), 0.025, 0.85 * (depth - inset))
    boards.append(_place(_box(half, 0.015), (0.0, shelf, 0.0)))
    return {"solids": _stacked(boards), "width": jnp.asarray(0.02)}


def _stacked(members: list[Any]) -> Any:
    """Params of several solids of one kind, with a leading axis."""
    first, *_ = members
    if isinstance(first, dict):
        return {name: _stacked([member[name] for member in members]) for name in first}
    return jnp.stack(members)


FAMILIES = {
    "plane": Family(fields.smooth_union(_CONE, _WINGS), _plane),
    "mug": Family(
        fields.smooth_difference(
            fields.smooth_union(fields.placed(fields.cylinder), fields.placed(fields.arc)),
            fields.placed(fields.cylinder),
        ),
        _mug,
    ),
    "table": Family(fields.smooth_union_of(_BOX), _table),
}
