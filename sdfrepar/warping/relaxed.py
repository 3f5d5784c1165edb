"""The relaxed boundary of [W24]: the integral along silhouettes, widened to a thin band beside them. Biased, low noise.

A silhouette that moves with normal speed v over the film changes a pixel by ∮ k ΔL v ds, ΔL the jump of radiance. Where
f* = min_t f, the closest approach of a ray that misses, is between 0 and ε, the ray is beside a silhouette; |∇_u f*|
turns lengths across it into film, and v = -h / |∇_u f*|. So

    ∮ k ΔL v ds ≈ 1/ε ∫_{0 < f* < ε} k ΔL (-h(x*)) du                                              [W24]

The band lies on the outer side alone, so gradients are those of a shape grown by half its width.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance, gradient
from sdfrepar.records import Ray
from sdfrepar.warping.grazing import GrazingConfig, along_ray, search
from sdfrepar.warping.trail import Lows


@dataclass(frozen=True)
class RelaxedConfig:
    """The constants of [W24]."""

    thickness: float = 0.5
    """Width ε of the band, pixels; bias and noise trade places with it."""
    slope: float = 0.1
    """Closest approaches whose |n·d| is larger, because the search has not arrived, are left out."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.thickness <= 0 or self.slope <= 0:
            raise ValueError(
                f"relaxed.thickness and slope are {self.thickness} and {self.slope}; both must be positive."
            )


def beside_silhouette(
    distance: Distance,
    config: RelaxedConfig,
    iterations: GrazingConfig,
    params: Any,
    ray: Ray,
    lows: Lows,
    width: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where a ray passes close beside the surface, if it does.

    Args:
        distance: the field.
        config: the constants.
        iterations: those of the search for closest approaches.
        params: parameters of the field, detached.
        ray: one ray.
        lows: of its march, which ends at the surface: nothing solid stands before them.
        width: () of the sampled pixel, in pixels of the full-resolution image.

    Returns:
        t* () of the closest approach; the surface point (3,) below it; and 1/ε () within the band, 0 outside of it.
    """
    candidates = jax.vmap(partial(search, distance, iterations, params, ray))(lows)
    f, slope, _ = jax.vmap(along_ray, in_axes=(None, None, None, 0))(distance, params, ray, candidates)
    thickness = config.thickness * width * ray.footprint * candidates
    beside = jnp.isfinite(lows.f[:, 1]) & (f > 0) & (f < thickness) & (jnp.abs(slope) < config.slope)
    beside &= candidates < ray.far
    nearest = jnp.argmin(jnp.where(beside, f, jnp.inf))
    t, f = candidates[nearest], f[nearest]
    x = ray.origin + t * ray.direction
    n = gradient(distance, params, x)
    surface = x - f * n / jnp.maximum(n @ n, 1e-6)
    return t, surface, jnp.where(beside[nearest], 1.0 / jnp.maximum(thickness[nearest], 1e-9), 0.0)
