"""Where stages meet: the picture does not depend on how it is made."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import fields
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import GradientConfig, RenderConfig, render_image, render_pixels
from sdfrepar.tracing import TraceConfig

TORUS = {"major": jnp.asarray(0.55), "minor": jnp.asarray(0.22)}
SCENE = scenes.shaded(fields.torus)
CAMERA = scenes.camera_at((1.2, 1.6, -2.0), (24, 24))
CONFIG = RenderConfig(trace=TraceConfig(max_steps=24), first_steps=12)


def pixels(*configs):
    """What `render_pixels` gives for each of some configs, in one program."""
    camera, centre, width = scenes.every_pixel(CAMERA)

    @jax.jit
    def render(*items):
        return [render_pixels(SCENE, config, *items, key=jax.random.key(1)) for config in configs]

    return render(TORUS, camera, centre, width, jnp.full((len(centre), 3), 0.3))


def test_warp_on_equals_warp_off():
    """The primal is invariant: same samples, same picture, to round-off of what is fused differently."""
    (warped, _, statistics), (plain, _, _) = pixels(CONFIG, replace(CONFIG, gradient=GradientConfig(method="interior")))
    assert float(statistics["band"]) > 0.1
    np.testing.assert_allclose(warped, plain, atol=2e-6)


@pytest.fixture(scope="module")
def image():
    return jax.jit(partial(render_image, SCENE, CONFIG))(TORUS, CAMERA)


def test_picture_does_not_depend_on_chunks_or_buffers(image):
    """Chunked maps are what jax 0.10.1 and 0.10.2 miscompile; one sample in six was wrong by up to 0.4 there."""
    chunked = jax.jit(partial(render_image, SCENE, replace(CONFIG, chunk=500, undecided_share=0.05)))(TORUS, CAMERA)
    np.testing.assert_array_equal(image.opacity, chunked.opacity)
    np.testing.assert_allclose(image.radiance, chunked.radiance, atol=2e-5)
    np.testing.assert_allclose(image.depth, chunked.depth, atol=2e-5)


def test_channels_agree_with_the_exact_torus(image):
    opacity = np.asarray(image.opacity)
    assert 0.1 < opacity.mean() < 0.5
    background = opacity == 0
    np.testing.assert_allclose(np.asarray(image.radiance)[background], 0.1, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(image.depth)[background], 0.0)
    length = np.linalg.norm(image.normal, axis=-1)
    np.testing.assert_allclose(length[opacity == 1], 1.0, atol=1e-5)
    distance_to_object = np.linalg.norm(CAMERA.position)
    assert np.all(np.abs(np.asarray(image.depth)[opacity == 1] - distance_to_object) < 0.78)


@pytest.mark.slow
def test_a_tent_pixel_is_a_blurred_box_pixel():
    """Two ways to the same picture: tent samples, and box pixels of a finer grid put through the tent's weights."""
    many = replace(CONFIG, film=FilmConfig(samples_per_side=8))
    tent = np.asarray(pixels(many)[0][0])[:, 0].reshape(24, 24)
    fine = scenes.camera_at((1.2, 1.6, -2.0), (24 * 8, 24 * 8))
    single = replace(CONFIG, film=FilmConfig(samples_per_side=1))
    box = np.asarray(jax.jit(partial(render_image, SCENE, single))(TORUS, fine).radiance)[..., 0]
    offset = (np.arange(16) + 0.5) / 8 - 1
    weight = (1 - np.abs(offset)) / 8
    padded = np.pad(box, 4, mode="edge")
    rows = np.stack([np.tensordot(weight, padded[8 * i : 8 * i + 16], axes=(0, 0)) for i in range(24)])
    expected = np.stack([rows[:, 8 * j : 8 * j + 16] @ weight for j in range(24)], axis=1)
    # 64 stratified samples of kernel times contrast: noise of 1 % of a pixel, no bias.
    assert np.abs(tent - expected).mean() < 0.008
    assert np.abs(tent - expected).max() < 0.1
    assert abs((tent - expected).mean()) < 0.0005


def test_a_warp_across_the_edges_of_a_box_needs_samples_there():
    film = FilmConfig(filter="box", edge_samples=0)
    with pytest.raises(ValueError, match=r"edge_samples is 0 with film\.filter box and gradient\.method grazing"):
        RenderConfig(film=film)
    RenderConfig(film=film, gradient=GradientConfig(method="interior"))
