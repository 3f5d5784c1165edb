"""The colours of a fit: rendering programs within the memory budget, and what their numbers look like."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.presets import ReconstructConfig
from sdfrepar import memory
from sdfrepar.imaging import FilmConfig, srgb_from_linear
from sdfrepar.meshing import Mesh
from sdfrepar.records import Camera, Image
from sdfrepar.rendering import Scene, render_image

# Vertices whose colours are computed at once: a few hundred megabytes with the widest networks.
_CHUNK = 16384


def compile_render(
    scene: Scene, config: ReconstructConfig, params: Any, camera: Camera
) -> Callable[[Any, Camera], Image]:
    """`render_image` as a program (params, camera) -> image, with the largest chunks that the memory allows.

    Args:
        scene: what there is to see.
        config: says how to render, and how much memory there is.
        params: of the scene; their shapes.
        camera: its resolution.

    Raises:
        ValueError: too little memory for even the smallest chunk.
    """
    film = FilmConfig(samples_per_side=config.picture_samples)

    def in_parts(parts: int) -> Any:
        render = replace(config.render, film=film, chunk=config.render.chunk // parts)
        draw = jax.jit(lambda params, camera: render_image(scene, render, params, camera))
        return draw.lower(params, camera).compile()

    halved = [1 << times for times in range(config.render.chunk.bit_length())]
    return memory.fewest_parts(in_parts, halved, memory.budget(config.memory_gb, jax.local_devices()[0]))[1]


def srgb(image: Image) -> np.ndarray:
    """The picture (H, W, 3) of an image, sRGB in [0, 1]."""
    return np.clip(np.asarray(srgb_from_linear(jnp.asarray(image.radiance))), 0.0, 1.0)


def vertex_colours(scene: Scene, params: Any, mesh: Mesh) -> np.ndarray:
    """Colours (V, 3), sRGB, of the vertices of a mesh in scene units, each seen from straight above."""

    @jax.jit
    def colours(params: Any, x: jax.Array, n: jax.Array) -> jax.Array:
        def colour(at: tuple[jax.Array, jax.Array]) -> jax.Array:
            x, n = at
            return srgb_from_linear(scene.radiance(params, x, n, -n))

        return jax.lax.map(colour, (x, n), batch_size=_CHUNK)

    return np.asarray(colours(params, jnp.asarray(mesh.vertices, jnp.float32), jnp.asarray(mesh.normals, jnp.float32)))
