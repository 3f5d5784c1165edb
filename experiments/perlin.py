"""Gradient noise [Perlin 2002] as a solid texture: smooth, without a period that a picture could show.

Each corner of the integer lattice has a direction, drawn by a hash of its coordinates. The noise at a point blends the
linear functions that rise from its eight corners along their directions.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))

# The twelve directions from the centre of a cube to the middles of its edges, of length 1.
_DIRECTIONS = np.array([d for d in itertools.product((-1, 0, 1), repeat=3) if d.count(0) == 1]) / math.sqrt(2.0)

# Odd constants of well-mixed bits, one for each coordinate and one for the last mixing.
_FACTORS = np.array([0x8DA6B343, 0xD8163841, 0xCB1AB31F], np.uint32)
_MIXER = np.uint32(0x7FEB352D)


def noise(x: jax.Array) -> jax.Array:
    """Gradient noise () in [-1, 1] at x (3,), in units of the lattice; 0 on the lattice itself.

    Gradient: C1 in x, with continuous second derivatives.
    """
    cell = jnp.floor(x)
    offset = (x - cell)[None] - _CORNERS
    direction = _directions(cell.astype(jnp.int32)[None] + _CORNERS)
    weight = jnp.prod(1.0 - fade(jnp.abs(offset)), axis=1)
    # A corner of a unit cell is at most √3 / 2 away from where it still weighs as much as the others.
    return jnp.sum(weight * jnp.sum(direction * offset, axis=1)) / (0.5 * math.sqrt(3.0))


def fade(t: jax.Array) -> jax.Array:
    """Perlin's step from 0 to 1 over [0, 1], elementwise; its first and second derivatives vanish at both ends."""
    t = jnp.clip(t, 0.0, 1.0)
    return t**3 * (t * (6.0 * t - 15.0) + 10.0)


def _directions(lattice: jax.Array) -> jax.Array:
    """The direction (8, 3) of each of eight lattice points (8, 3), int32."""
    products = lattice.astype(jnp.uint32) * _FACTORS[None]
    mixed = products[:, 0] ^ products[:, 1] ^ products[:, 2]
    mixed = (mixed ^ (mixed >> 15)) * _MIXER
    return jnp.asarray(_DIRECTIONS, jnp.float32)[(mixed ^ (mixed >> 16)) % len(_DIRECTIONS)]
