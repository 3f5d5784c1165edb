"""Sphere tracing: where a ray meets the surface, or that it does not.

Everything here is detached from the parameters: `warping` and `rendering` attach the derivatives. With respect to the
film position the march IS differentiable by forward mode, which is how warping learns ∂t_i/∂u.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance
from sdfrepar.numerics import away_from_zero, safe_divide
from sdfrepar.records import Hit, Ray, Status

# A ray that falls by less than this times √tolerance per unit length reaches a depth of less than four tolerances
# below a surface of radius 1/2.
_FLAT = 4.0

# A march goes at most so many times as far as the field allows, however fast it recedes from the surface.
_LONGEST = 4.0

# Where a parabola has settled on a root, |f| is below this share of the tolerance.
_SETTLED = 0.05


@dataclass(frozen=True)
class TraceConfig:
    """How far to march and when to stop."""

    max_steps: int = 48
    """Steps of the march."""
    tolerance: float = 0.005
    """A point this close to the surface is on it, in widths of a pixel at that depth."""
    relaxation: float = 0.95
    """Share of the way between two touching spheres, by the slope so far, that a step dares; 0 goes sphere by sphere,
    as do the marches whose points a warp averages."""
    refinements: int = 5
    """Parabola steps for a ray that is still undecided after the march."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.max_steps < 1:
            raise ValueError(f"trace.max_steps is {self.max_steps}; a march needs at least 1 step.")
        if self.tolerance <= 0:
            raise ValueError(f"trace.tolerance is {self.tolerance}; it must be a positive share of a pixel.")
        if not 0 <= self.relaxation < 1:
            raise ValueError(f"trace.relaxation is {self.relaxation}; it must be in [0, 1), and 0 takes no risk.")


class Observer(NamedTuple):
    """A pair of functions that the march folds over the points it visits, without knowing what they are for."""

    init: Callable[[Ray], Any]
    """ray -> state."""
    step: Callable[[Any, Ray, jax.Array, jax.Array, jax.Array], Any]
    """(state, ray, index, t, f) -> state, for the point number `index` at distance t with field value f."""


NOTHING = Observer(init=lambda ray: (), step=lambda state, ray, index, t, f: state)
"""The observer that sees nothing."""


def trace(
    distance: Distance, config: TraceConfig, params: Any, ray: Ray, observer: Observer = NOTHING
) -> tuple[Hit, Any]:
    """March along a ray from `ray.near` until it is near the surface, outside the unit sphere, or out of steps.

    Args:
        distance: the field.
        config: when to stop.
        params: parameters of the field.
        ray: one ray.
        observer: folded over the points visited.

    Returns:
        The hit, UNDECIDED when the steps ran out and MISS where the field is not finite; the observer's final state.

    Gradient: detached from `params`. Differentiable in the ray by forward mode, except for the status.
    """
    start = Hit(
        distance=ray.near,
        field=jnp.full_like(ray.near, jnp.inf),
        step=jnp.zeros_like(ray.near),
        status=jnp.where(ray.far > ray.near, Status.UNDECIDED, Status.MISS).astype(jnp.int32),
        queries=jnp.zeros((), jnp.int32),
    )
    return resume(distance, config, params, ray, (start, observer.init(ray)), observer)


def resume(
    distance: Distance, config: TraceConfig, params: Any, ray: Ray, state: tuple[Hit, Any], observer: Observer = NOTHING
) -> tuple[Hit, Any]:
    """Go on with an undecided march for at most `config.max_steps` more steps; decided rays stay as they are.

    Gradient: as that of `trace`.
    """
    params = jax.lax.stop_gradient(params)
    limit = state[0].queries + config.max_steps

    def unfinished(state: tuple[Hit, Any]) -> jax.Array:
        hit, _ = state
        return (hit.status == Status.UNDECIDED) & (hit.queries < limit)

    def step(state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        hit, observed = state
        t = hit.distance
        f = distance(params, ray.origin + t * ray.direction)
        # A field that says nothing here ends the march, and what was known before is kept.
        lost = ~jnp.isfinite(f)
        # Where the spheres around the last point and this one do not touch, the step between them dared too much.
        dared = (hit.step > hit.field) & ((f < 0) | (hit.field + f < hit.step))
        taken = jax.tree.map(
            lambda new, old: jnp.where(dared | lost, old, new),
            observer.step(observed, ray, hit.queries, t, f),
            observed,
        )
        arrived = _arrived(config, ray, t, f, hit) & ~dared & ~lost
        ahead = jnp.where(dared, hit.field, _step_length(config, f, hit))
        last = jnp.where(dared, t - hit.step, t)
        left = lost | (last + jnp.where(dared, hit.field, f) > ray.far)
        status = jnp.where(arrived, Status.HIT, jnp.where(left, Status.MISS, Status.UNDECIDED))
        return Hit(
            distance=jnp.where(arrived | lost, t, last + ahead),
            field=jnp.where(dared | lost, hit.field, f),
            step=jnp.where(lost, hit.step, ahead),
            status=status.astype(jnp.int32),
            queries=hit.queries + 1,
        ), taken

    return jax.lax.while_loop(unfinished, step, state)


def refine(distance: Distance, config: TraceConfig, params: Any, ray: Ray, hit: Hit) -> Hit:
    """Settle an undecided ray: solve for the surface, or for the closest approach, with a local parabola.

    A ray that grazes the surface at distance δ takes O(1/√δ) sphere-tracing steps to pass. Along the ray the field is
    close to a parabola there, whose root, if any, is the hit, and whose vertex is the closest approach otherwise.
    A few such steps converge to either; the sign of the field at the vertex is the verdict. Once a point below the
    surface is known the root lies before it, and false position takes over where the parabola leaves the bracket.

    Returns:
        HIT at the root, or UNDECIDED with `distance` moved as far behind the closest approach as it was before it, for
        `resume` to go on from. Rays that were decided come back unchanged, and so do those that recede already.

    Gradient: detached from `params`.
    """
    params = jax.lax.stop_gradient(params)

    def along(t: jax.Array) -> jax.Array:
        return distance(params, ray.origin + t * ray.direction)

    def slope(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(along, (t,), (jnp.ones_like(t),))

    # The last point visited: where the field is steeper than a distance, the next one may lie below the surface.
    before = hit.distance - hit.step

    def parabola_step(state: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], jax.Array]:
        t, (outside, f_outside), (inside, f_inside) = state
        (f, df), (_, ddf) = jax.jvp(slope, (t,), (jnp.ones_like(t),))
        ahead = t + _along_parabola(f, df, ddf)
        outside, f_outside = jnp.where(f > 0, t, outside), jnp.where(f > 0, f, f_outside)
        inside, f_inside = jnp.where(f > 0, inside, t), jnp.where(f > 0, f_inside, f)
        bracketed = jnp.isfinite(inside)
        share = safe_divide(f_outside, f_outside - f_inside)
        between = outside + share * jnp.where(bracketed, inside - outside, 0.0)
        leaves = bracketed & ((ahead <= outside) | (ahead >= inside))
        ahead = jnp.where(leaves, between, jnp.maximum(ahead, before))
        return (ahead, (outside, f_outside), (inside, f_inside)), df

    nowhere = jnp.full_like(hit.distance, jnp.inf), -jnp.ones_like(hit.distance)
    start = hit.distance, (before, hit.field), nowhere
    (t, _, (inside, _)), slopes = jax.lax.scan(parabola_step, start, None, length=config.refinements)
    f = along(t)
    arrived = ((f < _SETTLED * surface_tolerance(config, ray, t)) | jnp.isfinite(inside)) & (t < ray.far)
    # As far behind as before, where the field agrees that the approach is over; else a sphere's radius.
    mirrored = jnp.maximum(2.0 * t - hit.distance, hit.distance + jnp.abs(hit.field))
    beyond = jnp.where(along(mirrored) > jnp.abs(f), mirrored, t + jnp.abs(f))
    status = jnp.where(arrived, Status.HIT, jnp.where(beyond > ray.far, Status.MISS, Status.UNDECIDED))
    refined = Hit(
        distance=jnp.where(arrived, t, beyond),
        field=f,
        step=jnp.abs(f),
        status=status.astype(jnp.int32),
        queries=hit.queries + 3 * config.refinements + 2,
    )
    sound = jnp.isfinite(refined.distance) & jnp.isfinite(f)
    approaching = (hit.status == Status.UNDECIDED) & (slopes[0] < 0) & sound
    return jax.tree.map(lambda new, old: jnp.where(approaching, new, old), refined, hit)


def _along_parabola(f: jax.Array, df: jax.Array, ddf: jax.Array) -> jax.Array:
    """The way () to the first root of the parabola with these derivatives, or to its vertex if it has no root."""
    discriminant = df**2 - 2.0 * f * ddf
    to_root = -2.0 * f / away_from_zero(df - jnp.sqrt(jnp.maximum(discriminant, 0.0)), 1e-6)
    to_vertex = -df / away_from_zero(ddf, 1e-6)
    reach = 4.0 * jnp.abs(f) + 0.1
    return jnp.clip(jnp.where(discriminant >= 0, to_root, to_vertex), -reach, reach)


def _step_length(config: TraceConfig, f: jax.Array, last: Hit) -> jax.Array:
    """How far to go from a point of value f, (): to where a sphere is expected that touches this one.

    Between two points, f apart from the surface and f + s h, no surface can hide while 2 f + s h >= h, so h may be
    2 f / (1 - s), where s is the slope that the last step has seen [Bán and Valasek 2023]. The next point tells.
    """
    seen = jnp.isfinite(last.field) & (last.step > 0)
    slope = (f - jnp.where(seen, last.field, 0.0)) / jnp.where(seen, last.step, 1.0)
    expected = 2.0 * config.relaxation / (1.0 - jnp.clip(slope, -1.0, 0.75))
    return f * jnp.where(seen, jnp.clip(expected, 1.0, _LONGEST), 1.0)


def _arrived(config: TraceConfig, ray: Ray, t: jax.Array, f: jax.Array, last: Hit) -> jax.Array:
    """Whether a march ends here: below the surface, or close to it and falling steeply enough to reach it.

    A ray that comes within the tolerance at a flat angle may yet pass the surface; taking it for a hit would grow the
    object by the tolerance. It marches on, and `refine` has the last word.
    """
    tolerance = surface_tolerance(config, ray, t)
    fall = (last.field - f) / jnp.where(jnp.isfinite(last.field), jnp.maximum(jnp.abs(last.step), 1e-9), 1.0)
    steep = fall > _FLAT * jnp.sqrt(tolerance)
    return (f <= 0) | ((f < tolerance) & steep)


def surface_tolerance(config: TraceConfig, ray: Ray, t: jax.Array) -> jax.Array:
    """|f| () below which a point at distance t () counts as on the surface, scene units."""
    return config.tolerance * ray.footprint * t
