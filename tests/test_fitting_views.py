"""What is fitted of each picture, and the baseline's masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import cameras, fields, fitting
from sdfrepar.fitting import FitConfig, masks

CAMERA = scenes.camera_at((0.0, 0.0, -2.5), (32, 32))


def several(count: int):
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), CAMERA)


def test_nothing_is_fitted_of_views_unless_it_is_asked_for():
    assert fitting.of_views(FitConfig(), 3) == {}
    radiance = jnp.ones((2, 3))
    assert fitting.exposed({}, radiance, jnp.array([0, 1])) is radiance
    assert fitting.seen_from(jnp.zeros(2), CAMERA, jnp.array([0])) is CAMERA


def test_each_pixel_is_seen_from_the_camera_of_its_view():
    params = fitting.of_views(FitConfig(refine_poses=True), 3)
    assert params["poses"].shape == (3, 6)
    params["poses"] = params["poses"].at[1].set(jnp.array([0.1, 0.0, 0.0, 0.0, 0.2, 0.0]))
    moved = fitting.seen_from(params, several(2), jnp.array([1, 2]))
    expected = cameras.moved(CAMERA, params["poses"][1])
    np.testing.assert_allclose(moved.position[0], expected.position, atol=1e-6)
    np.testing.assert_allclose(moved.position[1], CAMERA.position, atol=1e-6)


def test_cameras_roll_and_shift_before_they_turn_and_come_nearer():
    config = FitConfig(steps=10, refine_poses=True, pose_turning=0.5, pose_warm_up=0.0)
    params = fitting.of_views(config, 2)
    optimiser = fitting.make_optimiser(config)
    state = optimiser.init(params)
    moves = []
    for _ in range(8):
        move, state = optimiser.update(jax.tree.map(jnp.ones_like, params), state, params)
        moves.append(np.abs(move["poses"]))
    late = np.array([True, True, False, False, False, True])
    assert np.all(np.array(moves[1:5])[..., ~late] > 0) and np.all(np.array(moves[:5])[..., late] == 0)
    assert np.all(np.array(moves[5:]) > 0)


def test_exposures_multiply_and_have_no_mean():
    params = fitting.of_views(FitConfig(exposure=True), 2)
    params["exposure"] = jnp.log(jnp.array([[4.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    shown = fitting.exposed(params, jnp.full((2, 3), 0.5), jnp.array([0, 1]))
    np.testing.assert_allclose(shown, [[1.0, 0.5, 0.5], [0.25, 0.5, 0.5]], rtol=1e-5)


def least_along(params, camera, u):
    keys = jax.random.split(jax.random.key(0), len(u))
    cameras = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(u), *leaf.shape)), camera)
    return masks.least_values(fields.sphere, params, cameras, u, jnp.ones(len(u), bool), keys)


def test_the_least_value_is_that_of_the_closest_approach():
    """For rays beside a sphere its distance from the ray; for rays through it, how deep they go."""
    u = jnp.array([[16.0, 16.0], [16.0, 24.0], [16.0, 30.0]])
    least = least_along({"radius": jnp.float32(0.5)}, CAMERA, u)
    directions = jax.vmap(cameras.unproject, (None, 0))(CAMERA, u)
    apart = 2.5 * jnp.sqrt(1.0 - directions[:, 2] ** 2)
    # A hundredth of the chord, squared, over twice the distance.
    np.testing.assert_allclose(least, apart - 0.5, atol=0.01)


def test_the_least_value_is_found_wherever_it_is():
    """Of two spheres the ray passes through one, near either end of its chord: the first or the last points."""
    field = fields.union(fields.placed(fields.sphere), fields.placed(fields.sphere))
    keys = jax.random.split(jax.random.key(1), 1)
    for near, far in ((0.1, 0.02), (0.02, 0.1)):
        params = scenes.at(near, 0.0, 0.0, -0.9), scenes.at(far, 0.0, 0.0, 0.9)
        found = masks.least_values(field, params, several(1), jnp.array([[16.0, 16.0]]), jnp.ones(1, bool), keys)
        assert float(found[0]) == pytest.approx(-0.1, abs=0.02)  # a gap of jittered points


def test_the_least_value_moves_with_the_field_and_the_camera():
    params, u = {"radius": jnp.float32(0.5)}, jnp.array([[16.0, 28.0]])
    value = lambda params, camera: least_along(params, camera, u)[0]  # noqa: E731
    of_params, of_camera = jax.grad(value, argnums=(0, 1), allow_int=True)(params, CAMERA)
    assert float(of_params["radius"]) == pytest.approx(-1.0)
    # Moving the camera up or down, across the ray, changes the distance by as much.
    assert abs(float(of_camera.position[1])) == pytest.approx(1.0, abs=0.05)


def test_masks_sharpen_five_times():
    config = FitConfig(mask_sharpness=50.0)
    found = [float(masks.sharpness(config, jnp.asarray(p))) for p in (0.0, 0.124, 0.13, 0.3, 0.63, 1.0)]
    assert found == [50.0, 50.0, 100.0, 200.0, 1600.0, 1600.0]
