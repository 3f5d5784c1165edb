"""The SDF as a spline grid that learns at all scales at once [V22].

The coefficients of the finest grid are a sum over levels, each refined exactly to the next (`grids.upsample`), with a
factor that halves as its cells do. A step of the optimiser that is alike for all numbers then moves the surface at the
coarse scales first, where it is far from where it belongs, and no grid has to be exchanged for a finer one meanwhile.
"""

import jax
import jax.numpy as jnp

from sdfrepar import grids
from sdfrepar.networks.config import VoxelConfig


def initial_levels(config: VoxelConfig, radius: float) -> list[jax.Array]:
    """The coefficients of every level, (N, N, N) each: a sphere of this radius on the first, zero on the others."""
    sides = [config.coarsest * 2**level + 3 for level in range(config.levels)]
    axis = -1.0 + (jnp.arange(sides[0]) - 1.0) * (2.0 / config.coarsest)
    x, y, z = jnp.meshgrid(axis, axis, axis, indexing="ij")
    return [jnp.sqrt(x**2 + y**2 + z**2) - radius, *(jnp.zeros(3 * (side,)) for side in sides[1:])]


def summed(levels: list[jax.Array]) -> grids.Params:
    """The params of `grids.distance` that the levels, (N, N, N) each, come to.

    Gradient: linear in the levels.
    """
    params = {"coefficients": levels[0]}
    for number, level in enumerate(levels[1:], start=1):
        params = {"coefficients": grids.upsample(params)["coefficients"] + 0.5**number * level}
    return params
