"""What a data set's own files say, before any picture is read: what every reader returns."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdfrepar.datasets.lenses import Lens

CORNER, CENTRE = 0.5, 0.0
"""Where formats have the centre of the first pixel: half a pixel from its corner, or at whole numbers."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """N pictures and the cameras that took them, in the world frame of the files."""

    pictures: tuple[Path, ...]
    """Their files."""
    names: tuple[str, ...]
    """What each is called, in reports and by `holdout`."""
    focal: np.ndarray
    """(N, 2) pixels."""
    principal: np.ndarray
    """(N, 2) pixels, counted as the format does."""
    first_centre: float
    """Where the format has the centre of the first pixel, pixels."""
    rotation: np.ndarray
    """(N, 3, 3) world from camera, OpenCV axes."""
    position: np.ndarray
    """(N, 3) world units."""
    masks: tuple[Path, ...] | None = None
    """Files of masks, one a picture, white on the object."""
    sizes: np.ndarray | None = None
    """(N, 2) height and width, pixels, that the intrinsics are for; None for the pictures' own."""
    lenses: tuple[Lens, ...] | None = None
    """What bends the rays; None for pinholes."""
    test: tuple[int, ...] | None = None
    """The views that the format itself holds out; None where it does not say."""
    world_from_scene: np.ndarray | None = None
    """(4, 4) similarity: the format's own idea of the unit sphere."""
    points: np.ndarray | None = None
    """(P, 3) points on what the pictures show, world units."""
