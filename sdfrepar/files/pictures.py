"""Pictures: PNG and JPEG, and the sRGB curve that their values lie on.

imageio takes long to import and is therefore imported where it is used.
"""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sdfrepar.files.raw import reason, require_file, write_bytes

# What Pillow may be asked to open, and colours whose channels are not those of light.
_FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")
_INKS = ("CMYK", "YCbCr", "LAB", "HSV")


def encode_srgb(linear: ArrayLike) -> np.ndarray:
    """The sRGB code values in [0, 1] of linear light in [0, 1]; any shape, dtype kept."""
    linear = np.asarray(linear)
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curved)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """The linear light in [0, 1] of sRGB code values in [0, 1]; any shape, dtype kept."""
    encoded = np.asarray(encoded)
    curved = ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, curved)


def as_bytes(unit: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as the nearest of 256 levels; any shape."""
    return np.round(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)


def read_image(path: str | Path) -> np.ndarray:
    """A picture as it is stored (sRGB): (H, W, 3), or (H, W, 4) with straight alpha; float32 in [0, 1].

    Grey is repeated into three channels. PNGs of 16 bits keep them all.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture of 8 or 16 bits, grey or RGB, or one of more pixels than fit into memory.
    """
    import imageio.v3 as imageio

    path = require_file(path)
    # From memory and by one plugin: trying them all on a path leaves the file open.
    encoded = path.read_bytes()
    _require_picture(path, BytesIO(encoded))
    try:
        stored = _deep_png(encoded) if _is_deep(encoded) else imageio.imread(encoded, plugin="pillow")
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a picture; expected a whole PNG or JPEG.") from error
    if stored.ndim == 2:
        stored = stored[..., None]
    if stored.ndim != 3 or stored.shape[2] not in (1, 2, 3, 4):
        raise ValueError(
            f"{path} holds an array of shape {stored.shape}; expected one still picture of 1 to 4 channels."
        )
    return _three_colours(stored.astype(np.float32) / _white_level(stored.dtype, path))


class PictureKind(NamedTuple):
    """What the beginning of a picture's file says."""

    size: tuple[int, int]  # (height, width), pixels
    has_alpha: bool  # straight
    dtype: np.dtype  # uint8 or uint16: what holds the file's values


def picture_kind(path: str | Path) -> PictureKind:
    """Size, channels and depth of a picture, without decoding it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, or one that `read_image` refuses by its header.
    """
    import imageio.v3 as imageio

    path = require_file(path)
    _require_picture(path, path)
    try:
        shape = imageio.improps(path, plugin="pillow").shape
        with path.open("rb") as file:
            is_deep = _is_deep(file.read(32))
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a picture; expected a whole PNG or JPEG.") from error
    height, width, channels = (*shape, 1)[:3]
    return PictureKind((height, width), channels in (2, 4), np.dtype(np.uint16 if is_deep else np.uint8))


def write_image(path: str | Path, rgb_srgb: np.ndarray) -> None:
    """Write an 8-bit PNG, atomically, creating parent folders.

    Args:
        path: ends in `.png`.
        rgb_srgb: (H, W, 3) or (H, W, 4), sRGB in [0, 1]; clipped, then rounded to the nearest of 256 levels.

    Raises:
        ValueError: another suffix or shape, or values that are not finite.
    """
    import imageio.v3 as imageio

    path, rgb_srgb = Path(path), np.asarray(rgb_srgb)
    if path.suffix.lower() != ".png":
        raise ValueError(f"Cannot write a picture to {path}: pictures are written as PNG, so end the name in .png.")
    if rgb_srgb.ndim != 3 or rgb_srgb.shape[2] not in (3, 4):
        raise ValueError(
            f"Cannot write {path} from an array of shape {rgb_srgb.shape}; expected (H, W, 3) or (H, W, 4)."
        )
    if not np.isfinite(rgb_srgb).all():
        raise ValueError(f"Cannot write {path}: the picture holds NaN or infinity; find where they come from first.")
    write_bytes(path, imageio.imwrite("<bytes>", as_bytes(rgb_srgb), extension=".png"))


def _require_picture(path: Path, source: Path | BytesIO) -> None:
    """Refuse, by its header, what no reader of pictures should be given: other formats, inks, and decompression bombs.

    Pillow by itself gives PostScript to an interpreter.
    """
    from PIL import Image

    try:
        with Image.open(source, formats=_FORMATS) as picture:
            size, mode = picture.size, picture.mode
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large a picture ({reason(error)}); expected less, so shrink it.") from error
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a picture; expected a whole PNG or JPEG.") from error
    if not all(size):
        raise ValueError(f"{path} is a picture of {size[0]}x{size[1]} pixels; expected some, so write it again.")
    if mode in _INKS:
        raise ValueError(f"{path} has the colours {mode}; expected grey or RGB, so convert it.")


def _is_deep(encoded: bytes) -> bool:
    """Whether these are the first bytes of a PNG of 16 bits."""
    return encoded[:8] == b"\x89PNG\r\n\x1a\n" and encoded[24:25] == b"\x10"


def _deep_png(encoded: bytes) -> np.ndarray:
    """The values (H, W, C) of a PNG of 16 bits, uint16; Pillow would drop the lower 8 of colours."""
    import png

    width, _, rows, about = png.Reader(bytes=encoded).asDirect()
    return np.stack([np.asarray(row, np.uint16) for row in rows]).reshape(-1, width, about["planes"])


def _white_level(dtype: np.dtype, path: Path) -> float:
    levels = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0}
    if dtype.name not in levels:
        raise ValueError(f"{path} stores its pixels as {dtype.name}; expected 8 or 16 bits, so convert it to PNG.")
    return levels[dtype.name]


def _three_colours(stored: np.ndarray) -> np.ndarray:
    """(H, W, 1..4) as (H, W, 3), or (H, W, 4) where there is an alpha."""
    if stored.shape[2] > 2:
        return stored
    return np.concatenate([np.repeat(stored[..., :1], 3, axis=2), stored[..., 1:]], axis=2)
