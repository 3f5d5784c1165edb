"""Small functions whose value AND gradient are specified. Nothing here knows what a ray is."""

import jax
import jax.numpy as jnp

# Squared lengths below this have no direction. It is far above the smallest normal float32 (1e-38), so that its inverse
# and the square of its inverse root stay finite in the second derivatives that warping takes.
_TINY_SQUARE = 1e-20
_TINY = 1e-18


def safe_norm(v: jax.Array) -> jax.Array:
    """The length of `v` (n,); 0 where it is below 1e-10.

    Gradient: v / |v|, and 0 instead of NaN where the length is below 1e-10.
    """
    square = v @ v
    vanishes = square < _TINY_SQUARE
    return jnp.where(vanishes, 0.0, jnp.sqrt(jnp.where(vanishes, 1.0, square)))


def safe_normalize(v: jax.Array) -> jax.Array:
    """`v` (n,) over its length; 0 where that is below 1e-10.

    Gradient: that of v / |v|, and 0 where the length is below 1e-10.
    """
    square = v @ v
    vanishes = square < _TINY_SQUARE
    return jnp.where(vanishes, 0.0, v / jnp.sqrt(jnp.where(vanishes, 1.0, square)))


def safe_divide(a: jax.Array, b: jax.Array) -> jax.Array:
    """The quotient a / b, elementwise, and 0 where |b| < 1e-18, whose square float32 could not hold.

    Gradient: that of a / b, and 0 where |b| < 1e-18.
    """
    vanishes = jnp.abs(b) < _TINY
    return jnp.where(vanishes, 0.0, a / jnp.where(vanishes, 1.0, b))


def away_from_zero(x: jax.Array, floor: float) -> jax.Array:
    """`x`, elementwise, with its magnitude raised to at least `floor`, its sign kept (+ at zero).

    Gradient: 1 where |x| > floor, 0 elsewhere.
    """
    return jnp.where(jnp.abs(x) > floor, x, jnp.where(x < 0, -floor, floor))


def tangent_of(x: jax.Array) -> jax.Array:
    """Zero, elementwise, with the derivative of `x`.

    Gradient: that of `x`. `x` must be finite.
    """
    return x - jax.lax.stop_gradient(x)


@jax.custom_jvp
def with_tangent_of(x: jax.Array, y: jax.Array) -> jax.Array:
    """`x`, with the derivative of `y`, of the same shape. What follows sees `x` itself, to the last digit.

    Gradient: 0 in `x`, 1 in `y`.
    """
    del y
    return x


@with_tangent_of.defjvp
def _with_tangent_of_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return primals[0], tangents[1]


def bump(x: jax.Array, inner: float, outer: float) -> jax.Array:
    """Elementwise 1 for x <= inner, 0 for x >= outer, a cubic in between, so C1 everywhere.

    Gradient: that of the cubic; 0 on both plateaus.
    """
    s = jnp.clip((outer - x) / (outer - inner), 0.0, 1.0)
    return s * s * (3.0 - 2.0 * s)
