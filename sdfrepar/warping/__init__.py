"""What moves with a silhouette: one file a method, over what a march leaves behind (`trail`, `path`).

    velocity  [B22]  the mean motion of the march's points          a warp V(u; θ)
    distance  [V22]  the motion of one point, at their mean distance  a warp
    grazing   ours   the motion of the closest approaches            a warp
    relaxed   [W24]  the boundary integral, widened to a thin band   a term of its own, biased

The warps all take the linear form of `linear`.
"""

from sdfrepar.warping.distance import DistanceConfig, distance_points
from sdfrepar.warping.grazing import (
    Approaches,
    GrazingConfig,
    approach,
    grazing_points,
    limiter,
    may_be_followed,
    search,
)
from sdfrepar.warping.linear import Coefficients, attach, coefficients
from sdfrepar.warping.path import Path, path_init, path_step, rim
from sdfrepar.warping.relaxed import RelaxedConfig, beside_silhouette
from sdfrepar.warping.trail import Lows, Trail, grazing_measure, look_beyond, trail_init, trail_step
from sdfrepar.warping.velocity import VelocityConfig, velocity_points

__all__ = [
    "Approaches",
    "Coefficients",
    "DistanceConfig",
    "GrazingConfig",
    "Lows",
    "Path",
    "RelaxedConfig",
    "Trail",
    "VelocityConfig",
    "approach",
    "attach",
    "beside_silhouette",
    "coefficients",
    "distance_points",
    "grazing_measure",
    "grazing_points",
    "limiter",
    "look_beyond",
    "may_be_followed",
    "path_init",
    "path_step",
    "rim",
    "search",
    "trail_init",
    "trail_step",
    "velocity_points",
]
