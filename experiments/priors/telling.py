"""Telling whoever waits for a fit how far it has come."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from experiments.flags import RunError

Progressed = Callable[[int, dict[str, float]], None]
"""Told of the steps done, and of their metrics."""

# Steps between two lines of progress: to ask for a number waits for it.
_EVERY = 10


def tell(told: Progressed, number: int, metrics: Mapping[str, jax.Array], loss: str, cure: str) -> None:
    """Tell of step `number`, counted from 0, if it is one of those that are told of.

    Raises:
        RunError: the metric called `loss` is not finite; the sentence names the cure.
    """
    if number % _EVERY == _EVERY - 1:
        values = {name: float(value) for name, value in metrics.items()}
        if not np.isfinite(values[loss]):
            raise RunError(f"The loss is not finite at step {number}; {cure}.")
        told(number + 1, values)
