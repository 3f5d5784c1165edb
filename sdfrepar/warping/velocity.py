"""The velocity warp of [B22]: the mean motion of the points that the march visited, silhouettes weighing most.

    V(u; θ) = Σ_i ŵ_i P_i δ_i,   δ_i = -h_i n_i / |n_i|²                                            [B22 eq. 5, 11-13]

P_i takes a motion to the film, h_i is the change of the field at the point.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance, gradient
from sdfrepar.numerics import safe_divide
from sdfrepar.records import Ray
from sdfrepar.warping.grazing import Approaches, weigh_in_logarithms
from sdfrepar.warping.path import NO_WEIGHT, Path, on_film


@dataclass(frozen=True)
class VelocityConfig:
    """The constants of [B22]."""

    gamma: float = 4.0
    """Exponent γ of the harmonic weights; above 2."""
    angle_weight: float = 0.1
    """λ_d, what the angle counts beside the distance in the silhouette measure S, scene units."""
    epsilon: float = 1e-6
    """Added to S, scene units; up to 0.01 no bias was measured, the closest approach being among the points."""
    top_k: int = 8
    """Points kept a ray; with 3 the gradient is as right and three times as noisy as with 8."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.gamma <= 2:
            raise ValueError(
                f"velocity.gamma is {self.gamma}; it must exceed 2 for the warp to follow the silhouette [B22]; try 4."
            )
        if self.top_k < 2:
            raise ValueError(
                f"velocity.top_k is {self.top_k}; the lightest kept point gets weight zero, so keep at least 2."
            )
        if self.angle_weight <= 0 or self.epsilon < 0:
            raise ValueError(
                f"velocity.angle_weight is {self.angle_weight} and velocity.epsilon {self.epsilon}; the first must be "
                "positive, the second not negative."
            )


def velocity_points(
    distance: Distance, config: VelocityConfig, params: Any, ray: Ray, path: Path, found: Approaches
) -> tuple[jax.Array, jax.Array]:
    """The heaviest points of a path, t_i (K,), and their coefficients a_i (K, 2), before the limiter.

    Args:
        distance: the field.
        config: the constants.
        params: parameters of the field, detached.
        ray: one ray.
        path: the points visited along it.
        found: its closest approaches.
    """
    weight, kept = top_weights(config, ray, path, found)
    t, f = (jnp.concatenate(pair)[kept] for pair in ((path.t, found.t), (path.f, found.f)))
    x = ray.origin[None] + t[:, None] * ray.direction[None]
    n = jax.vmap(gradient, in_axes=(None, None, 0))(distance, params, x)
    return t, -weight[:, None] * jax.vmap(on_film, in_axes=(None, 0, 0, 0))(ray, t, f, n)


def top_weights(config: VelocityConfig, ray: Ray, path: Path, found: Approaches) -> tuple[jax.Array, jax.Array]:
    """Normalised weights ŵ (K,) of the K heaviest points and their indices (K,) among path and approaches.

    Weights are taken relative to the heaviest, in logarithms: S^-γ overflows float32 [B22 eq. 12-14].

    A march takes O(1/√δ) steps past a silhouette at distance δ, so it ends before the silhouette's own point: the last
    points stand 1 % too near, and so does the motion they give. The closest approach joins the quadrature therefore,
    with the width of the peak that S has there, ∫ (S + λ_d f_tt |τ|)^-γ dτ = S^-γ · 2 S / ((γ - 1) λ_d f_tt).

    Gradient: that of the weights, by forward mode; which points are kept is decided without one.
    """
    measure = jnp.abs(path.f) + config.angle_weight * jnp.abs(path.slope) + config.epsilon
    at_approach = jnp.abs(found.f) + config.epsilon
    peak = 2.0 * at_approach / ((config.gamma - 1.0) * config.angle_weight * found.curvature)
    log_weight = weigh_in_logarithms(ray, path, found, measure, at_approach, peak, config.gamma)
    k = min(config.top_k, log_weight.shape[0])
    heaviest, kept = jax.lax.top_k(jax.lax.stop_gradient(log_weight), k)
    weight = jnp.exp(log_weight[kept] - heaviest[0])
    # The lightest kept point weighs nothing, so that points enter and leave without a jump [B22 eq. 14].
    if k < log_weight.shape[0]:
        weight = weight - weight[-1]
    return jnp.where(heaviest[0] > NO_WEIGHT, safe_divide(weight, jnp.sum(weight)), 0.0), kept
