"""Points that several cameras see, and the loss that moves the cameras to where they see them best."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
import scenes

from sdfrepar import cameras, losses, triangulation
from sdfrepar.records import Camera, Tracks

PLACES = ((0.0, 0.5, -2.5), (2.0, 0.3, 1.0), (-1.5, 1.0, 1.5), (0.5, -2.0, 1.0), (1.0, 1.0, -2.0))
SEEN = jnp.array([True, True, True, True, False])

point_of = jax.jit(triangulation.point_of)


@pytest.fixture
def rig(x64) -> Camera:
    each = [scenes.camera_at(place, (64, 64)) for place in PLACES]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves), jnp.float64), *each)


@jax.jit
def film_of(rig: Camera, x: jax.Array) -> jax.Array:
    return triangulation.offsets(rig, jnp.zeros((len(PLACES), 2)), x)


def test_a_point_is_found_whatever_the_camera_that_does_not_see_it_says(rig):
    x = jnp.array([0.2, -0.1, 0.3])
    film = film_of(rig, x).at[4].add(20.0)
    np.testing.assert_allclose(point_of(rig, film, SEEN, 0.3), x, atol=1e-5)


def test_a_point_stays_where_the_others_see_it_when_one_is_wrong(rig):
    x = jnp.array([0.2, -0.1, 0.3])
    film = film_of(rig, x).at[1].add(4.0)
    pixel = 2.5 / float(rig.focal[0, 0])
    assert float(jnp.linalg.norm(point_of(rig, film, SEEN, 0.3) - x)) < 0.3 * pixel


def test_a_point_that_nothing_sees_is_a_number(rig):
    film = film_of(rig, jnp.zeros(3))
    assert jnp.isfinite(point_of(rig, film, jnp.zeros(5, bool), 0.3)).all()


@jax.jit
def loss_of_motions(rig: Camera, film: jax.Array, seen: jax.Array, near: float, motions: jax.Array) -> jax.Array:
    moved = jax.vmap(cameras.moved)(rig, motions)
    many = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(film), *leaf.shape)), moved)
    views = jnp.broadcast_to(jnp.arange(len(PLACES)), film.shape[:2])
    tracks = Tracks(views=views, film=film, seen=jnp.broadcast_to(seen, film.shape[:2]))
    return losses.reprojection(many, tracks, near)


def test_reprojection_follows_finite_differences(rig):
    rng = np.random.default_rng(0)
    points = jnp.asarray(rng.uniform(-0.4, 0.4, (6, 3)))
    film = jnp.stack([film_of(rig, x) for x in points]) + 0.3 * rng.normal(size=(6, 5, 2))
    loss = lambda motions: loss_of_motions(rig, film, SEEN, 1.0, motions)  # noqa: E731
    motions = jnp.asarray(0.002 * rng.normal(size=(5, 6)))
    jax.test_util.check_grads(loss, (motions,), order=1, modes=("rev",), atol=1e-4, rtol=1e-3)
    # The camera that sees nothing feels nothing.
    assert not jax.grad(loss)(motions)[4].any()


def test_reprojection_is_zero_for_exact_cameras_and_a_closed_form_for_two(rig):
    """Two cameras share a distance across their epipolar planes: half of it each, where their scales are alike."""
    x = jnp.array([[0.1, 0.2, -0.1]])
    still = jnp.zeros((5, 6))
    film = film_of(rig, x[0])[None]
    assert float(loss_of_motions(rig, film, SEEN, 0.3, still)) < 1e-6
    alone = replace(rig, position=rig.position.at[1].set(rig.position[0] + 0.5 * rig.rotation[0, :, 0]))
    alone = replace(alone, rotation=alone.rotation.at[1].set(rig.rotation[0]))
    film = film_of(alone, x[0]).at[1, 1].add(0.2)[None]
    two = jnp.array([True, True, False, False, False])
    expected = 2 * 0.3 * np.log1p((0.1 / 0.3) ** 2)
    assert float(loss_of_motions(alone, film, two, 0.3, still)) == pytest.approx(expected, rel=1e-3)
