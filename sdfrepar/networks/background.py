"""Radiance around the scene, on a sphere that encloses it."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from sdfrepar.networks.config import BackgroundConfig
from sdfrepar.networks.layers import Dense, encode
from sdfrepar.networks.surface import linear_colour


class BackgroundNetwork(nn.Module):
    """Where a ray leaves the enclosing sphere, and its direction, to radiance (3,), linear."""

    config: BackgroundConfig

    @nn.compact
    def __call__(self, origin: jax.Array, direction: jax.Array) -> jax.Array:
        """Linear radiance (3,) in [0, 1] along the ray from origin (3,) in unit direction (3,), scene frame."""
        config = self.config
        point = leaves_sphere(origin, direction, config.radius) / config.radius
        h = jnp.concatenate([encode(point, config.point_octaves), encode(direction, config.direction_octaves)])
        for layer in range(config.depth):
            h = nn.relu(Dense(config.width, name=f"hidden_{layer}")(h))
        return linear_colour(Dense(3, name="radiance")(h))


def leaves_sphere(origin: jax.Array, direction: jax.Array, radius: float) -> jax.Array:
    """Where a line leaves the sphere around the scene's origin, (3,); where it comes nearest to it, if it misses.

    Gradient: finite; its slope grows as the line comes to touch the sphere, and is floored there.
    """
    middle = -(origin @ direction)
    nearest = origin + middle * direction
    half_chord_squared = jnp.maximum(radius**2 - nearest @ nearest, 1e-4 * radius**2)
    return nearest + jnp.sqrt(half_chord_squared) * direction
