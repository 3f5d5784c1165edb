"""Whole pictures of every channel, for people to look at: radiance, opacity, depth, normals. Without derivatives."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import cameras, imaging, raygen, shading
from sdfrepar.precision import in_float32
from sdfrepar.records import Camera, Hit, Image, Status
from sdfrepar.rendering import buffers
from sdfrepar.rendering.cones import starts_of_cells
from sdfrepar.rendering.config import RenderConfig, Scene
from sdfrepar.rendering.rays import repeated, starting_at, trace_rays
from sdfrepar.rendering.samples import radiance


@in_float32
def render_image(scene: Scene, config: RenderConfig, params: Any, camera: Camera) -> Image:
    """A whole picture of box pixels, with opacity, depth and normals. Without derivatives.

    Args:
        scene: what there is to see.
        config: `film.samples_per_side`² regular samples a pixel; `chunk` rays at a time.
        params: parameters of the scene.
        camera: one camera.

    Returns:
        An image of the camera's resolution.

    Gradient: none; use `render_film`.
    """
    height, width = camera.resolution
    side = config.film.samples_per_side
    u = (imaging.corners(height * side, width * side) + 0.5) / side

    start = starts_of_cells(scene.distance, config, params, camera, u)

    def one_chunk(u: jax.Array, start: jax.Array | None) -> Image:
        rays = starting_at(jax.vmap(raygen.ray_through, in_axes=(None, 0))(camera, u), start)
        hits, _ = trace_rays(scene.distance, config, params, rays)
        light = radiance(scene, params, repeated(camera, len(u)), u, hits)
        return jax.vmap(partial(_observe, scene, params, camera))(u, hits, light)

    return _box_pixels(buffers.in_chunks(one_chunk, (u, start), config.chunk), height, width, side)


def _observe(scene: Scene, params: Any, camera: Camera, u: jax.Array, hit: Hit, light: jax.Array) -> Image:
    """One sample of every channel of an image."""
    ray = raygen.ray_through(camera, u)
    x = shading.surface_point(scene.distance, params, ray, hit.distance)
    opacity = (hit.status == Status.HIT).astype(u.dtype)
    return Image(
        radiance=light,
        opacity=opacity,
        depth=opacity * cameras.project(camera, x)[1],
        normal=opacity * shading.normal(scene.distance, params, x),
    )


def _box_pixels(film: Image, height: int, width: int, side: int) -> Image:
    """Average the samples (height * side * width * side, ...) of each pixel; depth and normal over its hits."""

    def mean(x: jax.Array) -> jax.Array:
        return x.reshape(height, side, width, side, -1).mean(axis=(1, 3))

    opacity = mean(film.opacity)
    covered = jnp.maximum(opacity, 1e-6)
    normal = mean(film.normal)
    length = jnp.sqrt(jnp.sum(normal**2, axis=-1, keepdims=True))
    return Image(
        radiance=mean(film.radiance),
        opacity=opacity[..., 0],
        depth=(mean(film.depth) / covered)[..., 0],
        normal=normal / jnp.maximum(length, 1e-6),
    )
