"""Posed views on the host: building, shrinking and choosing them.

Readers work in float64, so that a world far from its origin loses nothing before `normalisation.to_unit_sphere` moves
it to the unit sphere and rounds to float32.
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from sdfrepar.records import Camera, Views


def cameras_of(
    *,
    focal: np.ndarray,
    principal: np.ndarray,
    rotation: np.ndarray,
    position: np.ndarray,
    resolution: tuple[int, int],
) -> Camera:
    """N cameras from NumPy arrays, kept as they are.

    Args:
        focal: (N, 2) pixels.
        principal: (N, 2) pixels, corner convention.
        rotation: (N, 3, 3) world from camera, OpenCV axes.
        position: (N, 3) world units.
        resolution: (height, width), pixels.
    """
    # The record is declared with jax.Array; on the host its leaves are NumPy arrays.
    return Camera(
        focal=focal,  # pyright: ignore[reportArgumentType]
        principal=principal,  # pyright: ignore[reportArgumentType]
        rotation=rotation,  # pyright: ignore[reportArgumentType]
        position=position,  # pyright: ignore[reportArgumentType]
        resolution=resolution,
    )


def downscaled(cameras: Camera, factor: int) -> Camera:
    """The cameras of pictures shrunk by `pictures.area_average`: exact, as the corner convention has no half pixels."""
    height, width = cameras.resolution
    return dataclasses.replace(
        cameras,
        focal=np.asarray(cameras.focal) / factor,
        principal=np.asarray(cameras.principal) / factor,
        resolution=(height // factor, width // factor),
    )


def select(views: Views, indices: Sequence[int]) -> Views:
    """The views at `indices`, in that order."""
    chosen = np.asarray(indices, dtype=int)
    return Views(
        images=views.images[chosen],
        cameras=jax.tree.map(lambda leaf: leaf[chosen], views.cameras),
        names=tuple(views.names[i] for i in indices),
        world_from_scene=views.world_from_scene,
        masks=None if views.masks is None else views.masks[chosen],
    )


def split(views: Views, holdout: Sequence[int]) -> tuple[Views, Views]:
    """The views not in `holdout`, and those in it.

    Raises:
        ValueError: an index that names no view, or nothing left on one side.
    """
    total = len(views)
    strays = [index for index in holdout if not 0 <= index < total]
    if strays:
        raise ValueError(
            f"data.holdout names view {strays[0]} but there are {total} views; expected indices from 0 to {total - 1}."
        )
    test = sorted(set(holdout))
    train = [index for index in range(total) if index not in set(test)]
    if not test or not train:
        raise ValueError(
            f"data.holdout keeps {len(test)} of {total} views for testing; expected at least one view for testing "
            "and one for training."
        )
    return select(views, train), select(views, test)
