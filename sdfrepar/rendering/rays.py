"""Tracing many rays: all of them at first, then the unfinished, then the undecided, in ever smaller buffers."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import raygen, tracing, warping
from sdfrepar.fields import Distance
from sdfrepar.records import Camera, Hit, Ray, Status
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import RenderConfig

# Rounds after which rays are left as they are. A round takes what is still unfinished, and as much of it as fits.
_ROUNDS = 64


def rays_through(camera: Camera, u: jax.Array, width: jax.Array) -> Ray:
    """The rays of S cameras through u (S, 2), detached, for pixels of these widths (S,): lengths on film are theirs."""

    def one(camera: Camera, u: jax.Array, width: jax.Array) -> Ray:
        ray = raygen.ray_through(camera, u)
        return replace(ray, differential=width * ray.differential)

    return jax.vmap(one)(*jax.lax.stop_gradient((camera, u, width)))


def repeated(camera: Camera, size: int) -> Camera:
    """One camera as `size` of them, one a sample."""
    return jax.tree.map(lambda c: jnp.broadcast_to(c, (size, *c.shape)), camera)


def starting_at(rays: Ray, start: jax.Array | None) -> Ray:
    """Rays that start no nearer than at these distances (S,); as they are for None."""
    return rays if start is None else replace(rays, near=jnp.maximum(rays.near, start))


def trace_rays(distance: Distance, config: RenderConfig, params: Any, rays: Ray) -> tuple[Hit, warping.Trail]:
    """March many rays, the unfinished and then the undecided ones in smaller buffers.

    Returns:
        S decided hits, and what their marches remember of the silhouettes that they passed.

    Gradient: detached from parameters and rays.
    """
    params, rays = jax.lax.stop_gradient((params, rays))

    observer, some_steps = _observer(config), of_a_round(config)

    def march_on(ray: Ray, state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        return tracing.resume(distance, some_steps, params, ray, state, observer)

    def settle(ray: Ray, state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        hit = tracing.refine(distance, config.trace, params, ray, state[0])
        return tracing.resume(distance, config.trace, params, ray, (hit, state[1]), observer)

    def unfinished(state: tuple[Hit, Any]) -> jax.Array:
        return undecided(state) & (state[0].queries < config.trace.max_steps)

    def undecided(state: tuple[Hit, Any]) -> jax.Array:
        return state[0].status == Status.UNDECIDED

    state = jax.vmap(lambda ray: tracing.trace(distance, some_steps, params, ray, observer))(rays)
    state = buffers.in_rounds(march_on, unfinished, config.unfinished_share, _ROUNDS, rays, state)
    return buffers.in_rounds(settle, undecided, config.undecided_share, _ROUNDS, rays, state)


def march(distance: Distance, config: RenderConfig, params: Any, camera: Camera, u: jax.Array) -> warping.Path:
    """The points that the march of the ray through u (2,) visits; differentiable in u by forward mode."""
    observer = tracing.Observer(warping.path_init(config.trace.max_steps), warping.path_step)
    # Sphere by sphere: a step that dares is taken back at some u and not at others, where the path would jump.
    sphere_by_sphere = replace(config.trace, relaxation=0.0)
    return tracing.trace(distance, sphere_by_sphere, params, raygen.ray_through(camera, u), observer)[1]


def point_at(camera: Camera, u: jax.Array, t: jax.Array) -> jax.Array:
    """The point (3,) at distance t () along the ray through u (2,)."""
    ray = raygen.ray_through(camera, u)
    return ray.origin + t * ray.direction


def _observer(config: RenderConfig) -> tracing.Observer:
    return tracing.Observer(warping.trail_init(config.gradient.grazing.minima), warping.trail_step)


def of_a_round(config: RenderConfig) -> tracing.TraceConfig:
    """How far a ray is marched before the unfinished ones are gathered."""
    return replace(config.trace, max_steps=min(config.first_steps, config.trace.max_steps))
