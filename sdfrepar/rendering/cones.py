"""The free space around a ray, which the samples of a pixel share: they start their marches where it ends."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar import imaging, tracing
from sdfrepar.fields import Distance
from sdfrepar.numerics import safe_divide
from sdfrepar.precision import MARGIN, rounded
from sdfrepar.records import Camera, Ray
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import RenderConfig
from sdfrepar.rendering.rays import of_a_round, rays_through, repeated
from sdfrepar.warping import grazing_measure

# A cone is worth its march for so many samples or more.
_FEWEST = 4


class Cone(NamedTuple):
    """What is known of the space around a ray while it is marched along."""

    clear: jax.Array  # () up to where a cone around the ray is free, scene units along the ray
    open: jax.Array  # () bool, whether it may be free further on
    measure: jax.Array  # () the least `grazing_measure` of the points, pixels
    t: jax.Array  # () the last point, scene units along the ray
    f: jax.Array  # () value of the field there
    queries: jax.Array  # () int32, points so far


def cone_init(ray: Ray) -> Cone:
    """Nothing known yet."""
    infinite = jnp.full_like(ray.near, jnp.inf)
    return Cone(clear=ray.near, open=ray.far > ray.near, measure=infinite, t=ray.near, f=infinite, queries=jnp.int32(0))


def cone_step(pixels: float, margin: float = 0.0) -> Callable[[Cone, Ray, jax.Array, jax.Array, jax.Array], Cone]:
    """Observer of a march: the cone of so many pixels' radius, and a margin (scene units), as far as it is free."""

    def step(cone: Cone, ray: Ray, index: jax.Array, t: jax.Array, f: jax.Array) -> Cone:
        first = ~jnp.isfinite(cone.f)
        radius = pixels * ray.footprint * t + margin
        # The spheres around two points of the march meet in a circle of this radius around the ray.
        apart = t - cone.t
        before = jnp.where(first, 0.0, cone.f)
        to_circle = safe_divide(apart**2 + before**2 - f**2, 2.0 * apart)
        wide = first | (before**2 - to_circle**2 >= radius**2)
        still_open = cone.open & wide & (f > radius)
        slope = jnp.where(first, 1.0, safe_divide(f - before, apart))
        here = jnp.where(first, jnp.inf, grazing_measure(ray, t, f, slope))
        clear = jnp.where(still_open, t + f - radius, cone.clear)
        return Cone(clear=clear, open=still_open, measure=jnp.minimum(cone.measure, here), t=t, f=f, queries=index + 1)

    return step


def clear_starts(distance: Distance, config: RenderConfig, params: Any, rays: Ray, reach: float) -> Cone:
    """The cones of whole pixels: where the marches of their samples can start, and how near a silhouette is.

    One march along the middle of each pixel clears a cone of free space, with room for the band, for all its samples.

    Args:
        distance: the field.
        config: how; `first_steps` steps along each.
        params: parameters of the field.
        rays: through the pixels' centres, as `rays_through` makes them; S of them.
        reach: farthest sample from a centre, pixels.

    Returns:
        S cones; `clear` is that of `near` where nothing is gained.

    Gradient: none.
    """
    params, rays = jax.lax.stop_gradient((params, rays))
    far = rounded(distance, config.far_precision)
    observer = tracing.Observer(
        cone_init, cone_step(2.0 * (reach + config.gradient.band), MARGIN[config.far_precision])
    )
    return jax.vmap(lambda ray: tracing.trace(far, of_a_round(config), params, ray, observer)[1])(rays)


def starts_of_cells(
    distance: Distance, config: RenderConfig, params: Any, camera: Camera, u: jax.Array
) -> jax.Array | None:
    """From where the samples of a whole picture at u (S, 2) can start, (S,); None where a march for each is as cheap.

    One cone a pixel's cell, with as much margin as the filter needs.
    """
    if config.film.inside < _FEWEST or math.isinf(config.gradient.band):
        return None
    height, width = camera.resolution
    wide = imaging.margin(config.film)
    shape = (height + 2 * wide, width + 2 * wide)
    centres = imaging.corners(*shape) - wide + 0.5

    def one_chunk(centre: jax.Array) -> jax.Array:
        rays = rays_through(repeated(camera, len(centre)), centre, jnp.ones(len(centre)))
        return clear_starts(distance, config, params, rays, math.sqrt(0.5)).clear

    table = buffers.in_chunks(one_chunk, (centres,), config.chunk)
    column, row = jnp.clip(jnp.floor(u).astype(jnp.int32) + wide, 0, jnp.array(shape[::-1])[None] - 1).T
    return table[row * shape[1] + column]
