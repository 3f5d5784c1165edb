"""Features on grids of several resolutions, between which they are C1: quadratic B-splines over dense or hashed nodes.

The cube [-1, 1]^3 is cut into R cells a side; the spline has R + 2 coefficients along each axis. A level with more
coefficients than its table has entries shares the entries among them by a hash, as Müller et al. do (Instant Neural
Graphics Primitives, 2022). Trilinear features, theirs, have normals that jump from cell to cell.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar.networks.config import FeatureConfig

# Large primes of Teschner et al. 2003, as Müller et al. take them.
_PRIMES = np.array([1, 2_654_435_761, 805_459_861], np.uint32)

# Around a point, the coefficients of a quadratic spline: three along each axis.
_AROUND = np.stack(np.meshgrid(*3 * [np.arange(3)], indexing="ij"), axis=-1).reshape(-1, 3)


def cells(config: FeatureConfig) -> list[int]:
    """Cells along each axis of every level."""
    if config.levels == 1:
        return [config.finest]
    growth = (config.finest / config.coarsest) ** (1.0 / (config.levels - 1))
    return [round(config.coarsest * growth**level) for level in range(config.levels)]


def initial_tables(config: FeatureConfig, *, key: jax.Array) -> list[jax.Array]:
    """A table for every level: (R + 2, R + 2, R + 2, channels), or (entries, channels) of a hash; next to zero."""
    shapes = [_shape(config, count) for count in cells(config)]
    keys = jax.random.split(key, len(shapes))
    return [jax.random.uniform(k, shape, minval=-1e-4, maxval=1e-4) for k, shape in zip(keys, shapes, strict=True)]


def lookup(config: FeatureConfig, tables: list[jax.Array], x: jax.Array) -> jax.Array:
    """The features (levels * channels,) at x (3,), scene units; outside the cube those of its nearest point.

    Gradient: C1 in x within the cube.
    """
    inside = jnp.clip(x, -1.0, 1.0)
    return jnp.concatenate([_spline(table, count, inside) for table, count in zip(tables, cells(config), strict=True)])


def _shape(config: FeatureConfig, count: int) -> tuple[int, ...]:
    side = count + 2
    return (config.table, config.channels) if side**3 > config.table else (side, side, side, config.channels)


def _spline(table: jax.Array, count: int, x: jax.Array) -> jax.Array:
    """One level (channels,) at x (3,) of the cube."""
    s = (x + 1.0) * (0.5 * count)
    cell = jnp.clip(jnp.floor(s), 0, count - 1)
    t = s - cell
    weights = jnp.stack([0.5 * (1.0 - t) ** 2, 0.5 + t * (1.0 - t), 0.5 * t**2])
    corner = cell.astype(jnp.int32)
    if table.ndim == 4:
        block = jax.lax.dynamic_slice(table, (*corner, jnp.int32(0)), (3, 3, 3, table.shape[-1]))
    else:
        block = table[_hash(corner[None] + _AROUND, table.shape[0])].reshape(3, 3, 3, -1)
    # Sums in place of products of small matrices: faster under vmap on the CPU.
    rows = jnp.sum(weights[:, 0, None, None, None] * block, axis=0)
    columns = jnp.sum(weights[:, 1, None, None] * rows, axis=0)
    return jnp.sum(weights[:, 2, None] * columns, axis=0)


def _hash(node: jax.Array, entries: int) -> jax.Array:
    """The entry (N,) of integer nodes (N, 3)."""
    mixed = node.astype(jnp.uint32) * _PRIMES[None]
    return (mixed[:, 0] ^ mixed[:, 1] ^ mixed[:, 2]) % jnp.uint32(entries)


def width(config: FeatureConfig) -> int:
    """Length of what `lookup` gives."""
    return math.prod((config.levels, config.channels))
