"""The warp in the paper's own order of derivatives: V(u; θ) differentiated in u, and that in θ [B22 §3.3].

The slow twin of `rendering.silhouettes.warps`, against which speed and gradients are held. It makes no use of V being
linear in what knows θ: every sample carries its march, weights and normals through three nested derivatives.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

from sdfrepar import raygen, warping
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Camera, Hit, Warp
from sdfrepar.rendering import RenderConfig, Scene, buffers, silhouettes
from sdfrepar.rendering.rays import point_at

STEPS = 22
"""Steps of the march of [B22 §4.3]."""


def warps(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    hits: Hit,
    trails: warping.Trail,
    wanted: jax.Array,
) -> Warp:
    """As `rendering.silhouettes.warps`, of every sample, wanted or not."""
    still, everyone = jax.lax.stop_gradient((params, camera)), jnp.ones_like(wanted)
    found = silhouettes.closest_approaches(scene, config, *still, u, width, hits, trails, everyone)[0]
    return jax.vmap(partial(_warp, scene, config, params))(camera, u, width, found.t)


def _warp(
    scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array, width: jax.Array, t: jax.Array
) -> Warp:
    """V and div V at u (2,), zero in value; the closest approaches are at t (J,)."""
    origin = jax.lax.stop_gradient((params, camera))
    scale = 1.0 / (config.gradient.band * width * raygen.ray_through(origin[1], u).footprint)

    def displacement(u: jax.Array) -> jax.Array:
        found = jax.vmap(lambda t: silhouettes.approach_at(scene, config, *origin, t, scale, u))(t)
        at, a = silhouettes.points(scene, config, *origin, u, found)

        def h(t: jax.Array) -> jax.Array:
            change = scene.distance(params, point_at(camera, u, t))
            return change - scene.distance(origin[0], point_at(origin[1], u, t))

        return jax.vmap(h)(at) @ a

    return Warp(displacement=tangent_of(displacement(u)), divergence=tangent_of(jnp.trace(jax.jacfwd(displacement)(u))))


@contextlib.contextmanager
def nesting() -> Iterator[None]:
    """What is traced meanwhile takes the nested form, everything else being equal."""
    with mock.patch.object(silhouettes, "warps", warps):
        yield


@contextlib.contextmanager
def following_all() -> Iterator[None]:
    """What is traced meanwhile takes the linear form for every sample, wanted or not."""
    linear = silhouettes.warps
    with mock.patch.object(silhouettes, "warps", lambda *items: linear(*items[:-1], jnp.ones_like(items[-1]))):
        yield


@contextlib.contextmanager
def publishing() -> Iterator[None]:
    """What is traced meanwhile takes the nested form, and leaves no work out: light is looked up for every sample."""
    with nesting(), mock.patch.object(buffers, "skipping", _all):
        yield


def published(config: RenderConfig) -> RenderConfig:
    """The config with the march of [B22]: sphere by sphere, all rays together, 22 steps; the undecided as ours."""
    march = replace(config.trace, relaxation=0.0, max_steps=STEPS)
    return replace(config, trace=march, first_steps=STEPS, unfinished_share=1.0)


def _all(work: Callable[..., Any], wanted: jax.Array, items: tuple[Any, ...]) -> Any:
    """As `buffers.skipping`, without skipping."""
    done = jax.vmap(work)(*items)
    return buffers.where_wanted(wanted, done, jax.tree.map(jnp.zeros_like, done))
