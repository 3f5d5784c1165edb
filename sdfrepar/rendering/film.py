"""Whole pictures with their derivative: the pixels of one camera, which share their samples."""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import imaging
from sdfrepar.precision import in_float32
from sdfrepar.records import Camera, Sample
from sdfrepar.rendering import buffers
from sdfrepar.rendering.cones import starts_of_cells
from sdfrepar.rendering.config import RenderConfig, Scene
from sdfrepar.rendering.differences import differentiated
from sdfrepar.rendering.rays import repeated
from sdfrepar.rendering.samples import light_of_film, sample_film


@in_float32
def render_film(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    baseline: jax.Array | None = None,
    *,
    key: jax.Array,
) -> jax.Array:
    """A picture with its derivative.

    Args:
        scene: what there is to see.
        config: how; `chunk` samples at a time.
        params: parameters of the scene.
        camera: one camera.
        baseline: (H, W, 3) the control variate b of each pixel, linear: any guess that does not depend on the samples
            drawn here. None takes it from one pilot sample a pixel. Not used without `config.film.control_variate`.
        key: random key; the same key takes the same samples of any scene.

    Returns:
        (H, W, 3) linear radiance; with a control variate noise can take it a little below zero.

    Gradient: in `params` and `camera`, as `render_pixels`.
    """
    film_key, band_key, pilot_key = jax.random.split(key, 3)
    u = imaging.film_positions(config.film, film_key, camera.resolution)
    if not config.film.control_variate:
        baseline = jnp.zeros((*camera.resolution, 3))
    elif baseline is None:
        baseline = pilot(scene, config, params, camera, key=pilot_key)

    def rendered(params: Any, camera: Camera) -> jax.Array:
        samples = _sample_in_chunks(scene, config, params, camera, u, key=band_key)
        return imaging.picture(config.film, samples, baseline)

    return differentiated(config.gradient, rendered)(params, camera)


def _sample_in_chunks(
    scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array, *, key: jax.Array
) -> Sample:
    """Samples at all of u (S, 2), `config.chunk` at a time."""

    def one_chunk(index: jax.Array, u: jax.Array, start: jax.Array | None) -> Sample:
        size = u.shape[0]
        own_key = jax.random.fold_in(key, index[0])
        return sample_film(scene, config, params, repeated(camera, size), u, jnp.ones(size), start, key=own_key)[0]

    start = starts_of_cells(scene.distance, config, params, camera, u)
    return buffers.in_chunks(one_chunk, (jnp.arange(u.shape[0]), u, start), config.chunk)


def pilot(scene: Scene, config: RenderConfig, params: Any, camera: Camera, *, key: jax.Array) -> jax.Array:
    """Half way (H, W, 3) between the darkest and the brightest of one sample of each cell in reach of a pixel."""
    height, width = camera.resolution
    wide = imaging.margin(config.film)
    shape = (height + 2 * wide, width + 2 * wide)
    corner = imaging.corners(*shape) - wide
    u = corner + jax.random.uniform(key, corner.shape)
    light = light_of_film(scene, config, params, repeated(camera, len(u)), u)
    return imaging.half_way(config.film, light.reshape(*shape, 1, 3))
