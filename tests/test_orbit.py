"""Cameras on a circle: where they stand, what they see, and which way is up."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.orbit import orbit, upright
from sdfrepar import cameras


def rig(positions, up, resolution=(40, 60)):
    shots = [
        cameras.look_at(jnp.array(p), jnp.zeros(3), jnp.array(up), field_of_view=0.6, resolution=resolution)
        for p in positions
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *shots)


TRAINING = rig([[3.0, 0.0, 1.0], [0.0, -2.0, 1.0], [-2.0, 2.0, -0.5]], [0.0, 0.0, 1.0])
MEAN_DISTANCE = (math.sqrt(10.0) + math.sqrt(5.0) + math.sqrt(8.25)) / 3.0


def test_the_cameras_stand_on_a_circle_and_see_the_origin_upright():
    turn = orbit(TRAINING, 4, elevation=0.3, up=(0.0, 0.0, 2.0))
    positions = np.stack([camera.position for camera in turn])
    np.testing.assert_allclose(np.linalg.norm(positions, axis=1), MEAN_DISTANCE, rtol=1e-6)
    np.testing.assert_allclose(positions[:, 2], MEAN_DISTANCE * math.sin(0.3), rtol=1e-6)
    np.testing.assert_allclose(positions[0, 1], 0.0, atol=1e-6)
    np.testing.assert_allclose(positions[0, :2] + positions[2, :2], 0.0, atol=1e-6)
    for camera in turn:
        middle, depth = cameras.project(camera, jnp.zeros(3))
        np.testing.assert_allclose(middle, [30.0, 20.0], atol=1e-4)
        assert float(depth) == pytest.approx(MEAN_DISTANCE, rel=1e-5)
        above, _ = cameras.project(camera, jnp.array([0.0, 0.0, 0.1]))
        assert above[1] < 20.0 and above[0] == pytest.approx(30.0, abs=1e-4)


def test_the_shorter_side_sees_what_that_of_the_pictures_does():
    """Half of the film's shorter side is at the same slope, in whatever format."""
    expected = 20.0 / float(TRAINING.focal[0, 0])
    for resolution in ((10, 30), (30, 10), (16, 16)):
        camera = orbit(TRAINING, 1, elevation=0.0, radius=5.0, resolution=resolution)[0]
        assert camera.resolution == resolution
        assert 0.5 * min(resolution) / float(camera.focal[0]) == pytest.approx(expected, rel=1e-5)
        assert float(jnp.linalg.norm(camera.position)) == pytest.approx(5.0, rel=1e-6)


def test_the_upright_direction_is_that_of_the_pictures():
    around = [[3.0 * math.cos(a), 3.0 * math.sin(a), 1.0] for a in np.arange(8) * math.pi / 4]
    np.testing.assert_allclose(upright(rig(around, [0.0, 0.0, 1.0])), [0.0, 0.0, 1.0], atol=1e-6)


def test_pictures_taken_on_their_side_are_stood_up():
    """A ring around z whose cameras hold z to the right."""
    around = [[3.0 * math.cos(a), 3.0 * math.sin(a), 0.3] for a in np.arange(8) * math.pi / 4]
    level = rig(around, [0.0, 0.0, 1.0])
    quarter = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(upright(level.replace(rotation=level.rotation @ quarter)), [0.0, 0.0, 1.0], atol=1e-6)


def test_pictures_that_stand_in_all_directions_are_refused():
    half_turn = np.diag([-1.0, -1.0, 1.0])
    opposite = TRAINING.replace(rotation=np.stack([np.eye(3), half_turn]))
    with pytest.raises(ValueError, match=r"no upright direction in common; state it, for example --up=0,0,1"):
        upright(opposite)


def test_a_first_picture_from_straight_above_is_no_trouble():
    above = rig([[0.0, 0.0, 3.0]], [0.0, 1.0, 0.0])
    camera = orbit(above, 1, elevation=0.0, up=(0.0, 0.0, 1.0))[0]
    assert float(camera.position[2]) == pytest.approx(0.0, abs=1e-6)
    assert float(jnp.linalg.norm(camera.position)) == pytest.approx(3.0, rel=1e-6)
