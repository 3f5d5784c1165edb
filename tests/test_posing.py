"""Cameras that are off on purpose, and the frame that a fit drifts to."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from experiments import bundling, matching
from experiments.posing import Posing, disturbed
from sdfrepar import cameras
from sdfrepar.doctor.features import Pair
from sdfrepar.records import Tracks, Views

PLACES = ((0.0, 0.5, -2.5), (2.0, 0.3, 1.0), (-1.5, 1.0, 1.5), (0.5, -2.0, 1.0))


@pytest.fixture(scope="module")
def views() -> Views:
    rig = [scenes.camera_at(place, (16, 16)) for place in PLACES]
    return Views(
        images=np.zeros((4, 16, 16, 3), np.float32),
        cameras=jax.tree.map(lambda *leaves: np.stack(leaves), *rig),
        names=("a", "b", "c", "d"),
        world_from_scene=np.diag([2.0, 2.0, 2.0, 1.0]),
    )


def test_cameras_are_disturbed_by_what_is_said(views):
    off = disturbed(views, 1.5, seed=3)
    turns = np.asarray(off.cameras.rotation) @ np.asarray(views.cameras.rotation).transpose(0, 2, 1)
    angles = np.degrees(np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2))
    np.testing.assert_allclose(angles, 1.5, atol=0.02)
    place = np.asarray(views.cameras.position)
    shifts = np.linalg.norm(np.asarray(off.cameras.position) - place, axis=1) / np.linalg.norm(place, axis=1)
    np.testing.assert_allclose(shifts, 0.015, rtol=1e-4)
    assert disturbed(views, 0.0, seed=3) is views


def test_the_right_motions_score_zero_and_held_out_views_follow(views):
    """Cameras moved as one are right up to a similarity, and a held-out camera has to move with them."""
    motion = jnp.array([0.1, -0.05, 0.2, 0.02, 0.1, 0.0])
    posing = Posing(views.cameras, disturbed(views, 1.0, seed=0).cameras)
    assert posing.scores({}) == {} and posing.in_scene({}, views) is views
    posing = Posing(views.cameras, views.cameras)
    to_axes = jnp.asarray(views.cameras.rotation).transpose(0, 2, 1)
    params = {"poses": jnp.concatenate([to_axes @ motion[:3], to_axes @ motion[3:]], axis=1)}
    assert posing.scores(params)["rotation_error"] == pytest.approx(0.0, abs=0.05)
    assert posing.scores(params)["position_error"] == pytest.approx(0.0, abs=1e-4)
    held_out = replace(views, cameras=jax.tree.map(lambda leaf: leaf[:1], views.cameras), names=("a",))
    found = posing.in_scene(params, held_out)
    expected = cameras.moved(jax.tree.map(lambda leaf: leaf[0], views.cameras), params["poses"][0])
    np.testing.assert_allclose(found.cameras.position[0], expected.position, atol=1e-4)
    np.testing.assert_allclose(found.cameras.rotation[0], expected.rotation, atol=1e-4)
    # A point of the drifted scene has the same place in the world as before.
    x = np.array([0.3, 0.1, -0.2, 1.0])
    moved_x = np.append(np.asarray(cameras.rotation_by(motion[:3])) @ x[:3] + np.asarray(motion[3:]), 1.0)
    np.testing.assert_allclose(found.world_from_scene @ moved_x, views.world_from_scene @ x, atol=1e-3)


def seen_points(views: Views, count: int = 40) -> Tracks:
    """Random points that every camera sees, and one place more of each that is none."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 3)).astype(np.float32)
    see = jax.vmap(jax.vmap(lambda camera, x: cameras.project(camera, x)[0], (0, None)), (None, 0))
    film = np.asarray(see(jax.tree.map(jnp.asarray, views.cameras), points))
    order = [0, 1, 2, 3, 0]
    return Tracks(
        views=np.tile(np.array(order, np.int32), (count, 1)),
        film=film[:, order],
        seen=np.tile(np.array([True] * 4 + [False]), (count, 1)),
    )


def test_points_bring_cameras_back_and_false_ones_are_found_out(views):
    tracks = seen_points(views)
    film = tracks.film.copy()
    film[0, 2] += 3.0
    film[1] = np.random.default_rng(1).uniform(0, 16, film[1].shape)
    begun = disturbed(views, 1.0, seed=1).cameras
    motions, left = bundling.bundled(begun, replace(tracks, film=film))
    found = Posing(views.cameras, begun).scores({"poses": motions})
    assert found["rotation_error_at_first"] > 0.6
    assert found["rotation_error"] < 0.02 and found["position_error"] < 1e-3
    assert len(left.film) == 39
    np.testing.assert_array_equal(left.seen[0], [True, True, False, True, False])
    np.testing.assert_array_equal(left.seen[1:], tracks.seen[2:])


def test_points_that_agree_on_nothing_cannot_move_cameras(views):
    tracks = seen_points(views, count=3)
    film = np.random.default_rng(1).uniform(-100, 100, tracks.film.shape).astype(np.float32)
    with pytest.raises(ValueError, match=r"No point is within 1 pixel .*--fit\.match_weight=0"):
        bundling.bundled(views.cameras, replace(tracks, film=film))


def test_points_are_joined_over_pairs_and_dropped_where_a_picture_shows_them_twice(views, monkeypatch):
    def pair(first: int, second: int, *film: tuple[float, float]) -> Pair:
        """Points at `film` in both pictures, but for the number of the picture."""
        return Pair(first, second, (np.array(film) + first, np.array(film) + second))

    pairs = [pair(0, 1, (1, 1), (5, 5), (9, 9)), pair(1, 3, (1, 1), (5, 5)), pair(0, 3, (5, 5))]
    # The point at 5 is seen in a picture of these at another place too.
    pairs.append(Pair(1, 3, (np.array([[6.0, 6.0]]), np.array([[2.0, 3.0]]))))
    monkeypatch.setattr(matching, "pairs_of", lambda *args, **kwargs: pairs)
    tracks = matching.tracks_of(views)
    np.testing.assert_array_equal(tracks.views, [[0, 1, 3]])
    np.testing.assert_array_equal(tracks.film, [[[1, 1], [2, 2], [4, 4]]])
    assert tracks.seen.all()


def test_pictures_that_share_nothing_cannot_refine_cameras(views):
    with pytest.raises(ValueError, match=r"share no points that could be matched.*--fit\.match_weight=0"):
        matching.tracks_of(views)
