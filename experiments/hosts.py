"""Several hosts in one run: the same command on each, which differ in nothing but their number.

    python -m experiments.reconstruct ... --hosts.coordinator=10.0.0.1:1234 --hosts.count=2 --hosts.index=0

With `--hosts.coordinator=auto` a cluster that JAX knows (Slurm, Open MPI, Kubernetes, TPU pods) tells each its number.
The work directory must be one that all of them see: they write checkpoints together.
"""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


@dataclass(frozen=True)
class HostsConfig:
    """Who takes part in a run."""

    coordinator: str | None = None
    """address:port of host 0, for a run on several hosts; auto in a cluster that JAX knows; none for this host alone"""
    count: int = 1
    """How many hosts there are, with coordinator=address:port."""
    index: int = 0
    """Which of them this is, counted from 0."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"hosts.index is {self.index} and hosts.count {self.count}; give to each host its own number, counted "
                "from 0."
            )
        if self.count > 1 and self.coordinator is None:
            raise ValueError(
                f"hosts.count is {self.count} without a coordinator; add hosts.coordinator=ADDRESS:PORT of host 0."
            )


def connect(config: HostsConfig) -> None:
    """Join the other hosts, if there are any; before JAX is used."""
    if config.coordinator == "auto":
        jax.distributed.initialize()
    elif config.coordinator is not None:
        jax.distributed.initialize(config.coordinator, config.count, config.index)


def is_first() -> bool:
    """Whether this host is the one that writes files and speaks."""
    return jax.process_index() == 0


def only_the_first_speaks() -> contextlib.AbstractContextManager[Any]:
    """Silences standard output on the other hosts; errors are still said."""
    return contextlib.nullcontext() if is_first() else contextlib.redirect_stdout(io.StringIO())


def meet(occasion: str) -> None:
    """Wait until all hosts have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(occasion)


def from_the_first(value: np.ndarray) -> np.ndarray:
    """The value that the first host has, on all of them; they wait for it."""
    return value if jax.process_count() == 1 else np.asarray(multihost_utils.broadcast_one_to_all(value))
