"""What the user may choose about a data set, whatever its format."""

from dataclasses import dataclass
from typing import Literal

SphereSource = Literal["auto", "format", "masks", "points", "cameras"]


@dataclass(frozen=True)
class DataConfig:
    """How a folder of pictures becomes views of the unit sphere.

    Raises:
        ValueError: a number outside its range.
    """

    sphere: SphereSource = "auto"
    """What says which sphere of the world becomes the unit sphere: the format's own numbers, the masks' visual hull,
    the points of the reconstruction, or where the cameras look. auto takes the first of these that there is."""
    centre: tuple[float, float, float] | None = None
    """Centre of the sphere that becomes the unit sphere, world units, in place of the one found."""
    radius: float | None = None
    """Its radius, world units, in place of the one found."""
    backdrop: float = 1.0
    """Linear grey laid under transparent pixels; pictures without alpha ignore it."""
    holdout: str = "every 8"
    """Which views, in the order of their names, are kept for testing: every so many ("every 8"), by index ("0,8"), or
    those that a text file lists ("test.txt"). Formats with a split of their own ignore it."""
    downscale: int = 1
    """Average blocks of this many pixels a side into one."""
    pixel_offset: float | None = None
    """Where the camera file has the centre of the first pixel: 0.5, or 0 where it counts centres by whole numbers. None
    for what the format says."""
    inverted_masks: bool = False
    """Whether masks are black on the object."""

    def __post_init__(self) -> None:
        if self.centre is not None and len(self.centre) != 3:
            raise ValueError(f"data.centre is {self.centre}; expected three coordinates in world units.")
        if self.radius is not None and not self.radius > 0:
            raise ValueError(f"data.radius is {self.radius}; expected a positive length in world units.")
        if not 0 <= self.backdrop <= 1:
            raise ValueError(f"data.backdrop is {self.backdrop}; expected a linear grey from 0 (black) to 1 (white).")
        if self.downscale < 1:
            raise ValueError(f"data.downscale is {self.downscale}; expected a whole number from 1 (full size) up.")
        if self.pixel_offset is not None and not 0 <= self.pixel_offset <= 1:
            raise ValueError(
                f"data.pixel_offset is {self.pixel_offset}; expected the place of the first pixel's centre, 0 or 0.5."
            )
