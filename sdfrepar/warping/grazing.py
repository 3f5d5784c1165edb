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

# How deep below a hit, along the ray, the minimum is looked for; scene units.
_DEPTH = 1.0

# The longest step of the search where Newton's method points out of the bracket, scene units.
_STRIDE = 0.05

# A measure that no band reaches, for candidates that are none, and the least curvature f_tt of a candidate.
_FAR, _FLATTEST = 1e6, 1e-3


@dataclass(frozen=True)
class GrazingConfig:
    """The constants of the grazing warp."""

    minima: int = 2
    """Closest approaches of a ray that are told apart."""
    iterations: int = 5
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
        # One Newton step on n·d = 0 with a detached curvature gives t* its derivative in u, and the field its minimum.
        f, slope, curvature = along_ray(distance, params, ray, t)
        flat, steepness = jax.lax.stop_gradient((curvature < _FLATTEST, jnp.abs(slope)))
        curvature = jnp.maximum(curvature, _FLATTEST)
        step = jnp.where(flat, 0.0, slope / jax.lax.stop_gradient(curvature))
        t, f = t - step, f - 0.5 * slope * step
        # In widths of the band; below the surface as `grazing_measure` reckons, from the hit's slope s² = 2 |f| f_tt.
        in_bands = (1.0 + jnp.where(f < 0, BAND_RADIUS * curvature, 0.0)) * bands_per_length / jnp.maximum(t, 1e-3)
        fold = jnp.sqrt((jnp.abs(f) + 1e-9) / config.length**3) / curvature
        found = ~flat & (steepness < 0.1) & (t > 0)
        measure = jnp.abs(f) * (in_bands + curvature) + fold
        return Approaches(t=t, f=f, curvature=curvature, measure=jnp.where(found, measure, _FAR))

    return jax.vmap(measured)(closest_approaches(distance, params, ray, path, config.minima, config.iterations))


def grazing_points(
    distance: Distance, config: GrazingConfig, params: Any, ray: Ray, path: Path, bands_per_length: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The closest approaches of a ray, t*_j (J,), and their coefficients a_j (J, 2), the limiter φ_j in them.

    Arguments as for `approaches`.
    """
    found = approaches(distance, config, params, ray, path, bands_per_length)
    phi = fade(found)
    # Relative to the nearest that is followed, as the fourth power of a small distance is no float32.
    distances = jnp.where(phi > 0, jnp.abs(found.f) + 1e-9, _FAR)
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
    distance: Distance, params: Any, ray: Ray, path: Path, minima: int, iterations: int
) -> jax.Array:
    """The local minima of the field along a ray that came nearest to the surface, (minima,), detached.

    They start from the points of the march that lie lower than both neighbours, and from its last one, beyond which a
    ray that hit has its minimum below the surface. Newton's method on n·d = 0, held in the bracket by bisection.
    """
    ray, path = jax.lax.stop_gradient((ray, path))
    index = jnp.arange(path.t.shape[0])
    last = index == path.count - 1
    before = jnp.roll(path.f, 1).at[0].set(-jnp.inf)
    after = jnp.where(last, jnp.inf, jnp.roll(path.f, -1))
    low = path.visited & (path.f <= before) & (path.f < after)
    lowness = jnp.where(low, -path.f / jnp.maximum(path.t, 1e-3), -jnp.inf)
    chosen = jax.lax.top_k(lowness, minima)[1]
    start = _vertex(path)[chosen]
    nearer = path.t[jnp.maximum(chosen - 1, 0)]
    farther = jnp.where(last[chosen], path.t[chosen] + _DEPTH, path.t[jnp.minimum(chosen + 1, path.t.shape[0] - 1)])

    def search(t: jax.Array, nearer: jax.Array, farther: jax.Array) -> jax.Array:
        def step(state: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], None]:
            t, nearer, farther = state
            slope, curvature = along_ray(distance, params, ray, t)[1:]
            nearer, farther = jnp.where(slope < 0, t, nearer), jnp.where(slope < 0, farther, t)
            newton = t - slope / away_from_zero(curvature, 1e-6)
            stride = nearer + jnp.minimum(0.5 * (farther - nearer), _STRIDE)
            return (jnp.where((newton > nearer) & (newton < farther), newton, stride), nearer, farther), None

        state, _ = jax.lax.scan(step, (t, nearer, farther), None, length=iterations)
        return state[0]

    return jax.lax.stop_gradient(jax.vmap(search)(start, nearer, farther))


def _vertex(path: Path) -> jax.Array:
    """Where the parabola through each point of a path and its neighbours, or those before it, is lowest: (N,)."""
    last = jnp.arange(path.t.shape[0]) == path.count - 1

    def neighbour(x: jax.Array, offset: int) -> jax.Array:
        return jnp.where(last, jnp.roll(x, 1 - offset), jnp.roll(x, -offset))

    t, f = ([neighbour(x, offset) for offset in (-1, 0, 1)] for x in (path.t, path.f))
    before = (f[1] - f[0]) / away_from_zero(t[1] - t[0], 1e-9)
    after = (f[2] - f[1]) / away_from_zero(t[2] - t[1], 1e-9)
    bend = (after - before) / away_from_zero(t[2] - t[0], 1e-9)
    vertex = 0.5 * (t[0] + t[1]) - before / jnp.maximum(2.0 * bend, 1e-6)
    return jnp.clip(vertex, path.t - 0.2, path.t + 0.2)
