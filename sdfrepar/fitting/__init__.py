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
maps        what a depth camera has seen
completion  a code, from pictures of depth, normals and silhouette [D20]
claims      a code, from what the rays of a scan claim of the field
lifted      a code, from points lifted along their normals: the baseline of both
ranges      a field, from range scans, without a prior
pairs       a code, from colours that pairs of pictures share
least_squares  the search that claims and pairs make use of
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
from sdfrepar.fitting.claims import Claims, ClaimsConfig, make_claims_search
from sdfrepar.fitting.codes import CodesConfig, first_codes_state, initial_codes, make_codes_step, of_shape
from sdfrepar.fitting.completion import (
    CompletionConfig,
    first_completion_state,
    image_loss,
    make_completion_step,
)
from sdfrepar.fitting.config import FitConfig
from sdfrepar.fitting.least_squares import Quadratic, Search, SearchState, make_search, sum_of_squares
from sdfrepar.fitting.lifted import LiftedConfig, first_lifted_state, lifted, make_lifted_step
from sdfrepar.fitting.maps import Maps, strided, whole_maps
from sdfrepar.fitting.objective import choose_batch, eikonal_points, objective_of_batch
from sdfrepar.fitting.pairs import PairsConfig, make_pairs_search
from sdfrepar.fitting.pixels import Pixels, bytes_of_pixels, gather_pixels
from sdfrepar.fitting.poses import PoseConfig, Way, make_pose_search
from sdfrepar.fitting.ranges import Ranges, RangesConfig, first_ranges_state, make_ranges_step
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
    "Claims",
    "ClaimsConfig",
    "CodesConfig",
    "CompletionConfig",
    "FitConfig",
    "FitState",
    "LiftedConfig",
    "Maps",
    "PairsConfig",
    "Pixels",
    "PoseConfig",
    "Quadratic",
    "Ranges",
    "RangesConfig",
    "Search",
    "SearchState",
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
    "first_ranges_state",
    "first_state",
    "gather_pixels",
    "image_loss",
    "initial_codes",
    "lifted",
    "make_claims_search",
    "make_codes_step",
    "make_completion_step",
    "make_lifted_step",
    "make_optimiser",
    "make_pairs_search",
    "make_pose_search",
    "make_ranges_step",
    "make_search",
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
    "sum_of_squares",
    "whole_maps",
]
