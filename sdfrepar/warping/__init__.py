"""What moves with a silhouette: one file a method, over what a march leaves behind (`path`).

    velocity  [B22]  the mean motion of the march's points          a warp V(u; θ)
    distance  [V22]  the motion of one point, at their mean distance  a warp
    grazing   ours   the motion of the closest approaches            a warp
    relaxed   [W24]  the boundary integral, widened to a thin band   a term of its own, biased

The warps all take the linear form of `linear`.
"""

from sdfrepar.warping.distance import DistanceConfig, distance_points
from sdfrepar.warping.grazing import GrazingConfig, approaches, grazing_points, limiter
from sdfrepar.warping.linear import Coefficients, attach, coefficients
from sdfrepar.warping.path import Path, closest_init, closest_step, grazing_measure, path_init, path_step, rim
from sdfrepar.warping.relaxed import RelaxedConfig, beside_silhouette
from sdfrepar.warping.velocity import VelocityConfig, velocity_points

__all__ = [
    "Coefficients",
    "DistanceConfig",
    "GrazingConfig",
    "Path",
    "RelaxedConfig",
    "VelocityConfig",
    "approaches",
    "attach",
    "beside_silhouette",
    "closest_init",
    "closest_step",
    "coefficients",
    "distance_points",
    "grazing_measure",
    "grazing_points",
    "limiter",
    "path_init",
    "path_step",
    "rim",
    "velocity_points",
]
