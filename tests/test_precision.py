"""Less precision far from the surface: within its margin, and without a trace in what is seen or differentiated."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import fields, networks, precision
from sdfrepar.imaging import FilmConfig
from sdfrepar.networks import NetworkConfig
from sdfrepar.rendering import RenderConfig, render_film

NETWORK = NetworkConfig(sdf_width=32, sdf_depth=3, sdf_skip=1, features=4, radiance_width=16, radiance_depth=1)


@pytest.mark.parametrize("name", ["tensorfloat32", "bfloat16"])
def test_a_rounded_network_stays_within_its_margin(name):
    scene = networks.scene(NETWORK)
    params = networks.initialise(NETWORK, jnp.zeros(3), key=jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (4096, 3), minval=-1.0, maxval=1.0)
    rough = precision.rounded(scene.distance, name)
    off = jax.jit(jax.vmap(lambda x: rough(params, x) - scene.distance(params, x)))(x)
    assert float(jnp.abs(off).max()) < precision.MARGIN[name]
    assert off.dtype == jnp.float32


def test_matrix_products_are_asked_for_in_float32_and_their_derivatives_too():
    """An accelerator is told so in the program itself; the CPU does nothing else anyway."""
    product = precision.in_float32(lambda a, b: jnp.sum(a @ b))
    text = str(jax.make_jaxpr(jax.grad(product))(jnp.ones((2, 2)), jnp.ones((2, 2))))
    assert "HIGHEST" in text and "precision=None" not in text


@pytest.mark.slow
def test_rough_cones_change_neither_picture_nor_gradient():
    """The marches start a little earlier, and end where they did."""
    scene, camera = scenes.white_on_black(fields.torus), scenes.camera_at((1.2, 1.6, -2.0), (12, 12))
    exact = RenderConfig(film=FilmConfig(samples_per_side=2))

    def picture_and_gradient(config):
        draw = partial(render_film, scene, config, camera=camera, key=jax.random.key(0))
        picture, pullback = jax.vjp(lambda params: draw(params=params), scenes.TORUS)
        return picture, pullback(jnp.ones_like(picture))[0]["major"]

    results = [
        jax.jit(partial(picture_and_gradient, replace(exact, far_precision=p)))() for p in ("float32", "bfloat16")
    ]
    (picture, gradient), (rough_picture, rough_gradient) = results
    np.testing.assert_allclose(rough_picture, picture, atol=2e-3)
    assert float(rough_gradient) == pytest.approx(float(gradient), rel=2e-3)
    assert abs(float(gradient)) > 1.0


def test_the_measured_margin_of_a_network_holds_where_it_is_near():
    scene = networks.scene(NETWORK)
    params = networks.initialise(NETWORK, jnp.zeros(3), key=jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (4096, 3), minval=-1.0, maxval=1.0)
    rough = precision.rounded(scene.distance, "bfloat16")
    exact = jax.jit(jax.vmap(partial(scene.distance, params)))(x)
    off = jnp.abs(jax.jit(jax.vmap(partial(rough, params)))(x) - exact)
    margin = precision.measured_margin(scene.distance, "bfloat16", params, 0.1)
    near = jnp.abs(exact) < 0.1
    assert float(jnp.max(off[near])) < float(margin) < 4.0 * float(jnp.max(off[near]))
    assert precision.measured_margin(scene.distance, "float32", params) == 0.0
