"""Central differences under the signature of a derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar.rendering.differences import central

# A power of two, and numbers with few digits: all that is exact on paper is exact in float32.
STEP = 0.25
MATRIX = np.array([[2.0, -1.0, 0.5], [0.0, 1.5, 1.0], [1.0, -0.5, -2.0]], np.float32)
X = np.array([0.5, -1.0, 2.0], np.float32)


def quadratic(params):
    x = params["x"]
    return x @ (MATRIX @ x) + params["scale"] * jnp.sum(x)


PARAMS = {"x": jnp.asarray(X), "scale": jnp.float32(3.0)}


def test_the_value_is_the_function_s_own():
    assert float(central(quadratic, STEP)(PARAMS)) == float(quadratic(PARAMS))


def test_quadratics_have_their_exact_derivative():
    slope = jax.grad(central(quadratic, STEP))(PARAMS)
    np.testing.assert_array_equal(slope["x"], (MATRIX + MATRIX.T) @ X + 3.0)
    assert float(slope["scale"]) == X.sum()


def test_cubics_are_off_by_the_square_of_the_step():
    cubic = central(lambda x: x**3, STEP)
    assert float(jax.grad(cubic)(jnp.float32(2.0))) == 3 * 2.0**2 + STEP**2


def test_a_jump_is_seen_within_a_step():
    """What automatic differentiation cannot see."""
    slope = jax.grad(central(lambda x: jnp.where(x > 1.0, 2.0, 0.0), STEP))
    assert [float(slope(jnp.float32(x))) for x in (0.7, 0.9, 1.1, 1.3)] == [0.0, 4.0, 4.0, 0.0]


def curved(params, points):
    """(4, 2) of a few numbers, in a tree."""
    return {"wave": jnp.sin(points * params["x"][None, :2]) + params["scale"] * params["x"][2]}


POINTS = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)


def test_forward_and_reverse_mode_agree():
    smooth = central(curved, 1e-2)
    forward = jax.jacfwd(smooth)(PARAMS, POINTS)
    reverse = jax.jacrev(smooth)(PARAMS, POINTS)
    exact = jax.jacfwd(curved)(PARAMS, POINTS)
    for one, other, truth in zip(*map(jax.tree.leaves, (forward, reverse, exact)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
        # h² / 6 of a third derivative of at most 16, and float32's roundings over 2 h.
        np.testing.assert_allclose(one, truth, atol=1e-3)
        assert np.any(np.asarray(truth) != 0)


def test_a_direction_weighs_the_differences():
    direction = {"x": jnp.array([1.0, -2.0, 0.5]), "scale": jnp.float32(2.0)}
    value, along = jax.jvp(central(quadratic, STEP), (PARAMS,), (direction,))
    slope = jax.grad(quadratic)(PARAMS)
    assert float(value) == float(quadratic(PARAMS))
    assert float(along) == float(slope["x"] @ direction["x"] + slope["scale"] * direction["scale"])


def recorded(seen):
    """A function of two numbers that notes where it is evaluated."""

    def function(a, b):
        jax.debug.callback(lambda a, b: seen.add((float(a), float(b))), a, b)
        return a * b

    return central(function, STEP)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_only_what_is_differentiated_is_moved(wrap):
    for argnum, expected in ((0, {(2.25, 5.0), (1.75, 5.0)}), (1, {(2.0, 5.25), (2.0, 4.75)})):
        seen = set()
        slope = jax.grad(wrap(recorded(seen)), argnums=argnum)(jnp.float32(2.0), jnp.float32(5.0))
        jax.effects_barrier()
        assert seen - {(2.0, 5.0)} == expected
        assert float(slope) == (5.0, 2.0)[argnum]


def with_counts(x, count, key):
    """A float and integers, of a float, an integer and a random key."""
    noise = jax.random.normal(key, (3,))
    return jnp.sum(count * x**2 + noise), {"above": jnp.sum(x > 0), "count": count}


def test_integers_and_keys_pass_through():
    """Noise that is drawn alike on either side leaves no trace."""
    key = jax.random.key(0)
    function = central(with_counts, STEP)
    (value, aux), slope = jax.value_and_grad(function, has_aux=True)(jnp.asarray(X), jnp.int32(2), key)
    expected, _ = with_counts(X, 2, key)
    assert float(value) == float(expected)
    assert aux["above"].dtype == aux["count"].dtype == jnp.int32
    assert int(aux["above"]) == int(aux["count"]) == 2
    np.testing.assert_allclose(slope, 4 * X, atol=1e-5)
    (_, aux), (tangent, no_tangent) = jax.jvp(lambda x: function(x, jnp.int32(2), key), (X,), (np.ones_like(X),))
    assert float(tangent) == pytest.approx(4 * X.sum(), abs=1e-5)
    assert int(aux["above"]) == 2 and all(leaf.dtype == jax.dtypes.float0 for leaf in jax.tree.leaves(no_tangent))


def test_too_many_numbers_are_refused():
    total = central(lambda x, y: jnp.sum(x) * jnp.sum(y), STEP)
    few, many = jnp.ones(256), jnp.ones(257)
    np.testing.assert_allclose(jax.grad(total)(few, many), 257.0, rtol=1e-4)
    with pytest.raises(ValueError, match=r"derivative in 257 numbers, .* expected at most 256"):
        jax.grad(total, argnums=1)(few, many)
    with pytest.raises(ValueError, match="derivative in 513 numbers"):
        jax.grad(total, argnums=(0, 1))(few, many)
    # The value alone costs one evaluation.
    assert float(total(many, many)) == 257.0**2


def test_works_under_jit_and_of_mapped_functions():
    def mapped(params, points):
        return jnp.sum(jax.vmap(lambda point: curved(params, point[None])["wave"][0])(points) ** 2)

    slope = jax.jit(jax.grad(central(mapped, 1e-2)))(PARAMS, POINTS)
    for one, other in zip(*map(jax.tree.leaves, (slope, jax.grad(mapped)(PARAMS, POINTS))), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def test_works_mapped():
    x = jnp.asarray(MATRIX)
    slopes = jax.jit(jax.vmap(jax.grad(central(quadratic, STEP)), in_axes=({"x": 0, "scale": None},)))(
        {"x": x, "scale": jnp.float32(3.0)}
    )
    np.testing.assert_array_equal(slopes["x"], x @ (MATRIX + MATRIX.T) + 3.0)
    np.testing.assert_array_equal(slopes["scale"], x.sum(axis=1))


def test_may_close_over_what_is_detached():
    """A guess made from the parameters, as a picture's control variate is, belongs to the function and stays put."""

    @jax.jit
    @jax.grad
    def slope(x):
        guess = jax.lax.stop_gradient(x) + 1.0
        return central(lambda x: x * guess, STEP)(x)

    assert float(slope(jnp.float32(3.0))) == 4.0
