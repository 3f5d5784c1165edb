"""The gradient of the picture against closed forms: what the toolkit is for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar.rendering import RenderConfig, render_pixels
from sdfrepar.tracing import TraceConfig

SPHERE = scenes.SphereImage()
CONFIG = RenderConfig(samples_per_side=16, band_share=0.4, trace=TraceConfig(max_steps=48))


def gradient_image(sphere: scenes.SphereImage, config: RenderConfig, repetitions: int) -> np.ndarray:
    """d(picture)/d(radius), (side, side), the mean of `repetitions` independent estimates."""
    camera, centre, width = scenes.every_pixel(sphere.camera)
    half_way = jnp.full((len(centre), 3), 0.5)

    @jax.jit
    def estimate(params, key):
        def picture(params):
            return render_pixels(sphere.scene, config, params, camera, centre, width, half_way, key=key)[0]

        return jax.jvp(picture, (params,), ({"radius": jnp.ones(())},))[1][:, 0]

    keys = jax.random.split(jax.random.key(0), repetitions)
    return np.mean([estimate(sphere.params, key) for key in keys], axis=0).reshape(sphere.side, sphere.side)


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


def test_velocity_agrees_with_the_closed_form():
    """4 x 256 stratified samples a pixel: the sum within 1 %, the image within 3 %."""
    truth = SPHERE.gradient()
    estimate = gradient_image(SPHERE, CONFIG, repetitions=4)
    assert estimate.sum() == pytest.approx(truth.sum(), rel=0.01)
    assert relative_error(estimate, truth) < 0.03


def test_interior_sees_nothing_of_a_white_sphere():
    """The biased method is biased: where radiance is constant, the whole gradient is at the silhouette."""
    estimate = gradient_image(SPHERE, replace(CONFIG, gradient="interior", samples_per_side=4), repetitions=1)
    np.testing.assert_array_equal(estimate, 0.0)


def test_overfull_band_stays_unbiased():
    """A buffer for a third of the band's samples gives the same mean, with more noise."""
    truth = SPHERE.gradient()
    small = replace(CONFIG, samples_per_side=8, band_share=0.1)
    estimate = gradient_image(SPHERE, small, repetitions=16)
    assert estimate.sum() == pytest.approx(truth.sum(), rel=0.03)
