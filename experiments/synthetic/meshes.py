"""What a ray meets, exactly: a closed triangle mesh, by Embree; and mesh files, brought to the unit sphere."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.synthetic.surfaces import Albedo, Crossings
from sdfrepar import evaluation, files, grids


@dataclass(frozen=True)
class MeshSurface:
    """A closed mesh in the unit sphere, shaded as if smooth: normals are those of the vertices, interpolated."""

    vertices: np.ndarray  # (V, 3) scene units
    faces: np.ndarray  # (F, 3), counter-clockwise when seen from outside
    albedo: Albedo

    def cast(self, origin: np.ndarray, directions: np.ndarray) -> Crossings:
        """See `Surface`. Embree names the triangle, in float32; the point is then found in float64."""
        import trimesh

        mesh, flat = self._intersector.mesh, directions.reshape(-1, 3)
        triangle = self._intersector.intersects_first(np.tile(origin, (len(flat), 1)), flat)
        hit = triangle >= 0
        corners, normals = mesh.triangles[triangle[hit]], mesh.face_normals[triangle[hit]]
        t = np.sum((corners[:, 0] - origin) * normals, axis=1) / np.sum(flat[hit] * normals, axis=1)
        x = origin + t[:, None] * flat[hit]
        shares = trimesh.triangles.points_to_barycentric(corners, x)
        smooth = np.einsum("nc,ncd->nd", shares, mesh.vertex_normals[mesh.faces[triangle[hit]]])
        smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
        return Crossings(hit.reshape(directions.shape[:2]), x, smooth)

    def first_faces(self, origin: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The triangles (N,) that rays from `origin` (3,) towards points (N, 3) meet first; -1 where none."""
        return self._intersector.intersects_first(np.tile(origin, (len(points), 1)), points - origin)

    def occupancy(self, resolution: int) -> np.ndarray:
        """See `Surface`; needs libigl."""
        return grids.inside_mesh(self.vertices, self.faces, resolution)

    def points(self, count: int, resolution: int) -> np.ndarray:
        """See `Surface`; the mesh is there already, whatever the resolution."""
        del resolution
        return evaluation.sample_surface(self.vertices, self.faces, count, seed=0)

    @cached_property
    def _intersector(self) -> Any:
        import trimesh

        try:
            from trimesh.ray.ray_pyembree import RayMeshIntersector
        except ImportError as error:
            raise ImportError(
                "Photographs of a mesh need Embree, which is not installed: pip install 'sdfrepar[mesh]'."
            ) from error
        return RayMeshIntersector(trimesh.Trimesh(self.vertices, self.faces, process=False))


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) of a mesh file, or of arrays v and f in an .npz file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no mesh.
    """
    return read_coloured(path)[:2]


def read_coloured(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """As `read`, with linear colours (V, 3) of the vertices if the file has any: of an .npz file, sRGB codes c."""
    if path.suffix.lower() != ".npz":
        vertices, faces, codes = files.read_coloured_mesh(path)
    else:
        vertices, faces, codes = _of_arrays(path)
    return vertices, faces, None if codes is None else files.decode_srgb(codes[:, :3] / 255.0)


def _of_arrays(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The arrays of an .npz file."""
    found = files.read_arrays(path, {"v": (None, 3), "f": (None, 3)})
    vertices, faces, codes = found["v"], found["f"], found.get("c")
    if not len(faces) or faces.dtype.kind not in "iu":
        raise ValueError(f"{path}: the {len(faces)} faces f are of {faces.dtype}; expected some, of whole numbers.")
    files.require_sound_mesh(path, vertices, faces)
    if codes is not None and (codes.ndim != 2 or len(codes) != len(vertices) or codes.shape[1] < 3):
        raise ValueError(f"{path}: the colours c have the shape {codes.shape}; expected ({len(vertices)}, 3).")
    return vertices, faces, codes


def fitted(vertices: np.ndarray, radius: float) -> np.ndarray:
    """Vertices (V, 3), the centre of their box moved to the origin, scaled to reach out to `radius`."""
    centred = vertices - 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    return centred * (radius / np.linalg.norm(centred, axis=1).max())
