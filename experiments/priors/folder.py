"""Folders of meshes as shapes of one size."""

import zlib
from pathlib import Path

import numpy as np

from experiments.numbers import numbers_of
from experiments.priors import samples
from experiments.synthetic import meshes
from sdfrepar import files

# Variants are longer or shorter along an axis by the exponential of this at most.
_LONGEST = 0.3

_SUFFIXES = (".npz", ".ply", ".obj", ".stl", ".glb")

ROTATIONS = "rotations.json"
"""{"name": 3 x 3}, that turn shapes to one orientation."""

# Turns z up to y up, and leaves x, along which planes fly.
_Y_FROM_Z = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def paths(folder: Path) -> list[Path]:
    """The mesh files of a folder, by name.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no mesh in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; --meshes expects folders of closed meshes.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise ValueError(f"{folder} holds no mesh, expected files {', '.join(_SUFFIXES)}; check the path.")
    return found


def name(path: Path) -> str:
    """What the shape of a mesh file is called: folder and file."""
    return f"{path.absolute().parent.name} {path.stem}"


def read(path: Path, radius: float, up: str, variant: int = 0) -> samples.Shape:
    """A mesh of a folder, turned as its `rotations.json` says, centred, and scaled to reach out to `radius`; with the
    colours of its vertices, if it has any.

    Args:
        path: of the mesh.
        radius: scene units.
        up: y or z, the axis that is up once the mesh is turned; it becomes y.
        variant: 0 for the mesh as it is; others are stretched along the axes, each in its own way.

    Raises:
        ValueError: not a closed mesh.
    """
    vertices, faces, colours = meshes.read_coloured(path)
    rotations = path.parent / ROTATIONS
    if rotations.is_file():
        vertices = vertices @ _rotation(rotations, path.stem).T
    if up == "z":
        vertices = vertices @ _Y_FROM_Z.T
    return samples.of_mesh(
        meshes.fitted(np.asarray(vertices * _stretch(path, variant), np.float64), radius), faces, colours
    )


def _rotation(path: Path, name: str) -> np.ndarray:
    """What a file has for a shape, (3, 3); no turn where it has nothing."""
    return numbers_of(path, name, files.read_json_object(path).get(name, np.eye(3)), (3, 3))


def _stretch(path: Path, variant: int) -> np.ndarray:
    """By how much a variant of a mesh is longer along each axis, (3,)."""
    if not variant:
        return np.ones(3)
    rng = np.random.default_rng([zlib.crc32(path.stem.encode()), variant])
    return np.exp(rng.uniform(-_LONGEST, _LONGEST, 3))
