"""Whole pictures: samples spread over the film cell by cell, each seen by every pixel whose filter reaches it.

The film is cut into the pixels' cells, with a margin around the picture as wide as the filter needs. Neighbouring
pixels share samples, box pixels their edges, so a picture costs a fraction of its pixels one by one.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from sdfrepar.imaging.estimators import FilmConfig, edge_flux, excess, weigh
from sdfrepar.imaging.sampling import line_points, square_points
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Sample


def margin(config: FilmConfig) -> int:
    """Cells around the picture that the filter of its border pixels reaches."""
    return math.ceil(config.kernel.radius - 0.5)


def corners(height: int, width: int) -> jax.Array:
    """Upper left corners (height * width, 2) of the cells of a picture, row by row, pixels."""
    columns, rows = jnp.meshgrid(jnp.arange(width), jnp.arange(height), indexing="xy")
    return jnp.stack([columns, rows], axis=-1).reshape(-1, 2).astype(jnp.float32)


def film_positions(config: FilmConfig, key: jax.Array, resolution: tuple[int, int]) -> jax.Array:
    """Film positions for a whole picture: cell by cell, then along the edges between the cells, for a box.

    Args:
        config: filter and pattern.
        key: random key.
        resolution: (height, width), pixels.

    Returns:
        (S, 2) pixels, in the order that `picture` expects of its samples.
    """
    height, width = resolution
    wide = margin(config)
    cell_key, upright_key, level_key = jax.random.split(key, 3)
    cells = corners(height + 2 * wide, width + 2 * wide) - wide
    draw = functools.partial(square_points, config.pattern, per_side=config.samples_per_side)
    u = [cells[:, None] + jax.vmap(draw)(jax.random.split(cell_key, len(cells)))]
    if config.on_edges:
        along = functools.partial(line_points, config.pattern, count=config.on_edges)
        for axis, edge_key, shape in ((1, upright_key, (height, width + 1)), (0, level_key, (height + 1, width))):
            starts = corners(*shape)
            offset = jax.vmap(along)(jax.random.split(edge_key, len(starts)))
            u.append(starts[:, None] + offset[:, :, None] * jnp.eye(2)[None, None, axis])
    return jnp.concatenate([part.reshape(-1, 2) for part in u])


def picture(config: FilmConfig, samples: Sample, baseline: jax.Array) -> jax.Array:
    """The picture from samples at `film_positions`: the estimator of `imaging.pixel`, for every pixel at once.

    Args:
        config: filter and pattern.
        samples: (S,) samples, in the order of their positions.
        baseline: (H, W, 3) the constant b of each pixel, linear.

    Returns:
        (H, W, 3) linear radiance.

    Gradient: with the warp's tangents attached, unbiased for the picture's derivative, silhouettes included.
    """
    height, width = baseline.shape[:2]
    wide = margin(config)
    cells = (height + 2 * wide) * (width + 2 * wide)
    baseline = jax.lax.stop_gradient(baseline)
    inner = jax.tree.map(
        lambda s: s[: cells * config.inside].reshape(height + 2 * wide, width + 2 * wide, config.inside, *s.shape[1:]),
        samples,
    )
    value = baseline + _gather(config, inner, baseline)
    if config.on_edges:
        outer = jax.tree.map(lambda s: s[cells * config.inside :], samples)
        value = value - _outflow(config, outer, baseline)
    return value


def half_way(config: FilmConfig, radiance: jax.Array) -> jax.Array:
    """Half way between the darkest and the brightest sample in reach of each pixel: the control variate b.

    Args:
        config: filter and pattern.
        radiance: (H + 2 margin, W + 2 margin, n, 3) of samples that are used for nothing else.

    Returns:
        (H, W, 3).
    """
    reach = 2 * margin(config) + 1
    reduce = functools.partial(
        jax.lax.reduce_window, window_dimensions=(reach, reach, 1), window_strides=(1, 1, 1), padding="VALID"
    )
    brightest = reduce(radiance.max(axis=2), -jnp.inf, jax.lax.max)
    darkest = reduce(radiance.min(axis=2), jnp.inf, jax.lax.min)
    return 0.5 * (brightest + darkest)


def _gather(config: FilmConfig, samples: Sample, baseline: jax.Array) -> jax.Array:
    """The mean of k (L - b) det over the cells in reach of each pixel, (H, W, 3), cell by cell of the reach."""
    height, width = baseline.shape[:2]
    centre = corners(height, width).reshape(height, width, 2) + 0.5
    reach = 2 * margin(config) + 1

    def contribution(sample: Sample, centre: jax.Array, baseline: jax.Array) -> jax.Array:
        return weigh(config.kernel, sample, centre, jnp.ones(())) * excess(sample, baseline)

    over_samples = jax.vmap(contribution, in_axes=(0, None, None))
    over_pixels = jax.vmap(jax.vmap(over_samples))

    def add(total: jax.Array, shift: jax.Array) -> tuple[jax.Array, None]:
        def shifted(s: jax.Array) -> jax.Array:
            start = (shift[0], shift[1], *(0 for _ in s.shape[2:]))
            return jax.lax.dynamic_slice(s, start, (height, width, *s.shape[2:]))

        seen = over_pixels(jax.tree.map(shifted, samples), centre, baseline)
        return total + jnp.mean(seen, axis=2), None

    shifts = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(reach)], indexing="ij"), axis=-1).reshape(-1, 2)
    return jax.lax.scan(add, jnp.zeros_like(baseline), shifts)[0]


def _outflow(config: FilmConfig, samples: Sample, baseline: jax.Array) -> jax.Array:
    """The flux of (L - b) V out of each pixel, (H, W, 3), from the edges that neighbours share: zero in value."""
    height, width = baseline.shape[:2]
    upright = height * (width + 1) * config.on_edges

    def flux(sample: Sample, axis: int) -> tuple[jax.Array, jax.Array]:
        # The constant b differs from pixel to pixel, so light and motion are averaged apart: (L - b) V = L V - b V.
        light = edge_flux(sample, jnp.zeros(3))[:, axis]
        return light, tangent_of(sample.warp.displacement[axis, None])

    def means(part: slice, shape: tuple[int, int], axis: int) -> tuple[jax.Array, jax.Array]:
        light, motion = jax.vmap(functools.partial(flux, axis=axis))(jax.tree.map(lambda s: s[part], samples))
        light, motion = (x.reshape(*shape, config.on_edges, -1) for x in (light, motion))
        return jnp.mean(light, axis=2), jnp.mean(motion, axis=2)

    light, motion = means(slice(0, upright), (height, width + 1), 0)
    across = light[:, 1:] - light[:, :-1] - baseline * (motion[:, 1:] - motion[:, :-1])
    light, motion = means(slice(upright, None), (height + 1, width), 1)
    down = light[1:] - light[:-1] - baseline * (motion[1:] - motion[:-1])
    return across + down


def looked_up(picture: jax.Array, u: jax.Array) -> jax.Array:
    """The colour (3,) of a picture (H, W, 3) at a film position (2,), pixels, between the centres of four.

    Gradient: naive, in both; a border's colours go on beyond it.
    """
    at = [u[1] - 0.5, u[0] - 0.5]
    return jax.vmap(lambda channel: map_coordinates(channel, at, order=1, mode="nearest"), in_axes=2)(picture)
