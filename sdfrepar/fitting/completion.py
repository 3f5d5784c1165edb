"""The code of a decoder whose shape looks as a camera has seen it: shape completion by first-order gradients [D20]."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sdfrepar import losses, observing
from sdfrepar.fitting.maps import Maps
from sdfrepar.fitting.step import FitState, state_of, stepped, warm_then_cosine
from sdfrepar.observing import Channel, ObserveConfig, Subject
from sdfrepar.records import Camera, Observation


@dataclass(frozen=True)
class CompletionConfig:
    """The optimisation of a code; weights as in the code of [D20]."""

    steps: int = 100
    """Steps of the optimiser."""
    rate: float = 1e-2
    """Learning rate of the code."""
    final_rate: float = 0.05
    """Learning rate at the end, as a share of that at the start; the decay is a cosine."""
    depth_weight: float = 10.0
    """Weight of `losses.depth`."""
    normal_weight: float = 5.0
    """Weight of `losses.normals`."""
    silhouette_weight: float = 1.0
    """Weight of `losses.silhouette`."""
    reach: float = 0.15
    """Depths that differ by more, scene units, are those of two surfaces of which one hides the other; they count, but
    do not pull, nor do their normals, as no derivative tells what would uncover the other."""
    code_weight: float = 1.0
    """Weight of the mean squared number of the code."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.steps < 1:
            raise ValueError(f"fit.steps is {self.steps}; it must be at least 1.")


def first_completion_state(config: CompletionConfig, code: jax.Array) -> FitState:
    """The state before the first step, from a code (latent,)."""
    return state_of(_optimiser(config), {"code": code})


def make_completion_step(
    subject: Subject, observe: ObserveConfig, config: CompletionConfig
) -> Callable[[FitState, Any, Camera, Maps], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, network, camera, true maps) -> (state, metrics), the network's params held.

    The metrics are those of the code before the step: `image`, the weighted loss of what is seen, its terms, and the
    code's length.
    """
    optimiser = _optimiser(config)
    channels: tuple[Channel, ...] = ("silhouette", "normal") if config.normal_weight else ("silhouette",)

    def loss_of(params: Any, network: Any, camera: Camera, true: Maps) -> Any:
        prepared, code = subject.prepare({"network": network, **params}), params["code"]
        wanted = true.measured | true.outlined
        found = observing.observe(subject, observe, prepared, camera, channels=channels, wanted=wanted)
        image, terms = image_loss(config, found, true)
        return image + config.code_weight * jnp.mean(code**2), {
            "image": image,
            **terms,
            "code": jnp.sqrt(jnp.sum(code**2)),
        }

    @partial(jax.jit, donate_argnums=0)
    def step(state: FitState, network: Any, camera: Camera, true: Maps) -> tuple[FitState, dict[str, jax.Array]]:
        gradient, metrics = jax.grad(loss_of, has_aux=True)(state.params, network, camera, true)
        return stepped(optimiser, 0.0, state, gradient, metrics)

    return step


def image_loss(config: CompletionConfig, found: Observation, true: Maps) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted loss () of what is seen, and its terms: depth and normals on pixels valid in both, silhouette.

    Gradient: in what is found; none of depths, and of normals there, that are farther off than `config.reach`.
    """
    both = found.valid & true.measured
    alike = jnp.abs(found.depth - true.depth) < config.reach
    depth = jnp.where(alike, found.depth, jax.lax.stop_gradient(found.depth))
    normal = jnp.where(alike[..., None], found.normal, jax.lax.stop_gradient(found.normal))
    terms = {
        "depth": losses.depth(depth, true.depth, both),
        "normal": losses.normals(normal, true.normal, both),
        "silhouette": outline_loss(found, true),
    }
    weights = config.depth_weight, config.normal_weight, config.silhouette_weight
    return sum((w * term for w, term in zip(weights, terms.values(), strict=True)), jnp.zeros(())), terms


def outline_loss(found: Observation, true: Maps) -> jax.Array:
    """`losses.silhouette` () over the pixels of which it is known whether there is a surface."""
    return losses.silhouette(jnp.where(true.outlined, found.silhouette, 0.0), true.mask)


def _optimiser(config: CompletionConfig) -> optax.GradientTransformation:
    return optax.adam(warm_then_cosine(config.steps, config.rate, 0, config.final_rate), b2=0.99)
