"""The distance warp of [V22]: the motion of ONE point, at the mean distance of the points that the march visited.

    V(u; θ) = -h(t̄) P n / |n|²,   t̄ = Σ_i ŵ_i t_i,   w_i = (|f_i| + λ (n·d)² + ε)^-γ        [V22]

One query of the field knows θ, whatever the length of the march. At a silhouette all weight is on the grazing point, so
V agrees with its motion as [B22]'s does. Where points that lie far apart share the weight, which is never so at a
silhouette, V is calmed.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance
from sdfrepar.records import Ray
from sdfrepar.warping.grazing import Approaches, fade, weigh_in_logarithms
from sdfrepar.warping.path import NO_WEIGHT, Path, on_film

# The mean of points that lie this far apart moves the film half as much as its slope says, scene units: where one
# silhouette crosses another it lies in the open between them, and would follow every turn of the field there.
_APART = 0.3


@dataclass(frozen=True)
class DistanceConfig:
    """The constants of [V22]."""

    gamma: float = 3.0
    """Exponent of the weights."""
    angle_weight: float = 0.05
    """What the squared cosine counts beside the distance, scene units."""
    epsilon: float = 1e-6
    """Added to the distance, scene units; 0.01 biases a torus' gradient by 1.6 %, keep it below 0.001."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.gamma <= 1:
            raise ValueError(f"distance.gamma is {self.gamma}; it must exceed 1 for the mean to find the silhouette.")
        if self.angle_weight <= 0 or self.epsilon < 0:
            raise ValueError(
                f"distance.angle_weight is {self.angle_weight} and distance.epsilon {self.epsilon}; the first must be "
                "positive, the second not negative."
            )


def distance_points(
    distance: Distance, config: DistanceConfig, params: Any, ray: Ray, path: Path, found: Approaches
) -> tuple[jax.Array, jax.Array]:
    """The mean point of a path, t̄ (1,), and its coefficient a (1, 2), before the limiter.

    Arguments as for `velocity_points`, whose word on the closest approaches holds here: the peak of the weights is
    ∫ (S + λ f_tt² τ²)^-γ dτ = S^-γ √(S / λ) / f_tt · √π Γ(γ - ½) / Γ(γ).
    """
    measure = jnp.abs(path.f) + config.angle_weight * path.slope**2 + config.epsilon
    # A ray that hits at a flat angle meets the surface where λ (n·d)² = 2 λ f_tt |f*|, which may be below |f*| itself;
    # the closest approach has to outweigh that point, which depends on where the march stopped. All approaches share
    # the least curvature, softly: with its own, one that fades as it flattens would first outweigh a nearer one.
    curvature = 1.0 / jnp.maximum(jnp.sum(fade(found) / found.curvature), 1e-6)
    at_approach = jnp.abs(found.f) * jnp.minimum(config.angle_weight * curvature, 1.0) + config.epsilon
    shape = math.sqrt(math.pi) * math.gamma(config.gamma - 0.5) / math.gamma(config.gamma)
    peak = shape * jnp.sqrt(jnp.maximum(at_approach, 1e-9) / config.angle_weight) / curvature
    log_weight = weigh_in_logarithms(ray, path, found, measure, at_approach, peak, config.gamma)
    weight, points = jax.nn.softmax(log_weight), jnp.concatenate([path.t, found.t])
    t = weight @ points
    agreement = 1.0 / (1.0 + weight @ (points - t) ** 2 / _APART**2)
    f, n = jax.value_and_grad(distance, argnums=1)(params, ray.origin + t * ray.direction)
    anything = jnp.max(log_weight) > NO_WEIGHT
    return t[None], jnp.where(anything, -agreement * on_film(ray, t, f, n), 0.0)[None]
