"""The temporary memory of compiled programs, and work cut into as few parts as keep it within a budget."""

import math
import os
from collections.abc import Callable, Iterable
from typing import Any

# Of the memory that a device has, what a program may take for itself when nobody says otherwise.
_SHARE = 0.75

_GIGABYTE = 1e9


def budget(gigabytes: float | None, device: Any) -> float:
    """Bytes that a program may take on a device: those stated, or three quarters of what the device has."""
    if gigabytes is not None:
        return gigabytes * _GIGABYTE
    stated = (device.memory_stats() or {}).get("bytes_limit")
    return _SHARE * (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if stated is None else stated)


def temporary_bytes(compiled: Any) -> int:
    """What a compiled program takes on each device, besides its arguments and results."""
    return compiled.memory_analysis().temp_size_in_bytes


def fewest_parts(compile_parts: Callable[[int], Any], allowed: Iterable[int], limit: float) -> tuple[int, Any]:
    """A program in as few parts as its temporary memory allows.

    Args:
        compile_parts: a number of parts -> the compiled program that does its work in so many.
        allowed: numbers of parts to choose from.
        limit: bytes.

    Returns:
        The number of parts, and the program.

    Raises:
        ValueError: not even the most parts fit.
    """
    most = max(allowed := sorted(allowed))
    parts = allowed[0]
    while (needed := temporary_bytes(compiled := compile_parts(parts))) > limit:
        if parts == most:
            raise ValueError(
                f"The program takes {needed / _GIGABYTE:.3g} GB even in {parts} parts, and the budget is "
                f"{limit / _GIGABYTE:.3g} GB; state a larger --memory_gb, or make the batch or the networks smaller."
            )
        # Memory falls no faster than with the number of parts.
        fewest = max(parts + 1, math.ceil(parts * needed / limit))
        parts = next((some for some in allowed if some >= fewest), most)
    return parts, compiled
