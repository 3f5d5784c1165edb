"""Values and first and second derivatives, over the magnitudes of float32 and at zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import numerics

UNIT = np.array([0.6, -0.64, 0.48])
TINY_LENGTHS = 10.0 ** np.arange(-38.0, -10.0)
# Squares of these neither underflow nor overflow, and those of SMALL_LENGTHS leave room for second derivatives, too.
LENGTHS = 10.0 ** np.arange(-9.0, 19.0)
SMALL_LENGTHS = 10.0 ** np.arange(-9.0, 13.0)
SIGNS = np.array([-1.0, 1.0])
# Normal numbers whose inverses are normal, too.
DIVISORS = np.outer(SIGNS, 10.0 ** np.arange(-37.0, 38.0)).ravel()


def single(x) -> jax.Array:
    return jnp.asarray(x, jnp.float32)


def mapped(function, *x):
    """`function` over the leading axis, compiled once; NumPy leaves in double precision."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.jit(jax.vmap(function))(*x))


def vectors(lengths: np.ndarray) -> jax.Array:
    return single(np.concatenate([np.outer(lengths, UNIT), np.outer(lengths, -UNIT)]))


def both(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([lengths, lengths])


def units(lengths: np.ndarray) -> np.ndarray:
    return np.outer(np.repeat([1.0, -1.0], len(lengths)), UNIT)


def along_tangent(n: int) -> np.ndarray:
    return np.broadcast_to(np.eye(3) - np.outer(UNIT, UNIT), (n, 3, 3))


def test_safe_norm_over_all_lengths():
    v, length = vectors(LENGTHS), both(LENGTHS)
    f = numerics.safe_norm
    value, gradient, hessian = mapped(lambda v: (f(v), jax.grad(f)(v), jax.hessian(f)(v)), v)
    # A few roundings of float32, here and below: 1e-6 relative, 1e-5 where derivatives multiply them.
    np.testing.assert_allclose(value, length, rtol=1e-6)
    np.testing.assert_allclose(gradient, units(LENGTHS), atol=1e-6)
    np.testing.assert_allclose(hessian * length[:, None, None], along_tangent(len(v)), atol=1e-5)


def test_safe_normalize_over_all_lengths():
    v, length = vectors(LENGTHS), both(LENGTHS)
    f = numerics.safe_normalize
    value, forward, reverse = mapped(lambda v: (f(v), jax.jacfwd(f)(v), jax.jacrev(f)(v)), v)
    np.testing.assert_allclose(value, units(LENGTHS), atol=1e-6)
    for jacobian in (forward, reverse):
        np.testing.assert_allclose(jacobian * length[:, None, None], along_tangent(len(v)), atol=1e-5)


def test_safe_normalize_second_derivative():
    v, length, u, eye = vectors(SMALL_LENGTHS), both(SMALL_LENGTHS), units(SMALL_LENGTHS), np.eye(3)
    second = mapped(jax.jacfwd(jax.jacrev(numerics.safe_normalize)), v)
    expected = 3.0 * np.einsum("ni,nj,nk->nijk", u, u, u)
    for subscripts in ("ij,nk->nijk", "ik,nj->nijk", "jk,ni->nijk"):
        expected -= np.einsum(subscripts, eye, u)
    np.testing.assert_allclose(second * length[:, None, None, None] ** 2, expected, atol=1e-5)


@pytest.mark.parametrize("f", [numerics.safe_norm, numerics.safe_normalize])
def test_vectors_without_a_direction_give_zero(f):
    v = jnp.concatenate([jnp.zeros((1, 3)), -jnp.zeros((1, 3)), vectors(TINY_LENGTHS)])
    results = mapped(lambda v: (f(v), jax.jacfwd(f)(v), jax.jacrev(f)(v), jax.jacfwd(jax.jacrev(f))(v)), v)
    assert all(np.all(result == 0) for result in results)


@pytest.mark.parametrize("sign", SIGNS)
def test_safe_divide_over_all_divisors(sign):
    b = single(DIVISORS[np.abs(DIVISORS) > 2e-18])
    exact, f = np.asarray(b, np.float64), numerics.safe_divide
    quotient, alike, in_dividend = mapped(
        lambda a, b: (f(a, b), f(a * b, b), jax.grad(f)(a, b)), jnp.full_like(b, sign), b
    )
    np.testing.assert_allclose(quotient, sign / exact, rtol=1e-6)
    np.testing.assert_allclose(alike, np.full(len(b), sign), rtol=1e-6)
    np.testing.assert_allclose(in_dividend, 1 / exact, rtol=1e-6)


def test_safe_divide_by_too_little_is_zero():
    b = single(DIVISORS[np.abs(DIVISORS) < 5e-19])
    value, slopes = mapped(jax.value_and_grad(numerics.safe_divide, argnums=(0, 1)), jnp.ones_like(b), b)
    assert all(np.all(leaf == 0) for leaf in (value, *slopes))


def test_safe_divide_derivatives():
    # The inverse cube of the divisor must be a normal number.
    b = single(DIVISORS[np.abs(np.log10(np.abs(DIVISORS))) < 12.5])
    in_divisor = jax.grad(numerics.safe_divide, argnums=1)
    first, (mixed, second) = mapped(
        lambda a, b: (in_divisor(a, b), jax.grad(in_divisor, argnums=(0, 1))(a, b)), jnp.full_like(b, -3.0), b
    )
    exact = np.asarray(b, np.float64)
    np.testing.assert_allclose(first, 3 / exact**2, rtol=1e-6)
    np.testing.assert_allclose(second, -6 / exact**3, rtol=1e-5)
    np.testing.assert_allclose(mixed, -1 / exact**2, rtol=1e-6)


def test_safe_divide_by_zero():
    dividends = [-1e38, -1.0, -1e-37, 0.0, 1e-37, 1.0, 1e38]
    a, b = single(dividends * 2), single([0.0] * len(dividends) + [-0.0] * len(dividends))
    f = numerics.safe_divide
    results = mapped(lambda a, b: (f(a, b), jax.grad(f, (0, 1))(a, b), jax.hessian(f, (0, 1))(a, b)), a, b)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(results))


def test_nothing_divided_by_little_has_no_slope_in_the_divisor():
    b = single(DIVISORS)
    assert np.all(mapped(jax.grad(numerics.safe_divide, argnums=1), jnp.zeros_like(b), b) == 0)


@pytest.mark.parametrize("floor", [1e-30, 1e-3, 1e30])
def test_away_from_zero(floor):
    # Not at the kink itself.
    x = single([x for x in (*DIVISORS, 0.0, -0.0) if not 0.9 < abs(x) / floor < 1.1])

    def function(x: jax.Array) -> jax.Array:
        return numerics.away_from_zero(x, floor)

    value, slope, second = mapped(lambda x: (function(x), jax.grad(function)(x), jax.grad(jax.grad(function))(x)), x)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(value, np.where(exact < 0, -1, 1) * np.maximum(np.abs(exact), floor), rtol=1e-6)
    np.testing.assert_array_equal(slope, np.where(np.abs(exact) > floor, 1, 0))
    assert np.all(second == 0)


@pytest.mark.parametrize("sign", SIGNS)
def test_away_from_zero_has_no_slope_at_the_floor(sign):
    assert jax.grad(numerics.away_from_zero)(jnp.float32(sign * 0.25), 0.25) == 0


def test_tangent_of_keeps_derivatives_only():
    def function(x: jax.Array) -> jax.Array:
        return numerics.tangent_of(jnp.sin(x))

    x = jnp.linspace(-3.0, 3.0, 13)
    value, first, second = mapped(lambda x: (function(x), jax.grad(function)(x), jax.grad(jax.grad(function))(x)), x)
    assert np.all(value == 0)
    np.testing.assert_allclose(first, np.cos(x), atol=1e-6)
    np.testing.assert_allclose(second, -np.sin(x), atol=1e-6)


def test_tangent_of_takes_every_magnitude():
    value, slope = mapped(jax.value_and_grad(numerics.tangent_of), single([*DIVISORS, 0.0]))
    assert np.all(value == 0) and np.all(slope == 1)


def bump_to_second_order(x: np.ndarray, inner: float, outer: float) -> tuple[np.ndarray, ...]:
    slope = jax.grad(numerics.bump)
    return mapped(
        lambda x: (numerics.bump(x, inner, outer), slope(x, inner, outer), jax.grad(slope)(x, inner, outer)), single(x)
    )


@pytest.mark.parametrize(("inner", "outer"), [(0.5, 2.0), (-3.0, -1.0), (1e-6, 2e-6)])
def test_bump_between_the_plateaus(inner, outer):
    width, s = outer - inner, np.array([0.25, 0.5, 0.75])
    value, slope, second = bump_to_second_order(outer - s * width, inner, outer)
    np.testing.assert_allclose(value, s**2 * (3 - 2 * s), atol=1e-5)
    np.testing.assert_allclose(slope * width, -6 * s * (1 - s), atol=1e-5)
    np.testing.assert_allclose(second * width**2, 6 - 12 * s, atol=1e-5)


def test_bump_on_the_plateaus_at_all_magnitudes():
    x = np.array([x for x in (*DIVISORS, 0.0, 1.0, 2.0) if x <= 1 or x >= 2])
    value, slope, second = bump_to_second_order(x, 1.0, 2.0)
    np.testing.assert_array_equal(value, np.where(x <= 1, 1, 0))
    assert np.all(slope == 0)
    # On the edges themselves the second derivative jumps.
    assert np.all(second[(x != 1) & (x != 2)] == 0)


def test_bump_is_c1_at_its_edges():
    _, slope, _ = bump_to_second_order(np.array([0.999, 1.001, 1.999, 2.001]), 1.0, 2.0)
    # |d²/dx²| <= 6 for width 1, so the slope is at most 6e-3 this close to a plateau.
    assert np.max(np.abs(slope)) < 6.1e-3


def test_with_tangent_of_has_the_one_value_and_the_other_derivative():
    value, derivative = jax.value_and_grad(lambda x: numerics.with_tangent_of(x**2, 7.0 * x) ** 2)(jnp.float32(3.0))
    assert float(value) == 81.0
    assert float(derivative) == 2.0 * 9.0 * 7.0
