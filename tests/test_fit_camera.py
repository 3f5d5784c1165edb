"""Searches for the camera that saw a known shape: what they find, what they leave, and that they go on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from experiments import fit_camera, runs
from experiments.fit_camera import FitCameraConfig
from experiments.shapes import ShapeConfig
from experiments.synthetic import photography
from experiments.synthetic.surfaces import FieldSurface
from sdfrepar import cameras, evaluation, fields, files, fitting
from sdfrepar.fitting import PoseConfig
from sdfrepar.observing import ObserveConfig, Subject

SMALL = FitCameraConfig(
    starts=2,
    views=2,
    rotation=5.0,
    shift=3.0,
    resolution=16,
    shape=ShapeConfig(name="demo"),
    observe=ObserveConfig(block=64, scales=(4,)),
    fit=PoseConfig(strides=(1,), steps=(8,)),
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camera")
    return folder, fit_camera.find(SMALL, folder)


def test_searches_leave_their_ways_and_what_they_come_to(workdir):
    folder, metrics = workdir
    lines = files.read_json_lines(folder / fit_camera.LINES)
    assert [line["number"] for line in lines] == [0, 1] == [line["view"] for line in lines]
    assert all(len(line["motions"]) == 9 == len(line["rotation"]) and len(line["loss"]) == 8 for line in lines)
    assert all(line["rotation"][0] <= 5.0 and line["shift"][0] <= 3.0 for line in lines)
    assert all(line["loss"][-1] < line["loss"][2] for line in lines)
    assert metrics["starts"] == 2 == metrics["home"] + len(metrics["astray"])
    assert files.read_json(folder / runs.METRICS)["last"] == metrics["last"]
    assert len((folder / fit_camera.TABLE).read_text().splitlines()) == 4
    assert files.read_image(folder / "way.png").shape[1] > 900 and (folder / "curves.png").is_file()


def test_searches_that_were_stopped_go_on_to_the_same_end(workdir, tmp_path, monkeypatch):
    folder, metrics = workdir
    (tmp_path / runs.CONFIG).write_bytes((folder / runs.CONFIG).read_bytes())
    first, second = (folder / fit_camera.LINES).read_text().splitlines(keepends=True)
    (tmp_path / fit_camera.LINES).write_text(first + second)
    # Nothing is left to be searched, and more starts are searched alone.
    monkeypatch.setattr(fitting, "make_pose_search", lambda *_: None)
    assert fit_camera.find(SMALL, tmp_path)["last"] == metrics["last"]
    assert len(fit_camera.begun(replace(SMALL, starts=9), tmp_path)) == 2
    assert len(fit_camera.begun(replace(SMALL, starts=1), tmp_path)) == 1
    with pytest.raises(runs.OtherRunError, match="choose another --workdir"):
        fit_camera.begun(replace(SMALL, rotation=6.0), tmp_path)


def test_starts_are_as_far_off_as_is_said():
    motions = np.stack([fit_camera.start_of(SMALL, number, 3.0) for number in range(100)])
    turns, shifts = (np.linalg.norm(part, axis=1) for part in (motions[:, :3], motions[:, 3:]))
    assert 4.5 < np.degrees(turns.max()) <= 5.0 and 0.08 < shifts.max() <= 0.09
    assert np.abs(np.mean(motions / np.abs(motions).max(axis=0), axis=0)).max() < 0.25
    np.testing.assert_array_equal(motions[7], fit_camera.start_of(SMALL, 7, 3.0))


def test_home_is_within_half_a_degree_and_half_a_hundredth():
    def line(number, rotation, shift):
        return {"number": number, "view": 0, "rotation": [9.0, rotation], "shift": [9.0, shift], "seconds": 1.0}

    lines = [line(0, 0.4, 0.4), line(1, 0.6, 0.1), line(2, 0.1, 0.6)]
    found = fit_camera.summary(lines)
    assert found["home"] == 1 and found["astray"] == [1, 2] and found["last"]["rotation"]["median"] == 0.4
    assert [row.split(" | ")[-2] for row in fit_camera.table(lines).splitlines()[2:]] == ["yes", "no", "no"]


@pytest.mark.parametrize("settings", [{"starts": 0}, {"rotation": 180.0}])
def test_searches_that_measure_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        FitCameraConfig(**settings)


@pytest.mark.parametrize("settings", [{"strides": (2,)}, {"steps": (5, 0)}, {"near": 0.0}])
def test_stages_that_do_not_match_are_refused(settings):
    with pytest.raises(ValueError, match=f"fit.{next(iter(settings))}"):
        PoseConfig(**settings)


def test_a_search_finds_the_camera():
    """A box with a ball at its corner, which looks different from everywhere."""
    distance = fields.smooth_union(fields.placed(fields.sphere), fields.box)
    params = {
        "first": scenes.at(0.35, 0.45, 0.3, -0.1),
        "second": {"half_extent": jnp.array([0.4, 0.2, 0.3]), "rounding": jnp.array(0.1)},
        "width": jnp.array(0.1),
    }
    true = scenes.camera_at((1.0, 1.2, -2.2), (24, 24))
    exact = photography.survey(FieldSurface(distance, params, lambda points: points), true)
    first = cameras.moved(true, jnp.array([0.1, -0.06, 0.05, 0.1, 0.05, -0.15]))
    config = PoseConfig(strides=(2, 1), steps=(40, 20), normal_weight=0.01)
    search = fitting.make_pose_search(
        Subject(distance, lambda params, x: x[:0]), ObserveConfig(pixels=0.1, block=64), config
    )
    way = search(params, first, fitting.whole_maps(*exact))
    found = jax.vmap(cameras.moved, in_axes=(None, 0))(first, way.motions)
    still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (61, *leaf.shape)), true)
    error = evaluation.object_error(found, still)
    assert error.rotation[0] > 6.0 and error.position[0] > 0.15
    assert error.rotation[-1] < 0.5 and error.position[-1] < 0.01
    assert way.losses[-1] < 0.1 * way.losses[0]
