"""Families of solids drawn at random: planes, mugs and tables, as fields whose params have as many freedoms.

Frame: y up; planes fly along -x, as those of the Princeton benchmark do once they are turned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.synthetic import parts
from experiments.synthetic.parts import Vector
from experiments.synthetic.surfaces import Albedo
from sdfrepar import cameras, fields
from sdfrepar.fields import Distance


@dataclass(frozen=True)
class Family:
    """Solids of one kind, each inside the unit sphere."""

    distance: Distance
    draw: Callable[[np.random.Generator], Any]
    """random numbers -> params of one member."""


def _board(half_extent: Sequence[float], rounding: float, centre: Vector, turn: np.ndarray | None = None) -> Any:
    """Params of a placed box with rounded edges, its size with them, turned by a rotation (3, 3)."""
    x, y, _ = np.eye(3) if turn is None else turn.T
    inner = np.asarray(half_extent) - rounding
    return parts.at(centre, fields.box, axis=y, facing=x, half_extent=inner, rounding=rounding).params


def _rotation(*vector: float) -> np.ndarray:
    """The rotation (3, 3) about a vector by its length, radians."""
    return np.asarray(cameras.rotation_by(jnp.array(vector)))


def _united(solids: Sequence[Any], width: float) -> Any:
    """Params of `fields.smooth_union_of`."""
    return {"solids": jax.tree.map(lambda *leaves: np.stack(leaves), *solids), "width": np.float32(width)}


def _joined(first: Any, second: Any, width: float) -> Any:
    """Params of `fields.smooth_union` and `fields.smooth_difference`."""
    return {"first": first, "second": second, "width": np.float32(width)}


# Of red, green and blue, how often they rise and fall along each axis in a scene unit; finer waves do it so much more.
_WAVES, _FINER = np.array([[1.4, 0.6, -0.5], [-0.5, 1.5, 0.6], [0.7, -0.4, 1.4]]), 2.3

_BOX, _CONE = fields.placed(fields.box), fields.placed(fields.rounded_cone)
_WINGS = fields.smooth_union_of(_BOX)


def _plane(rng: np.random.Generator) -> Any:
    """Length and girth of the body; span, chord, sweep, dihedral and place of the wings; span of the tail; the fin."""
    length, girth = rng.uniform(0.6, 0.75), rng.uniform(0.08, 0.13)
    span, chord, sweep = rng.uniform(0.5, 0.85), rng.uniform(0.09, 0.16), rng.uniform(0.0, 0.5)
    lifted, at = rng.uniform(0.0, 0.15), rng.uniform(-0.15, 0.1)
    tail_span, fin = rng.uniform(0.2, 0.32), rng.uniform(0.18, 0.32)
    thickness = 0.025
    sizes: dict[str, Any] = {"half_length": length - girth, "lower": girth, "upper": rng.uniform(0.4, 0.8) * girth}
    body = parts.at((0.0, 0.0, 0.0), fields.rounded_cone, axis=(-1.0, 0.0, 0.0), facing=(0.0, 1.0, 0.0), **sizes)
    flats = []
    for side in (-1.0, 1.0):
        turn = _rotation(0.0, -side * sweep, 0.0) @ _rotation(-side * lifted, 0.0, 0.0)
        middle = np.array([at, -0.3 * girth, 0.0]) + turn @ np.array([0.0, 0.0, 0.5 * side * span])
        flats.append(_board((chord, thickness, 0.5 * span), 0.02, middle, turn))
        turn = _rotation(0.0, -side * sweep, 0.0)
        middle = np.array([length - 0.12, 0.3 * girth, 0.0]) + turn @ np.array([0.0, 0.0, 0.5 * side * tail_span])
        flats.append(_board((0.6 * chord, thickness, 0.5 * tail_span), 0.02, middle, turn))
    flats.append(_board((0.6 * chord, 0.5 * fin, thickness), 0.02, (length - 0.1, 0.5 * fin, 0.0)))
    return _joined(body.params, _united(flats, 0.02), 0.05)


def _mug(rng: np.random.Generator) -> Any:
    """Radius, height and wall of the cup, its floor; size, girth, place and opening of the handle."""
    radius, height, wall = rng.uniform(0.3, 0.5), rng.uniform(0.35, 0.6), rng.uniform(0.04, 0.08)
    bend, girth = rng.uniform(0.18, 0.28), rng.uniform(0.04, 0.065)
    floor, up = rng.uniform(0.05, 0.12), rng.uniform(-0.1, 0.1) * height
    cup: dict[str, Any] = {"radius": radius - 0.03, "half_height": height - 0.03, "rounding": 0.03}
    hollow: dict[str, Any] = {"radius": radius - wall - 0.02, "half_height": height, "rounding": 0.02}
    bow: dict[str, Any] = {"major": bend, "minor": girth, "half_angle": rng.uniform(1.7, 2.1)}
    # Its ends stand in the middle of the wall.
    out = radius - 0.5 * wall - bend * np.cos(bow["half_angle"])
    handle = parts.at((out, up, 0.0), fields.arc, axis=(0.0, 0.0, 1.0), facing=(1.0, 0.0, 0.0), **bow)
    with_handle = _joined(parts.at((0.0, 0.0, 0.0), fields.cylinder, **cup).params, handle.params, 0.04)
    return _joined(with_handle, parts.at((0.0, floor + 0.02, 0.0), fields.cylinder, **hollow).params, 0.02)


def _table(rng: np.random.Generator) -> Any:
    """Width, depth and thickness of the top, its rounding; girth, splay and inset of the legs; height; the shelf."""
    width, depth, height = rng.uniform(0.45, 0.65), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5)
    top, girth = rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.06)
    inset, splay, rounding = rng.uniform(0.02, 0.12), rng.uniform(-0.15, 0.15), rng.uniform(0.01, 0.025)
    shelf = rng.uniform(-0.6, 0.3) * height
    boards = [_board((width, top, depth), rounding, (0.0, height, 0.0))]
    for x in (-1.0, 1.0):
        for z in (-1.0, 1.0):
            middle = np.array([x * (width - girth - inset), 0.0, z * (depth - girth - inset)])
            boards.append(_board((girth, height, girth), 0.015, middle, _rotation(-z * splay, 0.0, 0.0)))
    half = (0.85 * (width - inset), 0.025, 0.85 * (depth - inset))
    boards.append(_board(half, 0.015, (0.0, shelf, 0.0)))
    return _united(boards, 0.02)


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


def texture(rng: np.random.Generator) -> Albedo:
    """Colours of one member: waves across space, coarse and fine ones, shifted a little from those of the others."""
    phase = rng.uniform(-0.8, 0.8, 3)

    def albedo(points: np.ndarray) -> np.ndarray:
        angle = 2.0 * np.pi * (points @ _WAVES.T)
        coarse, fine = np.sin(angle + phase), np.sin(_FINER * angle[:, [1, 2, 0]] + phase)
        return 0.5 + 0.33 * coarse + 0.11 * fine

    return albedo


def member(name: str) -> tuple[Family, np.random.Generator] | None:
    """The family, and the random numbers, of the member that is called so, like "mug 3"; None where none is."""
    kind, _, number = name.partition(" ")
    if kind not in FAMILIES or not number.isdigit():
        return None
    return FAMILIES[kind], np.random.default_rng(int(number))
