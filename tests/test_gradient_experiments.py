"""Experiments about gradients, at the size of a stamp: whether their scenes are right, and what they leave behind."""

import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from experiments import gradient_images, gradient_noise, gradient_scenes, perlin
from experiments.gradient_images import ImagesConfig
from experiments.gradient_noise import NoiseConfig
from experiments.gradient_scenes import ReferenceConfig
from sdfrepar import files
from sdfrepar.gradcheck import Estimate
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import RenderConfig
from sdfrepar.tracing import TraceConfig

RENDER = RenderConfig(film=FilmConfig(samples_per_side=4), trace=TraceConfig(max_steps=24))
REFERENCE = ReferenceConfig(samples_per_side=8, repetitions=2, step=0.01)
POINTS = np.random.default_rng(0).uniform(-0.6, 0.6, (20, 3)).astype(np.float32)


def moved(subject, s):
    return jax.tree.map(lambda x, v: x + s * v, subject.params, subject.direction)


def field_change(subject, s):
    """What a step s along the direction changes of the field, at `POINTS`."""
    field = jax.vmap(subject.scene.distance, in_axes=(None, 0))
    return np.asarray(field(moved(subject, s), POINTS) - field(subject.params, POINTS))


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    """A closed mesh that is neither centred nor of the right size, as arrays in a file."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=3.0)
    path = tmp_path_factory.mktemp("mesh") / "ball.npz"
    np.savez(path, v=mesh.vertices + 7.0, f=mesh.faces)
    return path


def test_torus_grows_by_its_outer_radius():
    subject = gradient_scenes.make("torus", 8)
    assert jax.tree.structure(subject.direction) == jax.tree.structure(subject.params)
    params = moved(subject, 0.1)
    outermost = sum(subject.params.values()) + 0.1
    assert subject.scene.distance(params, jnp.array([0.0, 0.0, 1.0]) * outermost) == pytest.approx(0.0, abs=1e-6)
    assert params["minor"] == subject.params["minor"]


def test_network_moves_by_its_last_bias(monkeypatch):
    monkeypatch.setattr(gradient_scenes, "FIT_STEPS", 3)
    subject = gradient_scenes.make("neural", 8)
    assert jax.tree.structure(subject.direction) == jax.tree.structure(subject.params)
    assert sum(float(jnp.abs(leaf).sum()) for leaf in jax.tree.leaves(subject.direction)) == 1.0
    np.testing.assert_allclose(field_change(subject, 0.05), 0.05, atol=1e-6)


def test_voxels_grow_by_a_layer(monkeypatch, ball):
    pytest.importorskip("igl")
    monkeypatch.setattr(gradient_scenes, "GRID_RESOLUTION", 12)
    subject = gradient_scenes.make("spot", 8, str(ball))
    assert jax.tree.structure(subject.direction) == jax.tree.structure(subject.params)
    np.testing.assert_allclose(field_change(subject, 0.05), -0.05, atol=1e-6)
    surface = jnp.array([0.0, gradient_scenes.MESH_RADIUS, 0.0])
    assert subject.scene.distance(subject.params, surface) == pytest.approx(0.0, abs=0.02)


def test_spot_says_which_mesh_it_needs(tmp_path):
    with pytest.raises(ValueError, match=r"none came; write --mesh=FILE"):
        gradient_scenes.make("spot", 8)
    with pytest.raises(FileNotFoundError):
        gradient_scenes.make("spot", 8, str(tmp_path / "nowhere.npz"))
    np.savez(tmp_path / "other.npz", vertices=np.zeros(3))
    with pytest.raises(ValueError, match=r"holds the arrays vertices; expected v, f"):
        gradient_scenes.make("spot", 8, str(tmp_path / "other.npz"))


def test_noise_is_in_range_and_has_no_short_period():
    noise = jax.jit(jax.vmap(perlin.noise))
    points = np.random.default_rng(1).uniform(-20, 20, (4000, 3)).astype(np.float32)
    values = np.asarray(noise(points))
    assert np.abs(values).max() <= 1.0 and values.std() > 0.15 and abs(values.mean()) < 0.02
    np.testing.assert_array_equal(noise(np.floor(points)), 0.0)
    for shift in np.eye(3, dtype=np.float32) * np.array([1, 2, 8], np.float32)[:, None]:
        assert abs(np.corrcoef(values, noise(points + shift))[0, 1]) < 0.1


@pytest.mark.parametrize("axis", range(3))
def test_noise_is_c1_across_the_lattice(axis):
    """Value, slope and curvature agree on both sides of a face between two cells."""
    towards = np.eye(3, dtype=np.float32)[axis]
    on_face = np.random.default_rng(axis).uniform(-9, 9, (100, 3)).astype(np.float32)
    on_face[:, axis] = np.round(on_face[:, axis])
    slope = jax.grad(perlin.noise)

    def curvature(x):
        return jax.jvp(slope, (x,), (towards,))[1]

    for function, tolerance in ((perlin.noise, 1e-3), (slope, 5e-3), (curvature, 0.1)):
        below, above = (jax.vmap(function)(on_face + side * 1e-4 * towards) for side in (-1, 1))
        np.testing.assert_allclose(below, above, atol=tolerance)
    # The derivative is that of the value, not of a neighbouring cell's.
    below, above = (jax.vmap(perlin.noise)(on_face + side * 0.01 * towards) for side in (-1, 1))
    np.testing.assert_allclose(jax.vmap(slope)(on_face)[:, axis], (above - below) / 0.02, atol=5e-3)


def test_marble_is_an_albedo_of_two_colours():
    points = np.random.default_rng(3).uniform(-1, 1, (1000, 3)).astype(np.float32)
    colours = np.asarray(jax.vmap(gradient_scenes.marble)(points))
    assert colours.min() >= 0.0 and colours.max() <= 1.0
    # Both colours are seen, and what is between them.
    assert np.quantile(colours[:, 0], 0.1) < 0.2 and np.quantile(colours[:, 0], 0.9) > 0.8


@pytest.mark.slow
def test_images_leave_a_figure_and_its_numbers(tmp_path):
    config = ImagesConfig(resolution=8, methods=("interior",), repetitions=2, render=RENDER, reference=REFERENCE)
    metrics = gradient_images.compare(config, tmp_path)
    assert files.read_json(tmp_path / "metrics.json") == metrics
    assert {"title", "config", "versions", "reference", "methods"} == set(metrics)
    scores = metrics["methods"]["interior"]
    assert scores["samples"] == 2 * 16 and scores["seconds"] > 0
    assert 0.2 < scores["bias"] <= scores["error"] < 2.0  # the silhouettes are missing
    picture = files.read_image(tmp_path / "gradient_images.png")
    panel = 8 * 28
    assert picture.shape == (2 * (panel + 18), 3 * panel + 2 * 2, 3)
    assert picture[:18].min() < 0.5  # a label is there


def test_images_refuse_what_they_cannot_show():
    with pytest.raises(ValueError, match="shown in any case"):
        ImagesConfig(methods=("velocity", "finite_difference"))
    with pytest.raises(ValueError, match="magnification is 0"):
        ImagesConfig(magnification=0.0)


NOISE = NoiseConfig(
    resolution=8,
    methods=("interior", "finite_difference"),
    samples_per_side=(4,),
    repetitions=3,
    render=RENDER,
    reference=REFERENCE,
)


@pytest.fixture(scope="module")
def noise_run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("noise")
    with pytest.MonkeyPatch.context() as patched:
        # Marble takes long to compile.
        patched.setattr(gradient_scenes, "marble", lambda x: jnp.full(3, 0.8))
        return workdir, gradient_noise.measure(NOISE, workdir)


def test_noise_leaves_its_curves(noise_run):
    workdir, metrics = noise_run
    assert files.read_json(workdir / "metrics.json") == metrics
    assert {"title", "config", "versions", "reference_error", "curves"} == set(metrics)
    (interior,), (difference,) = metrics["curves"]["interior"], metrics["curves"]["finite_difference"]
    assert set(interior) == {"samples", "seconds", "compile_seconds", "error", "bias"}
    assert (interior["samples"], difference["samples"]) == (16, 32)
    # Missing silhouettes are a bias that differences do not have, whatever their noise.
    assert interior["bias"] > difference["bias"]
    assert difference["error"] > 0.0


def test_errors_tell_noise_from_bias():
    rng = np.random.default_rng(0)
    truth, size = rng.normal(size=(40, 40)), 1600
    spread = np.full((40, 40), 0.1)
    reference = Estimate(truth + 0.1 * rng.normal(size=(40, 40)), spread, 0.0, 0.0, 8)
    pictures = truth + 0.3 + 0.4 * rng.normal(size=(10, 40, 40))
    error, bias = gradient_noise.errors(pictures, reference)
    norm = np.sqrt(np.sum(truth**2) / size)
    assert error == pytest.approx(0.5 / norm, rel=0.03)
    assert bias == pytest.approx(0.3 / norm, rel=0.05)


def test_noise_is_drawn_where_matplotlib_is(noise_run, monkeypatch):
    pytest.importorskip("matplotlib")
    assert gradient_noise.plot(noise_run[1]).startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"The numbers are written.*sdfrepar\[notebooks\]"):
        gradient_noise.plot(noise_run[1])


@pytest.mark.parametrize(("change", "message"), [({"methods": ()}, "at least one"), ({"repetitions": 1}, "at least 2")])
def test_noise_refuses_what_measures_nothing(change, message):
    with pytest.raises(ValueError, match=message):
        replace(NOISE, **change)
