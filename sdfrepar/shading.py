"""From a hit to radiance: the point on the surface with its derivative, and analytic materials."""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance, gradient
from sdfrepar.numerics import away_from_zero, safe_normalize
from sdfrepar.records import Line, Ray

# The slope n·d of a grazing hit is kept this far from zero, so that its inverse moves a point by at most 50 times the
# field's change; beyond that the silhouette's warp carries the motion.
_SLOPE_FLOOR = 0.02


def surface_point(distance: Distance, params: Any, ray: Ray | Line, t: jax.Array) -> jax.Array:
    """The point (3,) where a ray meets the surface, given the detached distance t () of its hit.

        x = o + t d,   t = t₀ - f(o + t₀ d; θ) / (n·d)₀                                                    [I20 eq. 3]

    The value is one Newton step closer to the surface than t₀.

    Gradient: implicit differentiation in the parameters and in the ray, the slope (n·d)₀ detached and floored at 0.02.
    """
    t = jax.lax.stop_gradient(t)
    x = ray.origin + t * ray.direction
    f = distance(params, x)
    return x - f / jax.lax.stop_gradient(slope_along(distance, params, x, ray.direction)) * ray.direction


def slope_along(
    distance: Distance, params: Any, x: jax.Array, direction: jax.Array, floor: float = _SLOPE_FLOOR
) -> jax.Array:
    """The slope n·d () of the field at x (3,) along a unit direction (3,), kept `floor` away from zero."""
    return away_from_zero(gradient(distance, params, x) @ direction, floor)


def normal(distance: Distance, params: Any, x: jax.Array) -> jax.Array:
    """The outward unit normal (3,) at a surface point x (3,)."""
    return safe_normalize(gradient(distance, params, x))


def lambert(albedo: jax.Array, n: jax.Array, light: jax.Array, ambient: float) -> jax.Array:
    """Diffuse radiance (3,) under a distant light and an even surrounding.

    Args:
        albedo: (3,) linear.
        n: (3,) unit normal.
        light: (3,) unit direction towards the light.
        ambient: share of the radiance that does not depend on the normal.
    """
    return albedo * (ambient + (1.0 - ambient) * jnp.maximum(n @ light, 0.0))


def point_lit(
    albedo: jax.Array, n: jax.Array, x: jax.Array, lights: jax.Array, brightness: jax.Array, ambient: jax.Array
) -> jax.Array:
    """Diffuse radiance (3,) under point lights and an even surrounding, without shadows.

    A light shines as the inverse square of its distance, and is as bright as `brightness` says at the scene's origin.

    Args:
        albedo: (3,) linear.
        n: (3,) unit normal.
        x: (3,) the point, scene units.
        lights: (L, 3) where the lights are, scene units; not at the point.
        brightness: (L,) of each.
        ambient: () what comes from all around.
    """

    def from_light(place: jax.Array, brightness: jax.Array) -> jax.Array:
        way = place - x
        falloff = (place @ place) / (way @ way)
        return brightness * falloff * jnp.maximum(n @ safe_normalize(way), 0.0)

    return albedo * (ambient + jnp.sum(jax.vmap(from_light)(lights, brightness)))
