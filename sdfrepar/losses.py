"""Named, unweighted terms of the objective; the weights are the experiment's."""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import triangulation
from sdfrepar.fields import Distance, gradient
from sdfrepar.imaging import srgb_from_linear
from sdfrepar.numerics import safe_norm
from sdfrepar.records import Camera, Tracks

# The slope of sRGB is taken over this much linear radiance; at black alone it would be six times as steep.
_BESIDE = 0.1

# Pixels off its place that a point is seen, if it is no false one.
_NEAR = 0.3


def photometric(rendered: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted mean absolute difference () of pixels, on a scale near sRGB, on which [B22 §3.5] compares pictures.

    The scale is linear in what is rendered, with the slope that sRGB has beside the target. sRGB itself is concave: of
    an estimate with noise, which pixels at silhouettes are, it sees less than the mean, and a dark object before a
    bright background shrinks until that is made up for, by a tenth of a pixel.

    Args:
        rendered: (P, 3) linear.
        target: (P, 3) linear.
        weight: (P,) 1 on average.
    """
    slope = (srgb_from_linear(target + _BESIDE) - srgb_from_linear(target)) / _BESIDE
    return jnp.mean(weight[:, None] * slope * jnp.abs(rendered - target))


def eikonal(distance: Distance, params: Any, points: jax.Array) -> jax.Array:
    """Mean of (|∂f/∂x| - 1)² over points (N, 3): zero for a true distance [I20 eq. 8]."""
    lengths = jax.vmap(lambda x: safe_norm(gradient(distance, params, x)))(points)
    return jnp.mean((lengths - 1.0) ** 2)


def clamped(found: jax.Array, true: jax.Array, clamp: float) -> jax.Array:
    """Mean absolute difference of distances (...), scene units, all of them cut off at ±clamp [P19 eq. 4]."""
    return jnp.mean(jnp.abs(jnp.clip(found, -clamp, clamp) - jnp.clip(true, -clamp, clamp)))


def mask(least: jax.Array, covered: jax.Array, sharpness: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted mean cross entropy () between masks and the logistic silhouettes σ(-α min f) [I20 eq. 7].

    Args:
        least: (P,) the least value of the field along each pixel's ray, scene units.
        covered: (P,) bool, whether the mask has the object there.
        sharpness: () α, per scene unit.
        weight: (P,) of each pixel.
    """
    logits = -sharpness * least
    return jnp.mean(weight * jax.nn.softplus(jnp.where(covered, -logits, logits)))


def depth(found: jax.Array, true: jax.Array, both: jax.Array, *, near: float | None = None) -> jax.Array:
    """Mean absolute difference of depths (...), scene units, where both have a surface; 0 if nowhere [D20].

    With `near`, s, a difference d counts s log(1 + d / s): beyond s, where it is another surface's, ever less.
    """
    off = jnp.abs(found - true)
    return _mean_where(both, off if near is None else near * jnp.log1p(off / near))


def normals(found: jax.Array, true: jax.Array, both: jax.Array) -> jax.Array:
    """Mean of 1 - cos of the angle between unit normals (..., 3) where both have a surface; 0 if nowhere [D20]."""
    return _mean_where(both, 1.0 - jnp.sum(found * true, axis=-1))


def silhouette(least: jax.Array, covered: jax.Array) -> jax.Array:
    """How far from the surface rays pass that should meet it, and how deep those go in that should not [D20].

    Args:
        least: (...) least value of the field along each pixel's ray, less the threshold of a hit: negative on the
            shape; scene units.
        covered: (...) bool, whether the true silhouette has the shape there.

    Returns:
        () the sum of two means, each over the pixels that are wrong its way; 0 where none is.
    """
    missed, spilt = covered & (least > 0), ~covered & (least < 0)
    return _mean_where(missed, least) + _mean_where(spilt, -least)


def _mean_where(chosen: jax.Array, values: jax.Array) -> jax.Array:
    """The mean of some of the values (...); 0 without any."""
    return jnp.sum(jnp.where(chosen, values, 0.0)) / jnp.maximum(jnp.sum(chosen), 1)


def smoothness(distance: Distance, params: Any, points: jax.Array, way: jax.Array) -> jax.Array:
    """Mean squared change of ∂f/∂x from points (N, 3) to others a short way (N, 3) off, scene units: of curvature."""

    def change(x: jax.Array, way: jax.Array) -> jax.Array:
        difference = gradient(distance, params, x + way) - gradient(distance, params, x)
        return jnp.sum(difference**2)

    return jnp.mean(jax.vmap(change)(points, way))


def reprojection(rig: Camera, tracks: Tracks, near: jax.Array | float = _NEAR) -> jax.Array:
    """How far points are seen from where other pictures put them: the mean () of Σ s log(1 + (d / s)²).

    The sum is over the pictures that show a point, which lies where that sum is least; the mean is over points. Unlike
    colours, points that are found again do not mind shadows that move with the camera, and those that three pictures
    and more show tell turning about the object from its depth. Some are false: beyond s a distance counts ever less
    (Cauchy's estimator).

    Args:
        rig: (T, K) cameras.
        tracks: T points that K cameras see at most.
        near: () s, pixels.

    Gradient: in the cameras. The points are held: the sum does not change with them, to first order.
    """

    def of_point(rig: Camera, track: Tracks) -> jax.Array:
        x = triangulation.point_of(rig, track.film, track.seen, near)
        square = jnp.sum(triangulation.offsets(rig, track.film, x) ** 2, axis=1)
        return jnp.sum(jnp.where(track.seen, near * jnp.log1p(square / near**2), 0.0))

    return jnp.mean(jax.vmap(of_point)(rig, tracks))


def squared_error(rendered: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared difference of pixels (P, 3), linear, compared in sRGB, whose range is 1."""
    error = jnp.clip(srgb_from_linear(rendered), 0.0, 1.0) - srgb_from_linear(target)
    return jnp.mean(error**2)


def psnr_of(squared_error: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio () in dB of a `squared_error` (): a running estimate, not a score."""
    return -10.0 * jnp.log10(squared_error + 1e-12)
