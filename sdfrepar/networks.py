"""Neural fields: the SDF and radiance networks of [I20] and [B22], wrapped as pure functions of one parameter tree.

The only module that knows Flax's layers. Nothing of the pipeline imports it: a network enters as a `rendering.Scene`.
"""

import math
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sdfrepar.rendering import Scene


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks."""

    sdf_width: int = 64
    sdf_depth: int = 4
    """Hidden layers of the SDF network."""
    sdf_skip: int = 2
    """Hidden layer that sees the encoded point again; 0 for none."""
    sdf_octaves: int = 6
    """Octaves of positional encoding of the point; their first weights are zero."""
    features: int = 32
    """Features that the SDF network hands to the radiance network."""
    radiance_width: int = 64
    radiance_depth: int = 2
    """Hidden layers of the radiance network."""
    point_octaves: int = 4
    """Octaves of positional encoding of the point in the radiance network."""
    view_dependent: bool = False
    """Whether radiance changes with the viewing direction. Where it need not, it should not: it can hide any shape."""
    view_octaves: int = 2
    """Octaves of positional encoding of the viewing direction."""
    initial_radius: float = 0.5
    """Radius of the sphere that the SDF starts as, scene units."""
    beta: float = 100.0
    """Sharpness of the softplus; the field is smooth on scales above 1 / β."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.sdf_skip < self.sdf_depth:
            raise ValueError(
                f"network.sdf_skip is {self.sdf_skip}; it names one of the {self.sdf_depth} hidden layers "
                "after the first, 1 to sdf_depth - 1, or 0 for none."
            )
        if not 0 < self.initial_radius < 1:
            raise ValueError(
                f"network.initial_radius is {self.initial_radius}; the first sphere must lie in the unit sphere."
            )


def encode(x: jax.Array, octaves: int) -> jax.Array:
    """Positional encoding (n (1 + 2 octaves),) of x (n,): x, sin 2^k x, cos 2^k x.

    Each octave comes from the one below by the double-angle formulas: two products where a sine costs twenty.
    """
    parts = [x]
    sine, cosine = jnp.sin(x), jnp.cos(x)
    for _ in range(octaves):
        parts += [sine, cosine]
        sine, cosine = 2.0 * sine * cosine, 1.0 - 2.0 * sine * sine
    return jnp.concatenate(parts)


@jax.custom_jvp
def softplus(x: jax.Array, beta: float) -> jax.Array:
    """log(1 + exp(βx)) / β, without overflow.

    Gradient: the logistic function of βx in x, written so that it is differentiated as cheaply again; none in β.
    """
    return jnp.maximum(x, 0.0) + jnp.log(1.0 + jnp.exp(-beta * jnp.abs(x))) / beta


@softplus.defjvp
def _softplus_jvp(primals: tuple[jax.Array, float], tangents: tuple[jax.Array, Any]) -> tuple[jax.Array, jax.Array]:
    (x, beta), (dx, _) = primals, tangents
    return softplus(x, beta), jax.nn.sigmoid(beta * x) * dx


class SDFNetwork(nn.Module):
    """x (3,) to distance () and features (F,): softplus layers, started as a sphere [I20]."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distance () and features (F,) at x (3,)."""
        config = self.config
        encoded = encode(x, config.sdf_octaves)
        h = encoded
        for layer in range(config.sdf_depth):
            inputs = encoded.shape[0] if layer == 0 else 0
            if layer == config.sdf_skip and layer > 0:
                h = jnp.concatenate([h, encoded]) / math.sqrt(2.0)
                inputs = encoded.shape[0]
            h = nn.Dense(config.sdf_width, kernel_init=_hidden_kernel(inputs), name=f"hidden_{layer}")(h)
            h = softplus(h, config.beta)
        distance = nn.Dense(
            1,
            kernel_init=_sphere_kernel,
            bias_init=nn.initializers.constant(-config.initial_radius),
            name="distance",
        )(h)[0]
        return distance, nn.Dense(config.features, name="features")(h)


class RadianceNetwork(nn.Module):
    """Point, normal, viewing direction and features to radiance (3,), linear."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, x: jax.Array, normal: jax.Array, direction: jax.Array, features: jax.Array) -> jax.Array:
        """Linear radiance (3,) in [0, 1] at x (3,) with unit normal (3,), seen along direction (3,)."""
        config = self.config
        seen_along = [encode(direction, config.view_octaves)] if config.view_dependent else []
        h = jnp.concatenate([encode(x, config.point_octaves), normal, *seen_along, features])
        for layer in range(config.radiance_depth):
            h = nn.relu(nn.Dense(config.radiance_width, name=f"hidden_{layer}")(h))
        # Squaring brings the logistic output near the eye's scale, in which colours are told apart evenly.
        return nn.sigmoid(nn.Dense(3, name="radiance")(h)) ** 2


def scene(config: NetworkConfig) -> Scene:
    """The networks as a scene; its params are those of `initialise`."""
    sdf, radiance = SDFNetwork(config), RadianceNetwork(config)

    def distance(params: Any, x: jax.Array) -> jax.Array:
        return sdf.apply(params["sdf"], x)[0]

    def surface_radiance(params: Any, x: jax.Array, normal: jax.Array, direction: jax.Array) -> jax.Array:
        features = sdf.apply(params["sdf"], x)[1]
        return jnp.asarray(radiance.apply(params["radiance"], x, normal, direction, features))

    def background(params: Any, direction: jax.Array) -> jax.Array:
        del direction
        return params["background"]

    return Scene(distance=distance, radiance=surface_radiance, background=background)


def initialise(config: NetworkConfig, background: jax.Array, *, key: jax.Array) -> dict[str, Any]:
    """Parameters of `scene(config)`: a sphere of the configured radius, before a constant background (3,), linear."""
    sdf_key, radiance_key = jax.random.split(key)
    point = jnp.zeros(3)
    sdf_params = SDFNetwork(config).init(sdf_key, point)
    radiance_params = RadianceNetwork(config).init(radiance_key, point, point, point, jnp.zeros(config.features))
    return {"sdf": sdf_params, "radiance": radiance_params, "background": jnp.asarray(background, jnp.float32)}


def _hidden_kernel(encoded_inputs: int) -> nn.initializers.Initializer:
    """N(0, √2/√width), and zero for the encoded octaves among the last `encoded_inputs` rows (all but x itself).

    [I20]'s geometric initialisation: the network starts as a sphere, and as smooth as one.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        kernel = jax.random.normal(key, shape, dtype) * math.sqrt(2.0 / shape[1])
        if encoded_inputs:
            octaves = jnp.arange(shape[0]) >= shape[0] - encoded_inputs + 3
            kernel = jnp.where(octaves[:, None], 0.0, kernel)
        return kernel

    return init


def _sphere_kernel(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """The last layer of [I20]'s geometric initialisation: the mean of its inputs, scaled to |x|."""
    return math.sqrt(math.pi / shape[0]) + 1e-4 * jax.random.normal(key, shape, dtype)
