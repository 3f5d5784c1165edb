"""What a camera sees, and how its film moves, as programs for one tile of a film: compiled once, whatever is asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import imaging
from sdfrepar.imaging import FilmConfig, srgb_from_linear
from sdfrepar.records import Camera
from sdfrepar.rendering import RenderConfig, Scene, render_image, sample_film
from sdfrepar.rendering.config import WARPS
from sdfrepar.viewer.levels import COARSEST
from sdfrepar.viewer.viewpoints import Viewpoint, film_of, tiles_of

# A tile is done as a whole, and however quick a machine is, its programs gain nothing beyond this many rays a side.
_LARGEST_TILE = 64

ACROSS_THE_SPHERE = Viewpoint(np.eye(3), np.array([0.0, 0.0, -3.0]), 0.7, 1.0)
"""From where programs are tried, and compiled before anybody waits for them."""

# That of the random subset of a band which is too full, so that a view shows the same whenever it is looked at.
_SEED = 0


class Frame(NamedTuple):
    """What is seen through the middles of a film's pixels; NumPy arrays with leading axes (height, width)."""

    colour: np.ndarray  # (..., 3) sRGB in [0, 1]
    opacity: np.ndarray  # (...) 1 where there is a surface, else 0
    depth: np.ndarray  # (...) z of the surface, scene units, 0 where there is none
    normal: np.ndarray  # (..., 3) outward unit normal, scene frame, 0 where there is none


class Motion(NamedTuple):
    """A change of the shape, of unit length or size."""

    shift: np.ndarray  # (3,) translation, scene units
    growth: float  # by how much the surface moves outward along its normals, scene units


MOTIONS = {
    "shift along x": Motion(np.array([1.0, 0.0, 0.0]), 0.0),
    "shift along y": Motion(np.array([0.0, 1.0, 0.0]), 0.0),
    "shift along z": Motion(np.array([0.0, 0.0, 1.0]), 0.0),
    "growth": Motion(np.zeros(3), 1.0),
}
"""The changes whose warp can be looked at, by what they are called."""


@dataclass(frozen=True)
class Programs:
    """Programs for tiles of one size."""

    scene: Scene
    render: RenderConfig
    tile: int
    """Pixels along each side of a tile."""
    seconds: float
    """What a tile of the middle of the scene takes."""

    @staticmethod
    def fitting(scene: Scene, render: RenderConfig, params: Any, seconds: float) -> "Programs":
        """Programs for tiles as large as can be done in so many seconds, which is as long as nobody can interrupt.

        Compiles, and draws a few tiles to see how long they take.

        Args:
            scene: what there is to see.
            render: how a fit renders it; how it samples pixels does not matter here.
            params: of the scene.
            seconds: for a tile.
        """
        side = _LARGEST_TILE
        while True:
            programs = Programs(scene, render, side, 0.0)
            camera = film_of(ACROSS_THE_SPHERE, side)
            programs.see(params, camera)
            begun = time.perf_counter()
            programs.see(params, camera)
            taken = time.perf_counter() - begun
            if taken <= seconds or side == COARSEST:
                return replace(programs, seconds=taken)
            while side > COARSEST and taken > seconds:
                side, taken = side // 2, taken / 4

    def see(self, params: Any, tile: Camera) -> Frame:
        """What is seen in a tile."""
        return Frame(*(np.asarray(part) for part in _seen(self.scene, self.render, params, tile)))

    def displacement(self, params: Any, tile: Camera, motion: Motion, width: float) -> np.ndarray:
        """The velocity (H, W, 2) of the film's points under a motion of the shape, pixels a unit; 0 outside the band.

        It is V of the warp that a fit differentiates by, whose band is so many pixels wide as the fit's config says,
        where a pixel of the fit's pictures covers `width` of this tile's.
        """
        change = jnp.append(jnp.asarray(motion.shift, jnp.float32), motion.growth)
        return np.asarray(_displaced(self.scene, self.render, params, tile, change, jnp.float32(width)))

    def over_film(self, of_tile: Callable[[Camera], Any], film: Camera, stale: Callable[[], bool]) -> Any:
        """The results of `of_tile` for all tiles of a film, as one pytree; None as soon as it is stale."""
        whole: Any = None
        for rows, columns, camera in tiles_of(film, min(self.tile, film.resolution[0])):
            if stale():
                return None
            part = of_tile(camera)
            if whole is None:
                whole = jax.tree.map(lambda p: np.zeros((*film.resolution, *p.shape[2:]), p.dtype), part)
            for whole_leaf, leaf in zip(jax.tree.leaves(whole), jax.tree.leaves(part), strict=True):
                whole_leaf[rows, columns] = leaf
        return whole


@partial(jax.jit, static_argnums=(0, 1))
def _seen(scene: Scene, render: RenderConfig, params: Any, camera: Camera) -> tuple[jax.Array, ...]:
    """The fields of a `Frame`, one ray a pixel."""
    image = render_image(scene, replace(render, film=FilmConfig(samples_per_side=1)), params, camera)
    colour = jnp.clip(srgb_from_linear(image.radiance), 0.0, 1.0)
    return colour, image.opacity, image.depth, image.normal


@partial(jax.jit, static_argnums=(0, 1))
def _displaced(
    scene: Scene, render: RenderConfig, params: Any, camera: Camera, change: jax.Array, width: jax.Array
) -> jax.Array:
    """V (H, W, 2), differentiated along a change (4,) of the shape, the three of a translation first."""
    height, columns = camera.resolution
    u = imaging.corners(height, columns) + 0.5
    method = render.gradient.method
    # All samples are followed that the band has, and what shines there moves nothing.
    gradient = replace(render.gradient, method=method if method in WARPS else "grazing", band_share=1.0)
    film = replace(render.film, edge_samples=max(render.film.edge_samples, 1))
    config = replace(render, gradient=gradient, film=film)
    dark = replace(
        scene,
        distance=_moved(scene),
        radiance=lambda params, x, normal, direction: jnp.zeros(3),
        background=lambda params, origin, direction: jnp.zeros(3),
    )
    rig = jax.tree.map(lambda c: jnp.broadcast_to(c, (len(u), *c.shape)), camera)
    widths = jnp.broadcast_to(width, u.shape[:1])

    def warp(change: jax.Array) -> jax.Array:
        samples, _ = sample_film(dark, config, (params, change), rig, u, widths, key=jax.random.key(_SEED))
        return samples.warp.displacement

    motion = jax.jvp(warp, (jnp.zeros_like(change),), (change,))[1]
    return motion.reshape(height, columns, 2)


def _moved(scene: Scene) -> Callable[[Any, jax.Array], jax.Array]:
    """The field of a shape after a change: ((params, change), x) -> ()."""

    def distance(moving: tuple[Any, jax.Array], x: jax.Array) -> jax.Array:
        params, change = moving
        return scene.distance(params, x - change[:3]) - change[3]

    return distance


def width_of_pixels(pictures: Camera, film: Camera) -> float:
    """How many pixels of a film one pixel of some pictures covers, as seen from equally far; N cameras for these."""
    return float(film.focal[1] / np.mean(np.asarray(pictures.focal)))
