"""Bytes: written whole or not at all, and files that are missed kindly."""

import os
import uuid
from pathlib import Path


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


def require_file(path: str | Path) -> Path:
    """The path of a file that is there.

    Raises:
        FileNotFoundError: it is not.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check the path.")
    return path
