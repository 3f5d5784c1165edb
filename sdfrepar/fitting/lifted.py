"""The completion of [P19]: a code whose field has the right value at points lifted off the surface along its normals.

The baseline of `completion`: it needs normals, and knows nothing of what a camera sees beside the points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sdfrepar import losses
from sdfrepar.fitting.step import FitState, state_of, stepped
from sdfrepar.observing import Subject

# After this share of the steps the rate is a tenth [P19].
_COOLED = 0.5


@dataclass(frozen=True)
class LiftedConfig:
    """The optimisation of a code; constants of the code of [P19]."""

    steps: int = 800
    """Steps of the optimiser."""
    rate: float = 5e-3
    """Learning rate of the code; a tenth of it after half of the steps."""
    points: int = 8000
    """Samples of a step; all, where there are no more."""
    lift: float = 0.01
    """How far samples are lifted off the surface, outwards and inwards, scene units."""
    clamp: float = 0.1
    """Distances count up to here, scene units."""
    code_weight: float = 1e-4
    """Weight of the mean squared number of the code."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.steps < 1 or self.points < 1:
            raise ValueError(f"lifted.steps is {self.steps} and lifted.points {self.points}; both must be at least 1.")
        if not 0 < self.lift < self.clamp:
            raise ValueError(f"lifted.lift is {self.lift}; it must be positive, and below the clamp of {self.clamp}.")


def lifted(points: jax.Array, normals: jax.Array, lift: float) -> tuple[jax.Array, jax.Array]:
    """Samples (2 P, 3) on both sides of points (P, 3) of a surface with outward normals (P, 3), and what the field is
    there, (2 P,).
    """
    sides = jnp.array([lift, -lift])
    samples = jax.vmap(lambda side: points + side * normals)(sides)
    return samples.reshape(-1, 3), jnp.repeat(sides, len(points))


def first_lifted_state(config: LiftedConfig, code: jax.Array) -> FitState:
    """The state before the first step, from a code (latent,)."""
    return state_of(_optimiser(config), {"code": code})


def make_lifted_step(
    subject: Subject, config: LiftedConfig
) -> Callable[[FitState, Any, jax.Array, jax.Array, jax.Array], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, network, samples (M, 3), distances (M,), key) -> (state, metrics), the network held."""
    optimiser = _optimiser(config)

    def loss_of(params: Any, network: Any, x: jax.Array, true: jax.Array) -> Any:
        prepared = subject.prepare({"network": network, **params})
        off = losses.clamped(jax.vmap(partial(subject.distance, prepared))(x), true, config.clamp)
        return off + config.code_weight * jnp.mean(params["code"] ** 2), {"distance": off}

    @partial(jax.jit, donate_argnums=0)
    def step(
        state: FitState, network: Any, samples: jax.Array, distances: jax.Array, key: jax.Array
    ) -> tuple[FitState, dict[str, jax.Array]]:
        if len(samples) > config.points:
            drawn = jax.random.randint(jax.random.fold_in(key, state.step), (config.points,), 0, len(samples))
            samples, distances = samples[drawn], distances[drawn]
        gradient, metrics = jax.grad(loss_of, has_aux=True)(state.params, network, samples, distances)
        return stepped(optimiser, 0.0, state, gradient, metrics)

    return step


def _optimiser(config: LiftedConfig) -> optax.GradientTransformation:
    cooled = optax.piecewise_constant_schedule(config.rate, {round(_COOLED * config.steps): 0.1})
    return optax.adam(cooled)
