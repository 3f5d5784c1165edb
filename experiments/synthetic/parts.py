"""Parts of a solid: a field with its parameters, placed; and parts joined to larger ones.

body = merged(0.05, ball((0, 0.3, 0), 0.2), bone((0, 0, 0), (0, 0.3, 0), 0.1))
"""

from collections.abc import Sequence
from functools import cache, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from sdfrepar import fields

Point = tuple[float, float, float]
Vector = Sequence[float] | np.ndarray
"""(3,), of any length."""

# One function a kind, so that parts of a kind are known by it.
_placed = cache(fields.placed)


class Part(NamedTuple):
    """A field and its parameters, NumPy float32."""

    distance: fields.Distance
    params: Any


def ball(centre: Point, radius: float) -> Part:
    """A ball."""
    return at(centre, fields.sphere, radius=radius)


def bone(start: Point, end: Point, radius: float, end_radius: float | None = None) -> Part:
    """The hull of two balls, of one radius or of two."""
    middle, along = 0.5 * np.add(start, end), np.subtract(end, start)
    upper = radius if end_radius is None else end_radius
    return at(middle, fields.rounded_cone, along, half_length=0.5 * np.linalg.norm(along), lower=radius, upper=upper)


def ring(centre: Point, major: float, minor: float, axis: Vector = (0.0, 1.0, 0.0)) -> Part:
    """A torus around an axis through its centre."""
    return at(centre, fields.torus, axis, major=major, minor=minor)


def at(
    centre: Vector,
    distance: fields.Distance,
    axis: Vector = (0.0, 1.0, 0.0),
    facing: Vector | None = None,
    **sizes: Any,
) -> Part:
    """Any solid, moved to `centre` and turned; `sizes` are its parameters.

    Its y axis becomes `axis`, and its x axis as near to `facing` as can be, where that matters.
    """
    return Part(
        _placed(distance),
        {
            "solid": {name: np.asarray(size, np.float32) for name, size in sizes.items()},
            "position": np.asarray(centre, np.float32),
            "rotation": _turned(axis, facing).astype(np.float32),
        },
    )


def chain(points: Sequence[Point], radii: Sequence[float]) -> tuple[Part, ...]:
    """Bones from point to point, a radius at each."""
    return tuple(bone(*ends, *thick) for ends, thick in zip(pairwise(points), pairwise(radii), strict=True))


def merged(width: float, *parts: Part) -> Part:
    """The smooth union of all, those of a kind first, in order; fillets of `width`, scene units."""
    kinds: dict[fields.Distance, list[Any]] = {}
    for part in parts:
        kinds.setdefault(part.distance, []).append(part.params)
    alike = [_all_of(kind, params, width) for kind, params in kinds.items()]

    def join(a: Part, b: Part) -> Part:
        params = {"first": a.params, "second": b.params, "width": np.float32(width)}
        return Part(fields.smooth_union(a.distance, b.distance), params)

    return reduce(join, alike)


def carved(width: float, part: Part, *holes: Part) -> Part:
    """The part without all the holes, edges rounded by `width`, scene units."""

    def carve(a: Part, b: Part) -> Part:
        params = {"first": a.params, "second": b.params, "width": np.float32(width)}
        return Part(fields.smooth_difference(a.distance, b.distance), params)

    return reduce(carve, holes, part)


def shelled(part: Part, thickness: float) -> Part:
    """A wall of this thickness, scene units, along the surface of a part."""
    return Part(fields.shell(part.distance), {"solid": part.params, "thickness": np.float32(thickness)})


def _all_of(kind: fields.Distance, params: Sequence[Any], width: float) -> Part:
    if len(params) == 1:
        return Part(kind, params[0])
    solids = jax.tree.map(lambda *leaves: np.stack(leaves), *params)
    return Part(fields.smooth_union_of(kind), {"solids": solids, "width": np.float32(width)})


def _turned(axis: Vector, facing: Vector | None) -> np.ndarray:
    """A rotation (3, 3) that takes the y axis to `axis`; for the y axis itself, facing nowhere, the identity."""
    y = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    if facing is None:
        facing = (1.0, 0.0, 0.0) if abs(y[0]) < 0.9 else (0.0, 0.0, 1.0)
    x = np.asarray(facing) - np.dot(facing, y) * y
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], axis=1)
