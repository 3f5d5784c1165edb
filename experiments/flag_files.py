"""Command lines that name files of flags, which may be no text."""

import sys
from collections.abc import Callable
from typing import Any

from absl import app

from sdfrepar import files


def parsed(argv: list[str], parse: Callable[[list[str]], Any] = app.parse_flags_with_usage) -> Any:
    """What absl makes of a command line; the program ends where a flag, or a file of flags, is wrong."""
    try:
        return parse(argv)
    except UnicodeDecodeError as error:
        sys.exit(f"error: A --flagfile is no text ({files.reason(error)}); expected a flag a line, in UTF-8.")
