"""From a distance function to a triangle mesh: marching cubes, with normals from the field itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar.precision import in_float32

if TYPE_CHECKING:
    import trimesh

Distance = Callable[[Any, jax.Array], jax.Array]

# A corner exactly on the surface gives triangles without area. Moving it by this share of a cell keeps them apart, at
# an error far below that of the grid.
_CLEARANCE = 1e-3

# Slope of a field that is nearly a distance.
_STEEPEST = 1.5

# Fixed, whatever the number of vertices, so that every mesh of a run shares one compilation.
_NORMALS_CHUNK = 16384


class EmptyMeshError(ValueError):
    """The field has no surface on the grid."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh. Faces turn counter-clockwise when seen from outside.

    Attributes:
        vertices: (V, 3) float64; scene units, or world units after `transform`.
        faces: (F, 3) int64, indices of vertices.
        normals: (V, 3) float64, unit, outward; same frame as the vertices.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray

    @property
    def watertight(self) -> bool:
        """Whether every edge joins exactly two faces."""
        return bool(as_trimesh(self).is_watertight)

    @property
    def euler_number(self) -> int:
        """Vertices - edges + faces: 2 for each closed part, less 2 for each handle."""
        return int(as_trimesh(self).euler_number)

    @property
    def volume(self) -> float:
        """Enclosed volume, cubed units of the vertices; negative when inside out, meaningless when not watertight."""
        return float(as_trimesh(self).volume)


def as_trimesh(mesh: Mesh) -> "trimesh.Trimesh":
    """The same mesh as a `trimesh.Trimesh`, with no vertex merged or moved."""
    import trimesh

    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def sample_grid(
    distance: Distance, params: Any, resolution: int, *, bound: float = 1.0, chunk: int = 65536, culled: bool = False
) -> np.ndarray:
    """Values of the field on a regular grid, compiled once whatever the resolution.

    Args:
        distance: hashable; `distance(params, x)` of x (3,), scene units, gives (), scene units, negative inside.
        params: pytree.
        resolution: R, points along each axis, at least 2.
        bound: the grid covers [-bound, bound]^3, ends included; scene units.
        chunk: points evaluated at once.
        culled: whether points far from the surface, of which every second along each axis tells, are given the value of
            such a neighbour, as the code of [D20] does. The zero level is the same where the slope is at most 1.5, so
            this is for fields that are distances.

    Returns:
        (R, R, R) float32, scene units; axes are x, y, z.

    Raises:
        ValueError: a resolution, bound or chunk out of range.
    """
    axis, shape = _axis(resolution, bound), (resolution,) * 3
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}, expected at least 1 point; leave it out for the default.")
    chunk = min(chunk, resolution**3)

    def at(indices: np.ndarray) -> np.ndarray:
        """Values (N,) at the grid points of flat indices (N,)."""
        values = np.empty(len(indices), np.float32)
        for start in range(0, len(indices), chunk):
            corners = np.unravel_index(np.resize(indices[start : start + chunk], chunk), shape)
            points = np.stack([axis[corner] for corner in corners], axis=-1)
            values[start : start + chunk] = _values(distance, params, points)[: len(indices) - start]
        return values

    indices = np.arange(resolution**3).reshape(shape)
    if not culled:
        return at(indices.ravel()).reshape(shape)
    coarse = at(indices[::2, ::2, ::2].ravel()).reshape((-(-resolution // 2),) * 3)
    values = coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)[:resolution, :resolution, :resolution]
    # The neighbour is a cell's diagonal away at most, and so is the surface from the corner of a cell that it crosses.
    near = np.abs(values) < 2.0 * np.sqrt(3.0) * _STEEPEST * (axis[1] - axis[0])
    values[near] = at(indices[near])
    return values


def extract(
    distance: Distance,
    params: Any,
    resolution: int = 192,
    *,
    bound: float = 1.0,
    components: Literal["largest", "all"] = "largest",
    inside_sphere: bool = True,
    culled: bool = False,
) -> Mesh:
    """The zero level of a field, as a mesh in scene units.

    Args:
        distance: hashable; `distance(params, x)` of x (3,), scene units, gives (), scene units, negative inside.
        params: pytree.
        resolution: grid points along each axis, at least 2; the mesh shows nothing finer than 2 bound / resolution.
        bound: the grid covers [-bound, bound]^3, scene units; a surface that leaves it stays open there.
        components: "largest" keeps the connected part with the largest area, "all" keeps every part.
        inside_sphere: cut the object at the unit sphere, and close it there.
        culled: as in `sample_grid`: for fields that are distances, with a quarter of the evaluations.

    Raises:
        EmptyMeshError: the field does not change sign (in the unit sphere, with `inside_sphere`).
        ValueError: values that are not finite, or an argument out of range.
    """
    if components not in ("largest", "all"):
        raise ValueError(f"components is {components!r}, expected 'largest' or 'all'; choose one of them.")
    values = sample_grid(distance, params, resolution, bound=bound, culled=culled)
    _check_finite(values)
    cell = 2.0 * bound / (resolution - 1)
    surface, origin = distance, -bound
    if inside_sphere:
        _check_crossing(values[_grid_radius(_axis(resolution, bound)) < 1.0], "in the unit sphere")
        surface = _Cut(distance)
        values, origin = _cut_values(values, bound, cell)
    else:
        _check_crossing(values, f"in the box of half-width {bound:g}")
    vertices, faces = _march(values, cell)
    vertices = vertices + origin
    if components == "largest":
        vertices, faces = _largest_component(vertices, faces)
    return Mesh(vertices, faces, _normals(surface, params, vertices, faces))


def transform(mesh: Mesh, world_from_scene: np.ndarray) -> Mesh:
    """The mesh carried to another frame by a similarity.

    Args:
        mesh: in scene units.
        world_from_scene: (4, 4) rotation, or reflection, times a scale, and a translation. A reflection turns the
            faces over, so that they stay outward.

    Raises:
        ValueError: the matrix is not a similarity.
    """
    matrix = np.asarray(world_from_scene, np.float64)
    if matrix.shape != (4, 4):
        raise ValueError(f"world_from_scene has shape {matrix.shape}, expected (4, 4); pass `Views.world_from_scene`.")
    linear = matrix[:3, :3]
    scale = np.cbrt(abs(np.linalg.det(linear)))
    similar = scale > 0 and np.allclose(linear.T @ linear, scale**2 * np.eye(3), rtol=0, atol=1e-4 * scale**2)
    if not similar or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise ValueError(
            "world_from_scene is not a similarity: expected rotation x uniform scale, a translation and the last row "
            "(0, 0, 0, 1); remove any shear, uneven scale or perspective."
        )
    return replace(
        mesh,
        vertices=mesh.vertices @ linear.T + matrix[:3, 3],
        faces=mesh.faces[:, ::-1].copy() if np.linalg.det(linear) < 0 else mesh.faces,
        normals=_unit(mesh.normals @ linear.T),
    )


@dataclass(frozen=True)
class _Cut:
    """The intersection of a solid with the unit ball; a class, so that equal cuts share one compilation."""

    distance: Distance

    def __call__(self, params: Any, x: jax.Array) -> jax.Array:
        radius = jnp.sqrt(jnp.maximum(x @ x, 1e-12))
        return jnp.maximum(self.distance(params, x), radius - 1.0)


@partial(jax.jit, static_argnames="distance")
@in_float32
def _values(distance: Distance, params: Any, points: jax.Array) -> jax.Array:
    return jax.vmap(distance, (None, 0))(params, points)


@partial(jax.jit, static_argnames="distance")
@in_float32
def _gradients(distance: Distance, params: Any, points: jax.Array) -> jax.Array:
    return jax.vmap(jax.grad(distance, argnums=1), (None, 0))(params, points)


def _axis(resolution: int, bound: float) -> np.ndarray:
    """Coordinates of the grid along one axis, (R,) float32."""
    if resolution < 2:
        raise ValueError(f"resolution is {resolution}, expected at least 2 grid points an axis; 192 is the usual one.")
    if not (np.isfinite(bound) and bound > 0):
        raise ValueError(f"bound is {bound}, expected a positive half-width in scene units; 1.0 holds the unit sphere.")
    return np.linspace(-bound, bound, resolution, dtype=np.float32)


def _grid_radius(axis: np.ndarray) -> np.ndarray:
    """Distance of every grid point from the origin, (R, R, R)."""
    squares = axis * axis
    return np.sqrt(squares[:, None, None] + squares[None, :, None] + squares[None, None, :])


def _cut_values(values: np.ndarray, bound: float, cell: float) -> tuple[np.ndarray, float]:
    """max(f, |x| - 1) on the grid, and the coordinate at which the grid begins.

    No ray and no loss looks outside the unit sphere, so the field is untrained there and its zero level is debris.
    """
    # Where the sphere touches the box, one more layer of points closes an object that reaches it.
    layers = 1 if bound >= 1.0 else 0
    half_width = bound + layers * cell
    padded = np.pad(values, layers, mode="edge")
    ball = _grid_radius(_axis(len(padded), half_width)) - 1.0
    return np.maximum(padded, ball), -half_width


def _check_finite(values: np.ndarray) -> None:
    bad = values.size - np.count_nonzero(np.isfinite(values))
    if bad:
        raise ValueError(
            f"The field is not finite at {bad} of {values.size} grid points, expected finite distances everywhere; "
            "the parameters have probably diverged."
        )


def _check_crossing(values: np.ndarray, where: str) -> None:
    """Raise when these values have one sign only."""
    if values.size == 0:
        raise ValueError(f"No grid point lies {where}, expected several; raise the resolution.")
    share = float(np.mean(values < 0))
    if 0.0 < share < 1.0:
        return
    cause = (
        "all positive: the surface has vanished, or is thinner than a grid cell"
        if share == 0.0
        else "all negative: the sign is flipped, or the whole region is filled"
    )
    raise EmptyMeshError(
        f"The field does not cross zero {where}: its values run from {values.min():.3g} to {values.max():.3g} and "
        f"{share:.0%} are negative, expected both signs ({cause})."
    )


def _march(values: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices, (V, 3) measured from the first grid point, and faces, outward for a field that is negative inside."""
    from skimage.measure import marching_cubes

    clear = np.float32(_CLEARANCE * cell)
    values = np.where(np.abs(values) < clear, np.where(values < 0, -clear, clear), values)
    vertices, faces, _, _ = marching_cubes(values, 0.0)
    return vertices.astype(np.float64) * cell, faces.astype(np.int64)


def _largest_component(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected part with the largest area."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    shape = (len(vertices), len(vertices))
    _, labels = connected_components(coo_matrix((np.ones(len(first), bool), (first, second)), shape), directed=False)
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    largest = np.bincount(labels[faces[:, 0]], weights=areas).argmax()
    kept = faces[labels[faces[:, 0]] == largest]
    used, renumbered = np.unique(kept, return_inverse=True)
    return vertices[used], renumbered.reshape(kept.shape)


def _normals(distance: Distance, params: Any, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit gradients of the field at the vertices, (V, 3); those of the faces where the gradient vanishes."""
    gradients = np.empty(vertices.shape, np.float64)
    chunk = _NORMALS_CHUNK
    for start in range(0, len(vertices), chunk):
        indices = np.minimum(np.arange(start, start + chunk), len(vertices) - 1)
        points = vertices[indices].astype(np.float32)
        gradients[start : start + chunk] = _gradients(distance, params, points)[: len(vertices) - start]
    flat = ~(np.linalg.norm(gradients, axis=-1) > 1e-6)
    flat |= ~np.isfinite(gradients).all(axis=-1)
    if flat.any():
        import trimesh

        gradients[flat] = trimesh.Trimesh(vertices, faces, process=False).vertex_normals[flat]
    return _unit(gradients)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
