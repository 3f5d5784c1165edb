"""Filters, points, pixels and pictures with their derivatives, the tone curve, pyramids."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sdfrepar import files, imaging
from sdfrepar.imaging.filters import FilterName
from sdfrepar.imaging.sampling import Pattern
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Sample, Warp

FILTERS = get_args(FilterName)
RANDOM_PATTERNS = sorted(set(get_args(Pattern)) - {"regular"})
REACH = {"box": 0, "tent": 1, "bspline": 2, "gaussian": 1}

CENTRE, WIDTH = np.array([7.5, 3.5]), 2.0
RESOLUTION = HEIGHT, LENGTH = 3, 4
PIXELS = np.stack(np.meshgrid(np.arange(LENGTH), np.arange(HEIGHT)), axis=-1) + 0.5  # (H, W, 2)

every_filter = pytest.mark.parametrize("name", FILTERS)
every_random_pattern = pytest.mark.parametrize("pattern", RANDOM_PATTERNS)


def kernel(name, offset) -> np.ndarray:
    return np.asarray(imaging.FILTERS[name].kernel(jnp.asarray(offset, jnp.float32)), np.float64)


def slope_of_kernel(name, offset) -> np.ndarray:
    k = imaging.FILTERS[name].kernel
    return np.asarray(jax.jvp(k, (jnp.asarray(offset, jnp.float32),), (jnp.ones(np.shape(offset)),))[1], np.float64)


def support(name) -> np.ndarray:
    return np.linspace(-1.0, 1.0, 4001) * imaging.FILTERS[name].radius


def share_below(name, offset) -> np.ndarray:
    """The samples' distribution function, by quadrature of their density."""
    x = support(name)
    density = np.asarray(imaging.FILTERS[name].density(jnp.asarray(x, jnp.float32)), np.float64)
    return np.interp(offset, x, integrate.cumulative_trapezoid(density, x, initial=0))


def assert_unbiased(draws, expected, precision):
    """The mean is known to `precision` and agrees within five of its standard errors, and float32's roundings."""
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert error.max() < precision
    assert np.all(np.abs(draws.mean(axis=0) - expected) <= 5 * error + 1e-5)


# Filters


@every_filter
def test_kernels_integrate_to_one_over_their_support(name):
    x = support(name)
    assert integrate.trapezoid(kernel(name, x), x) == pytest.approx(1.0, abs=1e-6)
    assert kernel(name, x).min() >= 0
    np.testing.assert_array_equal(kernel(name, x[-1] * np.array([-1.001, 1.001, 2.0])), 0.0)


@every_filter
def test_kernels_but_the_box_vanish_on_their_border(name):
    found = imaging.FILTERS[name]
    assert found.vanishes == (name != "box")
    assert np.all(kernel(name, found.radius * np.array([-0.9, 0.9])) > 0)
    np.testing.assert_array_equal(kernel(name, [-found.radius, found.radius]), 1.0 if name == "box" else 0.0)


def test_kernels_have_their_textbook_values():
    x = np.array([0.0, 0.5, -1.0, 1.4])
    np.testing.assert_allclose(kernel("tent", x), [1, 0.5, 0, 0], atol=1e-7)
    np.testing.assert_allclose(kernel("bspline", x), [2 / 3, 23 / 48, 1 / 6, 0.6**3 / 6], atol=1e-7)
    gaussian = np.exp(-2 * x**2) - np.exp(-4.5)
    np.testing.assert_allclose(kernel("gaussian", x) / kernel("gaussian", 0.0), gaussian / gaussian[0], atol=1e-6)


@pytest.mark.parametrize("name", ["box", "tent", "bspline"])
def test_kernels_of_all_pixels_sum_to_one(name):
    x = np.linspace(0.01, 0.98, 50)[:, None] - np.arange(-3, 4)
    np.testing.assert_allclose(kernel(name, x).sum(axis=1), 1.0, atol=1e-6)


@every_filter
def test_place_inverts_the_distribution_of_the_samples(name):
    uniform = (np.arange(1000) + 0.5) / 1000
    offset = np.asarray(imaging.FILTERS[name].place(jnp.asarray(uniform, jnp.float32)))
    assert np.all(np.diff(offset) > 0)
    np.testing.assert_allclose(share_below(name, offset), uniform, atol=2e-6)
    assert share_below(name, np.inf) == pytest.approx(1.0, abs=2e-6)


@every_filter
def test_samples_weigh_a_bounded_amount(name):
    uniform = np.concatenate([2.0 ** -np.arange(1, 25), 1 - 2.0 ** -np.arange(1, 25), np.linspace(0.0, 0.999, 1000)])
    offset = imaging.FILTERS[name].place(jnp.asarray(uniform, jnp.float32))
    density = np.asarray(imaging.FILTERS[name].density(offset))
    assert density.min() > 0
    assert np.max(kernel(name, offset) / density) < 2.1
    # The Gaussian's slope jumps at its window, where its samples thin out.
    if name != "gaussian":
        assert np.max(np.abs(slope_of_kernel(name, offset)) / density) < 2.2


# Points


def as_even_as_chance(points) -> bool:
    """Whether a histogram of (N, 2) is neither less nor more even than that of independent uniform points would be."""
    count = np.histogram2d(*np.asarray(points).T, bins=8, range=[[0, 1], [0, 1]])[0]
    return bool(1e-4 < stats.chi2.cdf(np.sum((count - count.mean()) ** 2) / count.mean(), 63) < 1 - 1e-4)


def test_independent_points_are_uniform():
    assert as_even_as_chance(imaging.square_points("independent", jax.random.key(0), 64))
    assert as_even_as_chance(imaging.line_points("independent", jax.random.key(0), 8192).reshape(-1, 2))


@pytest.mark.parametrize("per_side", [1, 2, 5])
def test_stratified_points_lie_one_in_each_cell(per_side):
    square = np.asarray(imaging.square_points("stratified", jax.random.key(per_side), per_side))
    cells = np.floor(square * per_side).astype(int)
    assert cells.min() >= 0 and cells.max() < per_side
    assert len(np.unique(cells, axis=0)) == len(square) == per_side**2
    line = imaging.line_points("stratified", jax.random.key(per_side), per_side)
    np.testing.assert_array_equal(np.floor(line * per_side), np.arange(per_side))


def test_regular_points_are_the_middles_of_the_cells():
    square = imaging.square_points("regular", jax.random.key(0), 2)
    np.testing.assert_allclose(square, [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    np.testing.assert_allclose(imaging.line_points("regular", jax.random.key(0), 2), [0.25, 0.75])


def test_one_regular_sample_of_a_box_is_the_ray_through_the_centre():
    config = imaging.FilmConfig(filter="box", pattern="regular", samples_per_side=1, edge_samples=0)
    u = imaging.pixel_positions(config, jax.random.key(0), jnp.asarray(CENTRE), jnp.asarray(WIDTH))
    np.testing.assert_allclose(u, CENTRE[None])


@pytest.mark.parametrize("log_count", [2, 4, 6])
def test_sobol_points_lie_one_in_each_elementary_box_of_every_shape(log_count):
    count = 2**log_count
    draw = jax.jit(jax.vmap(functools.partial(imaging.scrambled_sobol, count=count)))
    points = np.asarray(draw(jax.random.split(jax.random.key(0), 64)))
    assert points.min() >= 0 and points.max() < 1
    for log_columns in range(log_count + 1):
        columns, rows = 2**log_columns, 2 ** (log_count - log_columns)
        box = np.floor(points[..., 0] * columns) * rows + np.floor(points[..., 1] * rows)
        np.testing.assert_array_equal(np.sort(box, axis=1), np.tile(np.arange(count), (64, 1)))


def test_every_sobol_point_is_uniform_over_the_keys():
    draw = jax.jit(jax.vmap(functools.partial(imaging.scrambled_sobol, count=16)))
    points = np.asarray(draw(jax.random.split(jax.random.key(3), 4096)))
    for index in (0, 1, 7, 15):
        assert as_even_as_chance(points[:, index])


@every_random_pattern
def test_points_differ_between_keys_and_agree_for_one(pattern):
    one, same, other = (
        np.asarray(imaging.square_points(pattern, jax.random.key(seed), per_side=3)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert one.shape == (9, 2) and np.all(one != other)


@pytest.mark.parametrize(("pattern", "gain"), [("independent", 4), ("stratified", 16), ("sobol", 64)])
def test_means_are_unbiased_and_improve_with_their_number(pattern, gain):
    """From 16 to 256 points, the error falls as n^-½ by chance, n^-1 in strata, n^-1.5 under Owen's scrambling."""

    def mean(key, per_side):
        x, y = imaging.square_points(pattern, key, per_side).T
        return jnp.mean(jnp.exp(x) * jnp.sin(2.0 * y + x))

    keys = jax.random.split(jax.random.key(5), 1024)
    few, many = (np.asarray(jax.jit(jax.vmap(functools.partial(mean, per_side=side)))(keys)) for side in (4, 16))
    expected = integrate.dblquad(lambda y, x: np.exp(x) * np.sin(2 * y + x), 0, 1, 0, 1)[0]
    assert_unbiased(few, expected, 0.01)
    assert_unbiased(many, expected, 0.002)
    assert few.std() / many.std() == pytest.approx(gain, rel=0.3)


# Where the samples of pixels lie


@every_filter
def test_pixel_positions_cover_the_support_and_then_the_edges(name):
    config = imaging.FilmConfig(filter=name, samples_per_side=4, edge_samples=3)
    offset = (np.asarray(PIXEL.positions(config, jax.random.key(0))) - CENTRE) / WIDTH
    cells = np.floor(4 * share_below(name, offset[:16])).astype(int)
    assert cells.min() >= 0 and cells.max() < 4 and len(np.unique(cells, axis=0)) == 16
    sides = [(0, -0.5), (0, 0.5), (1, -0.5), (1, 0.5)] if name == "box" else []
    for (axis, side), points in zip(sides, offset[16:].reshape(-1, 3, 2), strict=True):
        np.testing.assert_array_equal(points[:, axis], side)
        np.testing.assert_array_equal(np.floor(3 * (points[:, 1 - axis] + 0.5)), np.arange(3))


def corners(top, bottom, left, right) -> np.ndarray:
    rows, columns = np.mgrid[top:bottom, left:right]
    return np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)


@every_filter
def test_film_positions_fill_the_cells_in_reach_and_then_the_edges(name):
    config, wide = imaging.FilmConfig(filter=name, samples_per_side=3, edge_samples=2), REACH[name]
    film = np.asarray(jax.jit(functools.partial(PICTURE.positions, config))(jax.random.key(0)))
    assert imaging.margin(config) == wide
    cells = corners(-wide, HEIGHT + wide, -wide, LENGTH + wide)
    strata = np.floor(3 * (film[: 9 * len(cells)].reshape(-1, 9, 2) - cells))
    assert strata.min() == 0 and strata.max() == 2
    assert all(len(np.unique(cell, axis=0)) == 9 for cell in strata)
    edges = film[9 * len(cells) :].reshape(-1, 2, 2)
    upright, level = np.split(edges, [HEIGHT * (LENGTH + 1)])
    if name != "box":
        assert len(edges) == 0
        return
    for points, axis, corner in (
        (upright, 0, corners(0, HEIGHT, 0, LENGTH + 1)),
        (level, 1, corners(0, HEIGHT + 1, 0, LENGTH)),
    ):
        offset = points - corner
        np.testing.assert_array_equal(offset[..., axis], 0.0)
        np.testing.assert_array_equal(np.floor(2 * offset[..., 1 - axis]), np.tile([0, 1], (len(corner), 1)))


def test_film_refuses_no_samples():
    for inside, on_edges in ((0, 2), (2, -1)):
        with pytest.raises(ValueError, match=f"are {inside} and {on_edges}; expected at least 1 and at least 0"):
            imaging.FilmConfig(samples_per_side=inside, edge_samples=on_edges)


# Known light in known motion, seen by one pixel and by a whole picture


@dataclass(frozen=True, eq=False)
class Film:
    centre: np.ndarray  # (..., 2) of its pixels
    width: float  # of each
    sides: int  # of all of them, where a box takes samples
    edge: float  # on its right there is light, in the first channel
    middle: np.ndarray  # of a disc of light, in the second channel
    positions: Callable  # config, key -> u
    estimate: Callable  # config, samples, baseline -> (..., 3)


class Motion(NamedTuple):
    """What changes; each part has a derivative of its own."""

    inside: Any  # the samples within pixels move to the right ...
    on_edges: Any  # ... and those on their edges
    stretch: Any  # all move away from the disc's middle, as fast as its rim
    divergence: Any  # that of the stretch
    brightness: Any  # all light grows
    boundary: Any  # a boundary's own term grows


STILL = Motion(*6 * [jnp.float32(0.0)])

_centre, _width = jnp.asarray(CENTRE, jnp.float32), jnp.float32(WIDTH)
PIXEL = Film(
    centre=CENTRE,
    width=WIDTH,
    sides=4,
    edge=CENTRE[0] + 0.5,
    middle=CENTRE + np.array([0.4, 0.1]),
    positions=lambda config, key: imaging.pixel_positions(config, key, _centre, _width),
    estimate=lambda config, samples, baseline: imaging.pixel(config, samples, _centre, _width, baseline),
)
PICTURE = Film(
    centre=PIXELS,
    width=1.0,
    sides=HEIGHT * (LENGTH + 1) + (HEIGHT + 1) * LENGTH,
    edge=1.75,
    middle=np.array([2.2, 1.4]),
    positions=lambda config, key: imaging.film_positions(config, key, RESOLUTION),
    estimate=imaging.picture,
)
RADIUS = 0.9
WAVE = np.array([1.3, -0.7])

every_film = pytest.mark.parametrize("film", [PIXEL, PICTURE], ids=["pixel", "picture"])


def samples_at(u, light, displacement, divergence, boundary) -> Sample:
    return Sample(
        film=u,
        radiance=light,
        warp=Warp(displacement=displacement, divergence=divergence),
        boundary=boundary,
        point=jnp.zeros((len(u), 3)),
        status=jnp.zeros(len(u), jnp.int32),
    )


def samples_in_motion(film, config, u, motion) -> Sample:
    """An edge, a disc and a wave, one a channel."""
    motion = jax.tree.map(tangent_of, motion)
    inside = jnp.arange(len(u)) < len(u) - film.sides * config.on_edges
    away = u - jnp.asarray(film.middle, jnp.float32)[None]
    wave = jnp.cos(jnp.sum(u * jnp.asarray(WAVE, jnp.float32)[None], axis=1))
    light = jnp.stack([u[:, 0] > film.edge, jnp.sum(away**2, axis=1) < RADIUS**2, wave], axis=-1)
    right = jnp.where(inside, motion.inside, motion.on_edges)[:, None] * jnp.array([[1.0, 0.0]])
    return samples_at(
        u,
        light + motion.brightness,
        right + motion.stretch * away / RADIUS,
        jnp.full(len(u), motion.divergence * 2.0 / RADIUS),
        jnp.full((len(u), 3), motion.boundary),
    )


@functools.cache
def drawn(film, name) -> tuple[np.ndarray, np.ndarray, Motion]:
    """Two baselines (2, 1, ..., 3), and with each the same 512 draws of values (2, 512, ..., 3) and of their slopes."""
    config = imaging.FilmConfig(filter=name, samples_per_side=4)
    shape = (*film.centre.shape[:-1], 3)
    baselines = jnp.stack([jnp.zeros(shape), jnp.asarray(np.random.default_rng(0).random(shape), jnp.float32)])

    def draw(key, baseline):
        u = film.positions(config, key)

        def seen(motion):
            value = film.estimate(config, samples_in_motion(film, config, u, motion), baseline)
            return value, value

        return jax.jacfwd(seen, has_aux=True)(STILL)

    keys = jax.random.split(jax.random.key(1), 512)
    slope, value = jax.jit(jax.vmap(jax.vmap(draw, (0, None)), (None, 0)))(keys, baselines)
    return np.asarray(baselines)[:, None], np.asarray(value, np.float64), Motion(*map(np.asarray, slope))


def across_edge(film, name) -> np.ndarray:
    return kernel(name, (film.edge - film.centre[..., 0]) / film.width) / film.width


def around_disc(film, name) -> np.ndarray:
    turn = 2 * np.pi * (np.arange(4000) + 0.5) / 4000
    rim = film.middle + RADIUS * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    offset = (rim - film.centre[..., None, :]) / film.width
    return 2 * np.pi * RADIUS * kernel(name, offset).prod(axis=-1).mean(axis=-1) / film.width**2


def damping(film, name) -> float:
    x = support(name)
    return float(np.prod([integrate.trapezoid(kernel(name, x) * np.cos(w * film.width * x), x) for w in WAVE]))


@every_film
@every_filter
def test_values_are_the_light_under_the_filter_whatever_the_baseline(film, name):
    _, value, _ = drawn(film, name)
    x = support(name)
    below = integrate.cumulative_trapezoid(kernel(name, x), x, initial=0)
    lit = 1 - np.interp((film.edge - film.centre[..., 0]) / film.width, x, below)
    waves = damping(film, name) * np.cos(film.centre @ WAVE)
    for draws in value:
        assert_unbiased(draws[..., 0], lit, 0.008)
        assert_unbiased(draws[..., 2], waves, 0.008)


@every_film
@every_filter
def test_a_moving_edge_has_its_closed_form(film, name):
    _, _, slope = drawn(film, name)
    moved = slope.inside + slope.on_edges
    expected = -across_edge(film, name)
    for draws in moved[..., 0]:
        assert_unbiased(draws, expected, 0.006)
    if film is PICTURE:
        # What a pixel loses its neighbour gains, so the picture darkens by the length of the edge.
        for draws in moved[..., 0].sum(axis=(-2, -1)):
            assert_unbiased(draws, expected.sum(), 0.005)
        assert name == "gaussian" or expected.sum() == pytest.approx(-HEIGHT, abs=1e-5)


@every_film
def test_a_box_owes_its_moving_edge_to_the_flux_alone(film):
    """Its kernel has no slope. A constant motion brings in as much of the baseline as it takes out: no noise."""
    _, _, slope = drawn(film, "box")
    np.testing.assert_array_equal(slope.inside, 0.0)
    expected = np.broadcast_to(-across_edge(film, "box"), slope.on_edges.shape[:-1])
    assert expected.min() == -1 / film.width
    np.testing.assert_allclose(slope.on_edges[..., 0], expected, atol=1e-6)


@every_film
@every_filter
def test_a_moving_wave_has_its_closed_form(film, name):
    _, _, slope = drawn(film, name)
    expected = damping(film, name) * WAVE[0] * np.sin(film.centre @ WAVE)
    for draws in (slope.inside + slope.on_edges)[..., 2]:
        assert_unbiased(draws, expected, 0.008)


@every_film
@every_filter
def test_a_growing_disc_has_its_closed_form(film, name):
    _, _, slope = drawn(film, name)
    expected = around_disc(film, name)
    assert expected.max() > 0.3
    for draws in (slope.stretch + slope.divergence)[..., 1]:
        assert_unbiased(draws, expected, 0.02)


@every_film
@every_filter
def test_a_stretch_moves_the_edge_and_leaves_constant_light_alone(film, name):
    """Pixels that the edge does not reach keep their value: what the filter loses, the divergence gives back."""
    baselines, value, slope = drawn(film, name)
    speed = (film.edge - film.middle[0]) / RADIUS
    for draws in (slope.stretch + slope.divergence)[..., 0]:
        assert_unbiased(draws, -speed * across_edge(film, name), 0.03)
    # By itself, the divergence raises all that lies above the baseline.
    np.testing.assert_allclose(slope.divergence, 2 / RADIUS * (value - baselines), atol=1e-4)


@every_film
@every_filter
def test_brightness_and_boundaries_count_by_the_kernel(film, name):
    _, _, slope = drawn(film, name)
    for part in (slope.brightness, slope.boundary):
        for draws in part:
            assert_unbiased(draws, 1.0, 0.008)


@every_film
@every_filter
def test_constant_radiance_at_the_baseline_has_no_noise_and_no_slope_in_it(film, name):
    config, colour = imaging.FilmConfig(filter=name), jnp.array([0.2, 0.7, 0.0])

    def seen(baseline):
        u = film.positions(config, jax.random.key(0))
        samples = replace(samples_in_motion(film, config, u, STILL), radiance=jnp.tile(colour[None], (len(u), 1)))
        value = film.estimate(config, samples, jnp.broadcast_to(baseline, (*film.centre.shape[:-1], 3)))
        return jnp.sum(value), value

    of_baseline = jax.jit(jax.value_and_grad(seen, has_aux=True))
    (_, value), slope = of_baseline(colour)
    np.testing.assert_array_equal(value, np.broadcast_to(colour, value.shape))
    np.testing.assert_array_equal(slope, 0.0)
    # Elsewhere there is noise, but for a box's: the value does depend on the baseline, whose derivative is withheld.
    (_, noisy), slope = of_baseline(2.0 * colour)
    assert name == "box" or float(jnp.max(jnp.abs(noisy - value))) > 0.01
    np.testing.assert_array_equal(slope, 0.0)


# Whole pictures


@every_filter
def test_a_picture_is_the_sum_over_its_samples_one_by_one(name):
    """Any light, motion and baselines, against loops over pixels and samples."""
    config, wide = imaging.FilmConfig(filter=name, pattern="independent"), REACH[name]
    u = jax.jit(functools.partial(PICTURE.positions, config))(jax.random.key(0))
    rng = np.random.default_rng(1)
    light, motion, divergence, boundary = (rng.normal(size=(len(u), n)).astype(np.float32) for n in (3, 2, 1, 3))
    baseline = rng.random((*RESOLUTION, 3)).astype(np.float32)

    def seen(theta):
        zero = tangent_of(theta)
        samples = samples_at(u, jnp.asarray(light), zero * motion, zero * divergence[:, 0], zero * boundary)
        return imaging.picture(config, samples, jnp.asarray(baseline))

    value, slope = jax.jit(lambda: jax.jvp(seen, (jnp.float32(0.0),), (jnp.float32(1.0),)))()
    inside = slice(0, config.inside * (HEIGHT + 2 * wide) * (LENGTH + 2 * wide))
    for pixel in np.ndindex(RESOLUTION):
        above, offset = light - baseline[pixel], np.asarray(u) - PIXELS[pixel]
        k, dk = kernel(name, offset[inside]), slope_of_kernel(name, offset[inside])
        moved = np.sum(dk * k[:, ::-1] * motion[inside], axis=1, keepdims=True)
        k = k.prod(axis=1, keepdims=True)
        expected = k * boundary[inside] + (moved + k * divergence[inside]) * above[inside]
        flux = naive_flux(offset[inside.stop :], motion[inside.stop :], above[inside.stop :])
        np.testing.assert_allclose(value[pixel], baseline[pixel] + (k * above[inside]).sum(axis=0) / 4, atol=1e-5)
        np.testing.assert_allclose(slope[pixel], expected.sum(axis=0) / 4 - flux, atol=3e-5)


def naive_flux(offset, motion, light) -> np.ndarray:
    """Mean of (L - b) V·n over the two samples on each side of a pixel, found by where they lie; none without edges."""
    total = np.zeros(3)
    for axis in (0, 1):
        on_sides = (np.abs(offset[:, axis]) == 0.5) & (np.abs(offset[:, 1 - axis]) < 0.5)
        assert on_sides.sum() == (4 if len(offset) else 0)
        outward = np.sign(offset[on_sides, axis]) * motion[on_sides, axis]
        total += np.sum(outward[:, None] * light[on_sides], axis=0) / 2
    return total


@every_filter
def test_half_way_is_between_the_extremes_in_reach(name):
    config, wide = imaging.FilmConfig(filter=name), REACH[name]
    light = np.random.default_rng(2).normal(size=(HEIGHT + 2 * wide, LENGTH + 2 * wide, 3, 3)).astype(np.float32)
    found = np.asarray(imaging.half_way(config, jnp.asarray(light)))
    for row, column in np.ndindex(RESOLUTION):
        reach = light[row : row + 2 * wide + 1, column : column + 2 * wide + 1].reshape(-1, 3)
        np.testing.assert_allclose(found[row, column], (reach.min(axis=0) + reach.max(axis=0)) / 2, atol=1e-6)


# Tones and pyramids


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


def test_tent_from_box_is_exact_for_quadratics():
    """The mean of x² over a box of width 1 is x² + 1/12, over a tent x² + 1/6."""
    rows, columns = np.mgrid[:5, :6].astype(np.float32)
    box = np.stack([rows**2 + 1 / 12, columns**2 + 1 / 12, 2 * rows - 3 * columns * rows + 1], axis=-1)
    tent = box + np.array([1 / 12, 1 / 12, 0.0])
    seen = np.asarray(imaging.tent_from_box(jnp.asarray(box)))
    np.testing.assert_allclose(seen[1:-1, 1:-1], tent[1:-1, 1:-1], atol=1e-5)


def test_tent_from_box_spreads_a_pixel():
    image = np.zeros((5, 6, 1), np.float32)
    image[2, 3] = 1.0
    weights = np.array([1.0, 22.0, 1.0]) / 24
    spread = np.asarray(imaging.tent_from_box(jnp.asarray(image)))[..., 0]
    np.testing.assert_allclose(spread[1:4, 2:5], np.outer(weights, weights), atol=1e-7)
    assert spread.sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(imaging.tent_from_box(jnp.ones((3, 2, 3))), 1.0, atol=1e-6)
