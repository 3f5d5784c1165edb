"""The grazing warp: the motion of the points where the ray comes closest to the surface. Ours.

Along a ray the field has local minima t*, where n·d = 0. One exists on either side of a silhouette: in front of the
surface where the ray misses, below it where the ray hits; on the silhouette it is the silhouette's own point. So

    V(u; θ) = -φ Σ_j ŵ_j h(t*_j) P n / |n|²,   ŵ_j ∝ φ_j |f_j|^-4,   φ_j = bump(m_j),   φ = max φ_j

agrees with the silhouette's motion by construction, without quadrature, and one attached query a minimum suffices. The
measure m_j, 0 on a silhouette, grows without bound where a minimum appears or vanishes (f_tt -> 0) and where the field
has a kink below the surface (f_tt -> ∞), so that V stays continuous there.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance, gradient
from sdfrepar.numerics import away_from_zero, bump, safe_divide
from sdfrepar.records import Ray
from sdfrepar.warping.path import BAND_RADIUS, NO_WEIGHT, Path, log_presence, on_film

# How deep below a hit, along the ray, the minimum is looked for, in lengths of fading, and at how many points. Any that
# is deeper than 0.9 lengths has faded, whatever its curvature.
_DEPTH, _BEYOND = 1.25, 24

# A measure that no band reaches, for candidates that are none, and the least curvature f_tt of a candidate.
_FAR, _FLATTEST = 1e6, 1e-3

# Added to distances from the surface, scene units, whose reciprocal would make much of the last digit of float32.
_NEAREST = 1e-6


@dataclass(frozen=True)
class GrazingConfig:
    """The constants of the grazing warp."""

    minima: int = 2
    """Closest approaches of a ray that are told apart."""
    iterations: int = 6
    """Steps of the search for a closest approach."""
    length: float = 0.4
    """Minima whose curvature is below √(|f| / length³) fade out, scene units."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.minima < 1 or self.iterations < 1 or self.length <= 0:
            raise ValueError(
                f"grazing.minima, iterations and length are {self.minima}, {self.iterations} and {self.length}; "
                "the first two must be at least 1, the last positive."
            )


class Approaches(NamedTuple):
    """Closest approaches of a ray to the surface, differentiable in u by forward mode. J of them."""

    t: jax.Array  # (J,) t*, scene units along the ray
    f: jax.Array  # (J,) value of the field there, negative where the ray passes below the surface
    curvature: jax.Array  # (J,) f_tt > 0, per scene unit
    measure: jax.Array  # (J,) m: 0 on a silhouette, above 1 where the approach is not to be followed


def approaches(
    distance: Distance, config: GrazingConfig, params: Any, ray: Ray, path: Path, bands_per_length: jax.Array
) -> Approaches:
    """The closest approaches of a ray, and how much each matters.

    Args:
        distance: the field.
        config: the constants.
        params: parameters of the field, detached.
        ray: one ray.
        path: the points visited along it.
        bands_per_length: () bands in a unit of length at unit distance; approaches further from the surface than a band
            are not followed.
    """

    def measured(t: jax.Array) -> Approaches:
        # One Newton step on n·d = 0 with a detached curvature gives t* its derivative in u, and so all that it carries.
        slope, curvature = along_ray(distance, params, ray, t)[1:]
        flat, steepness, bend = jax.lax.stop_gradient((curvature < _FLATTEST, jnp.abs(slope), curvature))
        t = t - jnp.where(flat, 0.0, slope / jnp.maximum(bend, _FLATTEST))
        f, _, curvature = along_ray(distance, params, ray, t)
        curvature = jnp.maximum(curvature, _FLATTEST)
        # In widths of the band; below the surface as `grazing_measure` reckons, from the hit's slope s² = 2 |f| f_tt.
        in_bands = (1.0 + jnp.where(f < 0, BAND_RADIUS * curvature, 0.0)) * bands_per_length / jnp.maximum(t, 1e-3)
        fold = jnp.sqrt((jnp.abs(f) + 1e-9) / config.length**3) / curvature
        found = ~flat & (steepness < 0.1) & (t > 0)
        measure = jnp.abs(f) * (in_bands + curvature) + fold
        return Approaches(t=t, f=f, curvature=curvature, measure=jnp.where(found, measure, _FAR))

    return jax.vmap(measured)(closest_approaches(distance, config, params, ray, path)[0])


def grazing_points(
    distance: Distance, config: GrazingConfig, params: Any, ray: Ray, path: Path, bands_per_length: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The closest approaches of a ray, t*_j (J,), and their coefficients a_j (J, 2), the limiter φ_j in them.

    Arguments as for `approaches`.
    """
    found = approaches(distance, config, params, ray, path, bands_per_length)
    phi = fade(found)
    # Relative to the nearest that is followed, as the fourth power of a small distance is no float32.
    distances = jnp.where(phi > 0, jnp.abs(found.f) + _NEAREST, _FAR)
    nearest = jax.lax.stop_gradient(jnp.min(distances))
    share = phi * (nearest / distances) ** 4
    weight = jnp.max(phi) * safe_divide(share, jnp.sum(share))
    n = jax.vmap(lambda t: gradient(distance, params, ray.origin + t * ray.direction))(found.t)
    return found.t, -weight[:, None] * jax.vmap(on_film, in_axes=(None, 0, 0, 0))(ray, found.t, found.f, n)


def fade(found: Approaches) -> jax.Array:
    """φ_j (J,): 1 at a silhouette, 0 where an approach is not to be followed."""
    return jax.vmap(bump, in_axes=(0, None, None))(found.measure, 0.0, 1.0)


def limiter(found: Approaches, band: float) -> jax.Array:
    """φ (): 1 at a silhouette, 0 where a ray comes no closer to one than the band; 1 everywhere without one.

    Any warp times φ is as continuous as it was and keeps its value at silhouettes, so the mean gradient stays.
    """
    return jnp.ones(()) if band == float("inf") else jnp.max(fade(found))


def weigh_in_logarithms(
    ray: Ray,
    path: Path,
    found: Approaches,
    measure: jax.Array,
    at_approach: jax.Array,
    peak: jax.Array,
    gamma: float,
) -> jax.Array:
    """Logarithms (N + J,) of the harmonic weights S^-γ q of a path's points and of its closest approaches.

    Args:
        ray: one ray.
        path: N points.
        found: J closest approaches.
        measure: (N,) the silhouette measure S at the points.
        at_approach: (J,) S at the approaches.
        peak: (J,) their quadrature weights q, scene units.
        gamma: exponent.
    """
    # A measure of zero weighs no more than the smallest length that float32 tells apart at unit distance.
    of_path = jnp.log(path.spacing) - gamma * jnp.log(jnp.maximum(measure, 1e-7))
    presence = log_presence(ray, path)
    of_path = jnp.where(presence > NO_WEIGHT, of_path + presence, NO_WEIGHT)
    phi = fade(found)
    followed = phi > 1e-12
    of_approaches = jnp.log(jnp.where(followed, phi * peak, 1.0)) - gamma * jnp.log(jnp.maximum(at_approach, 1e-7))
    return jnp.concatenate([of_path, jnp.where(followed, of_approaches, NO_WEIGHT)])


def along_ray(distance: Distance, params: Any, ray: Ray, t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The field at distance t along a ray, and its first two derivatives in t: three () arrays."""

    def value(t: jax.Array) -> jax.Array:
        return distance(params, ray.origin + t * ray.direction)

    def slope(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(value, (t,), (jnp.ones_like(t),))

    (f, df), (_, ddf) = jax.jvp(slope, (t,), (jnp.ones_like(t),))
    return f, df, ddf


def closest_approaches(
    distance: Distance, config: GrazingConfig, params: Any, ray: Ray, path: Path
) -> tuple[jax.Array, jax.Array]:
    """The local minima of the field along a ray that come nearest to the surface, detached.

    They lie next to the points, of the march and of a look beyond its last one, that are lower than both neighbours:
    below a hit the field has its minimum inside the solid. False position finds the root of n·d between those two.

    Returns:
        Distances (config.minima,), and whether nothing solid stands before them, (config.minima,) bool.
    """
    ray, path = jax.lax.stop_gradient((ray, path))
    t, f = _continued(distance, params, ray, path, _DEPTH * config.length)
    before, after = jnp.roll(f, 1).at[0].set(-jnp.inf), jnp.roll(f, -1).at[-1].set(-jnp.inf)
    low = (f <= before) & (f < after)
    nearness = jnp.where(low, -jnp.abs(f) / jnp.maximum(t, 1e-3), -jnp.inf)
    chosen = jax.lax.top_k(nearness, config.minima)[1]
    start, nearer, farther = t[chosen], jnp.roll(t, 1)[chosen], jnp.roll(t, -1)[chosen]

    def slope(t: jax.Array) -> jax.Array:
        return jax.jvp(lambda t: distance(params, ray.origin + t * ray.direction), (t,), (jnp.ones_like(t),))[1]

    def search(t: jax.Array, nearer: jax.Array, farther: jax.Array) -> jax.Array:
        def step(state: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], None]:
            t, nearer, farther, down, up = state
            here = slope(t)
            ahead = here < 0
            # An end that stays counts half, so that both of them close in (Illinois).
            down, up = jnp.where(ahead, here, 0.5 * down), jnp.where(ahead, 0.5 * up, here)
            nearer, farther = jnp.where(ahead, t, nearer), jnp.where(ahead, farther, t)
            crossing = nearer - down * (farther - nearer) / away_from_zero(up - down, 1e-9)
            t = jnp.where((down < 0) & (up > 0), crossing, 0.5 * (nearer + farther))
            return (t, nearer, farther, down, up), None

        state = (t, nearer, farther, slope(nearer), slope(farther))
        return jax.lax.scan(step, state, None, length=config.iterations)[0][0]

    exposed = jax.lax.cummin(f)[chosen] > 0
    return jax.lax.stop_gradient((jax.vmap(search)(start, nearer, farther), exposed))


def _continued(distance: Distance, params: Any, ray: Ray, path: Path, depth: float) -> tuple[jax.Array, jax.Array]:
    """The points of a path, and behind them a few that look beyond its end: distances and values, (N + _BEYOND,).

    Their spacing grows from the surface on: next to a silhouette the minimum is just below it.
    """
    last = path.t[-1]
    beyond = last + depth * (jnp.arange(1, _BEYOND + 1) / _BEYOND) ** 2
    values = jax.vmap(lambda t: distance(params, ray.origin + t * ray.direction))(beyond)

    def joined(before: jax.Array, after: jax.Array) -> jax.Array:
        room = jnp.full(_BEYOND, after[-1])
        kept = jnp.where(path.visited, before, after[-1])
        return jax.lax.dynamic_update_slice(jnp.concatenate([kept, room]), after, (path.count,))

    return joined(path.t, beyond), joined(path.f, values)
