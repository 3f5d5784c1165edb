"""What is written as a data set, whatever the format: pictures, their cameras, and which are held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdfrepar import files
from sdfrepar.records import Camera

HELD_OUT = "test.txt"
"""The names of the held-out views, in formats that have no split: for `--data.holdout=test.txt`."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """N pictures with their cameras; the world of the files is scene space.

    Raises:
        ValueError: numbers of pictures, names and cameras that differ, or sizes that do.
    """

    images_srgb: np.ndarray
    """(N, H, W, 3), or (N, H, W, 4) with straight alpha, in [0, 1]."""
    cameras: Camera
    """Leading axis N."""
    names: Sequence[str]
    """File names without suffix."""
    test: Sequence[int] = ()
    """The views to be held out."""

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        cameras = len(np.asarray(self.cameras.position))
        if not len(self.images_srgb) == len(self.names) == cameras:
            raise ValueError(
                f"Cannot write {len(self.images_srgb)} pictures with {len(self.names)} names and {cameras} cameras; "
                "expected as many of each."
            )
        if self.images_srgb.shape[1:3] != self.cameras.resolution:
            raise ValueError(
                f"Cannot write pictures of shape {self.images_srgb.shape[1:3]} with cameras of resolution "
                f"{self.cameras.resolution}; expected the same (height, width)."
            )

    @property
    def world_to_camera(self) -> np.ndarray:
        """(N, 4, 4), OpenCV axes."""
        rotation, position = (np.asarray(leaf, np.float64) for leaf in (self.cameras.rotation, self.cameras.position))
        matrices = np.tile(np.eye(4), (len(position), 1, 1))
        matrices[:, :3, :3] = rotation.transpose(0, 2, 1)
        matrices[:, :3, 3] = -np.einsum("nji,nj->ni", rotation, position)
        return matrices

    def intrinsics(self, first_centre: float) -> np.ndarray:
        """K (N, 3, 3), where the first pixel's centre is at `first_centre`, pixels."""
        matrices = np.tile(np.eye(3), (len(self.names), 1, 1))
        matrices[:, [0, 1], [0, 1]] = np.asarray(self.cameras.focal, np.float64)
        matrices[:, :2, 2] = np.asarray(self.cameras.principal, np.float64) + first_centre - 0.5
        return matrices

    def write_pictures(self, folder: Path, masks: Path | None = None) -> None:
        """`<name>.png` in `folder`; the alpha, if there is one, as pictures of the same names in `masks`, if given."""
        for name, image in zip(self.names, self.images_srgb, strict=True):
            colours = image if masks is None else image[..., :3]
            files.write_image(folder / f"{name}.png", colours)
            if masks is not None and image.shape[-1] == 4:
                files.write_image(masks / f"{name}.png", np.repeat(image[..., 3:], 3, axis=-1))

    def write_split(self, folder: Path) -> None:
        """The names of the held-out views, if there are any."""
        if self.test:
            text = "".join(f"{self.names[i]}\n" for i in self.test)
            files.write_bytes(folder / HELD_OUT, text.encode())
