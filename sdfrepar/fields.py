"""What a signed distance function is, exact solids, and how to combine and place them.

A field is a pure function `distance(params, x)`: any pytree of parameters, one point x (3,) in scene units, and the
signed distance () in return, negative inside. It need only be C1 in x and C0 in params.

Combinators take fields and return a field; their params are tuples or dicts of the params of their parts.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar.numerics import safe_norm

Distance = Callable[[Any, jax.Array], jax.Array]


def gradient(distance: Distance, params: Any, x: jax.Array) -> jax.Array:
    """∂f/∂x (3,) at x (3,): the outward normal, of length 1 where the field is a true distance."""
    return jax.grad(distance, argnums=1)(params, x)


def sphere(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Distance to a sphere at the origin; params: radius ()."""
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


def placed(distance: Distance) -> Distance:
    """The solid moved; params: solid, position (3,) and rotation (3, 3), scene from solid."""

    def moved(params: dict[str, Any], x: jax.Array) -> jax.Array:
        return distance(params["solid"], params["rotation"].T @ (x - params["position"]))

    return moved


def union(*distances: Distance) -> Distance:
    """All the solids together; params: a tuple. Exact outside where the parts are; a bound inside their overlap."""

    def nearest(params: tuple[Any, ...], x: jax.Array) -> jax.Array:
        return jnp.min(jnp.stack([f(p, x) for f, p in zip(distances, params, strict=True)]))

    return nearest


def smooth_union(first: Distance, second: Distance) -> Distance:
    """Two solids with the crease between them filled; params: first, second, and width () of the fillet, scene units.

    The polynomial smooth minimum of Quilez: C1, and equal to the union beyond `width`.
    """

    def blended(params: dict[str, Any], x: jax.Array) -> jax.Array:
        a, b, width = first(params["first"], x), second(params["second"], x), params["width"]
        overlap = jnp.maximum(width - jnp.abs(a - b), 0.0) / width
        return jnp.minimum(a, b) - 0.25 * width * overlap**2

    return blended
