"""Scores of pictures, masks, solids and surfaces. NumPy in, floats out; each docstring states its protocol."""

import numpy as np

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


def psnr(a_srgb: np.ndarray, b_srgb: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures, dB.

    Protocol: -10 log10 of the mean squared difference over all pixels and channels, peak 1, in sRGB as given: nothing
    is clipped, rounded or masked. Identical pictures give infinity.

    Args:
        a_srgb: (..., 3) sRGB in [0, 1].
        b_srgb: same shape.

    Raises:
        ValueError: pictures that are empty, of unlike shapes, or of integers.
    """
    a, b = _pictures(a_srgb, b_srgb)
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

    a, b = _pictures(a_srgb, b_srgb)
    if a.ndim != 3 or min(a.shape[:2]) < _SSIM_WINDOW:
        raise ValueError(
            f"The pictures have shape {a.shape}, expected (H, W, 3) with sides of at least {_SSIM_WINDOW} pixels; "
            "score one picture at a time, at a larger size."
        )
    score = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=-1
    )
    return np.asarray(score).item()


def occupancy_iou(values_a: np.ndarray, values_b: np.ndarray) -> float:
    """Intersection over union of two solids, in volume.

    Protocol: a grid point is inside where its value is negative; every point counts the same. Two empty solids score 1.

    Args:
        values_a: field on a grid, as `meshing.sample_grid` gives it; scene units.
        values_b: the other field on the same grid.

    Raises:
        ValueError: grids that are empty, of unlike shapes, or not finite.
    """
    a, b = _alike(values_a, values_b, "grids")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("The grids hold values that are not finite, expected distances; look for diverged parameters.")
    return mask_iou(a < 0, b < 0)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks; two empty masks score 1.

    Args:
        a: any shape, boolean.
        b: same shape, boolean.

    Raises:
        ValueError: masks that are empty, of unlike shapes, or not boolean.
    """
    a, b = _alike(a, b, "masks")
    if a.dtype != bool or b.dtype != bool:
        raise ValueError(f"The masks are {a.dtype} and {b.dtype}, expected booleans; compare with a threshold first.")
    union = np.count_nonzero(a | b)
    return 1.0 if union == 0 else np.count_nonzero(a & b) / union


def chamfer(points_a: np.ndarray, points_b: np.ndarray) -> float:
    """Symmetric Chamfer distance of two point sets, in their unit.

    Protocol: half the sum of the two mean distances to the nearest neighbour, a to b and b to a. Distances are not
    squared, nothing is cut off, and no point is culled by a mask.

    Args:
        points_a: (N, 3), one frame and unit with `points_b`.
        points_b: (M, 3).

    Raises:
        ValueError: sets that are empty, not of 3-vectors, or not finite.
    """
    from scipy.spatial import KDTree

    a, b = _points(points_a, "points_a"), _points(points_b, "points_b")
    a_to_b, _ = KDTree(b).query(a, workers=-1)
    b_to_a, _ = KDTree(a).query(b, workers=-1)
    return float(0.5 * (np.mean(a_to_b) + np.mean(b_to_a)))


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Points drawn evenly, by area, from a triangle mesh; the same seed gives the same points.

    Args:
        vertices: (V, 3), any unit.
        faces: (F, 3) indices of vertices.
        count: N, at least 1.
        seed: of the random numbers.

    Returns:
        (N, 3) float64, the unit of the vertices.

    Raises:
        ValueError: a mesh without area, faces out of range, or a count below 1.
    """
    import trimesh

    vertices, faces = _points(vertices, "vertices"), np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.shape[0] == 0 or faces.dtype.kind not in "iu":
        raise ValueError(
            f"faces is {faces.dtype} {faces.shape}, expected integers (F, 3), F > 0; triangulate the mesh."
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(
            f"faces runs from {faces.min()} to {faces.max()}, expected indices from 0 to {len(vertices) - 1}; "
            "pass the vertices that belong to these faces."
        )
    if count < 1:
        raise ValueError(f"count is {count}, expected at least 1 point; 100000 is usual for Chamfer distances.")
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if mesh.area <= 0:
        raise ValueError("The mesh has no area, expected at least one proper triangle; look at how it was made.")
    points = trimesh.sample.sample_surface(mesh, count, seed=seed)[0]
    return np.asarray(points, np.float64)


def _alike(a: np.ndarray, b: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, of one shape and not empty."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError(f"The {what} have shapes {a.shape} and {b.shape}, expected the same; resample one of them.")
    if a.size == 0:
        raise ValueError(f"The {what} have shape {a.shape} and so no elements, expected at least one; check the input.")
    return a, b


def _pictures(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 pictures of one shape, colours last."""
    a, b = _alike(a, b, "pictures")
    if a.ndim == 0 or a.shape[-1] != 3:
        raise ValueError(f"The pictures have shape {a.shape}, expected (..., 3); put the colour channels last.")
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        raise ValueError(f"The pictures are {a.dtype} and {b.dtype}, expected floats in [0, 1]; divide bytes by 255.")
    return a.astype(np.float64), b.astype(np.float64)


def _points(points: np.ndarray, name: str) -> np.ndarray:
    """As (N, 3) float64, N > 0, finite."""
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(f"{name} has shape {points.shape}, expected (N, 3) with N > 0; pass one row for each point.")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} holds coordinates that are not finite, expected finite ones; remove those points.")
    return points
