"""The training pictures: small ones for the scene, and any of them on the film of its own camera."""

import functools
import math

import numpy as np

from sdfrepar import files
from sdfrepar.records import Camera, Views

_SMALL = 96


class Photographs:
    """Pictures as they are looked at; the cameras of a run that refines them move on without."""

    def __init__(self, views: Views):
        """Of the training views."""
        self._views = views
        # A few of them at a few sizes: those that somebody goes back and forth between.
        self._reduced = functools.lru_cache(maxsize=32)(self._reduce)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pictures."""
        return self._views.names

    def small(self, index: int) -> np.ndarray:
        """A picture (H, W, 3), uint8 sRGB, not larger than 96 pixels."""
        height, width = self._views.cameras.resolution
        return files.as_bytes(self._reduced(index, max(math.ceil(max(height, width) / _SMALL), 1)))

    def on_film(self, index: int, camera: Camera, film: Camera) -> np.ndarray:
        """A picture as a film sees it whose camera stands where its own does: (H, W, 3) sRGB, NaN beside the picture.

        Args:
            index: of the picture.
            camera: that which took it; NumPy leaves.
            film: with the same pose, and any intrinsics.
        """
        height, width = film.resolution
        rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
        on_plane = (np.stack([columns, rows], axis=-1) - film.principal) / film.focal
        focal, principal = np.asarray(camera.focal), np.asarray(camera.principal)
        by = max(round(float(np.max(focal / np.asarray(film.focal)))), 1)
        return _between_pixels(self._reduced(index, by), (on_plane * focal + principal) / by)

    def _reduce(self, index: int, by: int) -> np.ndarray:
        """A picture of means over `by` x `by` pixels, sRGB float32; what is left at the borders is left out."""
        picture = np.asarray(files.encode_srgb(self._views.images[index]), np.float32)
        height, width = (by * (n // by) for n in picture.shape[:2])
        blocks = picture[:height, :width].reshape(height // by, by, width // by, by, 3)
        return blocks.mean(axis=(1, 3))


def _between_pixels(picture: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The colours (H, W, 3) of a picture at u (H, W, 2), pixels, linear between pixels' middles; NaN outside."""
    height, width = picture.shape[:2]
    beside = (u[..., 0] < 0) | (u[..., 0] > width) | (u[..., 1] < 0) | (u[..., 1] > height)
    column, row = (np.clip(u[..., i] - 0.5, 0, n - 1) for i, n in enumerate((width, height)))
    left, above = column.astype(int), row.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(above + 1, height - 1)
    across, down = (column - left)[..., None], (row - above)[..., None]
    upper = (1 - across) * picture[above, left] + across * picture[above, right]
    lower = (1 - across) * picture[below, left] + across * picture[below, right]
    return np.where(beside[..., None], np.nan, (1 - down) * upper + down * lower).astype(np.float32)
