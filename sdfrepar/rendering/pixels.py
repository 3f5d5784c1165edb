"""Pixels on their own, from any cameras, as a fit draws them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import imaging
from sdfrepar.precision import in_float32
from sdfrepar.records import Camera, Sample
from sdfrepar.rendering.config import RenderConfig, Scene
from sdfrepar.rendering.differences import differentiated
from sdfrepar.rendering.samples import light_of_film, sample_film

_PILOTS_PER_SIDE = 2


@in_float32
def render_pixels(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    centre: jax.Array,
    width: jax.Array,
    baseline: jax.Array | None = None,
    start: jax.Array | None = None,
    *,
    key: jax.Array,
) -> tuple[jax.Array, Sample, dict[str, jax.Array]]:
    """Pixels with their derivative.

    Args:
        scene: what there is to see.
        config: how.
        params: parameters of the scene.
        camera: P cameras, one a pixel.
        centre: (P, 2) pixels.
        width: (P,) pixels of the full-resolution image.
        baseline: (P, 3) the control variate b of `imaging.pixel`, linear: any guess of the pixel that does not depend
            on the samples drawn here; half way between the colours that meet in the pixel is best. None takes it from
            pilot samples. Not used without `config.film.control_variate`.
        start: (P,) where the marches of a pixel's samples may start, of `clear_starts`; None for the rays' own.
        key: random key, or one for each pixel, (P,), by which a pixel is the same in whatever company.

    Returns:
        (P, 3) linear radiance, the (P, S) samples behind it, and measurements of the work.

    Gradient: in `params` and `camera`, by `config.gradient.method`. Unbiased with the warps, but for the tracer's
        verdicts and what `warping` says of each; biased with "relaxed"; without silhouettes with "interior".
    """
    pixels = centre.shape[0]
    of_each = key if key.ndim else jax.random.split(key, pixels)
    film_keys = jax.vmap(partial(jax.random.fold_in, data=0))(of_each)
    band_key, pilot_key = jax.random.split(of_each[0])
    place = partial(imaging.pixel_positions, config.film)
    u = jax.vmap(place)(film_keys, centre, width)
    if not config.film.control_variate:
        baseline = jnp.zeros((pixels, 3))
    elif baseline is None:
        baseline = _pilot(scene, config, params, camera, centre, width, key=pilot_key)

    def rendered(params: Any, camera: Camera) -> tuple[jax.Array, Sample, dict[str, jax.Array]]:
        per_pixel = u.shape[1]
        samples, statistics = sample_film(
            scene,
            config,
            params,
            jax.tree.map(lambda c: jnp.repeat(c, per_pixel, axis=0), camera),
            u.reshape(-1, 2),
            jnp.repeat(width, per_pixel),
            None if start is None else jnp.repeat(start, per_pixel),
            key=band_key,
        )
        samples = jax.tree.map(lambda s: s.reshape(pixels, per_pixel, *s.shape[1:]), samples)
        value = jax.vmap(partial(imaging.pixel, config.film))(samples, centre, width, baseline)
        return value, samples, statistics

    return differentiated(config.gradient, rendered)(params, camera)


def _pilot(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    centre: jax.Array,
    width: jax.Array,
    *,
    key: jax.Array,
) -> jax.Array:
    """Half way (P, 3) between the darkest and the brightest of a few samples of each pixel."""
    pixels, count = centre.shape[0], _PILOTS_PER_SIDE**2
    square = jax.vmap(lambda key: imaging.square_points("stratified", key, _PILOTS_PER_SIDE))(
        jax.random.split(key, pixels)
    )
    offset = config.film.kernel.radius * (2.0 * square - 1.0)
    u = (centre[:, None] + width[:, None, None] * offset).reshape(-1, 2)
    cameras = jax.tree.map(lambda c: jnp.repeat(c, count, axis=0), camera)
    light = light_of_film(scene, config, params, cameras, u).reshape(pixels, count, 3)
    return 0.5 * (light.max(axis=1) + light.min(axis=1))
