"""Points of the unit interval and of the unit square, more even than chance."""

from typing import Literal

import jax
import jax.numpy as jnp

Pattern = Literal["independent", "stratified", "sobol", "regular"]


def square_points(pattern: Pattern, key: jax.Array, per_side: int) -> jax.Array:
    """per_side² points (per_side², 2) in [0, 1)²; the mean over them of any integrand has its integral as its mean.

    Args:
        pattern: independent: by chance; stratified: one in each of per_side² cells; sobol: the Sobol sequence under
            Owen's scrambling, best where per_side is a power of two; regular: the middles of the cells, the same for
            every key, so that the integral is approximated and not met in the mean.
        key: random key.
        per_side: points a side.
    """
    if pattern == "independent":
        return jax.random.uniform(key, (per_side**2, 2))
    if pattern in ("stratified", "regular"):
        cells = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(per_side)], indexing="xy"), axis=-1).reshape(-1, 2)
        return (cells + (0.5 if pattern == "regular" else jax.random.uniform(key, cells.shape))) / per_side
    return scrambled_sobol(key, per_side**2)


def line_points(pattern: Pattern, key: jax.Array, count: int) -> jax.Array:
    """Points (count,) in [0, 1): by chance, or one in each of `count` cells, or in the middle of each."""
    jitter = jnp.full((count,), 0.5) if pattern == "regular" else jax.random.uniform(key, (count,))
    return jitter if pattern == "independent" else (jnp.arange(count) + jitter) / count


def scrambled_sobol(key: jax.Array, count: int) -> jax.Array:
    """The first points (count, 2) of the Sobol sequence under Owen's nested uniform scrambling [Burley 2020].

    Every scrambled point is uniform over the square; together, 4^m of them hold one point in each of 4^m elementary
    boxes of any shape.
    """
    index = jnp.arange(count, dtype=jnp.uint32)
    seeds = jax.random.bits(key, (2,), jnp.uint32)
    # Reversed bits of the first coordinate are the index itself; the second's are its product with Pascal's triangle.
    reversed_bits = jnp.stack([index, _reversed_second(index)], axis=-1)
    scrambled = _reverse_bits(_scramble_from_below(reversed_bits, seeds[None]))
    return (scrambled >> 8).astype(jnp.float32) * 2.0**-24


def _reversed_second(index: jax.Array) -> jax.Array:
    """The second Sobol coordinate of each index, bits reversed: column k of Pascal's triangle mod 2 for bit k."""
    column, result = 1, jnp.zeros_like(index)
    for bit in range(32):
        result = result ^ jnp.where((index >> bit) & 1 == 1, jnp.uint32(column), jnp.uint32(0))
        column = (column ^ (column << 1)) & 0xFFFFFFFF
    return result


def _scramble_from_below(x: jax.Array, seed: jax.Array) -> jax.Array:
    """Laine and Karras' hash: each bit is flipped by a hash of the lower ones, which is Owen's tree, upside down."""
    x = x ^ (x * jnp.uint32(0x3D20ADEA))
    x = x + seed
    x = x * ((seed >> 16) | 1)
    x = x ^ (x * jnp.uint32(0x05526C56))
    return x ^ (x * jnp.uint32(0x53A22864))


def _reverse_bits(x: jax.Array) -> jax.Array:
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        x = ((x >> shift) & jnp.uint32(mask)) | ((x & jnp.uint32(mask)) << shift)
    return (x >> 16) | (x << 16)
