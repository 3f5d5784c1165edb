"""Masks: how much they cover, and whether black and white are exchanged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdfrepar.records import Pictures


@dataclass(frozen=True)
class Coverage:
    """Shares of the pictures that masks cover."""

    everywhere: float
    at_borders: float
    in_the_middle: float

    @property
    def is_inverted(self) -> bool:
        """Objects are in the middle, and backgrounds at the border."""
        return self.at_borders > 0.5 and self.at_borders > self.in_the_middle + 0.2


def coverage(masks: Pictures, views: Sequence[int]) -> Coverage:
    """What the masks (H, W) of some views cover, on average."""
    shares = []
    for view in views:
        mask = np.asarray(masks[view])
        height, width = mask.shape
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        middle = mask[3 * height // 8 : 5 * height // 8 + 1, 3 * width // 8 : 5 * width // 8 + 1]
        shares.append((mask.mean(), border.mean(), middle.mean()))
    return Coverage(*(float(share) for share in np.mean(shares, axis=0)))
