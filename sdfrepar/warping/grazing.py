"""The grazing warp: the motion of the points where the ray comes closest to the surface. Ours.

Along a ray the field has local minima t*, where n·d = 0. One exists on either side of a silhouette: in front of the
surface where the ray misses, below it where the ray hits; on the silhouette it is the silhouette's own point. So

    V(u; θ) = -φ Σ_j ŵ_j h(t*_j) P n / |n|²,   ŵ_j ∝ φ_j |f_j|^-4,   φ_j = bump(m_j),   φ = max φ_j

agrees with the silhouette's motion by construction, without quadrature, and one attached query a minimum suffices. The
measure m_j, 0 on a silhouette, grows without bound where a minimum appears or vanishes (f_tt -> 0) and where the field
has a kink below the surface (f_tt -> ∞), so that V stays continuous there.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance, gradient
from sdfrepar.numerics import away_from_zero, bump, safe_divide, with_tangent_of
from sdfrepar.records import Ray
from sdfrepar.warping.path import NO_WEIGHT, Path, log_presence, on_film
from sdfrepar.warping.trail import BAND_RADIUS, Lows

# A measure that no band reaches, for candidates that are none, and the least curvature f_tt of a candidate.
_FAR, _FLATTEST = 1e6, 1e-3

# A ray comes no nearer to the surface, beside a low of value f, than half of f where the field is a distance; this
# share of f leaves room for fields twice as steep.
_NEARER = 0.25

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
    normal: jax.Array  # (J, 3) gradient n of the field there
    curvature: jax.Array  # (J,) f_tt > 0, per scene unit
    measure: jax.Array  # (J,) m: 0 on a silhouette, above 1 where the approach is not to be followed

    @staticmethod
    def none() -> "Approaches":
        """One that is not to be followed; fields without the axis J."""
        return Approaches(jnp.ones(()), jnp.ones(()), jnp.zeros(3), jnp.ones(()), jnp.asarray(_FAR))


def may_be_followed(lows: Lows, bands_per_length: jax.Array) -> jax.Array:
    """Whether the closest approach beside each low (J,) can come within the band, (J,) bool."""
    return _NEARER * jnp.abs(lows.f[:, 1]) * bands_per_length < lows.t[:, 1]


def search(distance: Distance, config: GrazingConfig, params: Any, ray: Ray, low: Lows) -> jax.Array:
    """The t* () of a minimum of the field along a ray, between the neighbours of a low (3,). Detached.

    False position on n·d = 0 keeps the bracket; a Newton step at the end takes what is left of the error.
    """
    params, ray, low = jax.lax.stop_gradient((params, ray, low))
    # What is no low leads nowhere, at a finite distance: even a result that nobody follows must not be NaN.
    low = low._replace(f=jnp.where(jnp.isfinite(low.f), low.f, jnp.array([1.0, 0.0, 1.0], low.f.dtype)))
    rise = jnp.diff(low.f) / jnp.maximum(jnp.diff(low.t), 1e-9)
    middle = 0.5 * (low.t[1:] + low.t[:-1])

    def crossing(nearer: jax.Array, farther: jax.Array, down: jax.Array, up: jax.Array) -> jax.Array:
        return nearer - down * (farther - nearer) / away_from_zero(up - down, 1e-9)

    def step(state: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], None]:
        t, nearer, farther, down, up = state
        here = jax.jvp(partial(_along, distance, params, ray), (t,), (jnp.ones_like(t),))[1]
        ahead = here < 0
        # An end that stays counts half, so that both of them close in (Illinois).
        down, up = jnp.where(ahead, here, 0.5 * down), jnp.where(ahead, 0.5 * up, here)
        nearer, farther = jnp.where(ahead, t, nearer), jnp.where(ahead, farther, t)
        return (crossing(nearer, farther, down, up), nearer, farther, down, up), None

    # The slopes between the three points are those half way between them: a parabola's vertex is the first guess.
    start = (crossing(*middle, *rise), low.t[0], low.t[2], jnp.minimum(rise[0], -1e-9), jnp.maximum(rise[1], 1e-9))
    t, nearer, farther, _, _ = jax.lax.scan(step, start, None, length=config.iterations)[0]
    _, slope, curvature = along_ray(distance, params, ray, t)
    return jnp.clip(jnp.where(curvature < _FLATTEST, t, t - slope / jnp.maximum(curvature, _FLATTEST)), nearer, farther)


def approach(
    distance: Distance, config: GrazingConfig, params: Any, ray: Ray, t: jax.Array, bands_per_length: jax.Array
) -> Approaches:
    """The closest approach of a ray at t* (), as `search` finds it, and how much it matters: one of `Approaches`.

    Args:
        distance: the field.
        config: the constants.
        params: parameters of the field, detached.
        ray: one ray.
        t: () of `search`, scene units.
        bands_per_length: () bands in a unit of length at unit distance; approaches further from the surface than a band
            are not followed.

    Gradient: in the ray, by forward mode; that of the minimum, whose t* moves with the ray. None in `params`.
    """
    still = jax.lax.stop_gradient(ray)
    n, dn = jax.jvp(partial(gradient, distance, params), (still.origin + t * still.direction,), (still.direction,))
    bend, steepness = dn @ still.direction, jnp.abs(n @ still.direction)
    # n·d = 0 along with the ray: n moves by H dx, and H is symmetric.
    slope = n @ ray.direction + dn @ (ray.origin + t * ray.direction)
    t = with_tangent_of(t, -slope / jnp.maximum(bend, _FLATTEST))
    x = ray.origin + t * ray.direction
    f, _, curvature = along_ray(distance, params, ray, t)
    curvature = jnp.maximum(curvature, _FLATTEST)
    # In widths of the band; below the surface as `grazing_measure` reckons, from the hit's slope s² = 2 |f| f_tt.
    in_bands = (1.0 + jnp.where(f < 0, BAND_RADIUS * curvature, 0.0)) * bands_per_length / jnp.maximum(t, 1e-3)
    fold = jnp.sqrt((jnp.abs(f) + 1e-9) / config.length**3) / curvature
    found = (bend > _FLATTEST) & (steepness < 0.1) & (t > 0)
    measure = jnp.where(found, jnp.abs(f) * (in_bands + curvature) + fold, _FAR)
    return Approaches(t=t, f=f, normal=gradient(distance, params, x), curvature=curvature, measure=measure)


def grazing_points(ray: Ray, found: Approaches) -> tuple[jax.Array, jax.Array]:
    """The closest approaches of a ray, t*_j (J,), and their coefficients a_j (J, 2), the limiter φ_j in them.

    Gradient: in the ray and the approaches, by forward mode; the nearest of them, to which all distances are taken
        relative, cancels and is detached.
    """
    phi = fade(found)
    # Relative to the nearest that is followed, as the fourth power of a small distance is no float32.
    distances = jnp.where(phi > 0, jnp.abs(found.f) + _NEAREST, _FAR)
    nearest = jax.lax.stop_gradient(jnp.min(distances))
    share = phi * (nearest / distances) ** 4
    weight = jnp.max(phi) * safe_divide(share, jnp.sum(share))
    return found.t, -weight[:, None] * jax.vmap(on_film, in_axes=(None, 0, 0, 0))(ray, found.t, found.f, found.normal)


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
    phi = fade(found)
    # Where an approach is followed the march's points give way to it. They tell nothing that it does not, and their
    # places change with every step of the march: where two silhouettes cross, V would turn with each of them.
    alone = jnp.prod(1.0 - phi)
    present = (presence > NO_WEIGHT) & (alone > 1e-12)
    of_path = jnp.where(present, of_path + presence + jnp.log(jnp.where(present, alone, 1.0)), NO_WEIGHT)
    followed = phi > 1e-12
    of_approaches = jnp.log(jnp.where(followed, phi * peak, 1.0)) - gamma * jnp.log(jnp.maximum(at_approach, 1e-7))
    return jnp.concatenate([of_path, jnp.where(followed, of_approaches, NO_WEIGHT)])


def along_ray(distance: Distance, params: Any, ray: Ray, t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The field at distance t along a ray, and its first two derivatives in t: three () arrays."""

    def slope(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(partial(_along, distance, params, ray), (t,), (jnp.ones_like(t),))

    (f, df), (_, ddf) = jax.jvp(slope, (t,), (jnp.ones_like(t),))
    return f, df, ddf


def _along(distance: Distance, params: Any, ray: Ray, t: jax.Array) -> jax.Array:
    return distance(params, ray.origin + t * ray.direction)
