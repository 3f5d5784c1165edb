"""The edge where arrays meet the disk: pictures, meshes, JSON and bytes.

Every whole-file write is atomic: a reader sees the old file or the new one, never half of one, even after
a killed run. imageio and trimesh take long to import and are therefore imported where they are used.
"""

import json
import math
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

_MESH_SUFFIXES = (".ply", ".obj", ".glb", ".stl")


def encode_srgb(linear: np.ndarray) -> np.ndarray:
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

    Grey is repeated into three channels. Colour PNGs of 16 bits keep the upper 8, all that Pillow decodes; grey ones
    keep all 16.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture of 8 or 16 bits.
    """
    import imageio.v3 as imageio

    path = _require_file(path)
    try:
        # From memory and by one plugin: trying them all on a path leaves the file open.
        stored = imageio.imread(path.read_bytes(), plugin="pillow")
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a picture; expected a PNG or JPEG.") from error
    if stored.ndim == 2:
        stored = stored[..., None]
    if stored.ndim != 3 or stored.shape[2] not in (1, 2, 3, 4):
        raise ValueError(
            f"{path} holds an array of shape {stored.shape}; expected one still picture of 1 to 4 channels."
        )
    return _three_colours(stored.astype(np.float32) / _white_level(stored.dtype, path))


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
        ValueError: another suffix, or a file that is no triangle mesh.
    """
    import trimesh

    path = _require_file(require_mesh(path))
    try:
        mesh = trimesh.load_mesh(path, process=False)
        vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a mesh ({error}); expected triangles.") from error
    if not len(faces):
        raise ValueError(f"{path} holds no triangles; expected a triangle mesh.")
    return vertices, faces


def append_json_line(path: str | Path, record: dict[str, Any]) -> None:
    """Append `record` as one line of JSON; numbers as in `write_json`.

    What a killed run left of its last line is cut off first, so that every line of the file stays readable.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = _json_line(record)
    with path.open("a+b") as file:
        _mend_last_line(file)
        file.write(line)


def write_json_lines(path: str | Path, records: Iterable[dict[str, Any]]) -> None:
    """Write a file of JSON lines as a whole, atomically; numbers as in `write_json`."""
    write_bytes(path, b"".join(_json_line(record) for record in records))


def read_json_lines(path: str | Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines, in order; a last line that a killed run left unfinished is passed over.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line other than the last is no JSON.
    """
    path = _require_file(path)
    lines = path.read_bytes().splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise ValueError(f"{path}, line {number}, is not JSON ({error}); mend or remove that line.") from error
    return records


def write_json(path: str | Path, obj: Any) -> None:
    """Write `obj` as indented JSON, atomically, creating parent folders.

    Arrays become lists and NumPy scalars numbers; NaN and infinity, which JSON lacks, become null.

    Raises:
        ValueError: something in `obj` has no form in JSON.
    """
    write_bytes(path, (json.dumps(_plain(obj), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON.
    """
    path = _require_file(path)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); mend it or write it again.") from error


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` atomically, creating parent folders: to a file beside `path` that then takes its name."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _require_file(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check the path.")
    return path


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


def _white_level(dtype: np.dtype, path: Path) -> float:
    # Some versions of Pillow hand 16-bit grey over as int32.
    levels = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0, "int32": 65535.0}
    if dtype.name not in levels:
        raise ValueError(f"{path} stores its pixels as {dtype.name}; expected 8 or 16 bits, so convert it to PNG.")
    return levels[dtype.name]


def _three_colours(stored: np.ndarray) -> np.ndarray:
    """(H, W, 1..4) as (H, W, 3), or (H, W, 4) where there is an alpha."""
    if stored.shape[2] > 2:
        return stored
    return np.concatenate([np.repeat(stored[..., :1], 3, axis=2), stored[..., 1:]], axis=2)


def _json_line(record: dict[str, Any]) -> bytes:
    return (json.dumps(_plain(record), allow_nan=False) + "\n").encode()


def _mend_last_line(file: Any) -> None:
    """End the last line of a file open for appending, or cut it off where it is no JSON."""
    if not file.tell():
        return
    file.seek(-1, os.SEEK_END)
    if file.read() == b"\n":
        return
    file.seek(0)
    content = file.read()
    start = content.rfind(b"\n") + 1
    try:
        json.loads(content[start:])
    except ValueError:
        file.truncate(start)
    else:
        file.write(b"\n")


def _plain(obj: Any) -> Any:
    """`obj` in the types that JSON has."""
    if isinstance(obj, dict):
        return {str(key): _plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_plain(value) for value in obj]
    if obj is None or isinstance(obj, bool | int | str):
        return obj
    if isinstance(obj, float):
        return float(obj) if math.isfinite(obj) else None
    if isinstance(obj, Path):
        return str(obj)
    # NumPy and JAX arrays and scalars; `tolist` of a scalar is a plain number.
    if hasattr(obj, "tolist"):
        return _plain(obj.tolist())
    raise ValueError(f"Cannot write a {type(obj).__name__} as JSON; expected numbers, strings, arrays, lists or dicts.")
