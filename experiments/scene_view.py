"""A mesh and cameras for a page, where `scene.js` turns them: made coarser and packed, so that the page stays small."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import pages
from experiments.frustums import Frustum
from experiments.pages import Html
from sdfrepar import files

SCRIPT = "scene.js"

# Vertices of a mesh on a page; 36 bytes each, triangles included.
_MOST = 45_000


class _Surface(NamedTuple):
    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    normals: np.ndarray  # (V, 3) unit
    colours: np.ndarray  # (V, 3) uint8


def scene_view(mesh: Path | None, cameras: Sequence[Frustum]) -> Html:
    """The view of a mesh file, of cameras in its frame, or of both; needs the script SCRIPT.

    Raises:
        ValueError: neither came, so that there is nothing to see.
    """
    surface = None if mesh is None else coarser(_read(mesh), _MOST)
    if surface is None and not cameras:
        raise ValueError("A view of neither a mesh nor cameras came, expected one of them; leave the view out.")
    what, looks = "cameras alone", Html("")
    if surface is not None:
        what, looks = f"{len(surface.faces):,} triangles", pages.fill("scene_looks.html")
    # Within an element for scripts only "<" could end it.
    payload = json.dumps(_packed(surface, cameras)).replace("<", "\\u003c")
    return pages.fill("scene.html", what=what, looks=looks, payload=Html(payload))


def coarser(surface: _Surface, most: int) -> _Surface:
    """The surface with its vertices gathered in cells of a grid, as many as are allowed, and each cell's mean kept."""
    cell = np.ptp(surface.vertices, axis=0).max() / np.sqrt(most)
    labels, count = np.arange(len(surface.vertices)), len(surface.vertices)
    while count > most:
        labels, count = _gathered(surface.vertices, cell)
        cell *= 1.1
    faces = labels[surface.faces]
    is_whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    size = np.bincount(labels)[:, None]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(labels, values[:, k]) for k in range(3)], axis=1) / size

    normals = mean(surface.normals)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return _Surface(
        vertices=mean(surface.vertices),
        faces=faces[is_whole],
        normals=normals / np.maximum(length, 1e-12),
        colours=np.round(mean(surface.colours)).astype(np.uint8),
    )


def _gathered(vertices: np.ndarray, cell: float) -> tuple[np.ndarray, int]:
    """The number (V,) of the cell that each vertex lies in, counted among those that hold some, and how many do."""
    place = np.floor((vertices - vertices.min(axis=0)) / cell).astype(np.int64)
    _, labels = np.unique(place @ np.array([1, 1 << 20, 1 << 40]), return_inverse=True)
    return labels, int(labels.max()) + 1


def _read(path: Path) -> _Surface:
    import trimesh

    vertices, faces, colours = files.read_coloured_mesh(path)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if colours is None:
        colours = np.full(vertices.shape, 200, np.uint8)
    return _Surface(vertices.astype(np.float64), faces, np.asarray(mesh.vertex_normals), colours)


def _packed(surface: _Surface | None, cameras: Sequence[Frustum]) -> dict[str, Any]:
    """What `scene.js` reads: all in the unit sphere around what there is to see."""
    corners = np.array([camera.corners for camera in cameras]).reshape(-1, 5, 3)
    seen = corners[:, 0] if surface is None else surface.vertices
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2.0
    radius = max(float(np.linalg.norm(seen - centre, axis=1).max()), 1e-12)
    corners = (corners - centre) / radius
    # From the lower edges of the pictures to the upper ones.
    up = (corners[:, 1] + corners[:, 2] - corners[:, 3] - corners[:, 4]).sum(axis=0)
    return {
        "mesh": None if surface is None else _packed_mesh(surface, (surface.vertices - centre) / radius),
        "cameras": [
            {"corners": np.round(places, 4).tolist(), "held_out": camera.held_out}
            for places, camera in zip(corners, cameras, strict=True)
        ],
        "up": _direction(up, (0.0, 0.0, 1.0)),
        "from": _direction(corners[0, 0] if len(corners) else np.zeros(3), (0.6, 0.6, 0.5)),
    }


def _packed_mesh(surface: _Surface, vertices: np.ndarray) -> dict[str, Any]:
    low = vertices.min(axis=0)
    size = np.maximum(np.ptp(vertices, axis=0), 1e-12)
    return {
        "low": low.tolist(),
        "size": size.tolist(),
        "positions": _base64(np.round((vertices - low) / size * 65535.0), "<u2"),
        "normals": _base64(np.round(surface.normals * 127.0), "i1"),
        "colours": _base64(surface.colours, "u1"),
        "faces": _base64(surface.faces, "<u4"),
    }


def _direction(vector: np.ndarray, otherwise: tuple[float, float, float]) -> list[float]:
    length = float(np.linalg.norm(vector))
    return (vector / length).tolist() if length > 1e-6 else list(otherwise)


def _base64(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values.astype(kind)).tobytes()).decode()
