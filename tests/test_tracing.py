"""Sphere tracing: verdicts and distances against closed forms, grazing rays above all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import fields, raygen, tracing
from sdfrepar.records import Hit, Status
from sdfrepar.rendering import RenderConfig, trace_rays
from sdfrepar.tracing import TraceConfig

SPHERE = {"radius": jnp.asarray(0.6)}
CAMERA = scenes.camera_at((0.0, 0.0, -2.5), (32, 32))

traced = jax.jit(trace_rays, static_argnums=(0, 1))


def rays_at(closest: np.ndarray):
    """Rays that pass the origin at these distances."""
    on_film = 0.5 * 32 / np.tan(0.35) * closest / np.sqrt(2.5**2 - closest**2)
    u = jnp.asarray(np.stack([16.0 + on_film, np.full_like(on_film, 16.0)], axis=-1), jnp.float32)
    return jax.jit(jax.vmap(raygen.ray_through, (None, 0)))(CAMERA, u)


def test_distance_of_head_on_and_oblique_hits():
    closest = np.linspace(0.0, 0.55, 12)
    rays, config = rays_at(closest), RenderConfig()
    hits, _ = traced(fields.sphere, config, SPHERE, rays)
    expected = np.sqrt(2.5**2 - closest**2) - np.sqrt(0.6**2 - closest**2)
    assert np.all(np.asarray(hits.status) == Status.HIT)
    # The march stops where the field is within the tolerance, which is further along the ray the more it slants.
    slope = np.sqrt(1 - (closest / 0.6) ** 2)
    allowed = config.trace.tolerance * np.asarray(rays.footprint) * expected / slope
    assert np.all(np.abs(np.asarray(hits.distance) - expected) < allowed)


def test_grazing_rays_are_told_apart_to_a_hundredth_of_a_pixel():
    """Plain marching of 24 steps leaves most of these undecided."""
    pixel = float(np.mean(np.asarray(rays_at(np.array([0.6])).footprint))) * 2.4
    margin = np.concatenate([-np.geomspace(0.01, 1.0, 12), np.geomspace(0.01, 1.0, 12)]) * pixel
    rays = rays_at(0.6 + margin)
    config = RenderConfig(first_steps=12, trace=TraceConfig(max_steps=24))
    plain, _ = jax.jit(jax.vmap(lambda ray: tracing.trace(fields.sphere, config.trace, SPHERE, ray)))(rays)
    assert np.sum(np.asarray(plain.status) == Status.UNDECIDED) >= 6
    hits, _ = traced(fields.sphere, config, SPHERE, rays)
    np.testing.assert_array_equal(np.asarray(hits.status) == Status.HIT, margin < 0)
    assert not np.any(np.asarray(hits.status) == Status.UNDECIDED)


def test_ray_that_grazes_one_part_hits_the_one_behind():
    distance = fields.union(fields.sphere, fields.placed(fields.sphere))
    behind = {"solid": {"radius": jnp.asarray(0.9)}, "position": jnp.array([0.0, 0.0, 0.3]), "rotation": jnp.eye(3)}
    params = ({"radius": jnp.asarray(0.3)}, behind)
    rays = rays_at(np.array([0.3005, 0.301, 0.302]))
    hits, _ = traced(distance, RenderConfig(first_steps=8, trace=TraceConfig(max_steps=12)), params, rays)
    assert np.all(np.asarray(hits.status) == Status.HIT)


def test_settling_ends_on_the_first_surface_or_before_it():
    """A gap between a graze and a wall, f = 0.0001 at its narrowest, from everywhere in it: a hit is on the wall."""

    def gap(params, x):
        s = x[2]
        return params * (0.01 * s - s**3 / 3) + params * 2e-3 / 3 + 1e-4

    def settle(start, steepness):
        ray = jax.tree.map(lambda leaf: leaf[0], rays_at(np.array([0.0])))
        t = start - ray.origin[2]
        field = gap(steepness, ray.origin + t * ray.direction)
        stopped = Hit(
            distance=t + field, field=field, step=field, status=jnp.int32(Status.UNDECIDED), queries=jnp.int32(0)
        )
        hit = tracing.refine(gap, TraceConfig(), steepness, ray, stopped)
        return stopped.distance, hit, gap(steepness, ray.origin + hit.distance * ray.direction)

    start, steepness = jnp.meshgrid(jnp.linspace(-0.16, 0.199, 75), jnp.array([2.0, 6.0, 60.0]))
    before, hit, f = jax.jit(jax.vmap(settle))(start.ravel(), steepness.ravel())
    settled = np.asarray(hit.status) == Status.HIT
    assert np.isfinite(hit.distance).all()
    assert settled.any() and not settled.all()
    assert np.abs(f[settled]).max() < 5e-4
    assert np.min(f[~settled]) > 0 and np.min((hit.distance - before)[~settled]) >= 0


@pytest.mark.parametrize("width", [0.02, 0.1])
def test_steps_that_dare_lose_nothing(width):
    """Beside a thin rod before a ball: the hits of a march sphere by sphere, in fewer evaluations."""
    distance = fields.union(fields.sphere, fields.placed(fields.sphere))
    rod = {"solid": {"radius": jnp.asarray(width)}, "position": jnp.array([0.3, 0.0, -0.7]), "rotation": jnp.eye(3)}
    params = ({"radius": jnp.asarray(0.5)}, rod)
    rays = rays_at(np.linspace(-0.9, 0.9, 801))

    def marched(relaxation):
        config = TraceConfig(max_steps=400, relaxation=relaxation)
        return jax.jit(jax.vmap(lambda ray: tracing.trace(distance, config, params, ray)[0]))(rays)

    careful, daring = marched(0.0), marched(0.95)
    np.testing.assert_array_equal(daring.status, careful.status)
    hit = np.asarray(careful.status) == Status.HIT
    assert hit.sum() > 300
    np.testing.assert_allclose(daring.distance[hit], careful.distance[hit], atol=1e-3)
    assert np.mean(daring.queries) < 0.95 * np.mean(careful.queries)


def test_observer_sees_every_point_once():
    ray = jax.tree.map(lambda leaf: leaf[0], rays_at(np.array([0.2])))
    observer = tracing.Observer(
        init=lambda ray: (jnp.zeros((), jnp.int32), jnp.zeros(())), step=lambda s, ray, i, t, f: (s[0] + 1, t)
    )
    hit, (visited, last) = tracing.trace(fields.sphere, TraceConfig(), SPHERE, ray, observer)
    assert int(visited) == int(hit.queries)
    assert float(last) == float(hit.distance)


def test_ray_that_misses_the_unit_sphere_costs_nothing():
    hits, _ = traced(fields.sphere, RenderConfig(), SPHERE, rays_at(np.array([1.05])))
    assert int(hits.status[0]) == Status.MISS and int(hits.queries[0]) == 0


def test_detached_from_the_parameters():
    ray = jax.tree.map(lambda leaf: leaf[0], rays_at(np.array([0.2])))

    def distance_to(radius):
        return tracing.trace(fields.sphere, TraceConfig(), {"radius": radius}, ray)[0].distance

    assert float(jax.jvp(distance_to, (jnp.asarray(0.6),), (jnp.ones(()),))[1]) == 0.0


def test_derivative_in_the_ray_is_carried_through_the_march():
    """∂t/∂u by forward mode agrees with differences: the march is what the warp differentiates."""

    def stop(u):
        return tracing.trace(fields.sphere, TraceConfig(max_steps=5), SPHERE, raygen.ray_through(CAMERA, u))[0].distance

    u, step = jnp.array([20.3, 17.1]), jnp.array([0.05, 0.0])
    derivative = jax.jvp(stop, (u,), (jnp.array([1.0, 0.0]),))[1]
    assert float(derivative) == pytest.approx(float((stop(u + step) - stop(u - step)) / 0.1), rel=1e-2)


def test_config_refuses_what_cannot_work():
    with pytest.raises(ValueError, match="relaxation is 1"):
        TraceConfig(relaxation=1.0)
    with pytest.raises(ValueError, match="max_steps is 0"):
        TraceConfig(max_steps=0)
    with pytest.raises(ValueError, match="tolerance is 0"):
        TraceConfig(tolerance=0.0)
