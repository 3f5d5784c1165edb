"""The free space that the samples of a pixel share."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import fields, raygen
from sdfrepar.imaging import FilmConfig
from sdfrepar.records import Status
from sdfrepar.rendering import GradientConfig, RenderConfig, clear_starts, rays_through, trace_rays
from sdfrepar.rendering.cones import starts_of_cells

CAMERA = scenes.camera_at((1.2, 1.6, -2.0), (96, 96))
CONFIG = RenderConfig(film=FilmConfig(samples_per_side=4))

march = jax.jit(trace_rays, static_argnums=(0, 1))
through = jax.jit(rays_through)


def samples(width: float) -> tuple[jax.Array, jax.Array]:
    """Centres (P, 2) of pixels of this width, and sixteen positions (P, 16, 2) up to a width away from each."""
    axis = np.arange(0.5 * width, 96.0, 4.0 * width)
    centre = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    offset = np.random.default_rng(0).uniform(-width, width, (len(centre), 16, 2))
    return jnp.asarray(centre, jnp.float32), jnp.asarray(centre[:, None] + offset, jnp.float32)


def traced(params, u, width, start=None):
    cameras = jax.tree.map(lambda c: jnp.broadcast_to(c, (len(u), *c.shape)), CAMERA)
    rays = through(cameras, u, jnp.full(len(u), width))
    if start is not None:
        rays = replace(rays, near=jnp.maximum(rays.near, start))
    return march(fields.torus, CONFIG, params, rays)


@pytest.mark.parametrize("width", [1.0, 4.0])
def test_what_starts_behind_the_cone_misses_nothing(width):
    """The same hits, and the same silhouettes, in fewer evaluations."""
    centre, u = samples(width)
    cameras = jax.tree.map(lambda c: jnp.broadcast_to(c, (len(centre), *c.shape)), CAMERA)
    rays = through(cameras, centre, jnp.full(len(centre), width))
    cones = jax.jit(clear_starts, static_argnums=(0, 1, 4))(fields.torus, CONFIG, scenes.TORUS, rays, CONFIG.film.reach)
    start = jnp.repeat(cones.clear, 16)
    whole, trails = traced(scenes.TORUS, u.reshape(-1, 2), width)
    rest, nearby = traced(scenes.TORUS, u.reshape(-1, 2), width, start)
    hit = np.asarray(whole.status) == Status.HIT
    assert hit.sum() > 100
    np.testing.assert_array_equal(np.asarray(rest.status) == Status.HIT, hit)
    np.testing.assert_allclose(rest.distance[hit], whole.distance[hit], atol=1e-3 * width)
    assert np.mean(rest.queries) <= (0.8 if width == 1.0 else 1.0) * np.mean(whole.queries)
    # In the band the lows that the warps go by are found from either start.
    band = np.asarray(trails.measure) < 0.5 * CONFIG.gradient.band
    assert band.sum() > 20
    found = [(np.abs(np.asarray(trail.lows.f[:, :, 1])) < 0.05).any(axis=1)[band] for trail in (trails, nearby)]
    assert found[0].sum() > 10
    np.testing.assert_array_equal(found[0], found[1])


def test_the_way_to_the_start_is_free():
    """By the closed form: no sample comes within the band of the torus before it starts."""
    centre, _ = samples(1.0)
    start = jax.jit(starts_of_cells, static_argnums=(0, 1))(fields.torus, CONFIG, scenes.TORUS, CAMERA, centre)
    ray = jax.jit(jax.vmap(raygen.ray_through, (None, 0)))(CAMERA, centre)
    assert np.mean(start > ray.near + 0.3) > 0.25
    share = jnp.linspace(0.0, 1.0, 40)

    def nearest(u, start):
        ray = raygen.ray_through(CAMERA, u)
        t = ray.near + share * (start - ray.near)
        f = jax.vmap(lambda t: fields.torus(scenes.TORUS, ray.origin + t * ray.direction))(t)
        return jnp.min(f / (t * ray.footprint))

    advanced = np.asarray(start > ray.near)
    assert np.min(jax.jit(jax.vmap(nearest))(centre, start)[advanced]) > CONFIG.gradient.band


def test_no_cone_where_it_gains_nothing():
    centre, _ = samples(1.0)
    for config in (
        RenderConfig(film=FilmConfig(samples_per_side=1)),
        replace(CONFIG, gradient=GradientConfig(band=float("inf"))),
    ):
        assert starts_of_cells(fields.torus, config, scenes.TORUS, CAMERA, centre) is None
