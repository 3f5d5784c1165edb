"""The edge where arrays meet the disk: pictures, meshes, published weights, arrays, JSON, text and bytes.

Every whole-file write is atomic: a reader sees the old file or the new one, never half of one, even after
a killed run.
"""

from sdfrepar.files.arrays import read_arrays
from sdfrepar.files.json_files import (
    append_json_line,
    read_json,
    read_json_lines,
    read_json_object,
    write_json,
    write_json_lines,
)
from sdfrepar.files.meshes import (
    read_coloured_mesh,
    read_mesh,
    read_points,
    require_mesh,
    require_sound_mesh,
    write_mesh,
)
from sdfrepar.files.pictures import (
    PictureKind,
    as_bytes,
    decode_srgb,
    encode_srgb,
    picture_kind,
    read_image,
    write_image,
)
from sdfrepar.files.raw import read_text, reason, require_file, shown, write_bytes
from sdfrepar.files.state_dicts import read_state_dict

__all__ = [
    "PictureKind",
    "append_json_line",
    "as_bytes",
    "decode_srgb",
    "encode_srgb",
    "picture_kind",
    "read_arrays",
    "read_coloured_mesh",
    "read_image",
    "read_json",
    "read_json_lines",
    "read_json_object",
    "read_mesh",
    "read_points",
    "read_state_dict",
    "read_text",
    "reason",
    "require_file",
    "require_mesh",
    "require_sound_mesh",
    "shown",
    "write_bytes",
    "write_image",
    "write_json",
    "write_json_lines",
    "write_mesh",
]
