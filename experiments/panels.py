"""Pictures with words above them."""

import math

import numpy as np

_LEAST_WIDTH = 224
_LABEL_HEIGHT, _LABEL_SIZE = 18, 12


def labelled(picture: np.ndarray, label: str, least_width: int = _LEAST_WIDTH) -> np.ndarray:
    """A picture (H, W, 3), its pixels enlarged to squares that can be seen, under a line of text."""
    from PIL import Image, ImageDraw, ImageFont

    times = math.ceil(least_width / picture.shape[1])
    large = np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
    strip = Image.new("RGB", (large.shape[1], _LABEL_HEIGHT), "white")
    ImageDraw.Draw(strip).text((4, 1), label, fill="black", font=ImageFont.load_default(_LABEL_SIZE))
    return np.concatenate([np.asarray(strip, np.float32) / 255.0, large.astype(np.float32)])


def grid(columns: list[list[np.ndarray]]) -> np.ndarray:
    """Pictures beside and below one another, at their top left."""
    height = max(picture.shape[0] for column in columns for picture in column)
    width = max(picture.shape[1] for column in columns for picture in column)

    def padded(picture: np.ndarray) -> np.ndarray:
        missing = (0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)
        return np.pad(picture, missing, constant_values=1.0)

    return np.concatenate([np.concatenate([padded(picture) for picture in column]) for column in columns], axis=1)
