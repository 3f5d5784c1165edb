"""Scores of a picture against another."""

import numpy as np

from sdfrepar.evaluation.inputs import chosen, float_pictures

# Rec. 709 weights of linear red, green and blue.
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])

# The Gaussian of SSIM, sigma 1.5 cut at 3.5 sigma, is this many pixels wide.
_SSIM_WINDOW = 11


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Rec. 709 luminance of linear colours.

    Args:
        rgb: (..., 3) linear.

    Returns:
        (...) linear.

    Raises:
        ValueError: the last axis is not 3.
    """
    rgb = np.asarray(rgb)
    if rgb.ndim == 0 or rgb.shape[-1] != 3:
        raise ValueError(f"rgb has shape {rgb.shape}, expected (..., 3); put the colour channels last.")
    return rgb @ _LUMINANCE.astype(np.result_type(rgb, np.float32))


def psnr(a_srgb: np.ndarray, b_srgb: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio of two pictures, dB.

    Protocol: -10 log10 of the mean squared difference over all channels of all pixels, or of those of the mask; peak 1,
    in sRGB as given: nothing is clipped or rounded. Identical pictures give infinity.

    Args:
        a_srgb: (..., 3) sRGB in [0, 1].
        b_srgb: same shape.
        mask: (...) boolean, the pixels that count; all of them by default.

    Raises:
        ValueError: pictures that are empty, of unlike shapes, or of integers; a mask that is not boolean or chooses
            nothing.
    """
    a, b = float_pictures(a_srgb, b_srgb)
    if mask is not None:
        a, b = chosen(a, mask, "pictures"), chosen(b, mask, "pictures")
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0.0 else float(-10.0 * np.log10(error))


def ssim(a_srgb: np.ndarray, b_srgb: np.ndarray) -> float:
    """Structural similarity of two pictures; 1 when identical.

    Protocol: Wang et al. 2004 as scikit-image computes it: Gaussian weights of sigma 1.5 in an 11 x 11 window,
    population covariance, data range 1, mean over the channels and over the pixels at least 5 from the border.

    Args:
        a_srgb: (H, W, 3) sRGB in [0, 1]; H and W at least 11.
        b_srgb: same shape.

    Raises:
        ValueError: pictures that are too small, of unlike shapes, or of integers.
    """
    from skimage.metrics import structural_similarity

    a, b = float_pictures(a_srgb, b_srgb)
    if a.ndim != 3 or min(a.shape[:2]) < _SSIM_WINDOW:
        raise ValueError(
            f"The pictures have shape {a.shape}, expected (H, W, 3) with sides of at least {_SSIM_WINDOW} pixels; "
            "score one picture at a time, at a larger size."
        )
    score = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=-1
    )
    return np.asarray(score).item()
