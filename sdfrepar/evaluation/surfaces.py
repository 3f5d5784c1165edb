"""Distances between surfaces that are given as points."""

from typing import NamedTuple

import numpy as np

from sdfrepar.evaluation.inputs import finite_points


class FScore(NamedTuple):
    """Shares in [0, 1]; higher is better."""

    precision: float  # of the points found, near true ones
    recall: float  # of the true points, near ones found
    f: float  # their harmonic mean


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
    a_to_b, b_to_a = nearest_distances(points_a, points_b)
    return float(0.5 * (np.mean(a_to_b) + np.mean(b_to_a)))


def squared_chamfer(points_a: np.ndarray, points_b: np.ndarray) -> float:
    """Chamfer distance of two point sets as [P19] has it, in their squared unit.

    Protocol: the sum of the two mean squared distances to the nearest neighbour, a to b and b to a, of 30,000 points
    each in [P19]. Nothing is cut off.

    Args:
        points_a: (N, 3), one frame and unit with `points_b`.
        points_b: (M, 3).

    Raises:
        ValueError: sets that are empty, not of 3-vectors, or not finite.
    """
    a_to_b, b_to_a = nearest_distances(points_a, points_b)
    return float(np.mean(a_to_b**2) + np.mean(b_to_a**2))


def fscore(points_a: np.ndarray, points_b: np.ndarray, threshold: float) -> FScore:
    """Precision and recall of a surface at a distance, and their harmonic mean.

    Protocol: Knapitsch et al. 2017 (Tanks and Temples): precision is the share of `points_a` that are nearer than the
    threshold to some point of `points_b`, recall that of `points_b` nearer to some of `points_a`; 0 and 0 have mean 0.

    Args:
        points_a: (N, 3) of the surface that is scored.
        points_b: (M, 3) of the true one, same frame and unit.
        threshold: same unit.

    Raises:
        ValueError: sets that are empty, not of 3-vectors, or not finite; a threshold that is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"threshold is {threshold}, expected a positive distance in the unit of the points.")
    a_to_b, b_to_a = nearest_distances(points_a, points_b)
    precision, recall = float(np.mean(a_to_b < threshold)), float(np.mean(b_to_a < threshold))
    total = precision + recall
    return FScore(precision, recall, 2.0 * precision * recall / total if total else 0.0)


def nearest_distances(points_a: np.ndarray, points_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each point of a set is from the nearest of the other: (N,) from a to b, (M,) from b to a.

    Args:
        points_a: (N, 3), one frame and unit with `points_b`.
        points_b: (M, 3).

    Raises:
        ValueError: sets that are empty, not of 3-vectors, or not finite.
    """
    from scipy.spatial import KDTree

    a, b = finite_points(points_a, "points_a"), finite_points(points_b, "points_b")
    a_to_b, _ = KDTree(b).query(a, workers=-1)
    b_to_a, _ = KDTree(a).query(b, workers=-1)
    return np.asarray(a_to_b), np.asarray(b_to_a)


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

    vertices, faces = finite_points(vertices, "vertices"), np.asarray(faces)
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
