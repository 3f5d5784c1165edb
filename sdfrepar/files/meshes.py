"""Triangle meshes, and the points of a PLY file.

trimesh takes long to import and is therefore imported where it is used.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar.files.pictures import as_bytes
from sdfrepar.files.raw import reason, require_file, write_bytes

_MESH_SUFFIXES = (".ply", ".obj", ".glb", ".stl")

# Coordinates whose squares overflow serve nobody.
_FAR = 1e18


def write_mesh(
    path: str | Path,
    vertices: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray | None = None,
    normals: np.ndarray | None = None,
) -> None:
    """Write a triangle mesh, atomically; the suffix of `path` (.ply, .obj, .glb, .stl) chooses the format.

    STL holds triangles alone: no colours, and no normals but those of the faces.

    Args:
        path: where to; parent folders are created.
        vertices: (V, 3), written as they are: apply `world_from_scene` before.
        faces: (F, 3) integer indices of vertices, counter-clockwise seen from outside.
        colours: (V, 3) sRGB in [0, 1] at the vertices, stored in 8 bits.
        normals: (V, 3) unit, at the vertices.

    Raises:
        ValueError: another suffix, an empty mesh, or arrays that do not fit together.
    """
    import trimesh

    path = require_mesh(path)
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    _require_triangles(path, vertices, faces)
    for name, values in (("colours", colours), ("normals", normals)):
        if values is not None and np.shape(values) != vertices.shape:
            raise ValueError(f"Cannot write {path}: {name} of shape {np.shape(values)}; expected {vertices.shape}.")
    mesh = trimesh.Trimesh(
        vertices=vertices,
        faces=faces,
        vertex_colors=None if colours is None else as_bytes(np.asarray(colours)),
        vertex_normals=None if normals is None else np.asarray(normals),
        process=False,
    )
    suffix = path.suffix.lower()
    # Left to itself trimesh writes normals whenever it happens to have computed some.
    with_normals = {".ply": "vertex_normal", ".obj": "include_normals", ".glb": "include_normals"}
    options: dict[str, Any] = {with_normals[suffix]: normals is not None} if suffix in with_normals else {}
    data = mesh.export(file_type=suffix[1:], **options)
    write_bytes(path, data.encode() if isinstance(data, str) else bytes(data))


def require_mesh(path: str | Path) -> Path:
    """`path`, if `write_mesh` can write it; to be asked before the mesh is made. Raises as `write_mesh`."""
    path = Path(path)
    if path.suffix.lower() not in _MESH_SUFFIXES:
        raise ValueError(f"{path} has no known mesh format; end the name in one of {', '.join(_MESH_SUFFIXES)}.")
    return path


def read_mesh(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The vertices (V, 3) float32 and faces (F, 3) int32 of a triangle mesh; the parts of a scene are joined.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another suffix, a file that is no triangle mesh, or one whose numbers are not those of a mesh.
    """
    return read_coloured_mesh(path)[:2]


def read_coloured_mesh(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """As `read_mesh`, with the sRGB codes (V, 3) uint8 of the vertices, or None where the file has none.

    Raises:
        FileNotFoundError, ValueError: as `read_mesh`.
    """
    import trimesh

    path = require_file(require_mesh(path))
    try:
        # From memory: from a path the library also opens what the file names, wherever that is.
        mesh = trimesh.load_mesh(BytesIO(path.read_bytes()), file_type=path.suffix.lower()[1:], process=False)
        with np.errstate(over="ignore", invalid="ignore"):
            vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
        visual: Any = mesh.visual
        colours = np.asarray(visual.vertex_colors)[:, :3] if visual.kind == "vertex" else None
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a mesh ({reason(error)}); expected triangles.") from error
    if not len(faces):
        raise ValueError(f"{path} holds no triangles; expected a triangle mesh.")
    require_sound_mesh(path, vertices, faces)
    if colours is not None and colours.shape != vertices.shape:
        raise ValueError(f"{path} has colours of shape {colours.shape}; expected {vertices.shape}, so write it again.")
    return vertices, faces, colours


def require_sound_mesh(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Refuse the mesh of a file, vertices (V, 3) in any units and faces (F, 3), that has no such vertices.

    Raises:
        ValueError: a coordinate that is not finite or beyond all measure, a face of a vertex which is
            not there, or no extent.
    """
    if not (np.abs(vertices) < _FAR).all():
        raise ValueError(
            f"{path} has vertices with NaN or infinity, or beyond {_FAR:g}; expected finite numbers, so mend or write "
            "it again."
        )
    if not np.ptp(vertices, axis=0).any():
        raise ValueError(f"{path} has all its vertices in one point; expected a shape, so write it again.")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(
            f"{path} has faces of vertices {faces.min()} to {faces.max()}; expected indices from 0 to "
            f"{len(vertices) - 1}, so write it again."
        )


def read_points(path: str | Path) -> np.ndarray:
    """The points (P, 3) float64 of a PLY file, text or binary; of a mesh, its vertices.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole PLY, or holds no points.
    """
    from trimesh.exchange.ply import load_ply

    path = require_file(path)
    try:
        with path.open("rb") as file:
            points = np.asarray(load_ply(file)["vertices"], np.float64)
    except KeyError as error:
        raise ValueError(f"{path} holds no points; expected a PLY file with x, y and z of some.") from error
    except Exception as error:
        raise ValueError(f"{path} cannot be read as points ({reason(error)}); expected a whole PLY file.") from error
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(
            f"{path} has points of shape {points.shape}, or some that are not finite; expected x, y and z of each, so "
            "write it again."
        )
    return points


def _require_triangles(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(
            f"Cannot write {path} from vertices {vertices.shape} and faces {faces.shape}; expected (V, 3) and (F, 3)."
        )
    if not len(faces):
        raise ValueError(f"Cannot write {path}: the mesh has no faces; check that the surface was not lost.")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(
            f"Cannot write {path}: faces name vertices {faces.min()} to {faces.max()}; expected indices "
            f"from 0 to {len(vertices) - 1}."
        )
