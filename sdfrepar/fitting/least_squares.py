"""Damped least squares for a few unknowns, such as a code's [Levenberg 1944, Marquardt 1963].

Where every residual is one of the field at a point, one batch of points gives all rows of the Jacobian: a step costs
what one of gradient descent does, and some twenty of them take the place of hundreds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

# The damping before the first step; by how much it falls after a step that helped, and rises after another.
_DAMPING, _BOLDER, _SHYER = 0.1, 0.3, 4.0


class Quadratic(NamedTuple):
    """A loss about a point, to second order."""

    loss: jax.Array  # ()
    slope: jax.Array  # (U,)
    curvature: jax.Array  # (U, U) of Gauss and Newton


@struct.dataclass(kw_only=True)
class SearchState:
    """Unknowns, the loss about them, and how far a step may go."""

    unknown: jax.Array  # (U,)
    about: Quadratic
    damping: jax.Array  # ()
    least: jax.Array  # () loss so far

    @property
    def loss(self) -> jax.Array:
        """The loss () there."""
        return self.about.loss


class Search(NamedTuple):
    """A search, jitted; its loss never rises above the least so far by more than its patience allows."""

    first: Callable[..., SearchState]
    """(unknown, *data) -> the state before the first step."""
    step: Callable[..., SearchState]
    """(state, *data) -> state."""


def make_search(about: Callable[..., Quadratic], patience: float = 0.0) -> Search:
    """The search for the least of a loss, of which `about` tells: (unknown (U,), *data) -> quadratic.

    Args:
        about: the loss.
        patience: share of the least loss so far by which a step may miss it. A loss that jumps, as one does of rays
            that come to hit and cease to, would hold a search that has none at its first jump.
    """

    @jax.jit
    def first(unknown: jax.Array, *data: Any) -> SearchState:
        here = about(unknown, *data)
        return SearchState(unknown=unknown, about=here, damping=jnp.float32(_DAMPING), least=here.loss)

    @jax.jit
    def step(state: SearchState, *data: Any) -> SearchState:
        _, slope, curvature = state.about
        damped = curvature + state.damping * jnp.diag(jnp.diag(curvature))
        unknown = state.unknown - jnp.linalg.solve(damped, slope)
        to = about(unknown, *data)
        least = jnp.minimum(to.loss, state.least)
        there = SearchState(unknown=unknown, about=to, damping=_BOLDER * state.damping, least=least)
        stays = SearchState(unknown=state.unknown, about=state.about, damping=_SHYER * state.damping, least=state.least)
        return jax.tree.map(partial(jnp.where, to.loss < (1.0 + patience) * state.least), there, stays)

    return Search(first, step)


def sum_of_squares(residual: jax.Array, rows: jax.Array, weight: jax.Array, bend: float) -> Quadratic:
    """Σ w ρ(r) of residuals r (N,), with rows (N, U) of their derivatives and weights w (N,): ρ is r² / 2 up to about
    the bend, and beyond it no steeper than there, so that what is far off pulls no more.
    """
    stretch = jnp.sqrt(1.0 + (residual / bend) ** 2)
    pull = weight / stretch
    return Quadratic(
        # bend² (stretch - 1), without the difference.
        loss=jnp.sum(weight * residual**2 / (stretch + 1.0)),
        slope=rows.T @ (pull * residual),
        curvature=rows.T @ (pull[:, None] * rows),
    )


def kept_small(unknown: jax.Array, weight: jax.Array | float) -> Quadratic:
    """W |unknown|² / 2, w () or (U,)."""
    weight = jnp.broadcast_to(weight, unknown.shape)
    return Quadratic(0.5 * jnp.sum(weight * unknown**2), weight * unknown, jnp.diag(weight))
