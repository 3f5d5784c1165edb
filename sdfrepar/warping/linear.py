"""The linear form that every warp takes: V(u; θ) = Σ_i a_i(u) h_i(u; θ), with coefficients a_i free of θ.

    h_i = f(o + t_i d; θ) - f(o + t_i d; θ₀)

is the change of the field at the i-th point of the ray, t_i(u) along it. θ is all that moves it: the parameters of the
field, and those of the camera, through o and d. So

    div V = Σ_i (∇_u·a_i) h_i + D_i h_i,   D_i = a_i·∇_u + (a_i·∇_u t_i) ∂_t

and all that knows θ is the field and one directional derivative of it at each point; the rest is computed forward,
without a tape.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Camera, Warp
from sdfrepar.warping.grazing import Approaches

Points = Callable[[jax.Array, Approaches], tuple[jax.Array, jax.Array]]
"""(u (2,), closest approaches) -> distances t_i (K,) along the ray, coefficients a_i (K, 2); forward mode in both."""


class Coefficients(NamedTuple):
    """What the warp of one film position needs of the march, free of θ. K points."""

    t: jax.Array  # (K,) t_i, scene units along the ray
    a: jax.Array  # (K, 2) a_i, pixels per scene unit
    divergence: jax.Array  # (K,) ∇_u·a_i, per scene unit
    dt: jax.Array  # (K,) a_i·∇_u t_i, dimensionless


def coefficients(points: Points, u: jax.Array, found: Approaches, moved: Approaches) -> Coefficients:
    """Everything of the warp at u (2,) that is free of θ.

    Args:
        points: of a method.
        u: (2,) pixels.
        found: the closest approaches of the ray.
        moved: their derivatives in u, with an axis (2,) in front.
    """

    def along(du: jax.Array, moved: Approaches) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        return jax.jvp(points, (u, found), (du, moved))

    (t, a), (dt, da) = jax.vmap(along, out_axes=(None, 0))(jnp.eye(2, dtype=u.dtype), moved)
    return Coefficients(t=t, a=a, divergence=da[0, :, 0] + da[1, :, 1], dt=jnp.sum(dt.T * a, axis=1))


def attach(
    distance: Distance,
    point_at: Callable[[Camera, jax.Array, jax.Array], jax.Array],
    params: Any,
    camera: Camera,
    u: jax.Array,
    c: Coefficients,
) -> Warp:
    """What ONE point adds to V and div V, zero in value: the part that knows θ.

    Args:
        distance: the field.
        point_at: (camera, u, t) -> x (3,), the point of a ray.
        params: parameters of the field.
        camera: one camera.
        u: (2,) pixels.
        c: of `coefficients`, of one point, without the axis K.

    Gradient: that of V, first order, in `params` and `camera`; one value and one directional derivative of the field.
    """
    h, slope = jax.jvp(lambda u, t: distance(params, point_at(camera, u, t)), (u, c.t), (c.a, c.dt))
    h = tangent_of(h)
    return Warp(displacement=h * c.a, divergence=h * c.divergence + tangent_of(slope))
