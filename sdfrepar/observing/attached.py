"""The distance to the surface with its derivative, three ways, for one ray whose march is done."""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import shading
from sdfrepar.fields import Distance
from sdfrepar.numerics import tangent_of, with_tangent_of
from sdfrepar.observing.config import ObserveConfig
from sdfrepar.records import Line
from sdfrepar.tracing import March


def distance_to_surface(distance: Distance, config: ObserveConfig, params: Any, line: Line, march: March) -> jax.Array:
    """The distance () along a ray to the surface that its march has found.

    Gradient: in params and line, by `config.gradient`.
        first_order: α Σ_k ∂f(x_k), over the K samples of least |f|; the first term of [D20 eq. 4]. A sample counts by α
            where implicit differentiation has 1 / |n·d|: too little at flat angles, more with more samples.
        implicit: -∂f / (n·d) at the surface, that of `shading.surface_point`.
        recursive: of every step of an aggressive march from where the ray enters the unit sphere; with the full
            recursion it comes to the implicit gradient as the march converges.
    """
    if config.gradient == "recursive":
        return with_tangent_of(march.settled, _marched(distance, config, params, line))
    if config.gradient == "implicit":
        x = shading.surface_point(distance, params, line, march.settled)
        return with_tangent_of(march.settled, line.direction @ (x - line.origin))
    seen = jnp.isfinite(march.least)

    def change(t: jax.Array) -> jax.Array:
        return tangent_of(distance(params, line.origin + t * line.direction))

    changes = jax.vmap(change)(march.at)
    return march.settled + config.march.aggression * jnp.sum(jnp.where(seen, changes, 0.0))


def least_field(distance: Distance, params: Any, line: Line, march: March) -> jax.Array:
    """The least |f| along the ray, as f there, (); where the ray misses the unit sphere, its distance from that.

    Gradient: in params and line; that of f at the sample, which is that of the minimum (envelope theorem).
    """
    at = jax.lax.stop_gradient(march.at[0])
    within = distance(params, line.origin + at * line.direction)
    nearest = line.origin - (line.origin @ line.direction) * line.direction
    square = nearest @ nearest
    outside = jnp.sqrt(jnp.maximum(square, 1e-6)) - 1.0
    return jnp.where(line.far > line.near, within, outside)


def _marched(distance: Distance, config: ObserveConfig, params: Any, line: Line) -> jax.Array:
    """The end () of a march of α times the field from where the ray enters the unit sphere, differentiable throughout.

    Every step is taken: where the field is next to zero, steps change the value no more, but the derivative still.
    """
    cap, alpha = config.march.step_cap, config.march.aggression

    def step(t: jax.Array, _: None) -> tuple[jax.Array, None]:
        f = distance(params, line.origin + t * line.direction)
        return t + alpha * jnp.clip(f, -cap, cap), None

    return jax.lax.scan(jax.checkpoint(step), line.near, None, length=config.march.max_steps)[0]
