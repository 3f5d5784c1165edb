"""The metrics.jsonl of a run: a line of JSON for every step that was logged."""

from pathlib import Path
from typing import Any

from experiments.numbers import numbers_of
from sdfrepar import files


def cut(log: Path, step: int) -> None:
    """Drop the lines of steps that will be done again."""
    if log.is_file():
        files.write_json_lines(log, [line for line in read(log) if line["step"] <= step])


def read(log: Path) -> list[dict[str, Any]]:
    """The lines, each with its step.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that is no JSON or has no step.
    """
    lines = files.read_json_lines(log)
    for number, line in enumerate(lines, start=1):
        numbers_of(log, f"the step of line {number}", line.get("step"), ())
    return lines
