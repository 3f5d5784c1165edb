"""A field from range scans, without a prior: zero where they measured, free before it, and a distance everywhere.

A point at s before a measured one is free, and no farther from the surface than s; one a little behind it is inside,
and no deeper. What no scan has seen is closed by the eikonal term alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sdfrepar import cameras, losses
from sdfrepar.fields import Distance
from sdfrepar.fitting.step import FitState, state_of, stepped, warm_then_cosine


@dataclass(frozen=True)
class RangesConfig:
    """The optimisation."""

    steps: int = 1500
    """Steps of the optimiser."""
    points: int = 1024
    """Measured points a step; as many before them, behind them and in the unit ball."""
    rate: float = 2e-3
    """Learning rate of the field."""
    pose_rate: float = 0.0
    """Learning rate of the scans' poses, radians and scene units; 0 keeps them. The first scan stays in any case."""
    warm_up: int = 50
    """Steps over which the rates rise from zero."""
    final_rate: float = 0.02
    """Learning rates at the end, as a share of those at the start; the decay is a cosine."""
    before: float = 0.6
    """How far before a measured point space is looked at, scene units."""
    behind: float = 0.02
    """How thick the object is at least, scene units."""
    free_weight: float = 1.0
    """Weight of how far the field is out of its bounds before and behind what was measured."""
    eikonal_weight: float = 0.05
    """Weight of `losses.eikonal`."""
    average: float = 0.99
    """Decay of the moving average of the parameters."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("steps", "points", "before", "behind"):
            if getattr(self, name) <= 0:
                raise ValueError(f"fit.{name} is {getattr(self, name)}; it must be positive.")


class Ranges(NamedTuple):
    """Points that were measured."""

    point: jax.Array  # (N, 3) scene units
    towards: jax.Array  # (N, 3) unit, from there to the scanner
    scan: jax.Array  # (N,) int32, by which scan


def first_ranges_state(config: RangesConfig, field: Any, scans: int) -> FitState:
    """The state before the first step; its params are {"field": ..., "poses": (scans, 6) zeros}."""
    params = {"field": field, "poses": jnp.zeros((scans, 6))}
    return state_of(_optimiser(config), params)


def make_ranges_step(
    distance: Distance, config: RangesConfig
) -> Callable[[FitState, Ranges, jax.Array], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, ranges, key) -> (state, metrics), which draws points by key and step alone."""
    optimiser = _optimiser(config)

    def loss_of(params: Any, some: Ranges, key: jax.Array) -> Any:
        field, count = partial(distance, params["field"]), len(some.point)
        free_key, near_key, behind_key, ball_key = jax.random.split(key, 4)
        x, towards = moved(params["poses"], some)
        # Half of what is looked at before a point lies next to it.
        reach = jnp.where(jax.random.bernoulli(near_key, 0.5, (count,)), config.before, 2.0 * config.behind)
        s = reach * jax.random.uniform(free_key, (count,))
        b = config.behind * jax.random.uniform(behind_key, (count,))
        before, after = (jax.vmap(field)(x + side[:, None] * towards) for side in (s, -b))
        ball = jax.random.uniform(ball_key, (count, 3), minval=-1.0, maxval=1.0)
        terms = {
            "surface": jnp.mean(jnp.abs(jax.vmap(field)(x))),
            "free": jnp.mean(_beyond(before, 0.0, s)) + jnp.mean(_beyond(after, -b, 0.0)),
            "eikonal": losses.eikonal(distance, params["field"], jnp.concatenate([ball, x])),
        }
        loss = terms["surface"] + config.free_weight * terms["free"] + config.eikonal_weight * terms["eikonal"]
        return loss, {"loss": loss, **terms}

    @partial(jax.jit, donate_argnums=0)
    def step(state: FitState, ranges: Ranges, key: jax.Array) -> tuple[FitState, dict[str, jax.Array]]:
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, state.step))
        drawn = jax.random.randint(draw_key, (config.points,), 0, len(ranges.point))
        some = jax.tree.map(lambda leaf: leaf[drawn], ranges)
        gradient, metrics = jax.grad(loss_of, has_aux=True)(state.params, some, loss_key)
        gradient["poses"] = gradient["poses"].at[0].set(0.0)
        return stepped(optimiser, config.average, state, gradient, metrics)

    return step


def moved(poses: jax.Array, ranges: Ranges) -> tuple[jax.Array, jax.Array]:
    """Points (N, 3) and directions (N, 3) once each scan is turned about the origin and shifted by its pose: a rotation
    vector, radians, then a translation, scene units.
    """

    def of_point(x: jax.Array, towards: jax.Array, scan: jax.Array) -> tuple[jax.Array, jax.Array]:
        turn = cameras.rotation_by(poses[scan, :3])
        return turn @ x + poses[scan, 3:], turn @ towards

    return jax.vmap(of_point)(*ranges)


def _beyond(f: jax.Array, least: jax.Array | float, most: jax.Array | float) -> jax.Array:
    """How far values (N,) are out of their bounds."""
    return jnp.maximum(least - f, 0.0) + jnp.maximum(f - most, 0.0)


def _optimiser(config: RangesConfig) -> optax.GradientTransformation:
    def adam(rate: float) -> optax.GradientTransformation:
        return optax.adam(warm_then_cosine(config.steps, rate, config.warm_up, config.final_rate), b2=0.99)

    poses = adam(config.pose_rate) if config.pose_rate else optax.set_to_zero()
    return optax.multi_transform({"field": adam(config.rate), "poses": poses}, {"field": "field", "poses": "poses"})
