"""Light at many film positions, with all that its derivative needs: where the stages meet.

    rays → hits → warps → radiance

What `imaging` makes of them is the pixel.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import raygen, shading
from sdfrepar.records import Camera, Hit, Sample, Status, Warp
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import WARPS, RenderConfig, Scene
from sdfrepar.rendering.rays import trace_rays
from sdfrepar.rendering.silhouettes import relax_band, warp_band


def sample_film(
    scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array, width: jax.Array, *, key: jax.Array
) -> tuple[Sample, dict[str, jax.Array]]:
    """Radiance and warp at many film positions.

    Args:
        scene: what there is to see.
        config: how.
        params: parameters of the scene.
        camera: S cameras, one a sample.
        u: (S, 2) pixels.
        width: (S,) width of the sampled pixels, in pixels of the full-resolution image.
        key: for the random subset of an overfull band.

    Returns:
        S samples, and measurements of the work: see `statistics`.

    Gradient: in `params` and `camera`; that of the film once `imaging` has turned the samples into pixels.
    """
    method = config.gradient.method
    rays = jax.vmap(raygen.ray_through)(jax.lax.stop_gradient(camera), u)
    hits, grazing = trace_rays(scene.distance, config, params, rays)
    in_band = (grazing / width < config.gradient.band) & (rays.far > rays.near)

    warp = Warp(displacement=jnp.zeros_like(u), divergence=jnp.zeros_like(u[:, 0]))
    if method in WARPS:
        warp = warp_band(scene, config, params, camera, u, width, in_band, key)
    light = jax.vmap(partial(radiance_at, scene, params))(camera, u + warp.displacement, hits)
    boundary = jnp.zeros_like(light)
    if method == "relaxed":
        boundary = relax_band(scene, config, params, camera, u, width, light, in_band, key)

    samples = Sample(
        film=u,
        radiance=light,
        warp=warp,
        boundary=boundary,
        point=rays.origin + hits.distance[:, None] * rays.direction,
        status=hits.status,
    )
    return samples, statistics(config, hits, in_band)


def light_of_film(scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array) -> jax.Array:
    """Radiance (S, 3) alone at film positions u (S, 2) of S cameras. Detached."""
    params, camera = jax.lax.stop_gradient((params, camera))
    hits, _ = trace_rays(scene.distance, config, params, jax.vmap(raygen.ray_through)(camera, u))
    return jax.vmap(partial(radiance_at, scene, params))(camera, u, hits)


def radiance_at(scene: Scene, params: Any, camera: Camera, u: jax.Array, hit: Hit) -> jax.Array:
    """L(u; θ) (3,) of one film position whose detached hit is known."""
    ray = raygen.ray_through(camera, u)
    x = shading.surface_point(scene.distance, params, ray, hit.distance)
    n = shading.normal(scene.distance, params, x)
    surface = scene.radiance(params, x, n, ray.direction)
    return jnp.where(hit.status == Status.HIT, surface, scene.background(params, ray.direction))


def statistics(config: RenderConfig, hits: Hit, in_band: jax.Array) -> dict[str, jax.Array]:
    """Shares of all samples: hits, undecided rays, the band; the fill of the band's buffer; mean queries a ray."""
    size = in_band.shape[0]
    return {
        "hit_rate": jnp.mean(hits.status == Status.HIT),
        "undecided": jnp.mean(hits.status == Status.UNDECIDED),
        "band": jnp.mean(in_band),
        "band_fill": jnp.sum(in_band) / buffers.capacity(config.gradient.band_share, size),
        "queries": jnp.mean(hits.queries),
    }
