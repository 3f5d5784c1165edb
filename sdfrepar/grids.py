"""A voxel grid as a field: uniform cubic B-splines over the cube, the representation of [V22].

The value at x is Σ_ijk c_ijk B(x - x_i) B(y - y_j) B(z - z_k), B the cubic B-spline, params {"coefficients": c} of
shape (N, N, N), axes x, y, z. The cube [-1, 1]^3 is cut into N - 3 cells an axis, of width h = 2 / (N - 3); coefficient
i stands at -1 + (i - 1) h, so that the first and the last stand one cell outside. Every point of the cube thus has its
4 x 4 x 4 coefficients, no border rule is needed, and split cells carry the same function exactly.

Samples are values of a field at the R = N - 2 corners of cells along each axis, the nodes, faces of the cube included.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar.fields import Distance, values
from sdfrepar.numerics import safe_norm

Params = dict[str, jax.Array]

# Vertices may leave the unit sphere by the rounding of whoever scaled them to fit it; scene units.
_SLACK = 1e-5


def distance(params: Params, x: jax.Array) -> jax.Array:
    """The spline, and outside of the cube a continuation that a march can trust.

    With p the point of the cube nearest to x, f(p) > 0 is continued by √(f(p)² + |x - p|²): the cube being convex, no
    surface in it is nearer if f is a true distance. f(p) <= 0 is continued by f(p) + |x - p|.

    Args:
        params: coefficients (N, N, N), scene units, N at least 4.
        x: (3,) scene units.

    Returns:
        () scene units, negative inside.

    Raises:
        ValueError: the coefficients are not a cube of at least 4 a side.

    Gradient: C1 in x, with continuous second derivatives, within the cube. Its slope jumps on the faces and is finite
        everywhere.
    """
    # Unlike jnp.clip, this keeps the whole slope for a point on a face.
    p = jnp.where(jnp.abs(x) > 1.0, jnp.sign(x), x)
    f, beyond = _spline(params["coefficients"], p), safe_norm(x - p)
    continued = safe_norm(jnp.stack([jnp.maximum(f, 0.0), beyond])) + jnp.minimum(f, 0.0)
    return jnp.where(beyond > 0.0, continued, f)


def sample(distance: Distance, params: Any, resolution: int) -> jax.Array:
    """Samples of any field, at the nodes.

    Args:
        distance: the field.
        params: parameters of the field.
        resolution: R, nodes along each axis, at least 2.

    Returns:
        (R, R, R) scene units, axes x, y, z.

    Raises:
        ValueError: the resolution is below 2.
    """
    points = jnp.asarray(_nodes(resolution))
    return values(distance, params, points).reshape((resolution,) * 3)


def from_samples(values: jax.Array | np.ndarray) -> Params:
    """The spline through the samples, with second derivative 0 across the faces (a natural spline). Not traceable.

    Args:
        values: (R, R, R) samples, scene units, axes x, y, z; R at least 2.

    Returns:
        Params of `distance`, N = R + 2, in the precision of the samples.

    Raises:
        ValueError: the samples are no cube, or not finite.
    """
    from scipy.interpolate import make_interp_spline

    side = values.shape[0] if values.ndim == 3 else 0
    if side < 2 or values.shape != (side,) * 3:
        raise ValueError(f"The samples have shape {values.shape}, expected (R, R, R) with R >= 2; see grids.sample.")
    if not np.isfinite(values).all():
        raise ValueError("Some of the samples are not finite, expected distances; look at where they come from.")
    coefficients = np.asarray(values, np.float64)
    for _ in range(3):  # each turn solves along the first axis and makes it the last; three turns restore the order
        spline = make_interp_spline(np.arange(side), coefficients, t=np.arange(-3, side + 3), bc_type="natural")
        coefficients = np.moveaxis(spline.c, 0, -1)
    return {"coefficients": jnp.asarray(coefficients, jnp.result_type(values, float))}


def upsample(params: Params) -> Params:
    """The same function within the cube, on cells of half the width: N becomes 2 N - 3.

    Args:
        params: of `distance`.

    Returns:
        Params of `distance`.

    Raises:
        ValueError: the coefficients are not a cube of at least 4 a side.

    Gradient: linear in the coefficients.
    """
    coefficients = params["coefficients"]
    _cells(coefficients)
    for _ in range(3):
        # The two-scale relation, weights (1, 4, 6, 4, 1) / 8, as one doubling and three averages (Lane and Riesenfeld).
        coefficients = jnp.repeat(coefficients, 2, axis=0)
        for _ in range(3):
            coefficients = 0.5 * (coefficients[:-1] + coefficients[1:])
        coefficients = jnp.moveaxis(coefficients, 0, -1)
    return {"coefficients": coefficients}


def redistance(params: Params) -> Params:
    """A true distance with the same zero level, for a grid that an optimisation has bent. Not traceable.

    The zero level is triangulated at twice the resolution, and each node takes its distance to the triangles. Fast
    marching is quicker, but wrong by a tenth and more in the slope next to the surface, where the renderer looks.

    Args:
        params: of `distance`; the sign of the field is kept.

    Returns:
        Params of `distance`, N and precision kept.

    Raises:
        ImportError: libigl is missing.
        ValueError: the field does not change sign in the cube, or the coefficients are not a cube.
    """
    igl = _igl("redistance")
    from skimage.measure import marching_cubes

    cells = _cells(params["coefficients"])
    fine = np.asarray(sample(distance, params, 2 * cells + 1), np.float64)
    if not fine.min() < 0.0 < fine.max():
        raise ValueError(
            f"The field does not cross zero in the cube: its values run from {fine.min():.3g} to {fine.max():.3g}, "
            "expected both signs; the surface is lost, so go back to params that still had one."
        )
    vertices, faces, _, _ = marching_cubes(fine, 0.0, spacing=(1.0 / cells,) * 3, allow_degenerate=False)
    surface = vertices.astype(np.float64) - 1.0, faces.astype(np.int64)
    squares = igl.point_mesh_squared_distance(_nodes(cells + 1), *surface)[0]
    coarse = fine[::2, ::2, ::2]
    values = np.copysign(np.sqrt(squares).reshape(coarse.shape), coarse)
    return from_samples(values.astype(params["coefficients"].dtype))


def from_mesh(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> Params:
    """The spline through the signed distances of a closed mesh. Not traceable.

    Args:
        vertices: (V, 3) scene units, within the unit sphere.
        faces: (F, 3) indices of vertices, counter-clockwise when seen from outside.
        resolution: R, nodes along each axis, at least 2; rounds off whatever is finer than 2 / (R - 1).

    Returns:
        Params of `distance`, N = R + 2.

    Raises:
        ImportError: libigl is missing.
        ValueError: the mesh is not closed, is inside out, or leaves the unit sphere; or the resolution is below 2.
    """
    values = mesh_distances(vertices, faces, _nodes(resolution))
    return from_samples(values.reshape((resolution,) * 3))


def mesh_distances(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The signed distances (N,) of points (N, 3) from a closed mesh, scene units, negative inside.

    Args:
        vertices: (V, 3) scene units, within the unit sphere.
        faces: (F, 3) indices of vertices, counter-clockwise when seen from outside.
        points: (N, 3) scene units.

    Raises:
        ImportError: libigl is missing.
        ValueError: the mesh is not closed, is inside out, or leaves the unit sphere.
    """
    igl = _igl("mesh_distances")
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    _check_mesh(vertices, faces)
    sign = igl.SignedDistanceType.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER
    return igl.signed_distance(np.asarray(points, np.float64), vertices, faces, sign)[0]


def inside_mesh(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> np.ndarray:
    """Which nodes are inside a closed mesh, by its winding number.

    Args:
        vertices: (V, 3) scene units, within the unit sphere.
        faces: (F, 3) indices of vertices, counter-clockwise when seen from outside.
        resolution: R, nodes along each axis, at least 2.

    Returns:
        (R, R, R) bool, axes x, y, z.

    Raises:
        ImportError: libigl is missing.
        ValueError: the mesh is not closed, is inside out, or leaves the unit sphere; or the resolution is below 2.
    """
    igl = _igl("inside_mesh")
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    _check_mesh(vertices, faces)
    windings = igl.fast_winding_number(vertices, faces, _nodes(resolution))
    return (windings > 0.5).reshape((resolution,) * 3)


def _spline(coefficients: jax.Array, x: jax.Array) -> jax.Array:
    """The spline () at a point (3,) of the cube."""
    cells = _cells(coefficients)
    s = (x + 1.0) * (0.5 * cells)
    cell = jnp.clip(jnp.floor(s), 0, cells - 1)
    w = _weights(s - cell)
    # One slice, and sums in place of products of small matrices: twice as fast under vmap on the CPU as other ways.
    block = jax.lax.dynamic_slice(coefficients, cell.astype(jnp.int32), (4, 4, 4))
    rows = jnp.sum(w[:, 0, None, None] * block, axis=0)
    columns = jnp.sum(w[:, 1, None] * rows, axis=0)
    return jnp.sum(w[:, 2] * columns)


def _weights(t: jax.Array) -> jax.Array:
    """The four cubic B-splines (4, 3) that overlap a cell, at the place t (3,) in [0, 1] within it."""
    s = 1.0 - t
    return jnp.stack([s**3, 4.0 - 6.0 * t**2 + 3.0 * t**3, 4.0 - 6.0 * s**2 + 3.0 * s**3, t**3]) / 6.0


def _nodes(resolution: int) -> np.ndarray:
    """All the nodes (R^3, 3) of the cube, z running fastest."""
    if resolution < 2:
        raise ValueError(f"resolution is {resolution}, expected at least 2 nodes an axis; 64 is a usual one.")
    axis = np.linspace(-1.0, 1.0, resolution)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def _cells(coefficients: jax.Array) -> int:
    """Cells along each axis."""
    side = coefficients.shape[0] if coefficients.ndim == 3 else 0
    if side < 4 or coefficients.shape != (side,) * 3:
        raise ValueError(
            f"The coefficients have shape {coefficients.shape}, expected (N, N, N) with N >= 4; "
            "make them with grids.from_samples, or map over a batch of grids with jax.vmap."
        )
    return side - 3


def _check_mesh(vertices: np.ndarray, faces: np.ndarray) -> None:
    """Refuse a mesh without an inside, or outside of the scene."""
    import trimesh

    radius = np.linalg.norm(vertices, axis=-1).max(initial=0.0)
    if not radius <= 1.0 + _SLACK:
        raise ValueError(
            f"The mesh reaches out to radius {radius:.4g}, expected all of it within the unit sphere; move its centre "
            "to the origin and scale it first."
        )
    # Merged, because formats with texture coordinates store a vertex of a seam twice.
    merged = trimesh.Trimesh(vertices, faces, process=True)
    if not (merged.is_watertight and merged.is_winding_consistent):
        raise ValueError(
            "The mesh is not closed, expected every edge to join exactly two faces that turn the same way; fill its "
            "holes and make its faces agree first."
        )
    if merged.volume <= 0.0:
        raise ValueError(
            f"The mesh encloses the volume {merged.volume:.3g}, expected more than 0; if it is inside out, pass "
            "faces[:, ::-1]."
        )


def _igl(caller: str) -> Any:
    try:
        import igl
    except ImportError as error:
        raise ImportError(
            f"grids.{caller} needs libigl, which is not installed: pip install 'sdfrepar[mesh]'."
        ) from error
    return igl
