"""Silhouettes from masks, as [I20] takes them: the baseline that this toolkit makes unnecessary."""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import raygen
from sdfrepar.fields import Distance
from sdfrepar.fitting.config import FitConfig
from sdfrepar.records import Camera

# Points along a ray among which the least value of the field is looked for [I20].
_POINTS = 100

# The sharpness is doubled this many times, at even intervals over the first 5/8 of the steps [I20].
_DOUBLINGS, _INTERVAL = 5, 0.125


def sharpness(config: FitConfig, progress: jax.Array) -> jax.Array:
    """α () of [I20 eq. 7] when `progress` () of all steps are done."""
    return config.mask_sharpness * 2.0 ** jnp.clip(jnp.floor(progress / _INTERVAL), 0, _DOUBLINGS)


def least_value(distance: Distance, params: Any, camera: Camera, u: jax.Array, *, key: jax.Array) -> jax.Array:
    """The least value () of the field along the ray through u (2,), within the unit sphere: that of jittered points.

    Gradient: in params and camera, at the point found, which is held fixed along the ray.
    """
    ray = raygen.ray_through(camera, u)
    place = (jnp.arange(_POINTS) + jax.random.uniform(key, (_POINTS,))) / _POINTS
    t = jax.lax.stop_gradient(ray.near + place * jnp.maximum(ray.far - ray.near, 0.0))
    still, origin, direction = jax.lax.stop_gradient((params, ray.origin, ray.direction))
    values = jax.vmap(lambda t: distance(still, origin + t * direction))(t)
    return distance(params, ray.origin + t[jnp.argmin(values)] * ray.direction)
