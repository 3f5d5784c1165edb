"""Pictures and masks that lie in files, each decoded when it is asked for.

A set of a thousand photographs so takes no more memory than those that are at work.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar import files
from sdfrepar.datasets.undistortion import Straight, resampled

SUFFIXES = (".png", ".jpg", ".jpeg")
_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of pixels, and what is to be done to them."""

    path: Path
    """The file."""
    downscale: int = 1
    """Pixels a side that are averaged into one; the last rows and columns that fill no block are dropped."""
    straight: Straight | None = None
    """How the lens's distortion is taken out; None for a pinhole."""


@dataclass(frozen=True)
class _Decoded(ABC):
    """N arrays of one shape: item i is decoded now, from its file; an array of indices gives fewer."""

    sources: tuple[Source, ...]

    def __len__(self) -> int:
        """N."""
        return len(self.sources)

    def __getitem__(self, index: int | np.ndarray) -> Any:
        """One array, or those at an array of indices.

        Raises:
            FileNotFoundError, ValueError: a file that has gone or cannot be read.
        """
        if isinstance(index, np.ndarray):
            return replace(self, sources=tuple(self.sources[i] for i in index))
        source = self.sources[index]
        picture = self._values(files.read_image(source.path))
        if source.straight is not None:
            picture = resampled(picture, source.straight.source)
        return area_average(picture, source.downscale).astype(np.float32)

    @abstractmethod
    def _values(self, stored: np.ndarray) -> np.ndarray:
        """What a stored picture (H, W, 3 or 4) says: (H, W, C)."""


@dataclass(frozen=True)
class Pictures(_Decoded):
    """N pictures of one size: (H, W, 3) float32, linear."""

    backdrop: float
    """Linear grey in [0, 1] under transparent pixels."""
    dtype: np.dtype
    """What holds the pixels of the files without loss, uint8 or uint16: whoever keeps many keeps them so."""

    def _values(self, stored: np.ndarray) -> np.ndarray:
        return composite(stored, self.backdrop)


@dataclass(frozen=True)
class Masks(_Decoded):
    """N masks of one size: (H, W) float32, share of the pixel that the object covers."""

    inverted: bool
    """Whether the files are black on the object."""
    of_alpha: bool
    """Whether the files are pictures whose alpha is the mask."""

    @property
    def dtype(self) -> np.dtype:
        """A byte tells shares of a pixel well enough."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: int | np.ndarray) -> Any:
        """A mask, or the masks at an array of indices, see `Pictures`."""
        found = super().__getitem__(index)
        return found if isinstance(index, np.ndarray) else found[..., 0]

    def _values(self, stored: np.ndarray) -> np.ndarray:
        coverage = stored[..., 3:] if self.of_alpha else stored[..., :3].mean(axis=-1, keepdims=True)
        return 1.0 - coverage if self.inverted else coverage

    def say_something(self) -> bool:
        """Whether some pixel is not covered: formats that demand masks say by white ones that there are none."""
        return any(each(lambda i: np.asarray(self[i]).min() < 1.0, range(len(self))))


def kinds_of(paths: Sequence[Path]) -> list[files.PictureKind]:
    """Size and channels of pictures, from the beginnings of their files.

    Raises:
        FileNotFoundError: a file is missing; the sentence counts them.
        ValueError: a file is no picture.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} pictures are missing, the first is {missing[0]}; "
            "check that the download is complete and that the names in the camera file match."
        )
    return of_each(files.picture_kind, paths)


def of_each(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """A function of each item, a few at a time."""
    return list(each(function, items))


def each(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """As `of_each`, one after the other: where no more are asked for, no more are begun."""
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(function, items)


def require_one_size(
    paths: Sequence[Path], sizes: Sequence[tuple[int, int]], expected: tuple[int, int], whose: str
) -> None:
    """Refuse files whose (height, width) is not the expected one.

    Raises:
        ValueError: there is one.
    """
    for path, (height, width) in zip(paths, sizes, strict=True):
        if (height, width) != expected:
            raise ValueError(
                f"{path} is {width}x{height} pixels but {whose} {expected[1]}x{expected[0]}; "
                "expected pictures of one size, so resize or remove the odd ones."
            )


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
