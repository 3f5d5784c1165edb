"""Cameras that are off on purpose, and the frame that a fit drifts to."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from experiments.posing import Posing, disturbed
from sdfrepar import cameras
from sdfrepar.records import Views

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
