"""The pictures of a data set: many files into one array of linear light."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sdfrepar import files

_THREADS = 4


def load_pictures(paths: Sequence[Path], *, backdrop: float, downscale: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Read the pictures of one set.

    Args:
        paths: N files, of one size.
        backdrop: linear grey in [0, 1] under transparent pixels.
        downscale: pixels a side that are averaged into one; the last rows and columns that fill no block are dropped.

    Returns:
        (N, H, W, 3) float32, linear, downscaled; and the (height, width) of the files, pixels.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the pictures differ in size, are smaller than one block, or cannot be read.
    """
    _require_files(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        loaded = list(pool.map(lambda path: _load_one(path, backdrop, downscale), paths))
    size = loaded[0][1]
    for path, (_, other) in zip(paths, loaded, strict=True):
        if other != size:
            raise ValueError(
                f"{path} is {other[1]}x{other[0]} pixels but {paths[0]} is {size[1]}x{size[0]}; "
                "expected pictures of one size, so resize or remove the odd ones."
            )
    return np.stack([picture for picture, _ in loaded]), size


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


def _load_one(path: Path, backdrop: float, downscale: int) -> tuple[np.ndarray, tuple[int, int]]:
    stored = files.read_image(path)
    height, width = stored.shape[:2]
    if min(height, width) < downscale:
        raise ValueError(f"{path} is {width}x{height} pixels, too small for data.downscale {downscale}; lower it.")
    return area_average(composite(stored, backdrop), downscale), (height, width)


def _require_files(paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} pictures are missing, the first is {missing[0]}; "
            "check that the download is complete and that the names in the camera file match."
        )
