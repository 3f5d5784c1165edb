"""Priors of a few shapes: what their training leaves behind, and the codes of others from one view."""

import re
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from experiments import fit_code, runs, train_prior
from experiments.fit_code import FitCodeConfig
from experiments.priors import folder, listing, pictures, samples, scores, store
from experiments.priors.store import Prior, PriorConfig
from experiments.synthetic import photography
from experiments.synthetic.surfaces import FieldSurface
from sdfrepar import fields, files, fitting, reports
from sdfrepar.fitting import CodesConfig, CompletionConfig
from sdfrepar.networks import DecoderConfig
from sdfrepar.observing import ObserveConfig, Subject
from sdfrepar.reports import Progress

TINY = PriorConfig(
    families=(),
    held_out=("unseen",),
    samples=1000,
    log_every=2,
    mesh_resolution=24,
    network=DecoderConfig(latent=4, width=32, depth=3, skip=0, activation="softplus"),
    fit=CodesConfig(steps=120, shapes=4, points=256, rate=5e-3, code_rate=1e-2, warm_up=4),
)
SHORT = FitCodeConfig(
    resolution=16,
    recorded=2,
    shown=2,
    mesh_resolution=24,
    fit=CompletionConfig(steps=4),
    observe=ObserveConfig(block=64),
)


@pytest.fixture(scope="module", autouse=True)
def small():
    """Fewer points everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "RESOLUTION", 24)
        patch.setattr(scores, "POINTS", 2000)
        patch.setattr(train_prior, "PICTURE", 16)
        yield


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    """A folder of closed meshes, two of them long in z, which is up."""
    pytest.importorskip("igl")
    place = tmp_path_factory.mktemp("meshes") / "balls"
    place.mkdir()
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=2.0)
    for name, scale in (("long", [0.5, 0.5, 1.0]), ("round", [1.0, 1.0, 1.0]), ("unseen", [0.7, 0.7, 1.0])):
        np.savez(place / f"{name}.npz", v=mesh.vertices * scale + 3.0, f=mesh.faces)
    return place


@pytest.fixture(scope="module")
def trained(balls, tmp_path_factory):
    """A tiny prior's workdir, and its metrics."""
    workdir = tmp_path_factory.mktemp("prior")
    train_prior.train(TINY, [balls], workdir)
    return workdir, train_prior.outcome([balls], workdir)


@pytest.fixture(scope="module")
def prior(trained) -> Prior:
    """The same, loaded."""
    return store.load(trained[0])


def test_a_prior_leaves_scores_and_pictures(trained):
    workdir, metrics = trained
    assert files.read_json(workdir / "metrics.json") == metrics
    assert list(metrics["chamfer"]) == ["balls long", "balls round"] and metrics["steps"] == 120
    assert metrics["families"]["balls"]["shapes"] == 2 and metrics["all"]["worst"] < 0.02
    text = (workdir / "scores.md").read_text()
    assert "| balls | 2 |" in text and "| balls long |" in text
    shown = files.read_image(workdir / "images" / "shapes_balls.png")
    assert shown.shape == (32, 2 * 16 + 2, 3) and shown[:16].min() < 0.9
    true, decoded = (reports.panels_of(row, 2) for row in (shown[:16], shown[16:]))
    unlike = [[np.mean(np.abs(a - b)) for a in true] for b in decoded]
    assert unlike[0][0] < unlike[0][1] and unlike[1][1] < unlike[1][0]
    between = reports.panels_of(files.read_image(workdir / "images" / "between_balls.png"), 6)
    np.testing.assert_array_equal(between[0], decoded[0])
    widths = [np.mean((panel < 1.0).any(axis=(0, 2))) for panel in between]
    assert widths == sorted(widths) and widths[0] < widths[-1]
    lines = files.read_json_lines(workdir / runs.LOG)
    assert [line["step"] for line in lines] == list(range(2, 121, 2))
    assert lines[-1]["distance"] < 0.6 * lines[0]["distance"]
    pytest.importorskip("matplotlib")
    assert pictures.loss(lines).startswith(b"\x89PNG")


def test_a_prior_that_was_stopped_goes_on_to_the_same(balls, trained, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    def stop(progress, step, metrics):
        if step == 20:
            raise StoppedError

    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(Progress, "update", lambda *arguments: stop(*arguments) if arguments[1] > 3 else None)
        train_prior.train(replace(TINY, checkpoint_every=0.0), [balls], tmp_path)
    files.append_json_line(tmp_path / runs.LOG, {"step": 20, "distance": 0.0})
    monkeypatch.setattr(samples, "sample_all", None)  # they are kept
    train_prior.train(TINY, [balls], tmp_path)
    whole, resumed = store.load(trained[0]), store.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, whole.network, resumed.network)
    np.testing.assert_array_equal(whole.codes, resumed.codes)
    assert files.read_json_lines(tmp_path / runs.LOG) == files.read_json_lines(trained[0] / runs.LOG)
    with pytest.raises(runs.OtherRunError, match=r"radius was 0\.9 and is now 0\.8\. Choose another --workdir"):
        train_prior.train(replace(TINY, radius=0.8), [balls], tmp_path)


def test_samples_are_made_again_for_other_meshes(tmp_path):
    made = [samples.Samples(np.full((1, 2, 3), x), np.full((1, 2), x), np.zeros((1, 2, 0))) for x in (0.0, 1.0, 2.0)]
    path = tmp_path / "samples.npz"
    for about, expected in (("a", 0.0), ("a", 0.0), ("b", 1.0), ("a", 2.0)):
        assert samples.kept(path, about, lambda: made.pop(0)).distances[0, 0] == expected


def test_shapes_are_sampled_near_one_another_too():
    """Two small balls far apart: a share of the points of each lies near the other."""

    def ball(x):
        surface = SimpleNamespace(points=lambda count, resolution: np.tile([x, 0.0, 0.0], (count, 1)))
        return lambda: samples.Shape(surface, lambda points: np.linalg.norm(points - [x, 0.0, 0.0], axis=1) - 0.1)

    drawn = samples.sample_all([ball(-0.7), ball(0.7)], 2000, seed=0, coloured=False)
    near = np.linalg.norm(drawn.points[:, :, None] - np.array([[-0.7, 0, 0], [0.7, 0, 0]]), axis=-1) < 0.25
    shares = near.mean(axis=1)
    np.testing.assert_allclose(shares, [[0.83, 0.08], [0.08, 0.83]], atol=0.03)
    assert drawn.distances.min() > -0.1 and drawn.distances.max() > 1.0


def test_variants_are_stretched_each_in_its_own_way_and_learnt_too(balls):
    names = list(listing.learnt(replace(TINY, variants=2), [balls]))
    assert names == [f"balls {name}{variant}" for name in ("long", "round") for variant in ("", "~1", "~2")]
    sizes = [np.ptp(folder.read(balls / "round.npz", 0.9, "y", v).surface.vertices, axis=0) for v in (0, 1, 2, 1)]
    np.testing.assert_allclose(sizes[0], sizes[0][0], rtol=1e-3)
    np.testing.assert_array_equal(sizes[1], sizes[3])
    assert np.ptp(sizes[1]) > 0.02 and not np.allclose(sizes[1], sizes[2], rtol=0.01)
    assert listing.family_of("balls long~1") == listing.family_of(str(balls / "long.npz")) == "balls"


def test_meshes_are_turned_upright_and_scaled(balls):
    """z, along which they are longest, becomes y; rotations.json turns before that."""
    read = folder.read(balls / "long.npz", 0.9, "z").surface
    np.testing.assert_allclose(np.abs(read.vertices).max(axis=0), [0.45, 0.9, 0.45], atol=0.02)
    assert trimesh.Trimesh(read.vertices, read.faces).volume > 0
    along = folder.read(balls / "long.npz", 0.9, "y").surface
    np.testing.assert_allclose(np.abs(along.vertices).max(axis=0), [0.45, 0.45, 0.9], atol=0.02)
    # To the same content another digest belongs once there are rotations.
    before = listing.content([balls])
    files.write_json(balls / folder.ROTATIONS, {"long": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]})
    try:
        turned = folder.read(balls / "long.npz", 0.9, "z").surface
        np.testing.assert_allclose(np.abs(turned.vertices).max(axis=0), [0.9, 0.45, 0.45], atol=0.02)
        assert listing.content([balls]) != before
    finally:
        (balls / folder.ROTATIONS).unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_out": ("none",)}, "no folder holds such a mesh"),
        ({"families": ("boat:3",)}, "entries like plane:40"),
        ({"families": (), "held_out": ("long", "round", "unseen")}, "no shapes to learn"),
    ],
)
def test_shapes_that_are_not_there_are_refused(balls, change, words):
    with pytest.raises(ValueError, match=words):
        listing.learnt(replace(TINY, **change), [balls])


def test_shapes_are_found_by_name(balls):
    assert isinstance(listing.one(TINY, "mug 77").surface, FieldSurface)
    assert len(listing.one(TINY, str(balls / "long.npz")).surface.vertices)
    with pytest.raises(ValueError, match="a mesh file, or a member of a family"):
        listing.one(TINY, "nothing 3")


def test_the_mean_code_is_that_of_a_family(prior):
    np.testing.assert_allclose(prior.mean_code("balls l"), prior.codes[0])
    np.testing.assert_allclose(prior.mean_code(), prior.codes.mean(axis=0))
    with pytest.raises(ValueError, match="no shapes of 'boat'"):
        prior.mean_code("boat")


# Codes


BALL = Subject(
    distance=lambda params, x: fields.sphere({"radius": params["network"] + params["code"][0]}, x),
    properties=lambda params, x: jnp.zeros(0),
)


@pytest.mark.parametrize("gradient", ["first_order", "implicit"])
def test_a_radius_is_found_from_one_view(gradient):
    """The code is what the radius of a ball lacks."""
    camera = pictures.camera(16)
    white = FieldSurface(fields.sphere, {"radius": jnp.float32(0.6)}, np.ones_like)
    maps = fitting.whole_maps(*photography.survey(white, camera))
    config = CompletionConfig(steps=60, rate=2e-2, code_weight=0.0)
    observe = ObserveConfig(gradient=gradient, split="none", block=256, pixels=0.05)
    step = fitting.make_completion_step(BALL, observe, config)
    state = fitting.on_all_devices(fitting.first_completion_state(config, jnp.zeros(1)))
    images = []
    for _ in range(config.steps):
        state, metrics = step(state, jnp.float32(0.4), camera, maps)
        images.append(float(metrics["image"]))
    assert float(state.params["code"][0]) == pytest.approx(0.2, abs=5e-3)
    assert images[-1] < 0.05 * images[0]


def test_a_code_is_fitted_and_its_way_recorded(prior, balls):
    shape = listing.one(prior.config, str(balls / "unseen.npz"))
    way = fit_code.fit(SHORT, prior, shape)
    assert [line["step"] for line in way.lines] == [0, 2, 4]
    np.testing.assert_allclose(way.codes[0], prior.mean_code(), rtol=1e-6)
    assert way.lines[-1]["image"] < way.lines[0]["image"]
    found = fit_code.summary(way)
    assert found["fall"] == pytest.approx(1.0 - way.lines[-1]["image"] / way.lines[0]["image"])
    assert -1.0 <= found["correlation"] <= 1.0
    assert re.search(r"\| step \| image \|.*\| chamfer \|", fit_code.table(way))
    assert fit_code.way_picture(SHORT, prior, shape, way).shape == (32, 18 * 3 - 2, 3)
    pytest.importorskip("matplotlib")
    assert fit_code.plot(way).startswith(b"\x89PNG")


@pytest.mark.slow
def test_an_unknown_mug_is_found_from_one_view(tmp_path, monkeypatch):
    """The bars of [D20 Fig. 5], with a prior of mugs and tables: the loss falls, the Chamfer distance with it."""
    monkeypatch.setattr(samples, "RESOLUTION", 48)
    config = replace(
        TINY,
        families=("mug:24", "table:8"),
        held_out=(),
        samples=5000,
        network=DecoderConfig(latent=12, width=96, depth=4, skip=2, activation="softplus"),
        fit=CodesConfig(steps=2000, shapes=16, points=256, rate=2e-3, code_rate=4e-3),
    )
    train_prior.train(config, [], tmp_path)
    prior = store.load(tmp_path)
    short = FitCodeConfig(resolution=32, recorded=20, mesh_resolution=48, fit=CompletionConfig(steps=100, rate=5e-3))
    found = fit_code.summary(fit_code.fit(short, prior, listing.one(config, "mug 33")))
    assert found["fall"] > 0.9 and found["correlation"] > 0.9
    assert found["last_chamfer"] < 0.4 * found["first_chamfer"]


def test_codes_refuse_what_shows_nothing():
    with pytest.raises(ValueError, match="recorded is 9"):
        replace(SHORT, recorded=9)
    with pytest.raises(ValueError, match="shown is 1"):
        replace(SHORT, shown=1)


@pytest.mark.parametrize("suffix", [".ply", ".npz"])
def test_colours_of_vertices_are_sampled_with_the_distances(tmp_path, suffix):
    pytest.importorskip("igl")
    mesh = trimesh.creation.icosphere(subdivisions=2)
    codes = np.where(mesh.vertices[:, :1] > 0, [[255, 0, 128]], [[0, 0, 0]]).astype(np.uint8)
    if suffix == ".npz":
        np.savez(tmp_path / "ball.npz", v=mesh.vertices, f=mesh.faces, c=codes)
    else:
        trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=codes, process=False).export(tmp_path / "ball.ply")
    shape = folder.read(tmp_path / f"ball{suffix}", 0.9, "y")
    drawn = samples.sample_all([lambda: shape], 300, seed=0, coloured=True)
    side = drawn.points[0, :, 0]
    np.testing.assert_allclose(
        drawn.colours[0][side > 0.4], np.tile([1.0, 0.0, 0.2158], (np.sum(side > 0.4), 1)), atol=1e-3
    )
    assert np.all(drawn.colours[0][side < -0.4] == 0)
