"""A decoder and the codes of many shapes, fitted together to samples of their distances: the auto-decoder of [P19]."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sdfrepar import losses
from sdfrepar.fitting.step import FitState, state_of, stepped, warm_then_cosine
from sdfrepar.networks import DecoderConfig, decoder, initial_decoder

_FIRST_CODES = 0.01
"""Standard deviation of codes before the first step."""


@dataclass(frozen=True)
class CodesConfig:
    """The optimisation of a decoder with its codes."""

    steps: int = 5000
    """Steps of the optimiser."""
    shapes: int = 16
    """Shapes a step."""
    points: int = 512
    """Samples of each of them."""
    rate: float = 1e-3
    """Learning rate of the network."""
    code_rate: float = 2e-3
    """Learning rate of the codes."""
    final_rate: float = 0.05
    """Learning rates at the end, as a share of those at the start; the decay is a cosine."""
    warm_up: int = 100
    """Steps over which the rates rise from zero."""
    clamp: float = 0.1
    """Distances count up to here, scene units [P19]."""
    code_weight: float = 1e-4
    """Weight of the mean squared length of the codes [P19]."""
    colour_weight: float = 0.05
    """Weight of the mean difference of colours, where the decoder has any."""
    average: float = 0.99
    """Decay of the moving average of the parameters, which is what is kept."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("steps", "shapes", "points"):
            if getattr(self, name) < 1:
                raise ValueError(f"fit.{name} is {getattr(self, name)}; it must be at least 1.")
        if self.clamp <= 0:
            raise ValueError(f"fit.clamp is {self.clamp} scene units; distances count up to there, so let it be 0.1.")


def initial_codes(network: DecoderConfig, shapes: int, *, key: jax.Array) -> dict[str, Any]:
    """Params of the fit: the network's, and the codes (shapes, latent), next to zero."""
    network_key, code_key = jax.random.split(key)
    codes = _FIRST_CODES * jax.random.normal(code_key, (shapes, network.latent))
    return {"network": initial_decoder(network, key=network_key)["network"], "codes": codes}


def of_shape(params: dict[str, Any], shape: jax.Array | int) -> dict[str, Any]:
    """The decoder's params for the shape of this index ()."""
    return {"network": params["network"], "code": params["codes"][shape]}


def first_codes_state(config: CodesConfig, params: Any) -> FitState:
    """The state before the first step."""
    return state_of(_optimiser(config), params)


def make_codes_step(
    network: DecoderConfig, config: CodesConfig
) -> Callable[[FitState, jax.Array, jax.Array, jax.Array, jax.Array], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, points, distances, colours, key) -> (state, metrics).

    Points (S, N, 3), distances (S, N) and colours (S, N, channels) are samples of all the shapes, from which a step
    draws by key and step alone.
    """
    optimiser, decoded = _optimiser(config), decoder(network)

    def loss_of(params: Any, shapes: jax.Array, points: jax.Array, distances: jax.Array, colours: jax.Array) -> Any:
        def of_one(shape: jax.Array, points: jax.Array) -> tuple[jax.Array, jax.Array]:
            prepared = decoded.prepare(of_shape(params, shape))
            return jax.vmap(lambda x: (decoded.distance(prepared, x), decoded.properties(prepared, x)))(points)

        found, seen = jax.vmap(of_one)(shapes, points)
        distance = losses.clamped(found, distances, config.clamp)
        squared = jnp.mean(jnp.sum(params["codes"][shapes] ** 2, axis=-1))
        loss, terms = distance + config.code_weight * squared, {"distance": distance, "code": jnp.sqrt(squared)}
        if network.channels:
            terms["colour"] = jnp.mean(jnp.abs(seen - colours))
            loss += config.colour_weight * terms["colour"]
        return loss, terms

    @partial(jax.jit, donate_argnums=0)
    def step(
        state: FitState, points: jax.Array, distances: jax.Array, colours: jax.Array, key: jax.Array
    ) -> tuple[FitState, dict[str, jax.Array]]:
        shape_key, point_key = jax.random.split(jax.random.fold_in(key, state.step))
        count = min(config.shapes, points.shape[0])
        shapes = jax.random.choice(shape_key, points.shape[0], (count,), replace=False)
        chosen = jax.random.randint(point_key, (count, config.points), 0, points.shape[1])
        some = (x[shapes[:, None], chosen] for x in (points, distances, colours))
        gradient, metrics = jax.grad(loss_of, has_aux=True)(state.params, shapes, *some)
        return stepped(optimiser, config.average, state, gradient, metrics)

    return step


def _optimiser(config: CodesConfig) -> optax.GradientTransformation:
    groups: dict[Hashable, optax.GradientTransformation] = {
        name: optax.adam(warm_then_cosine(config.steps, rate, config.warm_up, config.final_rate))
        for name, rate in (("network", config.rate), ("codes", config.code_rate))
    }
    return optax.chain(optax.clip_by_global_norm(1.0), optax.multi_transform(groups, {name: name for name in groups}))
