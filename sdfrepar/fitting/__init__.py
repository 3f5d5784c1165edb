"""From posed pictures to parameters.

config      the settings
pixels      all pixels of all pictures, on the device
batches     which pixels a step looks at
views       what is fitted of each picture: its pose, its exposure
masks       silhouettes from masks, the baseline's
objective   what a step makes of its pixels
shares      how devices divide them
step        one step of the optimiser
codes       a decoder and codes, from samples of distances
completion  a code, from what a camera sees
lifted      a code, from points lifted along their normals: the baseline of completion
poses       a camera, from what it sees of a known shape
"""

from sdfrepar.fitting.batches import (
    Approach,
    Batch,
    Tracked,
    approach_pixels,
    draw_pixels,
    draw_tracks,
    prefer_silhouettes,
)
from sdfrepar.fitting.codes import CodesConfig, first_codes_state, initial_codes, make_codes_step, of_shape
from sdfrepar.fitting.completion import (
    CompletionConfig,
    Maps,
    first_completion_state,
    image_loss,
    make_completion_step,
    strided,
    thinned,
    whole_maps,
)
from sdfrepar.fitting.config import FitConfig
from sdfrepar.fitting.lifted import LiftedConfig, first_lifted_state, lifted, make_lifted_step
from sdfrepar.fitting.objective import choose_batch, eikonal_points, objective_of_batch
from sdfrepar.fitting.pixels import Pixels, bytes_of_pixels, gather_pixels
from sdfrepar.fitting.poses import PoseConfig, Way, make_pose_search
from sdfrepar.fitting.step import (
    FitState,
    first_state,
    make_optimiser,
    make_step,
    on_all_devices,
    shared_gradient,
    start,
)
from sdfrepar.fitting.views import count_of_views, exposed, of_views, seen_from

__all__ = [
    "Approach",
    "Batch",
    "CodesConfig",
    "CompletionConfig",
    "FitConfig",
    "FitState",
    "LiftedConfig",
    "Maps",
    "Pixels",
    "PoseConfig",
    "Tracked",
    "Way",
    "approach_pixels",
    "bytes_of_pixels",
    "choose_batch",
    "count_of_views",
    "draw_pixels",
    "draw_tracks",
    "eikonal_points",
    "exposed",
    "first_codes_state",
    "first_completion_state",
    "first_lifted_state",
    "first_state",
    "gather_pixels",
    "image_loss",
    "initial_codes",
    "lifted",
    "make_codes_step",
    "make_completion_step",
    "make_lifted_step",
    "make_optimiser",
    "make_pose_search",
    "make_step",
    "objective_of_batch",
    "of_shape",
    "of_views",
    "on_all_devices",
    "prefer_silhouettes",
    "seen_from",
    "shared_gradient",
    "start",
    "strided",
    "thinned",
    "whole_maps",
]
