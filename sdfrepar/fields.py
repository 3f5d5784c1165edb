"""What a signed distance function is, exact solids, and how to combine and place them.

A field is a pure function `distance(params, x)`: any pytree of parameters, one point x (3,) in scene units, and the
signed distance () in return, negative inside. It need only be C1 in x and C0 in params.

Combinators take fields and return a field; their params are tuples or dicts of the params of their parts.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar.numerics import safe_norm, safe_normalize

Distance = Callable[[Any, jax.Array], jax.Array]

# Points evaluated at once by `values`.
_CHUNK = 16384


def gradient(distance: Distance, params: Any, x: jax.Array) -> jax.Array:
    """∂f/∂x (3,) at x (3,): the outward normal, of length 1 where the field is a true distance."""
    return jax.grad(distance, argnums=1)(params, x)


@partial(jax.jit, static_argnames="distance")
def values(distance: Distance, params: Any, points: jax.Array) -> jax.Array:
    """The field (N,) at points (N, 3), so many at a time as memory is sure to hold."""
    return jax.lax.map(lambda x: distance(params, x), points, batch_size=_CHUNK)


def sphere(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to a sphere at the origin; params: radius ().

    Examples:
        >>> float(sphere({"radius": 0.5}, jnp.array([0.0, 0.75, 0.0])))
        0.25
    """
    return safe_norm(x) - params["radius"]


def torus(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to a torus around the y axis; params: major () and minor () radius."""
    from_circle = jnp.stack([safe_norm(x[jnp.array([0, 2])]) - params["major"], x[1]])
    return safe_norm(from_circle) - params["minor"]


def box(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to an axis-aligned box with rounded edges; params: half_extent (3,) without the edges, rounding ()."""
    q = jnp.abs(x) - params["half_extent"]
    return safe_norm(jnp.maximum(q, 0.0)) + jnp.minimum(jnp.max(q), 0.0) - params["rounding"]


def capsule(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to a capsule along the y axis; params: half_length () between the ends' centres, radius ()."""
    along = jnp.clip(x[1], -params["half_length"], params["half_length"])
    return safe_norm(x.at[1].add(-along)) - params["radius"]


def rounded_cone(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to the hull of two balls on the y axis; params: half_length () between centres, lower, upper () radius.

    Neither ball holds the other: the radii differ by less than the length between the centres.
    """
    length, lower = 2.0 * params["half_length"], params["lower"]
    sine = (lower - params["upper"]) / length
    across, up = safe_norm(x[jnp.array([0, 2])]), x[1] + params["half_length"]
    # The ball at height s has the radius lower - sine s; the nearest of them all touches the hull across from x.
    s = jnp.clip(up - across * sine / jnp.sqrt(1.0 - sine**2), 0.0, length)
    return safe_norm(jnp.stack([across, up - s])) - (lower - sine * s)


def cylinder(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to a cylinder around the y axis with rounded edges.

    Params: radius () and half_height (), both without the edges, and rounding ().
    """
    q = jnp.stack([safe_norm(x[jnp.array([0, 2])]) - params["radius"], jnp.abs(x[1]) - params["half_height"]])
    return safe_norm(jnp.maximum(q, 0.0)) + jnp.minimum(jnp.max(q), 0.0) - params["rounding"]


def arc(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to a part of a torus around the y axis, with round ends, whose middle is on the positive x axis.

    Params: major () and minor () radius, and half_angle () that the part spans to both sides, below pi.
    """
    around = safe_normalize(x[jnp.array([0, 2])])
    c, s = jnp.cos(params["half_angle"]), jnp.sin(params["half_angle"])
    end = jnp.stack([c, jnp.where(x[2] < 0.0, -s, s)])
    nearest = jnp.where(around[0] > c, around, end) * params["major"]
    return safe_norm(x - jnp.stack([nearest[0], jnp.zeros_like(x[1]), nearest[1]])) - params["minor"]


def placed(distance: Distance) -> Distance:
    """The solid moved; params: solid, position (3,) and rotation (3, 3), scene from solid."""

    def moved(params: dict[str, Any], x: jax.Array) -> jax.Array:
        return distance(params["solid"], params["rotation"].T @ (x - params["position"]))

    return moved


def union(*distances: Distance) -> Distance:
    """All the solids together; params: a tuple. Exact outside where the parts are; a bound inside their overlap.

    Examples:
        >>> pair = union(sphere, placed(sphere))
        >>> beside = {"solid": {"radius": 0.25}, "position": jnp.array([1.0, 0.0, 0.0]), "rotation": jnp.eye(3)}
        >>> float(pair(({"radius": 0.25}, beside), jnp.array([0.5, 0.0, 0.0])))
        0.25
    """

    def nearest(params: tuple[Any, ...], x: jax.Array) -> jax.Array:
        return jnp.min(jnp.stack([f(p, x) for f, p in zip(distances, params, strict=True)]))

    return nearest


def shell(distance: Distance) -> Distance:
    """A wall along the surface of a solid, half of it on either side; params: solid, and thickness () in scene units.

    Exact where the distance is, as long as the wall leaves a hollow.
    """

    def wall(params: dict[str, Any], x: jax.Array) -> jax.Array:
        return jnp.abs(distance(params["solid"], x)) - 0.5 * params["thickness"]

    return wall


def smooth_union(first: Distance, second: Distance) -> Distance:
    """Two solids with the crease between them filled; params: first, second, and width () of the fillet, scene units.

    The polynomial smooth minimum of Quilez: C1, and equal to the union beyond `width`.
    """

    def blended(params: dict[str, Any], x: jax.Array) -> jax.Array:
        return _smooth_minimum(first(params["first"], x), second(params["second"], x), params["width"])

    return blended


def smooth_union_of(distance: Distance) -> Distance:
    """Many solids of one kind, as bones of one body; params: solids, with a leading axis, and width () of the fillets.

    The same as a chain of smooth unions, each with the next; but however long, it compiles as fast as two.
    """

    def blended(params: dict[str, Any], x: jax.Array) -> jax.Array:
        each = jax.vmap(distance, in_axes=(0, None))(params["solids"], x)

        def join(nearest: jax.Array, other: jax.Array) -> tuple[jax.Array, None]:
            return _smooth_minimum(nearest, other, params["width"]), None

        return jax.lax.scan(join, each[0], each[1:])[0]

    return blended


def smooth_difference(first: Distance, second: Distance) -> Distance:
    """The first solid without the second, its edge rounded; params: first, second, and width () of the edge.

    The smooth union's complement: C1, a bound of the distance, and equal to the sharp difference beyond `width`.
    """

    def carved(params: dict[str, Any], x: jax.Array) -> jax.Array:
        return -_smooth_minimum(-first(params["first"], x), second(params["second"], x), params["width"])

    return carved


def _smooth_minimum(a: jax.Array, b: jax.Array, width: jax.Array) -> jax.Array:
    overlap = jnp.maximum(width - jnp.abs(a - b), 0.0) / width
    return jnp.minimum(a, b) - 0.25 * width * overlap**2
