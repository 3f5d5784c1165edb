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
