"""Pictures as a pinhole would have taken them."""

from dataclasses import dataclass

import numpy as np

from sdfrepar.datasets.lenses import Lens

# Points along each side of a picture at which its outline is followed.
_OUTLINE = 64

# Zooms that are tried, in steps of a hundredth.
_ZOOMS = np.arange(1.0, 3.0, 0.01)


@dataclass(frozen=True)
class Straight:
    """The pinhole camera of an undistorted picture, and where its pixels lie in the picture as it was taken."""

    focal: np.ndarray  # (2,) pixels
    principal: np.ndarray  # (2,) pixels, corner convention
    source: np.ndarray  # (H, W, 2) float32, film positions in the distorted picture, corner convention


def straighten(
    lens: Lens, focal: np.ndarray, principal: np.ndarray, size: tuple[int, int], name: str = "picture"
) -> Straight:
    """A pinhole of the same size and principal point that sees nothing the lens did not.

    Its focal length is the lens's, or as little more as fills the picture to its corners.

    Args:
        lens: what bends the rays.
        focal: (2,) pixels.
        principal: (2,) pixels, corner convention.
        size: (height, width), pixels.
        name: of the picture, for the complaint.

    Raises:
        ValueError: a lens that no reasonable zoom makes straight, as its numbers are not those of a lens.
    """
    height, width = size
    outline = _outline(height, width)
    for zoom in _ZOOMS:
        seen = principal + focal * lens.distort((outline - principal) / (zoom * focal))
        if np.all((seen >= -0.5) & (seen <= np.array([width, height]) + 0.5)):
            break
    else:
        raise ValueError(
            f"{name}: its lens distortion {lens} leaves no picture of {width}x{height} pixels; expected the numbers of "
            "a real lens, so check k1, k2, p1, p2 and the camera model in the camera file."
        )
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    film = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    source = principal + focal * lens.distort((film - principal) / (zoom * focal))
    return Straight(zoom * focal, principal, source.reshape(height, width, 2).astype(np.float32))


def resampled(picture: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) at film positions (H', W', 2): cubic between pixel centres, edges repeated, range kept."""
    from scipy.ndimage import map_coordinates

    at = [source[..., 1] - 0.5, source[..., 0] - 0.5]
    channels = [
        map_coordinates(picture[..., c], at, order=3, mode="nearest", output=np.float32)
        for c in range(picture.shape[-1])
    ]
    return np.clip(np.stack(channels, axis=-1), picture.min(), picture.max())


def _outline(height: int, width: int) -> np.ndarray:
    """Film positions along the four sides of a picture."""
    along = np.linspace(0.0, 1.0, _OUTLINE)
    low, high = np.zeros(_OUTLINE), np.ones(_OUTLINE)
    sides = [(along, low), (along, high), (low, along), (high, along)]
    return np.concatenate([np.stack([width * x, height * y], axis=1) for x, y in sides])
