"""The warps: their linear form against the nested one, their values, their weights, their flux along a line."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from benchmarks import nested
from sdfrepar import fields, grids, raygen, rendering, warping
from sdfrepar.rendering import GradientConfig, RenderConfig, silhouettes, trace_rays
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import Approaches, DistanceConfig, GrazingConfig, RelaxedConfig, VelocityConfig
from sdfrepar.warping.velocity import top_weights

CAMERA = (1.2, 1.6, -2.0)
SCENE = scenes.white_on_black(fields.torus)
METHODS = rendering.config.WARPS
NOWHERE = jax.tree.map(lambda x: x[None], Approaches.none())


def configured(method, band=2.0, **gradient) -> RenderConfig:
    return RenderConfig(
        trace=TraceConfig(max_steps=20), gradient=GradientConfig(method=method, band=band, band_share=0.5, **gradient)
    )


def traced(scene, config, params, camera, u):
    """K cameras, film positions u (K, 2) and widths, what their marches leave behind, and that all are wanted."""
    rays = jax.vmap(raygen.ray_through, in_axes=(None, 0))(jax.lax.stop_gradient(camera), u)
    cameras = jax.tree.map(lambda c: jnp.broadcast_to(c, (len(u), *c.shape)), camera)
    width, everyone = jnp.ones_like(u[:, 0]), jnp.ones(len(u), bool)
    return cameras, u, width, *trace_rays(scene.distance, config, params, rays), everyone


def warps(scene, config, params, camera, u, form=silhouettes):
    """V (K, 2) and div V (K,) at u (K, 2), in the linear or in the nested form."""
    cameras, *traces = traced(scene, config, params, camera, u)
    warp = form.warps(scene, config, params, cameras, *traces)
    return warp.displacement, warp.divergence


@jax.jit
def grazing_positions(camera, params) -> jax.Array:
    """Film positions (400, 2), those at the silhouettes of the torus first, on either side."""
    u = jax.random.uniform(jax.random.key(3), (400, 2), maxval=32.0).astype(camera.position.dtype)
    *_, trails, _ = traced(SCENE, configured("grazing"), params, camera, u)
    return u[jnp.argsort(trails.measure)]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(configured("velocity"), marks=pytest.mark.slow),
        pytest.param(
            configured("velocity", float("inf"), velocity=VelocityConfig(top_k=22, gamma=3.0)), marks=pytest.mark.slow
        ),
        pytest.param(configured("distance"), marks=pytest.mark.slow),
        pytest.param(configured("grazing"), marks=pytest.mark.slow),
    ],
    ids=["velocity", "velocity_all", "distance", "grazing"],
)
def test_linear_form_equals_the_nested_one(x64, config):
    """To 1e-9 relative in float64, in the field's parameters and the camera: one derivative, taken in another order."""
    camera = jax.tree.map(lambda c: c.astype(jnp.float64), scenes.camera_at(CAMERA, (32, 32)))
    params = jax.tree.map(lambda p: p.astype(jnp.float64), scenes.TORUS)
    u = grazing_positions(camera, params)[:24]

    def derivatives(form):
        return jax.jit(jax.jacrev(lambda theta, u: warps(SCENE, config, *theta, u, form)))((params, camera), u)

    ours, theirs = derivatives(silhouettes), derivatives(nested)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.abs(other).max() > 1e-2
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


@pytest.mark.parametrize("method", [pytest.param(m, marks=pytest.mark.slow) if m == "distance" else m for m in METHODS])
@pytest.mark.parametrize("band", [2.0, pytest.param(float("inf"), marks=pytest.mark.slow)])
def test_the_divergence_is_the_growth_of_the_flux(method, band):
    """Across the silhouette of a sphere: V moves with the silhouette, and has no jumps that div V misses.

    Its value is zero.
    """
    sphere = scenes.SphereImage()
    focal = 16 / np.tan(0.35)
    outline = focal * 0.6 / np.sqrt(2.5**2 - 0.6**2)
    speed = focal * (1 / np.sqrt(2.5**2 - 0.6**2) + 0.36 / (2.5**2 - 0.36) ** 1.5)
    offset = np.concatenate([np.linspace(-2.0, 0.0, 3001), np.linspace(0.0, 2.0, 3001)[1:]])
    radius = outline + offset
    outward = np.array([np.cos(0.3), np.sin(0.3)])
    u = jnp.asarray(16.0 + radius[:, None] * outward, jnp.float32)
    config = RenderConfig(trace=TraceConfig(max_steps=32), gradient=GradientConfig(method=method, band=band))

    @jax.jit
    def motion(params, camera, u):
        return jax.jvp(lambda p: warps(sphere.scene, config, p, camera, u), (params,), ({"radius": jnp.ones(())},))

    values, (displacement, divergence) = motion(sphere.params, sphere.camera, u)
    assert not any(np.any(value) for value in values)
    # Around the axis div V = (r V)' / r; lengths are in silhouettes, speeds in the silhouette's.
    flux = radius * (np.asarray(displacement) @ outward) / (outline * speed)
    assert flux[3000] == pytest.approx(1.0, abs=2e-3)
    slope = np.asarray(divergence) * radius / (outline * speed)
    growth = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(offset) * (slope[1:] + slope[:-1]))])
    np.testing.assert_allclose(flux - flux[0], growth, atol=0.01)


# Of the other warps the flux tells as much.
@pytest.mark.parametrize(
    "method", ["grazing", *(pytest.param(m, marks=pytest.mark.slow) for m in ("velocity", "distance"))]
)
def test_the_divergence_is_that_of_differences(x64, method):
    """On a coarse grid, whose third derivatives are large and jump: all that V depends on is in div V."""
    params = grids.from_samples(np.asarray(grids.sample(lambda p, x: fields.torus(scenes.TORUS, x), None, 10)))
    params = jax.tree.map(lambda c: c.astype(jnp.float64), params)
    camera = jax.tree.map(lambda c: c.astype(jnp.float64), scenes.camera_at(CAMERA, (32, 32)))
    scene, config = scenes.white_on_black(grids.distance), configured(method)
    u = grazing_positions(camera, jax.tree.map(jnp.float64, scenes.TORUS))[:120]

    @jax.jit
    def motion(params, camera, u):
        moving = partial(warps, scene, config, camera=camera, u=u)
        return jax.jvp(moving, (params,), (jax.tree.map(lambda c: -jnp.ones_like(c), params),))[1]

    divergence = motion(params, camera, u)[1]
    differences = np.zeros(len(u))
    for axis, step in enumerate(1e-5 * jnp.eye(2)):
        ahead, behind = (motion(params, camera, u + way[None])[0] for way in (step, -step))
        differences += np.asarray(ahead - behind)[:, axis] / 2e-5
    near = np.abs(differences) > 1.0
    assert near.sum() > 30
    assert np.mean(np.abs(divergence - differences)[near] < 0.1) > 0.95


def test_weights_vanish_where_points_enter():
    """The lightest kept point weighs nothing [B22 eq. 14], weights sum to 1, and γ = 10 does not overflow."""
    path = warping.Path(
        t=jnp.array([1.6, 2.1, 2.3, 2.4, 2.4, 2.4]),
        f=jnp.array([0.5, 0.2, 0.1, 1e-7, 1e-7, 1e-7]),
        count=jnp.asarray(4),
    )
    ray = raygen.ray_through(scenes.camera_at((0.0, 0.0, -2.5), (32, 32)), jnp.array([16.0, 16.0]))
    weigh = jax.jit(partial(top_weights, VelocityConfig(top_k=3, gamma=10.0)))
    weight, kept = weigh(ray, path, NOWHERE)
    assert set(np.asarray(kept)) == {1, 2, 3}
    assert weight[-1] == 0 and float(jnp.sum(weight)) == pytest.approx(1.0)


def test_a_path_weighs_the_same_wherever_it_ends():
    """One more point close to the surface shares the weight of the last, and adds none."""
    ends = jnp.array([1.0, 0.5, 0.25, 0.125])
    blank = jnp.array([1.0, 0.5, 0.25, 0.25])
    shorter = warping.Path(t=1.0 - blank, f=0.5 * blank, count=jnp.asarray(3))
    longer = warping.Path(t=1.0 - ends, f=0.5 * ends, count=jnp.asarray(4))
    totals = [float(jnp.sum(jnp.where(path.visited, path.spacing, 0.0))) for path in (shorter, longer)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)


def test_closest_approaches_of_a_sphere_are_exact():
    """Outside and below the surface: t* = √(D² - c²) for a ray that passes the centre at distance c."""
    sphere = scenes.SphereImage()
    closest = np.array([0.45, 0.55, 0.59, 0.599, 0.601, 0.61, 0.65])
    on_film = 16 / np.tan(0.35) * closest / np.sqrt(2.5**2 - closest**2)
    u = jnp.asarray(np.stack([16.0 + on_film, np.full_like(on_film, 16.0)], axis=-1), jnp.float32)
    config = configured("grazing")

    @jax.jit
    def find(params, camera, u):
        traces = traced(sphere.scene, config, params, camera, u)
        return silhouettes.closest_approaches(sphere.scene, config, params, *traces)[0]

    found = find(sphere.params, sphere.camera, u)
    nearest = jnp.argmin(found.measure, axis=1)[:, None]
    t, f = (jnp.take_along_axis(x, nearest, axis=1)[:, 0] for x in (found.t, found.f))
    np.testing.assert_allclose(t, np.sqrt(2.5**2 - closest**2), rtol=2e-4)
    np.testing.assert_allclose(f, closest - 0.6, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: VelocityConfig(gamma=2.0), "gamma is 2"),
        (lambda: VelocityConfig(top_k=1), "top_k is 1"),
        (lambda: VelocityConfig(angle_weight=0.0), "angle_weight is 0"),
        (lambda: DistanceConfig(gamma=1.0), "gamma is 1"),
        (lambda: DistanceConfig(epsilon=-1.0), "epsilon -1"),
        (lambda: GrazingConfig(minima=0), "minima"),
        (lambda: RelaxedConfig(thickness=0.0), "thickness"),
        (lambda: GradientConfig(band=0.0), "band is 0"),
        (lambda: GradientConfig(band_share=1.5), "band_share is 1.5"),
        (lambda: GradientConfig(step=0.0), "step is 0"),
        (lambda: GradientConfig(band=1.0, relaxed=RelaxedConfig(thickness=1.5)), "thickness is 1.5"),
    ],
)
def test_configs_refuse_what_cannot_work(make, words):
    with pytest.raises(ValueError, match=words):
        make()
