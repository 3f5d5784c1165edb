"""From samples to pixels, and pixels among themselves.

    filters     kernels and the densities that sample them
    sampling    points more even than chance
    estimators  one pixel and its derivative
    mosaic      whole pictures, whose pixels share samples
    tones       the sRGB curve
    pyramid     halved resolutions

Nothing here knows a field.
"""

from sdfrepar.imaging.estimators import FilmConfig, pixel, pixel_positions
from sdfrepar.imaging.filters import FILTERS, Filter
from sdfrepar.imaging.mosaic import corners, film_positions, half_way, looked_up, margin, picture
from sdfrepar.imaging.pyramid import pyramid, tent_from_box
from sdfrepar.imaging.sampling import line_points, scrambled_sobol, square_points
from sdfrepar.imaging.tones import linear_from_srgb, srgb_from_linear

__all__ = [
    "FILTERS",
    "FilmConfig",
    "Filter",
    "corners",
    "film_positions",
    "half_way",
    "line_points",
    "linear_from_srgb",
    "looked_up",
    "margin",
    "picture",
    "pixel",
    "pixel_positions",
    "pyramid",
    "scrambled_sobol",
    "square_points",
    "srgb_from_linear",
    "tent_from_box",
]
