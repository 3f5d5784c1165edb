"""What the user may choose about a data set, whatever its format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataConfig:
    """How a folder of pictures becomes views of the unit sphere.

    Raises:
        ValueError: a number outside its range.
    """

    centre: tuple[float, float, float] | None = None
    """Centre of the sphere that becomes the unit sphere, world units; None lets the format decide."""
    radius: float | None = None
    """Its radius, world units; None lets the format decide."""
    backdrop: float = 1.0
    """Linear grey laid under transparent pixels; pictures without alpha ignore it."""
    holdout: tuple[int, ...] = (0, 8)
    """Which of the views, sorted by name, are kept for testing; formats with a split of their own ignore it."""
    downscale: int = 1
    """Average blocks of this many pixels a side into one."""

    def __post_init__(self) -> None:
        if self.centre is not None and len(self.centre) != 3:
            raise ValueError(f"data.centre is {self.centre}; expected three coordinates in world units.")
        if self.radius is not None and not self.radius > 0:
            raise ValueError(f"data.radius is {self.radius}; expected a positive length in world units.")
        if not 0 <= self.backdrop <= 1:
            raise ValueError(f"data.backdrop is {self.backdrop}; expected a linear grey from 0 (black) to 1 (white).")
        if self.downscale < 1:
            raise ValueError(f"data.downscale is {self.downscale}; expected a whole number from 1 (full size) up.")
