"""The SDF and radiance networks of [I20] and [B22 §3.5]."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sdfrepar.networks.config import NetworkConfig
from sdfrepar.networks.layers import Dense, encode, softplus

_ROUNDING = 0.1
"""Radius of curvature of the first field's cone at the centre, scene units."""


class SDFNetwork(nn.Module):
    """A point and what encodes it to distance () and features (F,): softplus layers, started as a sphere [I20]."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, encoded: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distance () and features (F,); the first three of encoded (E,) are the point."""
        config = self.config
        inputs = encoded.shape[0]
        h = encoded
        for layer in range(config.sdf_depth):
            if layer == config.sdf_skip and layer > 0:
                h = jnp.concatenate([h, encoded]) / math.sqrt(2.0)
            sees_point = layer in (0, config.sdf_skip)
            h = Dense(
                config.sdf_width,
                config.weight_norm,
                hidden_kernel(inputs if sees_point else 0),
                name=f"hidden_{layer}",
            )(h)
            h = softplus(h, config.beta)
        distance = Dense(
            1,
            config.weight_norm,
            sphere_kernel,
            nn.initializers.constant(-config.initial_radius),
            name="distance",
        )(h)[0]
        return distance, Dense(config.features, config.weight_norm, name="features")(h)


class FeatureSDF(nn.Module):
    """A point and the features there to distance (): a sphere, and what a hidden layer adds, at first nothing."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, x: jax.Array, features: jax.Array) -> jax.Array:
        """Distance () at x (3,) with features (F,)."""
        hidden = Dense(self.config.grid.sdf_width, name="hidden")(jnp.concatenate([x, features]))
        added = Dense(1, kernel_init=nn.initializers.normal(1e-4), name="added")(softplus(hidden, self.config.beta))
        # Rounded at its centre, where a surface may come to lie.
        return jnp.sqrt(x @ x + _ROUNDING**2) - self.config.initial_radius + added[0]


class RadianceNetwork(nn.Module):
    """Point, normal, viewing direction and features to radiance (3,), linear."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, x: jax.Array, normal: jax.Array, direction: jax.Array, features: jax.Array) -> jax.Array:
        """Linear radiance (3,), darkest to brightest, at x (3,) with unit normal (3,), seen along direction (3,)."""
        config = self.config
        seen_along = [encode(direction, config.view_octaves)] if config.view_dependent else []
        h = jnp.concatenate([encode(x, config.point_octaves), normal, *seen_along, features])
        for layer in range(config.radiance_depth):
            h = nn.relu(Dense(config.radiance_width, config.weight_norm, name=f"hidden_{layer}")(h))
        colour = linear_colour(Dense(3, config.weight_norm, name="radiance")(h))
        return config.darkest + (config.brightest - config.darkest) * colour


def linear_colour(outputs: jax.Array) -> jax.Array:
    """Radiance (3,), linear, in [0, 1], of unbounded outputs (3,).

    Squaring brings the logistic function near the eye's scale, in which colours are told apart evenly.
    """
    return nn.sigmoid(outputs) ** 2


def hidden_kernel(encoded_inputs: int) -> nn.initializers.Initializer:
    """N(0, √2/√width), and zero for what encodes the point among the last `encoded_inputs` rows (all but x itself).

    [I20]'s geometric initialisation: the network starts as a sphere, and as smooth as one.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        kernel = jax.random.normal(key, shape, dtype) * math.sqrt(2.0 / shape[1])
        if encoded_inputs:
            encoding = jnp.arange(shape[0]) >= shape[0] - encoded_inputs + 3
            kernel = jnp.where(encoding[:, None], 0.0, kernel)
        return kernel

    return init


def sphere_kernel(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """The last layer (I, O) of [I20]'s geometric initialisation: the mean of its inputs, scaled to |x|."""
    return math.sqrt(math.pi / shape[0]) + 1e-4 * jax.random.normal(key, shape, dtype)
