"""Silhouettes from masks, as [I20] takes them: the baseline that this toolkit makes unnecessary."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import raygen
from sdfrepar.fields import Distance
from sdfrepar.fitting.config import FitConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import buffers
from sdfrepar.rendering.rays import point_at

# Points along a ray among which the least value of the field is looked for [I20].
_POINTS = 100

# Of these, every so many are looked at first.
_STRIDE = 5

# Room for the rays that are looked along at a time, as a share of all.
_ROUND = 0.25

# The sharpness is doubled this many times, at even intervals over the first 5/8 of the steps [I20].
_DOUBLINGS, _INTERVAL = 5, 0.125


def sharpness(config: FitConfig, progress: jax.Array) -> jax.Array:
    """α () of [I20 eq. 7] when `progress` () of all steps are done."""
    return config.mask_sharpness * 2.0 ** jnp.clip(jnp.floor(progress / _INTERVAL), 0, _DOUBLINGS)


def least_values(
    distance: Distance, params: Any, camera: Camera, u: jax.Array, wanted: jax.Array, keys: jax.Array
) -> jax.Array:
    """The least value (P,) of the field along each ray through u (P, 2) of P cameras, within the unit sphere.

    Only the wanted ones (P,) cost work; the others' values need not be right.

    Gradient: in params and camera, at the point found, which is held fixed along the ray.
    """
    still_params, still_camera = jax.lax.stop_gradient((params, camera))
    search = partial(lowest_place, distance, still_params)
    t = buffers.for_the_wanted(search, wanted, _ROUND, (still_camera, u, keys))
    return jax.vmap(lambda camera, u, t: distance(params, point_at(camera, u, t)))(camera, u, t)


def lowest_place(distance: Distance, params: Any, camera: Camera, u: jax.Array, key: jax.Array) -> jax.Array:
    """Where the field is least along the ray through u (2,), t (): one of jittered points within the unit sphere.

    Every fifth of them is looked at first, and then those around the lowest. A field that is nearly a distance cannot
    fall far between two of them, so this is the lowest of all, but where two places are nearly as low.
    """
    ray = raygen.ray_through(camera, u)
    place = (jnp.arange(_POINTS) + jax.random.uniform(key, (_POINTS,))) / _POINTS
    t = ray.near + place * jnp.maximum(ray.far - ray.near, 0.0)
    values = jax.vmap(lambda t: distance(params, ray.origin + t * ray.direction))
    lowest = _STRIDE // 2 + _STRIDE * jnp.argmin(values(t[_STRIDE // 2 :: _STRIDE]))
    start = jnp.clip(lowest - _STRIDE + 1, 0, _POINTS - 2 * _STRIDE + 1)
    around = jax.lax.dynamic_slice_in_dim(t, start, 2 * _STRIDE - 1)
    return around[jnp.argmin(values(around))]
