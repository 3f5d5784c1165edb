"""Masks: how much they cover, and whether black and white are exchanged."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np


@dataclass(frozen=True)
class Coverage:
    """Shares of the pictures that masks cover."""

    everywhere: float  # of all pixels
    at_borders: float  # of those at the edges of the pictures
    in_the_middle: float  # of those around the centre

    @property
    def is_inverted(self) -> bool:
        """Objects are in the middle, and backgrounds at the border."""
        return self.at_borders > 0.5 and self.at_borders > self.in_the_middle + 0.2


def coverage(mask: np.ndarray) -> Coverage:
    """What a mask (H, W) covers."""
    height, width = mask.shape
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    middle = mask[3 * height // 8 : 5 * height // 8 + 1, 3 * width // 8 : 5 * width // 8 + 1]
    return Coverage(float(mask.mean()), float(border.mean()), float(middle.mean()))


def mean(found: Sequence[Coverage]) -> Coverage:
    """What several masks cover, on average."""
    return Coverage(*(float(share) for share in np.mean([astuple(one) for one in found], axis=0)))
