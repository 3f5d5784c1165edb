"""The gradient matrix, scenes x methods x filters, against closed forms and finite differences.

A row that fails writes its pictures to .cache/gradients.
"""

import functools
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from benchmarks import tails
from sdfrepar import fields, files, gradcheck, reports
from sdfrepar.gradcheck import Estimate, GradcheckConfig, Report
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import GradientConfig, RenderConfig, render_film, render_pixels
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import DistanceConfig, VelocityConfig

UNBIASED = ("velocity", "distance", "grazing")
FILTERS = ("tent", "box", "bspline", "gaussian")
SPHERE = scenes.SphereImage()
PICTURES = Path(__file__).parents[1] / ".cache" / "gradients"


def rendering(method: str, filter_name: str = "tent", side: int = 8, band: float = 2.0) -> RenderConfig:
    return RenderConfig(
        film=FilmConfig(filter=filter_name, samples_per_side=side, edge_samples=4 * side),
        trace=TraceConfig(max_steps=48),
        gradient=GradientConfig(method=method, band=band, band_share=0.6 if band < 10 else 1.0),
        chunk=1 << 15,
    )


def closed_form(sphere: scenes.SphereImage, config: RenderConfig, repetitions: int) -> Report:
    """A check whose reference is exact."""
    truth = sphere.gradient(config.film.filter)
    reference = Estimate(truth, np.zeros_like(truth), float(truth.sum()), 0.0, 1)
    return gradcheck.check(
        sphere.scene,
        sphere.params,
        sphere.camera,
        {"radius": 1.0},
        config=GradcheckConfig(render=config, repetitions=repetitions),
        reference=reference,
    )


@functools.cache
def row_of(name: str) -> scenes.Row:
    return scenes.ROWS[name]()


@functools.cache
def reference_of(name: str, filter_name: str, side: int, repetitions: int) -> Estimate:
    row = row_of(name)
    config = GradcheckConfig(
        render=rendering("interior", filter_name, side), reference_repetitions=repetitions, step=row.step
    )
    motion = gradcheck.motion_of(row.params, row.camera, row.direction, row.camera_direction)
    return gradcheck.finite_difference(row.scene, config, (row.params, row.camera), motion)


def checked(
    name: str, config: RenderConfig, repetitions: int, reference_side: int, reference_repetitions: int = 24
) -> Report:
    row = row_of(name)
    return gradcheck.check(
        row.scene,
        row.params,
        row.camera,
        row.direction,
        camera_direction=row.camera_direction,
        config=GradcheckConfig(render=config, repetitions=repetitions, tolerance=row.picture),
        reference=reference_of(name, config.film.filter, reference_side, reference_repetitions),
    )


def require(name: str, report: Report, picture: float, total: float) -> None:
    """The error of the picture and of its sum, noise of both sides included."""
    if report.error < picture and abs(report.sum_bias) < total:
        return
    scale = float(np.abs(report.reference.mean).max())
    panels = [report.reference.mean, report.estimate.mean, 4 * report.bias]
    picture_of = reports.side_by_side(*(reports.signed_picture(panel, scale) for panel in panels))
    files.write_image(PICTURES / f"{name}_{report.method}.png", np.kron(picture_of, np.ones((8, 8, 1))))
    pytest.fail(
        f"{name}: picture {report.error:.4f} (allowed {picture}), sum {report.sum_bias:+.4f} ({total})\n{report}"
    )


# Closed forms


@pytest.mark.parametrize(
    ("method", "filter_name"),
    [
        ("velocity", "tent"),
        pytest.param("distance", "bspline", marks=pytest.mark.slow),
        pytest.param("grazing", "box", marks=pytest.mark.slow),
        pytest.param("grazing", "gaussian", marks=pytest.mark.slow),
    ],
)
def test_sphere(method, filter_name):
    """512 samples a pixel of a small picture."""
    sphere = scenes.SphereImage(side=16)
    report = closed_form(sphere, rendering(method, filter_name, side=16), repetitions=2)
    require(f"sphere_{filter_name}", report, 0.02, 0.006)


@pytest.mark.slow
@pytest.mark.parametrize("filter_name", FILTERS)
@pytest.mark.parametrize("method", UNBIASED)
def test_sphere_at_4096_samples(method, filter_name):
    report = closed_form(SPHERE, rendering(method, filter_name, side=16), repetitions=16)
    require(f"sphere4096_{filter_name}", report, 0.015, 0.005)


@pytest.mark.slow
@pytest.mark.parametrize("method", UNBIASED)
def test_sphere_under_a_parallel_camera(method):
    require("parallel", closed_form(scenes.PARALLEL, rendering(method, side=16), repetitions=4), 0.02, 0.005)


@pytest.mark.slow
@pytest.mark.parametrize("method", UNBIASED)
def test_sphere_without_a_band(method):
    """Every sample is warped, to the rim of the unit sphere: no limiter hides a jump."""
    report = closed_form(SPHERE, rendering(method, side=16, band=float("inf")), repetitions=4)
    require("everywhere", report, 0.015, 0.005)


@pytest.mark.slow
def test_error_keeps_falling_with_the_samples():
    """No floor of undecided rays: sixteen times the samples, a quarter of the error or less, down to 1 %."""
    errors = [closed_form(SPHERE, rendering("grazing", side=side), 4).error for side in (4, 16)]
    assert errors[1] < 0.3 * errors[0] and errors[1] < 0.01


def test_relaxed_is_finite_where_no_ray_grazes():
    """Rays of the band that pass no low add nothing; the sum is that of a sphere half a band larger, or nearly."""
    report = closed_form(SPHERE, rendering("relaxed", side=4), repetitions=2)
    assert np.isfinite(report.estimate.mean).all()
    assert abs(report.sum_bias) < 0.1


@pytest.mark.slow
def test_interior_sees_nothing_of_a_white_sphere():
    """The biased method is biased: where radiance is constant, the whole gradient is at the silhouette."""
    report = closed_form(SPHERE, rendering("interior", side=2), repetitions=2)
    np.testing.assert_array_equal(report.estimate.mean, 0.0)
    assert report.verdict.startswith("BIASED")


@pytest.mark.slow
def test_the_derivative_of_a_box_comes_through_its_edges():
    """What the warp carries out of a box pixel is taken off at its edges: more samples there, less noise [B22]."""
    config = rendering("grazing", "box", side=4)
    few, many = (
        closed_form(SPHERE, replace(config, film=replace(config.film, edge_samples=samples)), 4) for samples in (2, 32)
    )
    assert many.single_error < 0.8 * few.single_error
    assert many.single_error < 0.2


# Finite differences


@pytest.mark.parametrize(
    ("name", "method", "filter_name"),
    [
        ("torus", "grazing", "tent"),
        pytest.param("camera_position", "distance", "tent", marks=pytest.mark.slow),
        pytest.param("occluders", "velocity", "box", marks=pytest.mark.slow),
    ],
)
def test_row(name, method, filter_name):
    """A few cells of the matrix, quickly: 256 samples a pixel against 512."""
    report = checked(
        name, rendering(method, filter_name, side=8), repetitions=4, reference_side=8, reference_repetitions=8
    )
    require(f"{name}_{filter_name}", report, 0.08, 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("method", UNBIASED)
@pytest.mark.parametrize("name", scenes.ROWS)
def test_row_at_1024_samples(name, method):
    row = row_of(name)
    report = checked(name, rendering(method, side=16), repetitions=row.repetitions, reference_side=16)
    require(name, report, row.picture, row.total)


@pytest.mark.slow
@pytest.mark.parametrize("filter_name", FILTERS[1:])
@pytest.mark.parametrize("method", UNBIASED)
def test_torus_through_every_filter(method, filter_name):
    row = row_of("torus")
    report = checked("torus", rendering(method, filter_name, side=16), repetitions=4, reference_side=16)
    require(f"torus_{filter_name}", report, row.picture, row.total)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method", "least", "most"),
    [
        ("torus", "relaxed", 0.05, 0.25),
        ("occluders", "relaxed", 0.05, 0.35),
        ("torus", "interior", 0.2, 0.5),
        ("light", "interior", 0.0, 0.04),
        ("torus", "finite_difference", 0.0, 0.08),
    ],
)
def test_biased_methods_are_as_biased_as_they_say(name, method, least, most):
    """Where only light moves, the interior is all there is; elsewhere it misses what silhouettes do."""
    report = checked(name, rendering(method, side=16), repetitions=4, reference_side=16)
    require(name, report, most, 1.0)
    assert report.error > least


@pytest.mark.slow
def test_torus_at_sixteen_samples():
    """One estimate of 16 samples a pixel, at its best, is within 15 % of the truth."""
    report = checked("torus", rendering("grazing", side=4), repetitions=16, reference_side=16)
    assert report.single_error < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("method", UNBIASED)
@pytest.mark.parametrize("title", ["two spheres, one before the other", "torus, in its outer radius"])
def test_no_sample_outweighs_a_hundred(title, method):
    """Among 10^6 samples of pictures in which silhouettes cross, where div V has no bound."""
    subject = next(subject for subject in tails.subjects() if subject.title == title)
    assert tails.largest(subject, method) < 100.0


# Settings


def estimate_once(method: str, **gradient) -> np.ndarray:
    """One small derivative picture of the torus."""
    config = rendering(method, side=2)
    config = replace(config, gradient=replace(config.gradient, **gradient))
    camera = scenes.camera_at((1.2, 1.6, -2.0), (12, 12))
    still = jax.tree.map(jnp.zeros_like, camera)
    motion = jax.tree.map(jnp.asarray, scenes.MAJOR)
    check = GradcheckConfig(render=config, repetitions=2)
    row = row_of("torus")
    return gradcheck.estimated(row.scene, check, (scenes.TORUS, camera), (motion, still))[1].mean


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [2.1, 4.0, 10.0])
@pytest.mark.parametrize("angle_weight", [0.01, 1.0])
@pytest.mark.parametrize("epsilon", [0.0, 1e-2])
def test_extreme_constants_stay_finite(gamma, angle_weight, epsilon):
    constants = {"gamma": gamma, "angle_weight": angle_weight, "epsilon": epsilon}
    for band in (2.0, float("inf")):
        assert np.all(np.isfinite(estimate_once("velocity", band=band, velocity=VelocityConfig(**constants))))
    assert np.all(np.isfinite(estimate_once("distance", distance=DistanceConfig(**constants))))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["independent", "stratified", "sobol"])
@pytest.mark.parametrize("control_variate", [True, False])
def test_every_pattern_has_the_same_mean(pattern, control_variate):
    film = FilmConfig(pattern=pattern, samples_per_side=16, control_variate=control_variate)
    report = closed_form(SPHERE, replace(rendering("grazing"), film=film), repetitions=8)
    assert report.bias_l2 < 0.02
    assert abs(report.sum_bias) < 0.005 + 3 * report.sum_noise


def test_overfull_band_stays_unbiased():
    """A buffer for half of the band's samples gives the same mean, with more noise; so do samples on edges."""
    sphere = scenes.SphereImage(side=16)
    config = rendering("grazing", "box", side=8)
    config = replace(config, gradient=replace(config.gradient, band_share=0.2))
    report = closed_form(sphere, config, repetitions=12)
    assert abs(report.sum_bias) < 0.005 + 3 * report.sum_noise and report.bias_l2 < 0.03


@pytest.mark.parametrize("method", ["interior", pytest.param("grazing", marks=pytest.mark.slow)])
def test_chunks_do_not_matter(method):
    """Value and gradient, forward and in reverse, of the whole picture and of the picture in chunks."""
    row = row_of("torus")
    camera = scenes.camera_at((1.2, 1.6, -2.0), (10, 10))
    whole = rendering(method, side=2)
    # With room for all: which samples stand for an overfull band is drawn chunk by chunk.
    whole = replace(whole, gradient=replace(whole.gradient, band_share=1.0))
    weight = jax.random.normal(jax.random.key(3), (10, 10, 3))

    def loss(config, params):
        return jnp.sum(weight * render_film(row.scene, config, params, camera, key=jax.random.key(1)))

    results = [
        jax.jit(jax.value_and_grad(functools.partial(loss, config)))(scenes.TORUS)
        for config in (whole, replace(whole, chunk=150))
    ]
    for one, other in zip(*(jax.tree.leaves(result) for result in results), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-4)


@pytest.mark.slow
def test_pixels_on_their_own_agree_with_the_picture():
    """Two ways to sample the same pixels have one mean derivative."""
    row = row_of("torus")
    camera = scenes.camera_at((1.2, 1.6, -2.0), (12, 12))
    config = rendering("grazing", side=8)
    cameras, centre, width = scenes.every_pixel(camera)
    tangent = jax.tree.map(jnp.asarray, scenes.MAJOR)

    @jax.jit
    def both(key):
        def one_by_one(params):
            return render_pixels(row.scene, config, params, cameras, centre, width, key=key)[0].reshape(12, 12, 3)

        def together(params):
            return render_film(row.scene, config, params, camera, key=key)

        return [jax.jvp(f, (scenes.TORUS,), (tangent,))[1][..., 0] for f in (one_by_one, together)]

    alone, together = np.mean([both(key) for key in jax.random.split(jax.random.key(0), 6)], axis=0)
    assert np.linalg.norm(alone - together) < 0.12 * np.linalg.norm(together)
    assert alone.sum() == pytest.approx(together.sum(), abs=0.02 * float(np.abs(together).sum()))


# What is hard


def one_picture(scene, params, camera, method):
    """Value and derivative in every parameter along ones, by the program of `test_row` where there is one."""
    config = GradcheckConfig(render=rendering(method, side=8), repetitions=2)
    motion = gradcheck.motion_of(params, camera, jax.tree.map(jnp.ones_like, params), None)
    value, derivative = gradcheck.estimated(scene, config, (params, camera), motion)
    return value, derivative.mean


@pytest.mark.parametrize(
    ("method", "position"),
    [
        pytest.param("grazing", (0.0, 0.1, -0.8), id="grazing_inside"),
        *(
            pytest.param(method, position, id=f"{method}_{name}", marks=pytest.mark.slow)
            for method in UNBIASED
            for name, position in (("inside", (0.0, 0.1, -0.8)), ("rim", (1e-3, 0.0, -1.0)))
        ),
    ],
)
def test_a_camera_inside_the_unit_sphere_has_finite_gradients(method, position):
    camera = scenes.camera_at(position, (24, 24))
    value, derivative = one_picture(row_of("torus").scene, scenes.TORUS, camera, method)
    assert np.all(np.isfinite(value)) and np.all(np.isfinite(derivative)) and np.any(derivative != 0)


@pytest.mark.slow
def test_a_kink_and_a_ray_along_a_face_have_finite_gradients():
    """A box without rounding, whose top face lies in the plane of a row of rays."""
    params = {"half_extent": jnp.array([0.4, 0.3, 0.4]), "rounding": jnp.asarray(0.0)}
    camera = scenes.camera_at((0.0, 0.3, -2.5), (24, 24))
    camera = camera.replace(rotation=jnp.array([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]))
    for method in UNBIASED:
        value, derivative = one_picture(scenes.shaded(fields.box), params, camera, method)
        assert np.all(np.isfinite(value)) and np.all(np.isfinite(derivative)) and np.any(derivative != 0)
