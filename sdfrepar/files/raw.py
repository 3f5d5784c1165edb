"""Bytes and text: written whole or not at all, and files that are missed, or are no text, kindly."""

import os
import uuid
from pathlib import Path
from typing import Any

# Letters of another library's words, and of a value, in a sentence of ours.
_LONGEST_REASON = 200
_LONGEST_VALUE = 100


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


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text.
    """
    path = require_file(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text ({reason(error)}); expected UTF-8, so save it as that.") from error
    if "\0" in text:
        raise ValueError(f"{path} is no text, as it holds zero bytes; expected UTF-8, so copy or save it again.")
    return text


def shown(value: Any) -> str:
    """A value of a file, as a part of a sentence: on one line, and not too long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def reason(error: Exception) -> str:
    """What a library's error says, as a part of a sentence: one line, not too long; its name where it says nothing."""
    words = " ".join(str(error).split()).rstrip(".")
    shown = "".join(letter if letter.isprintable() else "?" for letter in words) or type(error).__name__
    return shown if len(shown) <= _LONGEST_REASON else f"{shown[:_LONGEST_REASON]}..."
