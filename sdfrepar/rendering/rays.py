"""Tracing many rays: all of them at first, then the unfinished, then the undecided, in ever smaller buffers."""

from dataclasses import replace
from typing import Any

import jax

from sdfrepar import raygen, tracing, warping
from sdfrepar.fields import Distance
from sdfrepar.records import Camera, Hit, Ray, Status
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import RenderConfig

# Rounds after which rays are left as they are. A round takes what did not fit into the one before, so the first number
# only has to exceed 1 / unfinished_share; a settling round takes its rays past one grazing approach each.
_MARCHING_ROUNDS = 16
_SETTLING_ROUNDS = 24

_CLOSEST = tracing.Observer(warping.closest_init, warping.closest_step)


def approach_rays(
    distance: Distance, config: RenderConfig, params: Any, rays: Ray
) -> tuple[Hit, tuple[jax.Array, jax.Array, jax.Array]]:
    """The first `config.first_steps` of many marches: S hits, some undecided, and the state of `warping.closest_step`.

    The first entry of that state is (S,) how close each ray has come to a silhouette so far, pixels.
    """
    config_of_first = replace(config.trace, max_steps=config.first_steps)
    return jax.vmap(lambda ray: tracing.trace(distance, config_of_first, params, ray, _CLOSEST))(rays)


def trace_rays(distance: Distance, config: RenderConfig, params: Any, rays: Ray) -> tuple[Hit, jax.Array]:
    """March many rays, the unfinished and then the undecided ones in smaller buffers.

    Returns:
        S decided hits, and (S,) how close each came to a silhouette on its way, pixels.

    Gradient: detached from parameters and rays.
    """
    params, rays = jax.lax.stop_gradient((params, rays))

    def march_on(ray: Ray, state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        return tracing.resume(distance, config.trace, params, ray, state, _CLOSEST)

    def settle(ray: Ray, state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        hit = tracing.refine(distance, config.trace, params, ray, state[0])
        return tracing.resume(distance, config.trace, params, ray, (hit, state[1]), _CLOSEST)

    def unfinished(state: tuple[Hit, Any]) -> jax.Array:
        return undecided(state) & (state[0].queries < config.trace.max_steps)

    def undecided(state: tuple[Hit, Any]) -> jax.Array:
        return state[0].status == Status.UNDECIDED

    state = approach_rays(distance, config, params, rays)
    state = buffers.in_rounds(march_on, unfinished, config.unfinished_share, _MARCHING_ROUNDS, rays, state)
    state = buffers.in_rounds(settle, undecided, config.undecided_share, _SETTLING_ROUNDS, rays, state)
    hits, (grazing, _, _) = state
    return hits, grazing


def march(distance: Distance, config: RenderConfig, params: Any, camera: Camera, u: jax.Array) -> warping.Path:
    """The points that the march of the ray through u (2,) visits; differentiable in u by forward mode."""
    observer = tracing.Observer(warping.path_init(config.trace.max_steps), warping.path_step)
    return tracing.trace(distance, config.trace, params, raygen.ray_through(camera, u), observer)[1]


def point_at(camera: Camera, u: jax.Array, t: jax.Array) -> jax.Array:
    """The point (3,) at distance t () along the ray through u (2,)."""
    ray = raygen.ray_through(camera, u)
    return ray.origin + t * ray.direction
