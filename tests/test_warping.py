"""The warp: its linear form against the nested one, its value, its weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import fields, raygen, tracing, warping
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import WarpConfig

TRACE = TraceConfig(max_steps=20)
TORUS = {"major": 0.55, "minor": 0.22}
CAMERA = (1.2, 1.6, -2.0)


def march(params, camera, u):
    ray = raygen.ray_through(camera, u)
    observer = tracing.Observer(warping.path_init(TRACE.max_steps), warping.path_step)
    return ray, tracing.trace(fields.torus, TRACE, params, ray, observer)[1]


def grazing_positions(camera, params) -> jax.Array:
    """Film positions around the silhouettes, on either side."""
    u = jax.random.uniform(jax.random.key(3), (400, 2), maxval=32.0)
    rays = jax.vmap(partial(raygen.ray_through, camera))(u)
    observer = tracing.Observer(warping.closest_init, warping.closest_step)
    _, (closest, _, _) = jax.vmap(lambda ray: tracing.trace(fields.torus, TRACE, params, ray, observer))(rays)
    return u[jnp.argsort(closest)[:24]]


def nested(config, params, camera, u):
    """[B22] as printed: V as a function of u and θ, differentiated in u, then in θ."""
    origin = params

    def displacement(u, params):
        ray, path = march(origin, camera, u)
        x, a = warping._kept_points(fields.torus, config, origin, ray, path, jnp.ones(()))
        moved = jax.vmap(lambda x: fields.torus(params, x) - fields.torus(origin, x))(x)
        return moved @ a

    def divergence(params):
        return jnp.trace(jax.jacfwd(displacement)(u, params))

    return jax.jacrev(displacement, argnums=1)(u, params), jax.grad(divergence)(params)


@pytest.mark.parametrize(
    "config", [WarpConfig(), WarpConfig(top_k=20, band=float("inf"), gamma=3.0)], ids=["band", "all"]
)
def test_linear_form_equals_the_nested_one(x64, config):
    """To 1e-6 relative in float64: the two are the same derivative, taken in another order."""
    camera = scenes.camera_at(CAMERA, (32, 32))
    camera = jax.tree.map(lambda c: c.astype(jnp.float64), camera)
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), TORUS)
    u = grazing_positions(camera, params)

    def linear(params, u):
        warp = warping.velocity(fields.torus, config, march, params, camera, u, jnp.ones(()))
        return warp.displacement, warp.divergence

    ours = jax.jit(jax.vmap(jax.jacrev(linear), in_axes=(None, 0)))(params, u)
    theirs = jax.jit(jax.vmap(partial(nested, config), in_axes=(None, None, 0)))(params, camera, u)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.abs(other).max() > 1.0
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6 * np.abs(other).max())


def test_value_is_zero():
    camera = scenes.camera_at(CAMERA, (32, 32))
    params = jax.tree.map(jnp.asarray, TORUS)
    u = grazing_positions(camera, params)
    warp = jax.vmap(lambda u: warping.velocity(fields.torus, WarpConfig(), march, params, camera, u, jnp.ones(())))(u)
    assert not np.any(warp.displacement) and not np.any(warp.divergence)


def test_weights_vanish_where_points_enter():
    """The lightest kept point weighs nothing [B22 eq. 14], weights sum to 1, and γ = 10 does not overflow."""
    path = warping.Path(
        t=jnp.array([1.0, 1.5, 1.7, 1.8, 1.8, 1.8]),
        f=jnp.array([0.5, 0.2, 0.1, 1e-7, 1e-7, 1e-7]),
        count=jnp.asarray(4),
    )
    weight, kept = warping._top_weights(WarpConfig(top_k=3, gamma=10.0), path, warping._path_slopes(path))
    assert set(np.asarray(kept)) == {1, 2, 3}
    assert weight[-1] == 0 and float(jnp.sum(weight)) == pytest.approx(1.0)


def test_config_refuses_what_cannot_work():
    with pytest.raises(ValueError, match="gamma is 2"):
        WarpConfig(gamma=2.0)
    with pytest.raises(ValueError, match="top_k is 1"):
        WarpConfig(top_k=1)
    with pytest.raises(ValueError, match="band is 0"):
        WarpConfig(band=0.0)
