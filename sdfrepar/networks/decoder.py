"""The decoder of DeepSDF [P19]: a code and a point to the signed distance there, for a whole family of shapes.

Its params are {"code": (latent,), "network": ...}. `prepared` folds the code, which is the same for every point of a
shape, into the biases of the two layers that see it, and weight norms into kernels; the functions take either. What a
code has more numbers than `latent` are added to the biases of all hidden layers (ours): shapes near those that were
learnt, to which no code decodes.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras
from sdfrepar.networks.layers import Dense, folded, softplus
from sdfrepar.networks.surface import hidden_kernel, linear_colour, sphere_kernel
from sdfrepar.observing import Subject
from sdfrepar.rendering import Scene

# Half a turn as published decoders with Fourier features were trained with it: at their 16th harmonic π itself is off.
_HALF_TURN = 3.1415

# The least deviation of codes along a direction, as a share of the greatest.
_LEAST_DEVIATION = 0.05


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of a decoder; those of [P19] if not given."""

    latent: int = 256
    """Numbers of a code."""
    width: int = 512
    """Width of the hidden layers; the one before the skip is narrower by what is put in again."""
    depth: int = 8
    """Hidden layers."""
    skip: int = 4
    """Hidden layer that sees code and point again; 0 for none."""
    octaves: int = 0
    """Fourier features of the point, in its place; 0 for the point itself."""
    activation: Literal["relu", "softplus"] = "relu"
    """Of the hidden layers; relu as [P19], softplus where derivatives are to be smooth."""
    beta: float = 100.0
    """Sharpness of the softplus."""
    bounded: bool = True
    """Whether the distance goes through a hyperbolic tangent."""
    weight_norm: bool = True
    """Whether layers learn direction and length of their weights apart."""
    channels: int = 0
    """Further outputs: linear colour, or whatever else is decoded at a surface."""
    initial_radius: float = 0.5
    """Radius of the sphere that every shape starts as, scene units."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.skip < self.depth:
            raise ValueError(
                f"decoder.skip is {self.skip}; it names one of the {self.depth} hidden layers after the first, 1 to "
                "depth - 1, or 0 for none."
            )
        if self.skip and self.width <= self.latent + self.inputs:
            raise ValueError(
                f"decoder.width is {self.width}, and the layer before the skip would have {self.width} - {self.latent} "
                f"(latent) - {self.inputs} (point) outputs; make the width larger or the skip 0."
            )

    @property
    def inputs(self) -> int:
        """Numbers by which a point enters."""
        return inputs_of(self.octaves)

    @property
    def biases(self) -> int:
        """Those of all hidden layers."""
        return sum(self.hidden(layer) for layer in range(self.depth))

    def hidden(self, layer: int) -> int:
        """Outputs of a hidden layer."""
        return self.width - (self.latent + self.inputs if layer == self.skip - 1 else 0)


class DecoderNetwork(nn.Module):
    """A point, and the code unless it is folded into the biases, to distance () and properties (channels,)."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, x: jax.Array, code: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Distance () and properties (channels,) at x (3,)."""
        config = self.config
        point = fourier(x, config.octaves) if config.octaves else x
        query = point if code is None else jnp.concatenate([code, point])
        h = query
        for layer in range(config.depth):
            if layer == config.skip and layer > 0:
                h = jnp.concatenate([h, query])
            h = Dense(config.hidden(layer), config.weight_norm, hidden_kernel(0), name=f"hidden_{layer}")(h)
            h = nn.relu(h) if config.activation == "relu" else softplus(h, config.beta)
        start = nn.initializers.constant(-config.initial_radius)
        distance = Dense(1, kernel_init=sphere_kernel, bias_init=start, name="distance")(h)[0]
        properties = linear_colour(Dense(config.channels, name="properties")(h)) if config.channels else jnp.zeros(0)
        return jnp.tanh(distance) if config.bounded else distance, properties


def decoder(config: DecoderConfig) -> Subject:
    """Shapes, one for each code; the params are those of `initial_decoder`, as they are or after `prepare`."""
    module = DecoderNetwork(config)

    def decoded(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        if "code" in params and len(params["code"]) > config.latent:
            params = with_code_folded(config, params)
        applied: Any = module.apply({"params": params["network"]}, x, params.get("code"))
        return applied

    return Subject(
        distance=lambda params, x: decoded(params, x)[0],
        properties=lambda params, x: decoded(params, x)[1],
        prepare=lambda params: with_code_folded(config, params),
    )


class Spread(NamedTuple):
    """Where the codes of a family lie."""

    mean: jax.Array  # (latent,)
    axes: jax.Array  # (latent, latent) its principal directions in columns, as long as codes deviate along them


def spread_of(codes: np.ndarray) -> Spread:
    """The spread of codes (S, latent); along directions in which they hardly deviate, or which so few codes say nothing
    of, it is a twentieth of the greatest.
    """
    mean = codes.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(codes.T, bias=True).reshape(2 * [codes.shape[1]]))
    deviations = np.sqrt(np.maximum(variances, (_LEAST_DEVIATION**2 * variances.max())))
    return Spread(jnp.asarray(mean), jnp.asarray(directions * deviations))


def in_deviations(subject: Subject, of_biases: float = 1.0) -> Subject:
    """The same shapes by codes that count deviations from a mean, so that all their numbers weigh alike.

    Its params are {"code": (latent,), "network": (network, spread)}, those of `subject` {"code": `from_deviations`,
    "network": network}; or what these are prepared to. Further numbers of a code, changes of biases, count deviations
    of `of_biases`.
    """

    def plain(params: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(params["network"], tuple):
            return params
        network, spread = params["network"]
        return {"network": network, "code": from_deviations(spread, params["code"], of_biases)}

    return Subject(
        distance=lambda params, x: subject.distance(plain(params), x),
        properties=lambda params, x: subject.properties(plain(params), x),
        prepare=lambda params: subject.prepare(plain(params)),
    )


def from_deviations(spread: Spread, code: jax.Array, of_biases: float = 1.0) -> jax.Array:
    """The code (latent + biases,), in the decoder's own numbers, that deviates by `code`, as many, from the mean.

    The biases, if there are any, are multiplied by `of_biases`.
    """
    latent = len(spread.mean)
    return jnp.concatenate([spread.mean + spread.axes @ code[:latent], of_biases * code[latent:]])


def placed(subject: Subject, deviations: tuple[float, float, float] = (0.1, 0.05, 0.05)) -> Subject:
    """The same shapes turned, moved and scaled: the first seven numbers of the code are a rotation vector, a shift and
    the logarithm of a scale, all of them in `deviations`, radians, scene units and one.
    """
    turn, shift, stretch = deviations

    def prepare(params: dict[str, Any]) -> dict[str, Any]:
        if "placement" in params:
            return params
        code = params["code"]
        return {"shape": subject.prepare({**params, "code": code[7:]}), "placement": code[:7]}

    def own(params: dict[str, Any], x: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
        params = prepare(params)
        placement = params["placement"]
        scale = jnp.exp(stretch * placement[6])
        back = cameras.rotation_by(-turn * placement[:3])
        return params["shape"], back @ (x - shift * placement[3:6]) / scale, scale

    def distance(params: dict[str, Any], x: jax.Array) -> jax.Array:
        shape, y, scale = own(params, x)
        return scale * subject.distance(shape, y)

    def properties(params: dict[str, Any], x: jax.Array) -> jax.Array:
        shape, y, _ = own(params, x)
        return subject.properties(shape, y)

    return Subject(distance, properties, prepare)


def coloured(subject: Subject, network: Any) -> Scene:
    """A shape with the colours that are decoded at its surface, whatever the light, before an even background.

    Its params are {"sdf": {"code": ...}, "background": (3,) linear}; the network is held.
    """

    def whole(params: Any) -> Any:
        sdf = params["sdf"]
        return {"network": network, **sdf} if "code" in sdf else sdf

    return Scene(
        distance=lambda params, x: subject.distance(whole(params), x),
        radiance=lambda params, x, normal, direction: subject.properties(whole(params), x),
        background=lambda params, origin, direction: params["background"],
        prepare=lambda params: {**params, "sdf": subject.prepare(whole(params))},
    )


def initial_decoder(config: DecoderConfig, *, key: jax.Array) -> dict[str, Any]:
    """Params of `decoder(config)`: the code zero, every shape next to a sphere."""
    code = jnp.zeros(config.latent)
    return {"code": code, "network": DecoderNetwork(config).init(key, jnp.zeros(3), code)["params"]}


def with_code_folded(config: DecoderConfig, params: dict[str, Any]) -> dict[str, Any]:
    """The same shape with its code in the biases, and weight norms in the kernels: params without a code.

    Gradient: naive; the optimiser sees the params as they were.
    """
    network = folded(params["network"])
    if "code" not in params:
        return {"network": network}
    code, changes = params["code"][: config.latent], params["code"][config.latent :]

    def without_code(layer: dict[str, jax.Array], before: int) -> dict[str, jax.Array]:
        kernel = layer["kernel"]
        rows = slice(before, before + config.latent)
        rest = jnp.concatenate([kernel[:before], kernel[before + config.latent :]])
        return {"kernel": rest, "bias": layer["bias"] + code @ kernel[rows]}

    network = {**network, "hidden_0": without_code(network["hidden_0"], 0)}
    if config.skip:
        name = f"hidden_{config.skip}"
        network[name] = without_code(network[name], config.hidden(config.skip - 1))
    return {"network": _with_biases_changed(config, network, changes) if len(changes) else network}


def _with_biases_changed(config: DecoderConfig, network: dict[str, Any], changes: jax.Array) -> dict[str, Any]:
    """The network with changes (config.biases,) of all the biases of its hidden layers."""
    if len(changes) != config.biases:
        raise ValueError(
            f"A code has {len(changes)} numbers beyond the {config.latent} of the decoder; expected none, or one for "
            f"each of the {config.biases} biases of hidden layers."
        )
    each = jnp.split(changes, np.cumsum([config.hidden(layer) for layer in range(config.depth)])[:-1])
    names = [f"hidden_{layer}" for layer in range(config.depth)]
    changed = {
        name: {**network[name], "bias": network[name]["bias"] + change}
        for name, change in zip(names, each, strict=True)
    }
    return {**network, **changed}


def inputs_of(octaves: int) -> int:
    """Numbers by which a point enters: its Fourier features, or without octaves its own."""
    return 6 * octaves or 3


def fourier(x: jax.Array, octaves: int) -> jax.Array:
    """The cosines of 2^l π x (3,) for all octaves l, then their sines: (6 octaves,)."""
    angles = (_HALF_TURN * 2.0 ** jnp.arange(octaves)[:, None] * x[None]).reshape(-1)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)])
