"""Filters, strata, the pixel's estimator and its derivative, the tone curve, pyramids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import files, imaging
from sdfrepar.records import Sample, Warp

CENTRE = jnp.array([7.5, 3.5])
WIDTH = 2.0
SIDE = 16


def midpoints(per_side: int) -> np.ndarray:
    """Regular positions over [-1, 1]²; their mean integrates what is bilinear in each cell exactly."""
    ticks = (2 * np.arange(per_side) + 1) / per_side - 1
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2).astype(np.float32)


def samples_of(radiance, displacement=None, divergence=None) -> Sample:
    film = np.asarray(CENTRE)[None] + WIDTH * midpoints(SIDE)
    count = len(film)
    return Sample(
        film=film,
        radiance=jnp.broadcast_to(radiance, (count, 3)),
        warp=Warp(
            displacement=np.zeros((count, 2), np.float32) if displacement is None else displacement,
            divergence=np.zeros(count, np.float32) if divergence is None else divergence,
        ),
        point=np.zeros((count, 3), np.float32),
        status=np.zeros(count, np.int32),
    )


def tangents_of(theta, values) -> jax.Array:
    return (theta - jax.lax.stop_gradient(theta)) * values


def test_tent_integrates_to_one():
    # Four times the mean over a square of side 2; the rest is the rounding of a sum of 10,000.
    assert float(4 * jax.vmap(imaging.tent)(midpoints(100)).mean()) == pytest.approx(1.0, abs=1e-5)


def test_tent_is_one_in_the_middle_and_none_on_its_border():
    offsets = jnp.array([[0.0, 0.0], [0.5, 0.0], [0.5, -0.5], [1.0, 0.2], [-0.3, -1.0], [1.5, 1.5], [0.0, -2.0]])
    np.testing.assert_allclose(jax.vmap(imaging.tent)(offsets), [1, 0.5, 0.25, 0, 0, 0, 0], atol=1e-7)


@pytest.mark.parametrize("per_side", [1, 2, 5])
def test_stratified_has_one_point_in_each_cell(per_side):
    for seed in range(3):
        points = np.asarray(imaging.stratified(jax.random.key(seed), per_side))
        cells = np.floor(points * per_side).astype(int)
        assert cells.min() >= 0 and cells.max() < per_side
        assert len(np.unique(cells, axis=0)) == len(points) == per_side**2
    assert np.any(points != np.asarray(imaging.stratified(jax.random.key(0), per_side)))


def test_tent_positions_cover_the_support():
    positions = np.asarray(imaging.tent_positions(jax.random.key(0), CENTRE, jnp.float32(WIDTH), 4))
    cells = np.floor(((positions - np.asarray(CENTRE)) / WIDTH + 1) * 2).astype(int)
    assert cells.min() >= 0 and cells.max() < 4 and len(np.unique(cells, axis=0)) == 16


def test_constant_radiance_at_the_baseline_has_no_noise():
    colour = jnp.array([0.2, 0.7, 0.0])
    samples = samples_of(colour)
    few = jax.tree.map(lambda leaf: leaf[:3], samples)
    for some in (samples, few):
        np.testing.assert_array_equal(imaging.tent_pixel(some, CENTRE, jnp.float32(WIDTH), colour), colour)


@pytest.mark.parametrize("baseline", [0.0, 0.5, -1.0])
def test_a_ramp_gives_its_value_at_the_centre_whatever_the_baseline(baseline):
    ramp = lambda u: jnp.stack([u[:, 0], u[:, 1], 0.3 * u[:, 0] - u[:, 1]], axis=-1)  # noqa: E731
    samples = samples_of(0.0)
    samples = samples.replace(radiance=ramp(samples.film))
    pixel = imaging.tent_pixel(samples, CENTRE, jnp.float32(WIDTH), jnp.full(3, baseline))
    np.testing.assert_allclose(pixel, ramp(CENTRE[None])[0], atol=1e-5)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_a_moving_edge_has_the_derivative_of_its_pixel(baseline):
    def pixel(theta: jax.Array) -> jax.Array:
        lit = (samples_of(0.0).film[:, :1] > CENTRE[0]).astype(jnp.float32)
        samples = samples_of(lit, tangents_of(theta, np.tile(np.float32([1.0, 0.0]), (SIDE**2, 1))))
        return imaging.tent_pixel(samples, CENTRE, jnp.float32(WIDTH), jnp.full(3, baseline))[0]

    value, slope = jax.jit(jax.value_and_grad(pixel))(jnp.float32(0.0))
    # Half of the pixel is lit. The edge x = c + θ passes the crest of the tent, whose cross-section there is 1 / width.
    assert float(value) == pytest.approx(0.5, abs=1e-6)
    assert float(slope) == pytest.approx(-1 / WIDTH, abs=1e-6)


def test_a_stretch_of_constant_radiance_changes_nothing():
    def pixel(theta: jax.Array, divergence: float) -> jax.Array:
        stretch = tangents_of(theta, WIDTH * midpoints(SIDE))
        samples = samples_of(0.8, stretch, tangents_of(theta, divergence * np.ones(SIDE**2, np.float32)))
        return imaging.tent_pixel(samples, CENTRE, jnp.float32(WIDTH), jnp.full(3, 0.3))[1]

    slope = jax.jit(jax.grad(pixel))
    # V = θ (u - c) has the divergence 2, which makes up for the filter's loss; without it the loss is seen.
    assert float(slope(jnp.float32(0.0), 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(slope(jnp.float32(0.0), 0.0)) == pytest.approx(-2 * (0.8 - 0.3), abs=1e-5)


def test_the_baseline_is_detached():
    # Three samples, whose filter weights do not average to 1: the baseline matters to the value.
    few = jax.tree.map(lambda leaf: leaf[100:103], samples_of(0.8))
    pixel = lambda b: imaging.tent_pixel(few, CENTRE, jnp.float32(WIDTH), b).sum()  # noqa: E731
    (value, slope), other = jax.jit(jax.value_and_grad(pixel))(jnp.full(3, 0.3)), pixel(jnp.full(3, 0.5))
    np.testing.assert_array_equal(slope, 0.0)
    assert abs(float(value - other)) > 0.01


def test_srgb_agrees_with_the_files_and_inverts():
    linear = np.concatenate([[0.0, 0.003, 0.0031307, 0.0031309, 0.0033], np.linspace(0.0, 1.0, 101)]).astype(np.float32)
    srgb = np.asarray(imaging.srgb_from_linear(jnp.asarray(linear)))
    # Roundings of float32, and the gap of 6e-8 between the standard's two thresholds.
    np.testing.assert_allclose(srgb, files.encode_srgb(linear.astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(imaging.linear_from_srgb(jnp.asarray(srgb)), linear, atol=1e-6)
    codes = np.linspace(0.0, 1.0, 256, dtype=np.float32)
    decoded = imaging.linear_from_srgb(jnp.asarray(codes))
    np.testing.assert_allclose(decoded, files.decode_srgb(codes.astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(imaging.srgb_from_linear(decoded), codes, atol=1e-6)


def test_srgb_has_finite_slopes_and_goes_on_below_zero():
    linear = jnp.array([-0.5, -1e-6, 0.0, 1e-30, 0.0031, 0.0032, 0.5, 1.0, 2.0])
    slope = np.asarray(jax.jit(jax.vmap(jax.grad(imaging.srgb_from_linear)))(linear))
    np.testing.assert_allclose(slope[:5], 12.92, rtol=1e-6)
    np.testing.assert_allclose(slope[5:], 1.055 / 2.4 * np.asarray(linear[5:]) ** (1 / 2.4 - 1), rtol=1e-5)
    assert float(imaging.srgb_from_linear(jnp.float32(-0.5))) == pytest.approx(-6.46)
    inverse = np.asarray(jax.jit(jax.vmap(jax.grad(imaging.linear_from_srgb)))(jnp.array([-1.0, 0.0, 0.5, 1.0])))
    np.testing.assert_allclose(
        inverse, [1 / 12.92, 1 / 12.92, 2.4 / 1.055 * (0.555 / 1.055) ** 1.4, 2.4 / 1.055], rtol=1e-5
    )


def test_pyramid_halves_by_means():
    image = np.random.default_rng(0).random((6, 8, 3)).astype(np.float32)
    whole, half, quarter = imaging.pyramid(jnp.asarray(image), 3)
    np.testing.assert_array_equal(whole, image)
    assert half.shape == (3, 4, 3) and quarter.shape == (1, 2, 3)
    np.testing.assert_allclose(half[2, 1], image[4:6, 2:4].mean(axis=(0, 1)), atol=1e-6)
    # The third row of three joins no coarser pixel.
    np.testing.assert_allclose(quarter[0, 1], image[:4, 4:8].mean(axis=(0, 1)), atol=1e-6)


def test_tent_from_box_keeps_ramps():
    rows, columns = np.mgrid[:5, :6].astype(np.float32)
    ramp = np.stack([rows, columns, 2 * rows - 3 * columns + 1], axis=-1)
    np.testing.assert_allclose(imaging.tent_from_box(jnp.asarray(ramp))[1:-1, 1:-1], ramp[1:-1, 1:-1], atol=1e-5)


def test_tent_from_box_spreads_a_pixel():
    image = np.zeros((5, 6, 1), np.float32)
    image[2, 3] = 1.0
    weights = np.array([1 / 8, 3 / 4, 1 / 8])
    spread = np.asarray(imaging.tent_from_box(jnp.asarray(image)))[..., 0]
    np.testing.assert_allclose(spread[1:4, 2:5], np.outer(weights, weights), atol=1e-7)
    assert spread.sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(imaging.tent_from_box(jnp.ones((3, 2, 3))), 1.0, atol=1e-6)
