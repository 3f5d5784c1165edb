"""Finite differences as a derivative like any other: the same signature, for a few parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.flatten_util import ravel_pytree

from sdfrepar.rendering.config import GradientConfig

# Two renderings a number: beyond this many, nobody means it.
_MOST = 256


def differentiated(config: GradientConfig, rendered: Callable[..., Any]) -> Callable[..., Any]:
    """What was rendered, with the derivative of the chosen method: its own, unless that is finite differences."""
    return central(rendered, config.step) if config.method == "finite_difference" else rendered


def central(function: Callable[..., Any], step: float) -> Callable[..., Any]:
    """The same function, differentiated by central differences.

    Args:
        function: of any pytrees; what it draws at random it must draw alike each time.
        step: half the distance between the two values, in the units of each number.

    Returns:
        A function of the same values. Only floating-point leaves of its result have a derivative.

    Gradient: (F(θ + step e) - F(θ - step e)) / (2 step) for each number that is differentiated, in forward and in
        reverse mode; two evaluations each. Biased by O(step²).

    Raises:
        ValueError: more than 256 numbers are differentiated.
    """

    @jax.custom_jvp
    def differenced(*arguments: Any) -> Any:
        return jax.tree.map(jnp.asarray, function(*arguments))

    def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        leaves, tree = jax.tree.flatten(primals)
        motions = jax.tree.leaves(tangents, is_leaf=lambda t: isinstance(t, SymbolicZero))
        moving = [index for index, motion in enumerate(motions) if not isinstance(motion, SymbolicZero)]
        flat, unravel = ravel_pytree([leaves[index] for index in moving])
        if flat.size > _MOST:
            raise ValueError(
                f"finite_difference was asked for the derivative in {flat.size} numbers, each of which takes two "
                f"renderings, expected at most {_MOST}; differentiate along one direction, as sdfrepar.gradcheck does."
            )

        def moved(flat: jax.Array) -> Any:
            changed = dict(zip(moving, unravel(flat), strict=True))
            result = function(*jax.tree.unflatten(tree, [changed.get(i, leaf) for i, leaf in enumerate(leaves)]))
            return jax.tree.map(jnp.asarray, result)

        def along(axis: jax.Array) -> Any:
            return jax.tree.map(lambda a, b: _slope(a, b, step), moved(flat + step * axis), moved(flat - step * axis))

        columns = jax.lax.map(along, jnp.eye(flat.size, dtype=flat.dtype))
        flat_motion, _ = ravel_pytree([motions[index] for index in moving])
        value = jax.tree.map(jnp.asarray, function(*primals))
        return value, jax.tree.map(lambda v, c: _combined(v, c, flat_motion), value, columns)

    differenced.defjvp(rule, symbolic_zeros=True)
    return differenced


def _slope(after: jax.Array, before: jax.Array, step: float) -> jax.Array:
    if not jnp.issubdtype(after.dtype, jnp.floating):
        return jnp.zeros(after.shape)
    return (after - before) / (2.0 * step)


def _combined(value: jax.Array, columns: jax.Array, motion: jax.Array) -> Any:
    """The columns, weighted by the motion; integers have no tangent."""
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return jnp.zeros(value.shape, jax.dtypes.float0)
    return jnp.tensordot(motion, columns, axes=1)
