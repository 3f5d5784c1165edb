"""Marching all the rays of a picture: coarse ones first, the unfinished ones alone, block after block."""

from collections.abc import Callable, Sequence
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
from sdfrepar.precision import measured_margin, rounded
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


def march_picture(
    distance: Distance, config: ObserveConfig, params: Any, camera: Camera, wanted: jax.Array | None = None
) -> Marched:
    """March the rays through the centres of pixels.

    Args:
        distance: the field.
        config: how.
        params: parameters of the field.
        camera: one camera.
        wanted: (H, W) bool, whose rays are marched, all if not given; the others miss.

    Returns:
        N = height * width rays, row by row.

    Gradient: detached.
    """
    params, camera = jax.lax.stop_gradient((params, camera))
    wanted = jnp.ones(camera.resolution, bool) if wanted is None else wanted
    # Of what all the marches of this picture ask roughly.
    margin = measured_margin(distance, config.rough_precision, params, config.march.step_cap)
    start: _Start | None = None
    queries = jnp.zeros((), jnp.int32)
    for scale in config.scales if config.split != "none" else ():
        start, some = _coarse(distance, config, params, camera, wanted, margin, scale, start)
        queries += some
    lines = _lines(camera, wanted, 1)
    threshold = _thresholds(config, camera, lines)
    marches = _begun(config, lines, start, camera, 1)
    marches, some = _march_rays(distance, config, params, lines, threshold, margin, marches)
    return Marched(marches, threshold, queries + some)


class _Start(NamedTuple):
    """From where rays of the next finer picture can start, all fields (rows, columns) of pixels of a scale."""

    near: jax.Array  # scene units along the ray
    slope: jax.Array  # of the field there
    alive: jax.Array  # bool, whether a surface may follow
    scale: int


def _coarse(
    distance: Distance,
    config: ObserveConfig,
    params: Any,
    camera: Camera,
    wanted: jax.Array,
    margin: jax.Array,
    scale: int,
    start: _Start | None,
) -> tuple[_Start, jax.Array]:
    """March the rays of a coarser picture, for those of the next to start from."""
    lines = _lines(camera, wanted, scale)
    if config.split == "inherit":
        some_steps = replace(config, march=replace(config.march, max_steps=config.coarse_steps))
        marches = _begun(config, lines, start, camera, scale)
        threshold = _thresholds(config, camera, lines)
        marches, queries = _march_rays(distance, some_steps, params, lines, threshold, margin, marches)
        near = jnp.where(marches.status == Status.HIT, marches.settled, marches.distance)
        alive = jnp.ones(near.shape, bool)
    else:
        # The rays of a pixel's corners are half its diagonal away. A cone is a ray to a field that is less by as much.
        width = jnp.max(lines.width + lines.spread * (safe_norm(camera.position) + 1.0))
        radius = jnp.sqrt(0.5) * scale * width
        lines = _lines(camera, wanted, scale, 1.0 + radius)
        marches = _begun(config, lines, start, camera, scale)
        marches, queries = _march_cones(distance, config, params, lines, radius, margin, marches)
        touches = marches.status == Status.HIT
        near = jnp.where(touches, marches.entered, marches.distance - marches.step)
        alive = marches.status != Status.MISS
    rows, columns = _shape(camera, scale)
    near, slope, alive = (x.reshape(rows, columns) for x in (near, marches.slope, alive))
    return _Start(near, slope, alive, scale), queries


def _march_rays(
    distance: Distance,
    config: ObserveConfig,
    params: Any,
    lines: Line,
    threshold: jax.Array,
    margin: jax.Array,
    marches: March,
) -> tuple[March, jax.Array]:
    """March N rays; the marches, and how often the field was asked.

    What decides a ray is exact: only a sample that is expected to be far from the surface is asked for roughly, and
    once more exactly if it turns out to be near.
    """
    if config.rough_precision == "float32":
        return _march(config, lines, threshold, marches, [_Asked(partial(distance, params))])
    rough = partial(rounded(distance, config.rough_precision), params)
    return _march(
        config, lines, threshold, marches, [_Asked(rough, threshold + margin), _Asked(partial(distance, params))]
    )


def _march_cones(
    distance: Distance,
    config: ObserveConfig,
    params: Any,
    lines: Line,
    radius: jax.Array,
    margin: jax.Array,
    marches: March,
) -> tuple[March, jax.Array]:
    """March N cones, of the same radius () all along; the marches, and how often the field was asked.

    A cone decides nothing but where rays start, so that all its samples may be rough, less what they may be off by.
    """
    rough = rounded(distance, config.rough_precision)

    def clear(x: jax.Array) -> jax.Array:
        return (rough(params, x) - margin) / _STEEPEST - radius

    return _march(config, lines, jnp.full(lines.far.shape, _TOUCHES * radius), marches, [_Asked(clear)])


class _Asked(NamedTuple):
    """A field, and how far from the surface its samples count."""

    field: Callable[[jax.Array], jax.Array]  # x (3,) -> ()
    doubt: jax.Array | float = -jnp.inf  # (N,) samples that are no more than this are left to the next field


def _march(
    config: ObserveConfig, lines: Line, threshold: jax.Array, marches: March, fields: Sequence[_Asked]
) -> tuple[March, jax.Array]:
    """March along N lines, each asking the first field that is sure of it; the marches, and how many were asked."""

    def ask(asked: _Asked, item: tuple[Line, jax.Array, jax.Array], march: March) -> March:
        line, threshold, doubt = item
        f = asked.field(line.origin + march.distance * line.direction)
        on = tracing.advance(config.march, threshold, march, f)
        return jax.tree.map(lambda new, old: jnp.where(f > doubt, new, old), on, march)

    def one_step(carry: tuple[jax.Array, March, jax.Array]) -> tuple[jax.Array, March, jax.Array]:
        step, marches, queries = carry
        wanted = marches.open if config.dynamic else lines.far > lines.near
        for asked in fields:
            # Where the last slope expects that a rough sample will not do, it is not taken.
            expected, before = marches.field + marches.slope * marches.step, marches.distance
            sure = wanted & (expected > asked.doubt)
            items = lines, threshold, jnp.broadcast_to(asked.doubt, threshold.shape)
            marches, count = buffers.in_blocks(partial(ask, asked), sure, config.block, items, marches)
            wanted, queries = wanted & (marches.distance == before), queries + count
        return step + 1, marches, queries

    def unfinished(carry: tuple[jax.Array, March, jax.Array]) -> jax.Array:
        step, marches, _ = carry
        return (step < config.march.max_steps) & (jnp.any(marches.open) | (not config.dynamic))

    zero = jnp.zeros((), jnp.int32)
    _, marches, queries = jax.lax.while_loop(unfinished, one_step, (zero, marches, zero))
    return marches, queries


def _shape(camera: Camera, scale: int) -> tuple[int, int]:
    height, width = camera.resolution
    return -(-height // scale), -(-width // scale)


def _lines(camera: Camera, wanted: jax.Array, scale: int, bound: jax.Array | float = 1.0) -> Line:
    """The lines through the centres of all pixels of a scale, row by row; void where none of the pixels is wanted."""
    rows, columns = _shape(camera, scale)
    u = (corners(rows, columns) + 0.5) * scale
    lines = jax.vmap(raygen.line_through, in_axes=(None, 0, None))(camera, u, bound)
    height, width = camera.resolution
    whole = jnp.pad(wanted, ((0, rows * scale - height), (0, columns * scale - width)))
    any_wanted = jnp.any(whole.reshape(rows, scale, columns, scale), axis=(1, 3))
    return replace(lines, far=jnp.where(any_wanted.reshape(-1), lines.far, -jnp.inf))


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
