"""JSON, whole files and one record a line."""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sdfrepar.files.raw import reason, require_file, write_bytes


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
        ValueError: a line other than the last is no JSON, or any is no object.
    """
    path = require_file(path)
    lines = path.read_bytes().split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                raise ValueError(
                    f"{path}, line {number}, is not JSON ({reason(error)}); mend or remove that line."
                ) from error
            continue
        if not isinstance(record, dict):
            raise ValueError(f"{path}, line {number}, holds no names and values; mend or remove that line.")
        records.append(record)
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
        ValueError: the file is not JSON, or nested a thousand deep.
    """
    path = require_file(path)
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({reason(error)}); mend it or write it again.") from error


def read_json_object(path: str | Path) -> dict[str, Any]:
    """The names and values that a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON, or holds something else.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} holds no names and values but a {type(found).__name__}; expected {{...}}, so mend it."
        )
    return found


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
