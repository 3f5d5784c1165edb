"""First-order mode: accelerations against the plain march, derivatives against closed forms and differences."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import cameras, fields, observing, tracing
from sdfrepar.observing import ObserveConfig, Subject
from sdfrepar.tracing import MarchConfig

TORUS = Subject(fields.torus, lambda params, x: x)
BALL = Subject(fields.sphere, lambda params, x: 2.0 * x)
CAMERA = scenes.camera_at((1.2, 1.6, -2.0), (96, 80))
PLAIN = ObserveConfig(march=MarchConfig(stride="sphere", max_steps=300), dynamic=False, split="none")
WAYS = {
    "dynamic": ObserveConfig(march=MarchConfig(stride="sphere", max_steps=300), split="none"),
    "aggressive": ObserveConfig(march=MarchConfig(stride="aggressive", max_steps=300), split="none"),
    "inherit": ObserveConfig(march=MarchConfig(stride="aggressive"), split="inherit", scales=(4, 2)),
    "secant": ObserveConfig(march=MarchConfig(step_cap=1.0), split="none"),
    "cones": ObserveConfig(march=MarchConfig(step_cap=1.0), scales=(8,)),
    "footprint": ObserveConfig(footprint=True, split="none"),
    "rough": ObserveConfig(rough_precision="bfloat16", split="none"),
}


@functools.cache
def compiled(config: ObserveConfig):
    # Small blocks, since what fills up a block counts as asked for.
    config = replace(config, block=32)
    return jax.jit(lambda camera: observing.march_picture(fields.torus, config, scenes.TORUS, camera))


def marched(config: ObserveConfig, camera=CAMERA):
    return compiled(config)(camera)


@pytest.fixture(scope="module")
def plain():
    return marched(PLAIN)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ("footprint", "rough") else name for name in WAYS],
)
def test_every_acceleration_sees_the_same_for_fewer_queries(plain, name):
    found, threshold = marched(WAYS[name]), plain.threshold[0]
    hit, truth = (np.asarray(m.marches.status == 1) for m in (found, plain))
    # Rays that inherit may start behind what is thin.
    assert (hit & truth).sum() / (hit | truth).sum() > (0.97 if name == "inherit" else 0.99)
    off = np.abs(found.marches.settled - plain.marches.settled)[hit & truth]
    assert np.mean(off < threshold) > (0.96 if name == "inherit" else 0.98)
    assert int(found.queries) < 0.5 * int(plain.queries)


def test_every_idea_asks_less_than_the_one_before():
    """Unfinished rays alone, bolder steps, steps to where the surface is expected, coarse rays first."""
    asked = {name: int(marched(config).queries) for name, config in WAYS.items()}
    assert asked["dynamic"] > asked["aggressive"] > asked["secant"]
    assert asked["cones"] < asked["secant"]


def test_rays_that_do_not_meet_the_unit_sphere_are_not_asked_for():
    away = CAMERA.replace(rotation=-CAMERA.rotation * jnp.array([[1.0, -1.0, 1.0]]))
    found = marched(WAYS["cones"], away)
    assert int(found.queries) == 0 and not np.any(found.marches.status == 1)


def test_pixels_that_are_not_wanted_see_nothing_and_cost_nothing():
    wanted = jnp.zeros(CAMERA.resolution, bool).at[45:55, 12:40].set(True)
    config = ObserveConfig(march=MarchConfig(step_cap=1.0), scales=(8,), block=32)

    def see(wanted):
        return observing.observe(TORUS, config, scenes.TORUS, CAMERA, wanted=wanted)

    some, whole = jax.jit(see)(wanted), jax.jit(see)(jnp.ones_like(wanted))
    chosen = np.asarray(wanted)
    np.testing.assert_array_equal(some.valid, whole.valid & chosen)
    for name in ("depth", "normal", "silhouette", "properties"):
        np.testing.assert_allclose(getattr(some, name)[chosen], getattr(whole, name)[chosen], atol=1e-6)
    assert np.all(np.isinf(some.silhouette[~chosen])) and some.valid.any()
    assert int(some.queries) < 0.2 * int(whole.queries)


def test_bold_steps_never_skip_a_wall():
    """Past something beside the ray the field rises, and steps grow; some land on the wall behind the first one."""
    config, threshold = MarchConfig(), jnp.asarray(0.01)

    def field(t):
        beside = jnp.sqrt((t - 0.5) ** 2 + 0.04) - 0.18
        walls = jnp.abs(jnp.abs(t - 2.0) - 0.5) - 0.04
        return jnp.minimum(beside, walls)

    def settled(near):
        march = tracing.begin(config, near, jnp.asarray(4.0), jnp.asarray(-1.0))
        march = jax.lax.fori_loop(0, 50, lambda _, m: tracing.advance(config, threshold, m, field(m.distance)), march)
        return march.settled

    found = jax.jit(jax.vmap(settled))(jnp.linspace(0.0, 0.9, 500))
    np.testing.assert_allclose(found, 1.46, atol=0.01)


# Derivatives


def observed(config: ObserveConfig, camera):
    """Distances to a ball in a few pixels, and their derivative in its radius, by forward mode."""

    def see(radius):
        return observing.observe(BALL, config, {"radius": radius}, camera)

    return jax.jit(lambda radius: jax.jvp(see, (radius,), (jnp.ones(()),)))(jnp.asarray(0.6))


def closed_form(camera):
    """Distance to the ball of radius 0.6, its derivative, and the slope -n·d: each (H, W), NaN beside the ball."""
    height, width = camera.resolution
    u = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2) + 0.5
    o = np.asarray(jax.vmap(lambda u: cameras.origin_of(camera, u))(jnp.asarray(u, jnp.float32)), np.float64)
    d = np.asarray(jax.vmap(lambda u: cameras.unproject(camera, u))(jnp.asarray(u, jnp.float32)), np.float64)
    middle = -np.sum(o * d, axis=1)
    with np.errstate(invalid="ignore"):
        half = np.sqrt(0.36 - np.sum(o**2, axis=1) + middle**2)
    return (x.reshape(height, width) for x in (middle - half, -0.6 / half, half / 0.6))


BALL_CAMERA = scenes.camera_at((0.3, 0.4, -2.4), (24, 24))


@pytest.mark.parametrize("parallel", [False, True])
def test_distances_to_a_ball_and_their_implicit_derivative_are_exact(parallel):
    camera = BALL_CAMERA.replace(parallel=parallel, focal=jnp.full(2, 12.0) if parallel else BALL_CAMERA.focal)
    seen, change = observed(ObserveConfig(gradient="implicit", threshold=1e-3), camera)
    distance, derivative, slope = closed_form(camera)
    steep = np.nan_to_num(slope) > 0.3
    assert steep.sum() > 50 and np.all(np.asarray(seen.valid)[steep])
    np.testing.assert_allclose(np.asarray(seen.distance)[steep], distance[steep], atol=1e-3)
    np.testing.assert_allclose(np.asarray(change.distance)[steep], derivative[steep], rtol=0.01)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(seen.normal)[steep], axis=-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.asarray(seen.properties)[steep], 1.2 * np.asarray(seen.normal)[steep], atol=5e-3)


def test_the_full_recursion_comes_to_the_implicit_derivative():
    _, change = observed(ObserveConfig(march=MarchConfig(max_steps=120), gradient="recursive"), BALL_CAMERA)
    _, derivative, slope = closed_form(BALL_CAMERA)
    steep = np.nan_to_num(slope) > 0.3
    np.testing.assert_allclose(np.asarray(change.distance)[steep], derivative[steep], rtol=0.02)


@pytest.mark.parametrize("samples", [1, 3])
def test_first_order_is_as_biased_as_it_says(samples):
    """α K |n·d| of the truth, where as many samples were taken: it is right in sign, wrong in size."""
    march = MarchConfig(stride="sphere", samples=samples)
    _, change = observed(ObserveConfig(march=march, split="none"), BALL_CAMERA)
    _, derivative, slope = closed_form(BALL_CAMERA)
    steep = np.nan_to_num(slope) > 0.3
    expected = 1.5 * samples * (slope * derivative)[steep]
    np.testing.assert_allclose(np.asarray(change.distance)[steep], expected, rtol=0.02)


def test_the_silhouette_moves_as_its_finite_difference_says():
    """Everywhere: on the ball, beside it, and beyond the unit sphere."""
    camera = scenes.camera_at((0.3, 0.4, -2.4), (16, 16))
    camera = camera.replace(focal=0.5 * camera.focal)
    # Sphere by sphere, with a small threshold, a march finds where the field is least.
    config = ObserveConfig(march=MarchConfig(stride="sphere", max_steps=200), split="none", threshold=1e-3)
    shift = jax.tree.map(jnp.zeros_like, camera).replace(position=jnp.array([0.5, -0.3, 0.2]))

    def silhouette(s):
        moved = jax.tree.map(lambda x, v: x + s * v, camera, shift)
        params = {"radius": jnp.asarray(0.6)}
        return observing.observe(BALL, config, params, moved, channels=["silhouette"]).silhouette

    change = jax.jit(jax.jacfwd(silhouette))(0.0)
    u = jnp.stack(jnp.meshgrid(jnp.arange(16.0), jnp.arange(16.0)), axis=-1).reshape(-1, 2) + 0.5

    def nearest(s):
        """How near the ray comes to the centre."""
        moved = jax.tree.map(lambda x, v: x + s * v, camera, shift)
        d = jax.vmap(lambda u: cameras.unproject(moved, u))(u)
        return jnp.linalg.norm(jnp.cross(moved.position[None], d), axis=1)

    expected, away = jax.jit(lambda s: (jax.jacfwd(nearest)(s), nearest(s)))(0.0)
    beside = np.asarray(away) > 0.65
    assert beside.sum() > 50 and (np.asarray(away) > 1.05).sum() > 10
    np.testing.assert_allclose(np.asarray(change).reshape(-1)[beside], expected[beside], atol=0.02)


def test_depth_follows_the_camera_and_the_shape_by_reverse_mode_too():
    """Against central differences of the implicit depth in the middle of the ball."""
    config = ObserveConfig(gradient="implicit", march=MarchConfig(max_steps=80))
    config = replace(config, threshold=1e-4)

    def depth(radius, position):
        camera = BALL_CAMERA.replace(position=position)
        seen = observing.observe(BALL, config, {"radius": radius}, camera, channels=[])
        return jnp.mean(seen.depth[8:16, 8:16])

    both = jax.jit(jax.value_and_grad(depth, argnums=(0, 1)))
    radius, position = np.float32(0.6), np.asarray(BALL_CAMERA.position)
    by_radius, by_position = both(radius, position)[1]

    def difference(step, way):
        ahead, behind = (both(radius + sign * step, position + sign * way)[0] for sign in (1, -1))
        return float(ahead - behind) / 0.02

    assert float(by_radius) == pytest.approx(difference(np.float32(0.01), np.zeros(3, np.float32)), rel=0.02)
    for axis, way in enumerate(0.01 * np.eye(3, dtype=np.float32)):
        assert float(by_position[axis]) == pytest.approx(difference(np.float32(0.0), way), abs=0.02)


def test_normals_by_differences_are_those_by_derivatives():
    def normals(config: ObserveConfig):
        see = jax.jit(lambda camera: observing.observe(TORUS, config, scenes.TORUS, camera, channels=["normal"]))
        return see(CAMERA).normal

    by_derivative, by_differences = (normals(ObserveConfig(normals=way)) for way in ("derivative", "differences"))
    np.testing.assert_allclose(by_derivative, by_differences, atol=0.02)


# Settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (lambda: ObserveConfig(scales=(4, 3)), "observe.scales"),
        (lambda: ObserveConfig(scales=()), "observe.scales"),
        (lambda: ObserveConfig(threshold=0.0), "observe.threshold"),
        (lambda: ObserveConfig(block=0), "observe.block"),
        (lambda: MarchConfig(aggression=2.0), "march.aggression"),
        (lambda: MarchConfig(samples=0), "march.samples"),
        (lambda: MarchConfig(step_cap=-1.0), "march.step_cap"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        settings()
