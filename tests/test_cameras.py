"""Projection there and back, and which way is up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from sdfrepar import cameras
from sdfrepar.records import Camera

HEIGHT, WIDTH = 48, 64
TARGET = np.array([0.1, -0.2, 0.05], np.float32)
UP = np.array([0.0, 1.0, 0.0], np.float32)
EYES = np.array([[0.0, 0.0, 3.0], [2.0, 1.0, -1.5], [-1.0, -2.5, 0.5]], np.float32)
# Compiled once for all cameras.
PROJECT, UNPROJECT = (jax.jit(jax.vmap(f, (None, 0))) for f in (cameras.project, cameras.unproject))


def camera_at(eye: np.ndarray) -> Camera:
    camera = cameras.look_at(
        jnp.asarray(eye), jnp.asarray(TARGET), jnp.asarray(UP), field_of_view=0.8, resolution=(HEIGHT, WIDTH)
    )
    # Oblong pixels and a principal point off the middle, so that rows and columns cannot be mistaken for each other.
    return camera.replace(
        focal=camera.focal * jnp.array([1.0, 1.3]), principal=camera.principal + jnp.array([3.0, -2.0])
    )


@pytest.fixture(params=range(len(EYES)), ids=["front", "oblique", "below"])
def camera(request) -> Camera:
    return camera_at(EYES[request.param])


def test_project_then_unproject(camera):
    x = np.random.default_rng(0).uniform(-0.6, 0.6, (32, 3)).astype(np.float32)
    u, depth = PROJECT(camera, x)
    direction = UNPROJECT(camera, u)
    eye = np.asarray(camera.position)
    distance = np.linalg.norm(x - eye, axis=1)
    # Roundings of float32 on lengths of about 4.
    np.testing.assert_allclose(eye + distance[:, None] * np.asarray(direction), x, atol=1e-5)
    np.testing.assert_allclose(jax.vmap(cameras.depth_of, (None, 0, 0))(camera, direction, distance), depth, atol=1e-5)
    np.testing.assert_allclose(jax.vmap(cameras.at_depth, (None, 0, 0))(camera, u, depth), x, atol=1e-5)


def test_unproject_then_project(camera):
    u = np.random.default_rng(1).uniform(0, [WIDTH, HEIGHT], (32, 2)).astype(np.float32)
    direction = np.asarray(UNPROJECT(camera, u))
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1.0, atol=1e-6)
    back, depth = PROJECT(camera, np.asarray(camera.position) + 2.5 * direction)
    np.testing.assert_allclose(back, u, atol=1e-5 * WIDTH)
    assert np.all(np.asarray(depth) > 0)


def test_rotation_is_proper(camera):
    rotation = np.asarray(camera.rotation, np.float64)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-6)


def test_target_is_in_the_middle(camera):
    u, depth = cameras.project(camera, jnp.asarray(TARGET))
    np.testing.assert_allclose(u, camera.principal, atol=1e-4)
    assert float(depth) == pytest.approx(float(np.linalg.norm(TARGET - camera.position)), abs=1e-5)


def test_the_picture_is_upright_and_not_mirrored(camera):
    step = 0.1
    right_of_view = np.cross(TARGET - np.asarray(camera.position), UP)
    (u, _), (above, _), (beside, _) = (
        cameras.project(camera, jnp.asarray(x)) for x in (TARGET, TARGET + step * UP, TARGET + step * right_of_view)
    )
    assert above[1] < u[1] - 1 and above[0] == pytest.approx(float(u[0]), abs=1e-3)
    assert beside[0] > u[0] + 1 and beside[1] == pytest.approx(float(u[1]), abs=1e-3)


def test_look_at_is_centred_with_square_pixels_and_the_asked_field_of_view():
    camera = cameras.look_at(
        jnp.asarray(EYES[1]), jnp.asarray(TARGET), jnp.asarray(UP), field_of_view=0.8, resolution=(HEIGHT, WIDTH)
    )
    np.testing.assert_allclose(camera.principal, [WIDTH / 2, HEIGHT / 2])
    assert camera.focal[0] == camera.focal[1] and camera.resolution == (HEIGHT, WIDTH)
    edges = [cameras.unproject(camera, jnp.array([column, HEIGHT / 2])) for column in (0.0, float(WIDTH))]
    assert float(jnp.arccos(edges[0] @ edges[1])) == pytest.approx(0.8, abs=1e-5)


def test_depth_is_along_the_axis_and_negative_behind():
    camera = camera_at(EYES[0])
    away = TARGET - EYES[0]
    _, behind = cameras.project(camera, jnp.asarray(EYES[0] - 0.5 * away))
    assert float(behind) == pytest.approx(-0.5 * float(np.linalg.norm(away)), abs=1e-5)
    # A ray at 60 degrees from the axis gains half its length in depth.
    axis, aside = camera.rotation[:, 2], camera.rotation[:, 0]
    slanted = 0.5 * axis + np.sqrt(0.75) * aside
    assert float(cameras.depth_of(camera, slanted, jnp.float32(3.0))) == pytest.approx(1.5, abs=1e-6)


def test_rotation_by_a_vector_is_the_matrix_exponential():
    for vector in ([0.3, -0.5, 0.2], [2e-4, 1e-4, -3e-4], [0.0, 0.0, 0.0]):
        x, y, z = vector
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        np.testing.assert_allclose(cameras.rotation_by(jnp.array(vector)), expm(cross), atol=2e-7)
    slope = jax.jacfwd(cameras.rotation_by)(jnp.zeros(3))
    np.testing.assert_allclose(slope[:, :, 2], [[0, -1, 0], [1, 0, 0], [0, 0, 0]], atol=1e-7)


def test_a_moved_camera_sees_the_moved_scene(camera):
    """What the camera saw at x, the moved camera sees at the moved x; the motion is along the camera's axes."""
    motion = jnp.array([0.1, -0.2, 0.3, 0.05, 0.0, -0.1])
    x = jnp.array([0.2, 0.1, -0.3])
    turn, shift = camera.rotation @ motion[:3], camera.rotation @ motion[3:]
    moved_x = cameras.rotation_by(turn) @ x + shift
    before, after = cameras.project(camera, x), cameras.project(cameras.moved(camera, motion), moved_x)
    np.testing.assert_allclose(after[0], before[0], atol=2e-3)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-5)
    same = cameras.moved(camera, jnp.zeros(6))
    np.testing.assert_allclose(same.rotation, camera.rotation, atol=1e-7)


def test_a_strided_camera_sees_every_so_many_th_pixel(camera):
    coarse = cameras.strided(camera, 3)
    assert coarse.resolution == (16, 22)
    u = np.array([[0.5, 0.5], [4.5, 7.5], [21.5, 15.5]], np.float32)
    np.testing.assert_allclose(UNPROJECT(coarse, u), UNPROJECT(camera, 3.0 * (u - 0.5) + 0.5), atol=1e-6)
