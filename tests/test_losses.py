"""The terms of the objective against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import evaluation, fields, files, losses

POINTS = np.random.default_rng(0).uniform(-1, 1, (32, 3)).astype(np.float32)
SPHERE = {"radius": jnp.float32(0.5)}


def colours(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((40, 3)).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 0.0, 0.4, 2.5])
def test_eikonal_of_a_scaled_distance(scale):
    scaled = lambda params, x: scale * fields.sphere(params, x)  # noqa: E731
    # Unit lengths are right to a few 1e-7.
    assert float(losses.eikonal(scaled, SPHERE, POINTS)) == pytest.approx((scale - 1) ** 2, abs=2e-6)


def test_eikonal_is_a_mean_over_points():
    # |∂f/∂x| = 2 |x|.
    squared = lambda params, x: x @ x  # noqa: E731
    expected = np.mean((2 * np.linalg.norm(POINTS.astype(np.float64), axis=1) - 1) ** 2)
    assert float(losses.eikonal(squared, SPHERE, POINTS)) == pytest.approx(expected, rel=1e-5)


def test_eikonal_has_a_finite_slope_where_the_field_is_flat():
    field = lambda scale, x: scale * (x @ x)  # noqa: E731
    slope = jax.grad(lambda scale: losses.eikonal(field, scale, jnp.zeros((2, 3))))(1.0)
    assert float(slope) == 0.0


def test_photometric_is_the_weighted_mean_absolute_difference_times_the_slope_of_srgb():
    """The slope is a chord of sRGB over 0.1, beside the target; below zero too, which a control variate can cause."""
    rendered, target = 1.6 * colours(1) - 0.3, colours(2)
    assert rendered.min() < 0
    weight = np.random.default_rng(3).uniform(0.5, 1.5, 40).astype(np.float32)
    slope = (files.encode_srgb(target + 0.1) - files.encode_srgb(target)) / 0.1
    for weights in (np.ones(40, np.float32), weight):
        expected = np.mean(weights[:, None] * slope * np.abs(rendered - target))
        assert float(losses.photometric(rendered, target, weights)) == pytest.approx(expected, rel=1e-5)


def test_photometric_is_near_srgb_beside_the_target():
    target = 0.1 + 0.9 * colours(2)
    rendered = target + 0.05 * (colours(1) - 0.5)
    weight = np.random.default_rng(3).uniform(0.5, 1.5, 40).astype(np.float32)
    difference = np.abs(files.encode_srgb(rendered) - files.encode_srgb(target))
    for weights in (np.ones(40, np.float32), weight):
        expected = np.mean(weights[:, None] * difference)
        assert float(losses.photometric(rendered, target, weights)) == pytest.approx(expected, rel=0.15)
    assert float(losses.photometric(target, target, weight)) == 0.0


def test_photometric_asks_for_the_same_mean_whatever_the_noise():
    """Noise on both sides is no reason to be brighter or darker; on a concave scale it would be."""
    target, noise = jnp.full((2, 3), 0.4), jnp.array([[0.3], [-0.3]])

    def loss(mean):
        return losses.photometric(mean + noise, target, jnp.ones(2))

    slope = jax.grad(loss)
    assert float(slope(jnp.float32(0.4))) == 0.0
    assert float(slope(jnp.float32(0.8))) > 0 > float(slope(jnp.float32(0.0)))


def test_psnr_of_is_the_score_of_clipped_pictures():
    rendered, target = 1.6 * colours(1) - 0.3, colours(2)
    assert rendered.min() < 0 and rendered.max() > 1
    expected = evaluation.psnr(files.encode_srgb(np.clip(rendered, 0, 1)), files.encode_srgb(target))
    # Sums of float32: 1e-4 dB.
    assert float(losses.psnr_of(losses.squared_error(rendered, target))) == pytest.approx(expected, abs=1e-4)


def test_psnr_of_equal_pictures_is_finite():
    assert float(losses.psnr_of(losses.squared_error(colours(1), colours(1)))) == pytest.approx(120.0, abs=1e-3)


def test_mask_is_the_cross_entropy_of_logistic_silhouettes():
    rng = np.random.default_rng(5)
    least, covered, weight = rng.normal(0, 0.02, 40), rng.random(40) < 0.5, rng.uniform(0, 2, 40)
    silhouette = 1 / (1 + np.exp(50.0 * least))
    entropy = -np.where(covered, np.log(silhouette), np.log(1 - silhouette))
    found = losses.mask(*map(jnp.asarray, (least, covered)), jnp.asarray(50.0), jnp.asarray(weight))
    assert float(found) == pytest.approx(np.mean(weight * entropy), rel=1e-5)
    # Far from the surface the loss is linear, not infinite.
    far = losses.mask(jnp.array([1e4]), jnp.array([True]), jnp.asarray(50.0), jnp.ones(1))
    assert float(far) == pytest.approx(5e5)


def test_depth_and_normals_count_where_both_have_a_surface():
    both = jnp.array([True, True, False])
    depths = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.5, 2.0, 9.0])
    assert float(losses.depth(*depths, both)) == pytest.approx(0.25)
    axes = jnp.eye(3)
    assert float(losses.normals(axes, jnp.roll(axes, 1, axis=0), both)) == 1.0
    assert float(losses.normals(axes, axes, both)) == float(losses.depth(*depths, ~both & both)) == 0.0


def test_silhouettes_are_drawn_by_the_rays_that_are_wrong():
    """Rays beside the shape that should meet it come nearer, those in it that should not go out."""
    least, covered = jnp.array([0.2, 0.4, -0.1, -0.3, 0.5]), jnp.array([True, True, True, False, False])
    value, slope = jax.value_and_grad(losses.silhouette)(least, covered)
    assert float(value) == pytest.approx(0.3 + 0.3)
    np.testing.assert_allclose(slope, [0.5, 0.5, 0.0, -1.0, 0.0])


def test_smoothness_is_the_squared_curvature_times_the_way():
    """The normal of a sphere turns by way / radius; a plane's does not turn."""
    points = 0.5 * POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    across = np.cross(points, [0.3, 0.9, -0.2]).astype(np.float32)
    way = 1e-2 * across / np.linalg.norm(across, axis=1, keepdims=True)
    assert float(losses.smoothness(fields.sphere, SPHERE, points, way)) == pytest.approx((1e-2 / 0.5) ** 2, rel=1e-2)
    plane = lambda params, x: x @ params  # noqa: E731
    assert float(losses.smoothness(plane, jnp.array([0.6, 0.0, 0.8]), points, way)) == 0.0


def test_depths_that_are_far_off_count_ever_less():
    found, true = jnp.array([1.0, 1.01, 3.0, 9.0]), jnp.array([1.0, 1.0, 1.0, 1.0])
    both = jnp.array([True, True, True, False])
    expected = 0.05 * (np.log1p(0.01 / 0.05) + np.log1p(2.0 / 0.05)) / 3.0
    assert float(losses.depth(found, true, both, near=0.05)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.depth(found, true, both)) == pytest.approx(2.01 / 3.0, rel=1e-5)
