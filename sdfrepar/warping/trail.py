"""What a march remembers of the silhouettes it passed, in a fixed room a ray: how near it came, and where.

Sphere tracing folds `trail_step` over the points it visits. Where one of them is lower than both of its neighbours, a
closest approach of the ray lies between these; below a hit, where no march goes, `look_beyond` finds the same.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance
from sdfrepar.numerics import away_from_zero
from sdfrepar.records import Hit, Ray

# The closest approach that a point of slope s = n·d foretells differs from its |f| by s²/2 over the curvature along
# the ray. This is the radius of curvature taken for it, scene units; it only sets how wide the band is on the inside.
BAND_RADIUS = 0.5

# At how many points behind a hit the field is looked at.
_BEYOND = 16


class Lows(NamedTuple):
    """Points of a ray with both their neighbours, which are no lower. J of them; `f` is inf for one that is not."""

    t: jax.Array  # (J, 3) before, at and behind the low, scene units along the ray
    f: jax.Array  # (J, 3) values of the field there


class Trail(NamedTuple):
    """What is remembered of a march."""

    measure: jax.Array  # () the least `grazing_measure` of its points, pixels
    t: jax.Array  # (2,) the last two points, scene units along the ray
    f: jax.Array  # (2,) values of the field there, inf before there are any
    lows: Lows  # those nearest to the surface, as the camera sees it


def trail_init(lows: int) -> Callable[[Ray], Trail]:
    """Observer of a march, with room for so many lows."""

    def init(ray: Ray) -> Trail:
        start = jnp.broadcast_to(ray.near, (2,))
        none = jnp.broadcast_to(ray.near, (lows, 3))
        infinite = jnp.full_like(ray.near, jnp.inf)
        return Trail(infinite, start, jnp.full_like(start, jnp.inf), Lows(none, jnp.full_like(none, jnp.inf)))

    return init


def trail_step(trail: Trail, ray: Ray, index: jax.Array, t: jax.Array, f: jax.Array) -> Trail:
    """Note the visited point number `index` (), of value f () at t (), scene units."""
    del index
    first = ~jnp.isfinite(trail.f[1])
    slope = jnp.where(first, 1.0, (f - trail.f[1]) / away_from_zero(t - trail.t[1], 1e-9))
    here = jnp.where(first, jnp.inf, grazing_measure(ray, t, f, slope))
    three = Lows(t=jnp.append(trail.t, t), f=jnp.append(trail.f, f))
    return Trail(jnp.minimum(trail.measure, here), three.t[1:], three.f[1:], _with(trail.lows, three))


def grazing_measure(ray: Ray, t: jax.Array, f: jax.Array, slope: jax.Array) -> jax.Array:
    """How far a point is from being a silhouette point, () in pixels: 0 on the silhouette, on either side of it."""
    return (jnp.abs(f) + 0.5 * BAND_RADIUS * slope**2) / (jnp.maximum(t, 1e-6) * ray.footprint)


def look_beyond(distance: Distance, depth: float, params: Any, ray: Ray, hit: Hit, trail: Trail) -> Lows:
    """The lows of a trail, and those below its hit, nearest to the surface: as many as the trail has.

    Args:
        distance: the field.
        depth: how far behind the hit, scene units. The points stand closer near the surface: next to a silhouette the
            minimum is just below it.
        params: parameters of the field.
        ray: one ray.
        hit: where it met the surface.
        trail: of its march.
    """
    before = jnp.where(trail.t[1] < hit.distance, 1, 0)
    beyond = hit.distance + depth * (jnp.arange(1, _BEYOND + 1) / _BEYOND) ** 2
    values = jax.vmap(lambda t: distance(params, ray.origin + t * ray.direction))(beyond)
    t = jnp.concatenate([trail.t[before][None], hit.distance[None], beyond])
    f = jnp.concatenate([trail.f[before][None], hit.field[None], values])
    threes = Lows(*(jnp.stack([x[:-2], x[1:-1], x[2:]], axis=-1) for x in (t, f)))
    known = Lows(*(jnp.concatenate(pair) for pair in zip(trail.lows, threes, strict=True)))
    chosen = jax.lax.top_k(-_farness(known), trail.lows.t.shape[0])[1]
    return Lows(known.t[chosen], jnp.where(_is_low(known.f)[:, None], known.f, jnp.inf)[chosen])


def _with(lows: Lows, three: Lows) -> Lows:
    """The lows with the farthest replaced by a nearer one, if these three points (3,) are one."""
    farness = _farness(lows)
    replaced = (jnp.arange(farness.shape[0]) == jnp.argmax(farness)) & (_farness(three) < farness)
    return jax.tree.map(lambda old, new: jnp.where(replaced[:, None], new, old), lows, three)


def _farness(lows: Lows) -> jax.Array:
    """How far a low is from the surface as the camera sees it, (...,) radians; inf where it is none."""
    seen = jnp.abs(lows.f[..., 1]) / jnp.maximum(lows.t[..., 1], 1e-3)
    return jnp.where(_is_low(lows.f), seen, jnp.inf)


def _is_low(f: jax.Array) -> jax.Array:
    """Whether the middle one of three values (..., 3) is the lowest, (...,) bool."""
    return jnp.isfinite(f[..., 0]) & (f[..., 1] <= f[..., 0]) & (f[..., 1] < f[..., 2])
