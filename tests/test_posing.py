"""Cameras that are off on purpose, and the frame that a fit drifts to."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import optax
import pytest
import scenes

from experiments import matching
from experiments.posing import Posing, disturbed
from sdfrepar import cameras, losses
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


def matched(views: Views, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (M, 2) and film positions (M, 2, 2) of random points that every two of the cameras share."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 3)).astype(np.float32)
    see = jax.vmap(jax.vmap(lambda camera, x: cameras.project(camera, x)[0], (None, 0)), (0, None))
    film = np.asarray(see(jax.tree.map(jnp.asarray, views.cameras), points))
    pairs = np.array([(i, j) for i in range(len(views)) for j in range(i)])
    places = np.stack([film[pairs[:, 0]], film[pairs[:, 1]]], axis=2)
    return np.repeat(pairs, count, axis=0), places.reshape(-1, 2, 2)


def test_matches_alone_bring_cameras_back(views):
    pairs, film = matched(views)
    begun = disturbed(views, 1.0, seed=1).cameras
    posing = Posing(views.cameras, begun)

    def loss(poses: jax.Array) -> jax.Array:
        rig = jax.vmap(cameras.moved)(begun, poses)
        return losses.epipolar(*(jax.tree.map(lambda c, k=k: c[pairs[:, k]], rig) for k in (0, 1)), film)

    optimiser = optax.adam(optax.cosine_decay_schedule(2e-3, 400))

    def step(carry: tuple, _: None) -> tuple:
        poses, state = carry
        updates, state = optimiser.update(jax.grad(loss)(poses), state)
        return (optax.apply_updates(poses, updates), state), None

    poses = jnp.zeros((4, 6))
    (poses, _), _ = jax.lax.scan(step, (poses, optimiser.init(poses)), None, length=400)
    found = posing.scores({"poses": poses})
    assert found["rotation_error_at_first"] > 0.6
    assert found["rotation_error"] < 0.05 and found["position_error"] < 2e-3


def test_epipolar_distances_follow_finite_differences(views, x64):
    pairs, film = matched(views, count=3)
    off = film + np.random.default_rng(1).normal(size=film.shape)
    rig = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), disturbed(views, 2.0, seed=1).cameras)

    def loss(poses: jax.Array) -> jax.Array:
        moved = jax.vmap(cameras.moved)(rig, poses)
        return losses.epipolar(*(jax.tree.map(lambda c, k=k: c[pairs[:, k]], moved) for k in (0, 1)), jnp.asarray(off))

    jax.test_util.check_grads(loss, (jnp.zeros((4, 6)),), order=1, modes=("rev",), atol=1e-4, rtol=1e-4)
    # Exact cameras: nothing is off, and a pixel across the lines of one picture is off by one there.
    exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), views.cameras)
    ends = [jax.tree.map(lambda c, k=k: c[pairs[:, k]], exact) for k in (0, 1)]
    assert float(losses.epipolar(*ends, film)) < 1e-4
    assert 0.1 < float(losses.epipolar(*ends, off)) < 2.0


def test_pictures_that_share_nothing_cannot_refine_cameras(views):
    with pytest.raises(ValueError, match=r"share no points that could be matched.*--fit\.match_weight=0"):
        matching.matches_of(views)
