"""The networks' parts against naive twins, the sphere that they start as, and what they refuse."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import networks
from sdfrepar.networks import NetworkConfig

CONFIG = NetworkConfig()
BACKGROUND = np.array([0.1, 0.5, 1.0])


@functools.cache
def initialiser(config: NetworkConfig):
    return jax.jit(jax.vmap(lambda key: networks.initialise(config, jnp.asarray(BACKGROUND), key=key)))


def initialised(config: NetworkConfig, seeds: int, impl: str = "rbg"):
    """Parameters with a leading axis of seeds; "rbg" compiles several times faster than the usual generator."""
    return initialiser(config)(jax.random.split(jax.random.key(0, impl=impl), seeds))


@pytest.fixture(scope="module")
def many_params():
    return initialised(CONFIG, 24, impl="threefry2x32")  # the same draws on every platform


@pytest.fixture(scope="module")
def params(many_params):
    return jax.tree.map(lambda leaf: leaf[0], many_params)


@pytest.fixture(scope="module")
def distance():
    return jax.jit(jax.vmap(networks.scene(CONFIG).distance, (None, 0)))


def in_ball(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return (direction * rng.random((count, 1)) ** (1 / 3)).astype(np.float32)


def naive_encoding(x: np.ndarray, octaves: int) -> np.ndarray:
    waves = [wave(2.0**k * x) for k in range(octaves) for wave in (np.sin, np.cos)]
    return np.concatenate([x, *waves], axis=-1)


@pytest.mark.parametrize("octaves", [0, 1, 6])
def test_encode_equals_sines_and_cosines(octaves):
    x = np.random.default_rng(0).uniform(-1, 1, (64, 3))
    encoded = jax.jit(jax.vmap(lambda x: networks.encode(x, octaves)))(jnp.asarray(x, jnp.float32))
    assert encoded.shape == (64, 3 * (1 + 2 * octaves))
    # Each doubling of the angle doubles the rounding error: 2^5 times a few 1e-7.
    np.testing.assert_allclose(encoded, naive_encoding(x, octaves), atol=1e-4)


@pytest.mark.parametrize("beta", [1.0, 100.0])
def test_softplus_equals_its_formula(x64, beta):
    x = np.linspace(-3.0, 3.0, 61)
    slope = jax.grad(networks.softplus)
    to_second_order = lambda x: (networks.softplus(x, beta), slope(x, beta), jax.grad(slope)(x, beta))  # noqa: E731
    value, first, second = jax.jit(jax.vmap(to_second_order))(jnp.asarray(x))
    logistic = 1 / (1 + np.exp(-beta * x))
    np.testing.assert_allclose(value, np.log1p(np.exp(beta * x)) / beta, atol=1e-14)
    np.testing.assert_allclose(first, logistic, atol=1e-14)
    np.testing.assert_allclose(second, beta * logistic * (1 - logistic), atol=1e-12)


def test_softplus_does_not_overflow():
    x = jnp.array([-1e30, -1e4, -1.0, 0.0, 1.0, 1e4, 1e30])
    value, slope = jax.vmap(jax.value_and_grad(networks.softplus), (0, None))(x, 100.0)
    np.testing.assert_allclose(value, np.maximum(x, 0) + np.where(x == 0, np.log(2) / 100, 0), rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(slope, [0, 0, 0, 0.5, 1, 1, 1], atol=1e-30)


def test_softplus_has_no_slope_in_its_sharpness():
    assert jax.grad(networks.softplus, argnums=1)(0.1, 3.0) == 0


def shells(radius: float) -> np.ndarray:
    """128 points each at half, once and one and a half times the radius: (384, 3)."""
    directions = in_ball(128)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (radius * np.concatenate([0.5 * directions, directions, 1.5 * directions])).astype(np.float32)


def fields_of_seeds(config: NetworkConfig, params) -> np.ndarray:
    """The initial fields at `shells`: (seeds, 3, 128)."""
    distance = networks.scene(config).distance
    values = jax.jit(jax.vmap(jax.vmap(distance, (None, 0)), (0, None)))(params, shells(config.initial_radius))
    return np.asarray(values).reshape(-1, 3, 128)


def test_starts_as_a_sphere_on_average(many_params):
    f = fields_of_seeds(CONFIG, many_params)
    exact = CONFIG.initial_radius * np.array([-0.5, 0.0, 0.5])
    # The geometric initialisation holds in the mean over random weights. One network 64 wide scales lengths by 0.8 to
    # 1.4 and is as uneven as 0.2 to 0.4 between directions; the mean of 24 is right to 0.1.
    np.testing.assert_allclose(f.mean(axis=(0, 2)), exact, atol=0.1)
    rms = np.sqrt(np.mean((f - exact[:, None]) ** 2, axis=(1, 2)))
    assert np.median(rms) < 0.15
    # One network may have the wrong sign in a third of all directions; together they have it in few.
    right = np.stack([(f[:, 0] < 0).mean(axis=1), (f[:, 2] > 0).mean(axis=1)])
    assert right.min() > 0.5 and right.mean(axis=1).min() > 0.9


def test_a_wide_network_starts_as_a_sphere():
    config = NetworkConfig(sdf_width=256, radiance_depth=0)
    f = fields_of_seeds(config, initialised(config, 4))
    exact = config.initial_radius * np.array([-0.5, 0.0, 0.5])
    assert np.all(f[:, 0] < 0) and np.all(f[:, 2] > 0)
    assert np.sqrt(np.mean((f - exact[:, None]) ** 2)) < 0.12


def test_octaves_enter_with_weight_zero(params):
    layers = params["sdf"]["network"]
    first, again = np.asarray(layers["hidden_0"]["kernel"]), np.asarray(layers["hidden_2"]["kernel"])
    encoded = 3 * (1 + 2 * CONFIG.sdf_octaves)
    assert first.shape[0] == encoded and again.shape[0] == CONFIG.sdf_width + encoded
    assert np.all(first[3:] == 0) and np.all(again[CONFIG.sdf_width + 3 :] == 0)
    assert np.all(first[:3] != 0) and np.all(again[: CONFIG.sdf_width + 3] != 0)


def test_the_first_field_is_the_same_without_octaves(params, distance):
    plain = copy.deepcopy(params)
    layers, encoded = plain["sdf"]["network"], 6 * CONFIG.sdf_octaves
    for name in ("hidden_0", "hidden_2"):
        layers[name]["kernel"] = layers[name]["kernel"][:-encoded]
    without = networks.scene(NetworkConfig(sdf_octaves=0)).distance
    x = in_ball(256)
    np.testing.assert_allclose(distance(params, x), jax.jit(jax.vmap(without, (None, 0)))(plain, x), atol=1e-5)


def test_a_key_decides_the_weights(many_params):
    kernel = np.asarray(many_params["sdf"]["network"]["hidden_1"]["kernel"])
    assert np.all(kernel[0] != kernel[1])
    np.testing.assert_array_equal(
        initialised(CONFIG, 24, impl="threefry2x32")["sdf"]["network"]["hidden_1"]["kernel"], kernel
    )


@pytest.mark.parametrize("view_dependent", [False, True])
def test_scene_gives_what_rendering_expects(view_dependent):
    config = NetworkConfig(
        sdf_width=8, sdf_depth=2, sdf_skip=0, features=4, radiance_width=8, view_dependent=view_dependent
    )
    scene = networks.scene(config)
    params = jax.tree.map(lambda leaf: leaf[0], initialised(config, 1))
    x = jnp.asarray(in_ball(16))
    directions = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    assert jax.eval_shape(scene.distance, params, x[0]).shape == ()
    radiance = jax.jit(jax.vmap(scene.radiance, (None, 0, 0, 0)))
    seen = np.asarray(radiance(params, x, directions, directions))
    assert seen.shape == (16, 3) and seen.min() >= 0 and seen.max() <= 1 and np.ptp(seen) > 1e-3
    from_behind = np.asarray(radiance(params, x, directions, -directions))
    assert np.any(from_behind != seen) == view_dependent
    np.testing.assert_allclose(scene.background(params, x[0], directions[0]), BACKGROUND, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sdf_skip": 4}, "sdf_skip is 4"),
        ({"sdf_skip": -1}, "0 for none"),
        ({"sdf_depth": 2}, "one of the 2 hidden layers"),
        ({"initial_radius": 0.0}, "must lie in the unit sphere"),
        ({"initial_radius": 1.0}, "initial_radius is 1.0"),
    ],
)
def test_refuses_what_cannot_work(changes, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**changes)
