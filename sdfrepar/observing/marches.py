"""Marching all the rays of a picture: coarse ones first, the unfinished ones alone, block after block."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar import raygen, tracing
from sdfrepar.fields import Distance
from sdfrepar.imaging import corners
from sdfrepar.numerics import safe_norm
from sdfrepar.observing.config import ObserveConfig
from sdfrepar.precision import MARGIN, rounded
from sdfrepar.records import Camera, Line, Status
from sdfrepar.rendering import buffers
from sdfrepar.tracing import March

# A coarse ray has done its work when it is within this share of its cone's radius of touching the surface.
_TOUCHES = 0.25

# What is free around a ray must be, or a surface is lost: a learnt field may be so steep.
_STEEPEST = 1.2

# The scene is taken to be no nearer to a camera than this, where half a pixel there decides what is a hit.
_NEAREST = 0.1

# A head-on view: what is assumed of a slope that nobody has seen.
_HEAD_ON = -1.0


class Marched(NamedTuple):
    """All rays of a picture, row by row, and what they cost."""

    marches: March  # leading axis N
    threshold: jax.Array  # (N,) scene units
    queries: jax.Array  # () int32


def march_picture(distance: Distance, config: ObserveConfig, params: Any, camera: Camera) -> Marched:
    """March the rays through the centres of all pixels.

    Args:
        distance: the field.
        config: how.
        params: parameters of the field.
        camera: one camera.

    Returns:
        N = height * width rays, row by row.

    Gradient: detached.
    """
    params, camera = jax.lax.stop_gradient((params, camera))
    start: _Start | None = None
    queries = jnp.zeros((), jnp.int32)
    for scale in config.scales if config.split != "none" else ():
        start, some = _coarse(distance, config, params, camera, scale, start)
        queries += some
    lines = _lines(camera, 1)
    threshold = _thresholds(config, camera, lines)
    marches = _begun(config, lines, start, camera, 1)
    marches, some = _march(distance, config, params, lines, threshold, jnp.zeros_like(threshold), marches)
    return Marched(marches, threshold, queries + some)


class _Start(NamedTuple):
    """From where rays of the next finer picture can start, all fields (rows, columns) of pixels of a scale."""

    near: jax.Array  # scene units along the ray
    slope: jax.Array  # of the field there
    alive: jax.Array  # bool, whether a surface may follow
    scale: int


def _coarse(
    distance: Distance, config: ObserveConfig, params: Any, camera: Camera, scale: int, start: _Start | None
) -> tuple[_Start, jax.Array]:
    """March the rays of a coarser picture, for those of the next to start from."""
    lines = _lines(camera, scale)
    if config.split == "inherit":
        some_steps = replace(config, march=replace(config.march, max_steps=config.coarse_steps))
        marches = _begun(config, lines, start, camera, scale)
        no_radius = jnp.zeros_like(lines.far)
        marches, queries = _march(
            distance, some_steps, params, lines, _thresholds(config, camera, lines), no_radius, marches
        )
        near = jnp.where(marches.status == Status.HIT, marches.settled, marches.distance)
        alive = jnp.ones(near.shape, bool)
    else:
        # The rays of a pixel's corners are half its diagonal away. A cone is a ray to a field that is less by as much.
        radius = jnp.sqrt(0.5) * scale * (lines.width + lines.spread * (safe_norm(camera.position) + 1.0))
        lines = _lines(camera, scale, 1.0 + radius[0])
        marches = _begun(config, lines, start, camera, scale)
        marches, queries = _march(distance, config, params, lines, _TOUCHES * radius, radius, marches)
        touches = marches.status == Status.HIT
        near = jnp.where(touches, marches.entered, marches.distance - marches.step)
        alive = marches.status != Status.MISS
    rows, columns = _shape(camera, scale)
    near, slope, alive = (x.reshape(rows, columns) for x in (near, marches.slope, alive))
    return _Start(near, slope, alive, scale), queries


def _march(
    distance: Distance,
    config: ObserveConfig,
    params: Any,
    lines: Line,
    threshold: jax.Array,
    radius: jax.Array,
    marches: March,
) -> tuple[March, jax.Array]:
    """March N rays to a field that is less by `radius` (N,); the marches, and how often the field was asked."""
    items = lines, threshold, radius
    rough = config.rough_precision != "float32"
    rounded_distance, margin = rounded(distance, config.rough_precision), MARGIN[config.rough_precision]

    def ask(field: Distance, item: tuple[Line, jax.Array, jax.Array], march: March) -> tuple[March, jax.Array]:
        line, threshold, radius = item
        f = field(params, line.origin + march.distance * line.direction)
        f = jnp.where(radius > 0, f / _STEEPEST - radius, f)
        return tracing.advance(config.march, threshold, march, f), f

    def exactly(item: tuple[Line, jax.Array, jax.Array], march: March) -> March:
        return ask(distance, item, march)[0]

    def roughly(item: tuple[Line, jax.Array, jax.Array], march: March) -> March:
        on, f = ask(rounded_distance, item, march)
        return jax.tree.map(lambda new, old: jnp.where(f > margin + item[1], new, old), on, march)

    def one_step(carry: tuple[jax.Array, March, jax.Array]) -> tuple[jax.Array, March, jax.Array]:
        step, marches, queries = carry
        wanted = marches.open if config.dynamic else lines.far > lines.near
        if rough:
            # What was far from the surface one sample ago is asked for roughly, and once more if that was near to it.
            before = marches.distance
            far = wanted & (marches.field > margin + threshold)
            marches, count = buffers.in_blocks(roughly, far, config.block, items, marches)
            queries += count
            wanted &= marches.distance == before
        marches, count = buffers.in_blocks(exactly, wanted, config.block, items, marches)
        return step + 1, marches, queries + count

    def unfinished(carry: tuple[jax.Array, March, jax.Array]) -> jax.Array:
        step, marches, _ = carry
        return (step < config.march.max_steps) & (jnp.any(marches.open) | (not config.dynamic))

    zero = jnp.zeros((), jnp.int32)
    _, marches, queries = jax.lax.while_loop(unfinished, one_step, (zero, marches, zero))
    return marches, queries


def _shape(camera: Camera, scale: int) -> tuple[int, int]:
    height, width = camera.resolution
    return -(-height // scale), -(-width // scale)


def _lines(camera: Camera, scale: int, bound: jax.Array | float = 1.0) -> Line:
    """The lines through the centres of all pixels of a scale, row by row."""
    u = (corners(*_shape(camera, scale)) + 0.5) * scale
    return jax.vmap(raygen.line_through, in_axes=(None, 0, None))(camera, u, bound)


def _thresholds(config: ObserveConfig, camera: Camera, lines: Line) -> jax.Array:
    """How near to the surface a point counts as on it, for all lines: (N,)."""
    if config.threshold is not None:
        return jnp.full(lines.far.shape, config.threshold)
    nearest = jnp.maximum(safe_norm(camera.position) - 1.0, _NEAREST)
    at = jnp.maximum(lines.near, _NEAREST) if config.footprint else nearest
    return config.pixels * (lines.width + lines.spread * at)


def _begun(config: ObserveConfig, lines: Line, start: _Start | None, camera: Camera, scale: int) -> March:
    """All rays before their first sample, where a coarser picture lets them start."""
    if start is None:
        near, slope = lines.near, jnp.full(lines.near.shape, _HEAD_ON)
        alive = lines.far > lines.near
    else:
        rows, columns = (jnp.arange(n) * scale // start.scale for n in _shape(camera, scale))
        near, slope, alive = (
            x[rows[:, None], columns[None]].reshape(-1) for x in (start.near, start.slope, start.alive)
        )
        near = jnp.maximum(near, lines.near)
    far = jnp.where(alive, lines.far, -jnp.inf)
    return jax.vmap(partial(tracing.begin, config.march))(near, far, slope)
