"""The warp of the film that moves with every silhouette: [B22]'s velocity warp in its linear form.

The silhouette's motion under θ is spread over the film around it by a weighted mean of the motions of the points that
the march visited,

    V(u; θ) = Σ_i a_i(u) h_i,   h_i = f(x_i; θ) - f(x_i; θ₀),   a_i = -φ ŵ_i P_i n_i / |n_i|²    [B22 eq. 5, 11-13]

whose coefficients a_i are free of θ. So div V = Σ (∇_u·a_i) h_i + D_{e_i} h_i with e_i = Σ_c a_ic ∂x_i/∂u_c: all that
knows θ is the field and one directional derivative of it at each kept point; the rest is computed forward, without a
tape.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance, gradient
from sdfrepar.numerics import away_from_zero, bump, safe_divide, tangent_of
from sdfrepar.records import Camera, Ray, Warp

# The closest approach that a point of slope s = n·d foretells differs from its |f| by s²/2 over the curvature along
# the ray. This is the radius of curvature taken for it, scene units; it only sets how wide the band is on the inside.
_BAND_RADIUS = 0.5

# The logarithm of no weight at all: finite, so that a ray without any point has a difference of logarithms.
_NO_WEIGHT = -1e30


@dataclass(frozen=True)
class WarpConfig:
    """The constants of [B22]."""

    gamma: float = 4.0
    """Exponent γ of the harmonic weights; above 2."""
    angle_weight: float = 0.1
    """λ_d, what the angle counts beside the distance in the silhouette measure S, scene units."""
    epsilon: float = 1e-6
    """Added to S, scene units."""
    top_k: int = 8
    """Points kept a ray."""
    band: float = 2.0
    """Samples further from every silhouette than this are not warped, pixels; `inf` warps every sample."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.gamma <= 2:
            raise ValueError(
                f"warp.gamma is {self.gamma}; it must exceed 2 for the warp to follow the silhouette [B22]; try 4."
            )
        if self.top_k < 2:
            raise ValueError(
                f"warp.top_k is {self.top_k}; the lightest kept point gets weight zero, so keep at least 2."
            )
        if self.band <= 0:
            raise ValueError(f"warp.band is {self.band} pixels; it must be positive (inf warps every sample).")


class Path(NamedTuple):
    """The points that a march visited, in order; beyond `count` the last one is repeated."""

    t: jax.Array  # (N,) distance along the ray, scene units
    f: jax.Array  # (N,) value of the field
    count: jax.Array  # () int32


class Coefficients(NamedTuple):
    """What the warp of one film position needs of the march, free of θ. K kept points."""

    x: jax.Array  # (K, 3) x_i, scene units
    a: jax.Array  # (K, 2) a_i, pixels per scene unit
    divergence: jax.Array  # (K,) ∇_u·a_i, per scene unit
    e: jax.Array  # (K, 3) e_i, dimensionless


def closest_init(ray: Ray) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Observer of the grazing measure: (smallest measure so far, last t, last f)."""
    return jnp.full_like(ray.near, jnp.inf), ray.near, jnp.full_like(ray.near, jnp.inf)


def closest_step(
    state: tuple[jax.Array, jax.Array, jax.Array], ray: Ray, index: jax.Array, t: jax.Array, f: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Fold one visited point into the grazing measure; see `closest_init`."""
    smallest, last_t, last_f = state
    here = grazing(ray, t, f, _slope(t, f, last_t, last_f))
    return jnp.where(index > 0, jnp.minimum(smallest, here), smallest), t, f


def path_init(points: int) -> Callable[[Ray], Path]:
    """Observer of the visited points themselves, at most `points` of them."""

    def init(ray: Ray) -> Path:
        blank = jnp.broadcast_to(ray.near, (points,))
        return Path(t=blank, f=jnp.ones_like(blank), count=jnp.zeros((), jnp.int32))

    return init


def path_step(path: Path, ray: Ray, index: jax.Array, t: jax.Array, f: jax.Array) -> Path:
    """Note one visited point, and repeat it to the end of the record."""
    del ray
    later = jnp.arange(path.t.shape[0]) >= index
    return Path(t=jnp.where(later, t, path.t), f=jnp.where(later, f, path.f), count=index + 1)


def grazing(ray: Ray, t: jax.Array, f: jax.Array, slope: jax.Array) -> jax.Array:
    """How far a point is from being a silhouette point, () in pixels: 0 on the silhouette, on either side of it."""
    return (jnp.abs(f) + 0.5 * _BAND_RADIUS * slope**2) / (jnp.maximum(t, 1e-6) * ray.footprint)


def velocity(
    distance: Distance,
    config: WarpConfig,
    march: Callable[[Any, Camera, jax.Array], tuple[Ray, Path]],
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
) -> Warp:
    """The velocity warp at one film position, [B22 eq. 11-14].

    Args:
        distance: the field.
        config: the constants.
        march: (params, camera, u) -> ray and visited points, differentiable in u by forward mode.
        params: parameters of the field.
        camera: one camera.
        u: (2,) pixels.
        width: () width of the sampled pixel, in pixels of the full-resolution image; the unit of `config.band`.

    Returns:
        V and div V, both zero in value.

    Gradient: that of V in `params`, first order. None in the camera.
    """
    c = coefficients(distance, config, march, jax.lax.stop_gradient(params), camera, u, width)
    return attach(distance, params, c)


def coefficients(
    distance: Distance,
    config: WarpConfig,
    march: Callable[[Any, Camera, jax.Array], tuple[Ray, Path]],
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
) -> Coefficients:
    """Everything of the warp that is free of θ; arguments as for `velocity`."""

    def points_and_a(u: jax.Array) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        ray, path = march(params, camera, u)
        result = _kept_points(distance, config, params, ray, path, width)
        return result, result

    (dx, da), (x, a) = jax.jacfwd(points_and_a, has_aux=True)(u)
    return Coefficients(
        x=x,
        a=a,
        divergence=da[:, 0, 0] + da[:, 1, 1],
        e=dx[:, :, 0] * a[:, :1] + dx[:, :, 1] * a[:, 1:],
    )


def attach(distance: Distance, params: Any, c: Coefficients) -> Warp:
    """V = Σ a_i h_i and div V = Σ (∇·a_i) h_i + D_{e_i} h_i: the part that knows θ.

    Gradient: one value and one directional derivative of the field at each kept point.
    """

    def value_and_slope(x: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda x: distance(params, x), (x,), (e,))

    h, slope = jax.vmap(value_and_slope)(c.x, c.e)
    h = tangent_of(h)
    return Warp(displacement=h @ c.a, divergence=h @ c.divergence + jnp.sum(tangent_of(slope)))


def _kept_points(
    distance: Distance, config: WarpConfig, params: Any, ray: Ray, path: Path, width: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The heaviest points of a path, x_i (K, 3), and their coefficients a_i (K, 2)."""
    slope = _path_slopes(path)
    weight, kept = _top_weights(config, path, slope)
    t = path.t[kept]
    x = ray.origin[None] + t[:, None] * ray.direction[None]
    n = jax.vmap(gradient, in_axes=(None, None, 0))(distance, params, x)

    # Of δ_i = -h_i n_i / |n_i|² the film sees P_i δ_i: the pseudo-inverse of ∂x/∂u at fixed t, t ∂d/∂u.   [B22 eq. 5]
    differential = ray.differential
    pseudo_inverse = jnp.linalg.inv(differential.T @ differential) @ differential.T
    on_film = (n / jnp.maximum(jnp.sum(n**2, axis=1), 1e-6)[:, None]) @ pseudo_inverse.T / t[:, None]
    a = -weight[:, None] * on_film

    if config.band == float("inf"):
        return x, a
    measure = jnp.where(_visited(path), grazing(ray, path.t, path.f, slope), jnp.inf)
    return x, bump(jnp.min(measure) / width, 0.5 * config.band, config.band) * a


def _top_weights(config: WarpConfig, path: Path, slope: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Normalised weights ŵ (K,) of the K heaviest points and their indices (K,).

    Weights are taken relative to the heaviest, in logarithms: S^-γ overflows float32 [B22 eq. 12-14].
    """
    measure = jnp.abs(path.f) + config.angle_weight * jnp.abs(slope) + config.epsilon
    log_weight = jnp.log(_trapezoid(path.t)) - config.gamma * jnp.log(measure)
    log_weight = jnp.where(_visited(path), log_weight, _NO_WEIGHT)
    k = min(config.top_k, path.t.shape[0])
    heaviest, kept = jax.lax.top_k(jax.lax.stop_gradient(log_weight), k)
    weight = jnp.exp(log_weight[kept] - heaviest[0])
    weight = weight - weight[-1]
    return safe_divide(weight, jnp.sum(weight)), kept


def _trapezoid(t: jax.Array) -> jax.Array:
    """Quadrature weights (t_{i+1} - t_{i-1}) / 2 of a path, halved at its ends; positive."""
    padded = jnp.concatenate([t[:1], t, t[-1:]])
    return jnp.maximum(0.5 * jnp.abs(padded[2:] - padded[:-2]), 1e-12)


def _path_slopes(path: Path) -> jax.Array:
    """n·d at every point of a path (N,), by differences; 1, far from grazing, at the first."""
    slope = _slope(path.t, path.f, jnp.roll(path.t, 1), jnp.roll(path.f, 1))
    return slope.at[0].set(1.0)


def _visited(path: Path) -> jax.Array:
    """Which entries (N,) of a path are points of the march, not repetitions of the last."""
    return jnp.arange(path.t.shape[0]) < path.count


def _slope(t: jax.Array, f: jax.Array, last_t: jax.Array, last_f: jax.Array) -> jax.Array:
    """n·d between two neighbouring points of a march: a difference along the ray, where a normal would cost a gradient.

    It vanishes at a grazing point as n·d does, which is all that weights and band ask of it.
    """
    return (f - last_f) / away_from_zero(t - last_t, 1e-9)
