"""Curves as PNG, in colours that everyone can tell apart. Needs matplotlib, which comes with the notebooks' extra."""

import io
from collections.abc import Callable
from typing import Any


def drawn(draw: Callable[[Any], None], size: tuple[float, float]) -> bytes:
    """The PNG of a figure.

    Args:
        draw: fills the matplotlib figure that it is given.
        size: width and height, inches of 150 pixels.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "The numbers are written; drawing their curves needs matplotlib, which is not installed: "
            "pip install 'sdfrepar[notebooks]'."
        ) from error
    with style.context("tableau-colorblind10"):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        memory = io.BytesIO()
        figure.savefig(memory, format="png", dpi=150)
    return memory.getvalue()
