"""Light at many film positions, with all that its derivative needs: where the stages meet.

    rays → hits → warps → radiance

What `imaging` makes of them is the pixel.
"""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import raygen, shading
from sdfrepar.records import Camera, Hit, Sample, Status, Warp
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import WARPS, RenderConfig, Scene
from sdfrepar.rendering.rays import rays_through, starting_at, trace_rays
from sdfrepar.rendering.silhouettes import relax_band, warp_band


def sample_film(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    start: jax.Array | None = None,
    *,
    key: jax.Array,
) -> tuple[Sample, dict[str, jax.Array]]:
    """Radiance and warp at many film positions.

    Args:
        scene: what there is to see.
        config: how.
        params: parameters of the scene.
        camera: S cameras, one a sample.
        u: (S, 2) pixels.
        width: (S,) width of the sampled pixels, in pixels of the full-resolution image.
        start: (S,) where the marches may start, scene units, of `clear_starts`; None for the rays' own.
        key: for the random subset of an overfull band.

    Returns:
        S samples, and measurements of the work: see `statistics`.

    Gradient: in `params` and `camera`; that of the film once `imaging` has turned the samples into pixels.
    """
    method = config.gradient.method
    rays = starting_at(rays_through(camera, u, width), start)
    hits, trails = trace_rays(scene.distance, config, params, rays)
    in_band = (trails.measure < config.gradient.band) & (rays.far > rays.near)

    warp = Warp(displacement=jnp.zeros_like(u), divergence=jnp.zeros_like(u[:, 0]))
    if method in WARPS:
        warp = warp_band(scene, config, params, camera, u, width, (hits, trails), in_band, key)
    light = radiance(scene, params, camera, u + warp.displacement, hits)
    boundary = jnp.zeros_like(light)
    if method == "relaxed":
        boundary = relax_band(scene, config, params, camera, u, width, trails.lows, light, in_band, key)

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
    hits, _ = trace_rays(scene.distance, config, params, rays_through(camera, u, jnp.ones_like(u[:, 0])))
    return radiance(scene, params, camera, u, hits)


def radiance(scene: Scene, params: Any, camera: Camera, u: jax.Array, hits: Hit) -> jax.Array:
    """L(u; θ) (S, 3) of film positions whose detached hits are known."""
    is_hit = hits.status == Status.HIT

    def surface(camera: Camera, u: jax.Array, t: jax.Array) -> jax.Array:
        ray = raygen.ray_through(camera, u)
        x = shading.surface_point(scene.distance, params, ray, t)
        return scene.radiance(params, x, shading.normal(scene.distance, params, x), ray.direction)

    def background(camera: Camera, u: jax.Array) -> jax.Array:
        ray = raygen.ray_through(camera, u)
        return scene.background(params, ray.origin, ray.direction)

    seen = buffers.skipping(surface, is_hit, (camera, u, hits.distance))
    return jnp.where(is_hit[:, None], seen, jax.vmap(background)(camera, u))


def statistics(config: RenderConfig, hits: Hit, in_band: jax.Array) -> dict[str, jax.Array]:
    """Measurements of S samples, of which `in_band` (S,) are near a silhouette.

    Shares of all samples: hits, undecided rays, the band; the fill of the band's buffer; mean queries a ray.
    """
    size = in_band.shape[0]
    return {
        "hit_rate": jnp.mean(hits.status == Status.HIT),
        "undecided": jnp.mean(hits.status == Status.UNDECIDED),
        "band": jnp.mean(in_band),
        "band_fill": jnp.sum(in_band) / buffers.capacity(config.gradient.band_share, size),
        "queries": jnp.mean(hits.queries),
    }
