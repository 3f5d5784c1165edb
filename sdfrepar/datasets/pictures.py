"""The pictures of a data set: many files into one array of linear light."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sdfrepar import files

SUFFIXES = (".png", ".jpg", ".jpeg")
_THREADS = 4


class Pictures(NamedTuple):
    """The pictures of one set, downscaled."""

    images: np.ndarray  # (N, H, W, 3) float32, linear
    alpha: np.ndarray | None  # (N, H, W) float32; None unless every picture has alpha, and some of it is not 1
    size: tuple[int, int]  # (height, width) of the files, pixels


def load_pictures(paths: Sequence[Path], *, backdrop: float, downscale: int) -> Pictures:
    """Read the pictures of one set.

    Args:
        paths: N files, of one size.
        backdrop: linear grey in [0, 1] under transparent pixels.
        downscale: pixels a side that are averaged into one; the last rows and columns that fill no block are dropped.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the pictures differ in size, are smaller than one block, or cannot be read.
    """
    _require_files(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        loaded = list(pool.map(lambda path: _load_one(path, backdrop, downscale), paths))
    images, alphas, sizes = zip(*loaded, strict=True)
    _require_size(paths, sizes, sizes[0], f"{paths[0]} is")
    known = [alpha for alpha in alphas if alpha is not None]
    alpha = _informative(np.stack(known)) if len(known) == len(paths) else None
    return Pictures(np.stack(images), alpha, sizes[0])


def load_masks(paths: Sequence[Path], *, size: tuple[int, int], downscale: int) -> np.ndarray | None:
    """Read masks that lie in files of their own, white on the object.

    Args:
        paths: N files, grey or grey in three channels.
        size: (height, width) of the pictures' files, pixels.
        downscale: as for the pictures.

    Returns:
        (N, H, W) float32, share of the pixel that the object covers; None where every mask is white throughout, as
        formats that demand masks say that there are none.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a mask of another size than the pictures, or one that cannot be read.
    """
    _require_files(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        stored = list(pool.map(files.read_image, paths))
    _require_size(paths, [mask.shape[:2] for mask in stored], size, "its pictures are")
    return _informative(np.stack([area_average(mask[..., :3], downscale).mean(axis=-1) for mask in stored]))


def composite(stored: np.ndarray, backdrop: float) -> np.ndarray:
    """Linear (H, W, 3) of a stored sRGB picture (H, W, 3 or 4) before a linear grey `backdrop`.

    The mixture is taken of code values, as every published NeRF-synthetic figure does, although light adds linearly.
    """
    rgb = stored[..., :3]
    if stored.shape[-1] == 4:
        alpha = stored[..., 3:]
        rgb = alpha * rgb + (1 - alpha) * files.encode_srgb(np.asarray(backdrop, np.float32))
    return files.decode_srgb(rgb).astype(np.float32)


def area_average(picture: np.ndarray, factor: int) -> np.ndarray:
    """(H, W, C) to (H // factor, W // factor, C): the mean over each block of `factor` x `factor` pixels."""
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    whole = picture[: height * factor, : width * factor]
    return whole.reshape(height, factor, width, factor, -1).mean(axis=(1, 3))


def _load_one(path: Path, backdrop: float, downscale: int) -> tuple[np.ndarray, np.ndarray | None, tuple[int, int]]:
    """The picture (H, W, 3), its alpha (H, W) if it has one, and the (height, width) of the file."""
    stored = files.read_image(path)
    height, width = stored.shape[:2]
    if min(height, width) < downscale:
        raise ValueError(f"{path} is {width}x{height} pixels, too small for data.downscale {downscale}; lower it.")
    alpha = area_average(stored[..., 3:], downscale)[..., 0] if stored.shape[-1] == 4 else None
    return area_average(composite(stored, backdrop), downscale), alpha, (height, width)


def _informative(coverage: np.ndarray) -> np.ndarray | None:
    """The coverage, unless it is 1 everywhere and so says nothing."""
    return coverage.astype(np.float32) if coverage.min() < 1 else None


def _require_size(
    paths: Sequence[Path], sizes: Sequence[tuple[int, ...]], expected: tuple[int, int], whose: str
) -> None:
    for path, (height, width) in zip(paths, sizes, strict=True):
        if (height, width) != expected:
            raise ValueError(
                f"{path} is {width}x{height} pixels but {whose} {expected[1]}x{expected[0]}; "
                "expected pictures of one size, so resize or remove the odd ones."
            )


def _require_files(paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} pictures are missing, the first is {missing[0]}; "
            "check that the download is complete and that the names in the camera file match."
        )
