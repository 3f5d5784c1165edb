"""Rays against finite differences and against the closed form of a line and the unit sphere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import cameras, raygen
from sdfrepar.records import Camera, Ray

HEIGHT, WIDTH = 48, 64
CENTRE = (WIDTH / 2, HEIGHT / 2)


def camera_at(position, target=(0.0, 0.0, 0.0)) -> Camera:
    return cameras.look_at(
        jnp.array(position, float),
        jnp.array(target, float),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=0.8,
        resolution=(HEIGHT, WIDTH),
    )


rays_through = jax.jit(jax.vmap(raygen.ray_through, (None, 0)))


def ray_from(position, target) -> Ray:
    rays = rays_through(camera_at(position, target), jnp.array([CENTRE]))
    return jax.tree.map(lambda leaf: leaf[0], rays)


def film_positions(count: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, [WIDTH, HEIGHT], (count, 2))


def test_directions_are_unit_and_start_at_the_camera():
    camera = camera_at([1.0, 2.0, -2.0])
    rays = rays_through(camera, jnp.asarray(film_positions(), jnp.float32))
    np.testing.assert_allclose(np.linalg.norm(rays.direction, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(rays.origin, np.broadcast_to([1.0, 2.0, -2.0], (16, 3)))
    np.testing.assert_allclose(rays.direction[0], cameras.unproject(camera, film_positions()[0]), atol=1e-6)


def test_differential_is_the_finite_difference(x64):
    camera, u, step = camera_at([1.0, 2.0, -2.0]), jnp.asarray(film_positions()), 1e-3
    directions = jax.jit(jax.vmap(cameras.unproject, (None, 0)))
    moves = step * np.eye(2)
    expected = [
        (directions(camera, u + move[None]) - directions(camera, u - move[None])) / (2 * step) for move in moves
    ]
    rays = rays_through(camera, u)
    # Differentials are about 1e-2; the error of central differences is step² of them, below 1e-8 of a unit.
    np.testing.assert_allclose(rays.differential, np.stack(expected, axis=-1), atol=1e-10)
    np.testing.assert_allclose(np.einsum("ni,nij->nj", rays.direction, rays.differential), 0.0, atol=1e-15)


def test_footprint_in_the_middle_is_one_pixel_over_the_focal_length():
    camera = camera_at([0.0, 0.0, 3.0])
    ray = ray_from([0.0, 0.0, 3.0], [0.0, 0.0, 0.0])
    assert float(ray.footprint) == pytest.approx(1 / float(camera.focal[0]), rel=1e-6)


def test_bounds_of_a_ray_through_the_centre():
    ray = ray_from([1.0, 2.0, -2.0], [0.0, 0.0, 0.0])
    # 1e-5: roundings of float32 on the squared length 9.
    assert float(ray.near) == pytest.approx(2.0, abs=1e-5) and float(ray.far) == pytest.approx(4.0, abs=1e-5)


def test_bounds_of_rays_off_the_centre():
    camera = camera_at([0.0, 0.5, 2.5])
    rays = rays_through(camera, jnp.asarray(film_positions(64), jnp.float32))
    origin, direction = np.asarray(rays.origin, np.float64), np.asarray(rays.direction, np.float64)
    along = -np.sum(origin * direction, axis=1)
    half_chord_squared = 1 - np.sum((origin + along[:, None] * direction) ** 2, axis=1)
    meets = half_chord_squared > 0
    assert 5 < meets.sum() < 60 and np.abs(half_chord_squared).min() > 1e-3
    half_chord = np.sqrt(half_chord_squared[meets])
    # A short chord amplifies the roundings of its square: 1e-6 / √1e-3.
    np.testing.assert_allclose(rays.far[meets], (along[meets] + half_chord), atol=1e-4)
    assert np.all(np.asarray(rays.near)[meets] <= along[meets] - half_chord + 1e-5)
    assert np.all(np.isneginf(np.asarray(rays.far)[~meets]))


@pytest.mark.parametrize(
    ("position", "target"),
    [([0.0, 0.0, 3.0], [0.0, 2.0, 0.0]), ([0.0, 0.0, 3.0], [0.0, 0.0, 6.0])],
    ids=["aside", "behind"],
)
def test_rays_that_never_meet_the_sphere_have_no_stretch(position, target):
    ray = ray_from(position, target)
    assert float(ray.far) < float(ray.near)


def test_a_camera_inside_starts_at_itself():
    ray = ray_from([0.3, 0.0, 0.4], [0.3, 0.0, -1.0])
    assert float(ray.near) == 0.0
    # It leaves at z = -√(1 - 0.3²).
    assert float(ray.far) == pytest.approx(0.4 + np.sqrt(0.91), abs=1e-5)


def test_the_far_end_is_detached():
    camera = camera_at([0.0, 0.5, 2.5])
    slope = jax.jit(jax.grad(lambda u: raygen.ray_through(camera, u).far))(jnp.array([30.0, 30.0]))
    np.testing.assert_array_equal(slope, 0.0)
