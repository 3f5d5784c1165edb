"""The numbers of a held-out view: against its photograph, its mask and, where the data set has them, exact maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage.filters import threshold_li

from sdfrepar import evaluation, files
from sdfrepar.records import Image, Views

# Photographs whose borders are darker than this are taken to have a black background. The luminance is that of the
# pixel values as they are stored, sRGB.
DARK = 0.05


class ExactMaps(NamedTuple):
    """What the held-out views see through the middles of their pixels; world frame and units."""

    depth: np.ndarray  # (N, H, W) z along the optical axis, 0 where there is nothing
    normal: np.ndarray  # (N, H, W, 3) outward
    mask: np.ndarray  # (N, H, W) boolean, where there is something


def load_exact(path: Path, test: Views) -> ExactMaps | None:
    """The maps of the held-out views, if the data set has them in the views' number and size."""
    if not path.exists():
        return None
    exact = read_exact(path)
    expected = (len(test), *test.cameras.resolution)
    if exact.mask.shape != expected:
        print(
            f"{path} has maps {exact.mask.shape}, the held-out views are {expected}: depth and normals are not scored"
        )
        return None
    return exact


def read_exact(path: Path) -> ExactMaps:
    """The maps in a file.

    Raises:
        FileNotFoundError, ValueError: no such file, or one that holds other arrays.
    """
    axes = (None, None, None)
    stored = files.read_arrays(path, {"depth": axes, "normal": (*axes, 3), "mask": axes})
    exact = ExactMaps(stored["depth"], stored["normal"], stored["mask"].astype(bool))
    if not exact.depth.shape == exact.normal.shape[:3] == exact.mask.shape:
        raise ValueError(
            f"{path} has maps of shapes {exact.depth.shape}, {exact.normal.shape} and {exact.mask.shape}; expected as "
            "many pixels of each."
        )
    return exact


def score_view(
    image: Image, rendered: np.ndarray, photograph: np.ndarray, test: Views, index: int, exact: ExactMaps | None
) -> dict[str, float]:
    """The scores of one view.

    Args:
        image: what was rendered, NumPy leaves.
        rendered: (H, W, 3) its colours, sRGB in [0, 1].
        photograph: (H, W, 3) sRGB in [0, 1].
        test: the held-out views.
        index: of the view.
        exact: of all views.
    """
    scores = {"psnr": evaluation.psnr(photograph, rendered), "ssim": evaluation.ssim(photograph, rendered)}
    mask = None if test.masks is None else test.masks[index] > 0.5
    if mask is not None and mask.any():
        scores["psnr_in_mask"] = evaluation.psnr(photograph, rendered, mask)
    if mask is None:
        mask = _bright(photograph) if exact is None else exact.mask[index]
    covered = np.asarray(image.opacity) > 0.5
    if mask is not None:
        scores["silhouette_iou"] = evaluation.mask_iou(covered, mask)
    if exact is not None and (covered & exact.mask[index]).any():
        scores |= _score_maps(image, test.world_from_scene, exact, index, covered & exact.mask[index])
    return scores


def mean_scores(views: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score over the views that have it."""
    names = dict.fromkeys(name for view in views for name in view)
    return {name: float(np.mean([view[name] for view in views if name in view])) for name in names}


def _bright(photograph: np.ndarray) -> np.ndarray | None:
    """The silhouette before a black background, (H, W) boolean; None before another.

    What parts the object from the dim things behind it, a curtain, a stand, is the threshold of least cross-entropy.
    """
    luminance = evaluation.luminance(photograph)
    border = np.concatenate([luminance[0], luminance[-1], luminance[:, 0], luminance[:, -1]])
    return luminance > threshold_li(luminance) if np.median(border) < DARK else None


def _score_maps(
    image: Image, world_from_scene: np.ndarray, exact: ExactMaps, index: int, both: np.ndarray
) -> dict[str, float]:
    """Errors of depth (world units) and of normals (degrees) where `both` have a surface."""
    to_world = world_from_scene[:3, :3]
    depth = np.cbrt(np.linalg.det(to_world)) * np.asarray(image.depth)
    normal = np.asarray(image.normal) @ to_world.T
    return {
        "depth_error": evaluation.depth_error(depth, exact.depth[index], both),
        "normal_error": evaluation.normal_error(normal, exact.normal[index], both),
    }
