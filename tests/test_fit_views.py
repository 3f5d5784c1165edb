"""Shapes from posed pictures: by pairs, by rendering, and the mesh that is moved; what the experiments leave."""

from dataclasses import replace

import balls
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import compare_views, fit_views, runs
from experiments.compare_views import CompareConfig
from experiments.fit_views import FitViewsConfig
from experiments.priors import listing, multiview, samples, scores
from experiments.priors.mesh_baseline import MeshConfig
from experiments.priors.multiview import MultiView, ViewsConfig
from sdfrepar import cameras, evaluation, files, networks
from sdfrepar.fitting import FitConfig, PairsConfig, pairs
from sdfrepar.networks import Spread
from sdfrepar.observing import ObserveConfig

RADIUS = 0.48
CONFIG = ViewsConfig(
    start="mean",
    levels=2,
    observe=ObserveConfig(block=64, pixels=0.05, scales=(8,)),
    pairs=PairsConfig(steps=6, code_weight=0.01),
    mesh=MeshConfig(resolution=20, steps=60, points=2000, smoothness_weight=3.0),
    fit=FitConfig(
        steps=40, pixels=64, levels=1, shape_rate=0.1, warm_up=2, eikonal_weight=0.0, eikonal_points=1, average=0.5
    ),
)


@pytest.fixture(scope="module", autouse=True)
def small():
    """Fewer points everywhere, and coloured balls in the place of mugs."""
    pytest.importorskip("embreex")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "RESOLUTION", 24)
        patch.setattr(scores, "POINTS", 2000)
        patch.setattr(listing, "one", lambda *_: balls.coloured_shape(RADIUS))
        yield


@pytest.fixture(scope="module")
def views():
    return multiview.of_shape(balls.coloured_shape(RADIUS), 6, 32, 2)


@pytest.fixture(scope="module")
def method():
    return MultiView(CONFIG, balls.coloured_prior())


def radius_of(found):
    return 0.4 + 0.05 * found.code[0]


def test_pictures_of_a_shape_are_evenly_lit_before_grey(views):
    picture = views.images[0]
    np.testing.assert_allclose(picture[0], 0.6, atol=1e-6)
    assert len(views) == 6 and np.ptp(picture[16]) > 0.3


@pytest.mark.parametrize("gradient", ["pairs", "grazing"])
def test_a_radius_is_found_from_pictures_without_masks(method, views, gradient):
    found = method.found(gradient, views, "mug", 0)
    assert radius_of(found) == pytest.approx(RADIUS, abs=0.01)


def test_a_mesh_is_moved_towards_the_shape(method, views):
    found = method.found("mesh", views, "mug", 0)
    begun = method.mesh_of(method.start(views, "mug", 0), "mug", 20)
    start, end = (np.linalg.norm(mesh.vertices, axis=1) for mesh in (begun, found.mesh))
    assert abs(start.mean() - 0.4) < 0.02 and abs(end.mean() - RADIUS) < 0.6 * (RADIUS - 0.4)


def test_colours_that_were_not_learnt_are_not_rendered(views):
    with pytest.raises(ValueError, match=r"has learnt none; train one with --network\.channels=3"):
        MultiView(CONFIG, balls.prior()).found("velocity", views, "mug", 0)


def test_random_starts_differ_and_a_similarity_comes_before_them(views):
    method = MultiView(replace(CONFIG, start="random", starts=1, similarity=True), balls.prior())
    first, again, other = (method.start(views, "mug", seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.all(first[:7] == 0) and len(first) == 8


def test_of_random_starts_the_one_is_taken_whose_outlines_are_those_of_the_pictures(views):
    start = MultiView(replace(CONFIG, start="random", starts=6), balls.coloured_prior()).start(views, "mug", 0)
    drawn = np.random.default_rng(0).standard_normal(6).astype(np.float32)
    off = np.abs(0.4 + 0.05 * drawn - RADIUS)
    assert start[0] == drawn[np.argmin(off)] != drawn[0]


def test_a_placed_shape_is_turned_moved_and_scaled():
    subject = networks.placed(balls.BALL, (0.5, 0.1, 0.2))
    code = jnp.array([0.3, -0.2, 0.4, 1.0, 2.0, -1.0, 0.5, 0.05])
    params = {"network": jnp.float32(0.4), "code": code}
    centre, scale = jnp.array([0.1, 0.2, -0.1]), np.exp(0.1)
    for given in (params, subject.prepare(params)):
        assert float(subject.distance(given, centre)) == pytest.approx(-0.45 * scale, rel=1e-5)
        out = centre + 0.3 * cameras.rotation_by(jnp.array([0.1, 0.2, 0.3]))[0]
        assert float(subject.distance(given, out)) == pytest.approx(0.3 - 0.45 * scale, rel=1e-4)


def test_what_another_picture_shows_changes_as_its_rows_say(views):
    """Against central differences, at the pixels that stay visible; bilinear pictures have kinks."""
    subject, network = networks.in_deviations(balls.BALL), (jnp.float32(0.4), Spread(jnp.zeros(1), jnp.ones((1, 1))))
    rig, pictures = jax.tree.map(jnp.asarray, views.cameras), jnp.asarray(views.images[:])

    @jax.jit
    def compared(code):
        one, other = (
            pairs._seen(subject, CONFIG.observe, network, code[None], cameras.one_of(rig, number)) for number in (0, 3)
        )
        camera, there = cameras.one_of(rig, 3), (other.hit, other.depth)
        residual, change, visible = pairs._compared(one, pictures[0], camera, pictures[3], *there, 1e-3)
        return residual, change * one.rows, visible

    step = 5e-4
    (residual, rows, visible), (before, _, still), (after, _, too) = (compared(0.06 + d) for d in (0.0, -step, step))
    stays = np.asarray(visible & still & too)
    expected = np.asarray(after - before)[stays] / (2 * step)
    found = np.asarray(rows)[stays]
    assert stays.sum() > 30 and np.abs(expected).max() > 1.0
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.median(np.abs(found - expected)) < 0.05 * np.median(np.abs(expected))
    assert np.all(np.isfinite(residual))


def test_a_fit_leaves_mesh_picture_and_metrics(views, tmp_path):
    config = FitViewsConfig(family="mug", mesh_resolution=24, by=CONFIG)
    metrics = fit_views.fit(config, balls.coloured_prior(), views, balls.coloured_shape(RADIUS), tmp_path)
    assert metrics["chamfer"] < 2e-3 and metrics["pictures"] == 6
    vertices, _ = files.read_mesh(tmp_path / "mesh.ply")
    assert np.linalg.norm(vertices, axis=1).mean() == pytest.approx(RADIUS, abs=0.01)
    assert files.read_image(tmp_path / "views.png").shape[0] > 250


def test_a_table_of_views_goes_on_and_shows_its_cases(tmp_path, monkeypatch):
    config = CompareConfig(
        shapes=("mug 1", "mug 2"), methods=("mesh", "pairs"), views=6, resolution=32, supersampling=2,
        mesh_resolution=24, by=CONFIG,
    )  # fmt: skip
    table = compare_views.compare(config, balls.coloured_prior(), tmp_path)
    assert [(cell["method"], cell["shapes"]) for cell in table["cells"]] == [("mesh", 2), ("pairs", 2)]
    assert table["cells"][1]["median"] < table["cells"][0]["median"]
    assert "pairs / mesh" in (tmp_path / "table.md").read_text()
    assert files.read_image(tmp_path / "cases.png").shape[0] > 750
    monkeypatch.setattr(MultiView, "found", None)
    assert compare_views.compare(config, balls.coloured_prior(), tmp_path)["cells"] == table["cells"]
    with pytest.raises(runs.OtherRunError, match="another config"):
        compare_views.compare(replace(config, views=5), balls.coloured_prior(), tmp_path)


def test_a_baseline_keeps_faces_and_normals_outward(method, views):
    mesh = method.found("mesh", views, "mug", 0).mesh
    points = evaluation.sample_surface(mesh.vertices, mesh.faces, 100, seed=0)
    assert np.isfinite(points).all() and np.all(np.sum(mesh.normals * mesh.vertices, axis=1) > 0)
