"""Numerical faults and want of memory: noticed within one logging interval, named, the last good state kept."""

import re

import jax
import numpy as np

from benchmarks.faults.command import DONE, MISUSED, REFUSED, kept, snapshot
from benchmarks.faults.spoils import Place, Spoil, UnexpectedError
from experiments import runs
from sdfrepar import files

# How a fault is named: the step, and what it was.
_NAMED = r"(?:at|since) step (\d+)"


def spoils() -> list[Spoil]:
    """All of them."""
    rates = {
        "learning rate of the field 1e30": "--fit.shape_rate=1e30",
        "learning rate of the colours 1e30": "--fit.colour_rate=1e30",
        "learning rate of the field NaN": "--fit.shape_rate=nan",
    }
    return [
        *(Spoil(name, lambda at, flag=flag: diverges(at, flag)) for name, flag in rates.items()),
        Spoil("field explodes, rolled back", rolled_back),
        Spoil("surface lost from the beginning", lost),
        Spoil("memory of a twentieth", less_memory),
        Spoil("memory of nothing", no_memory),
    ]


def diverges(at: Place, flag: str) -> str:
    """Named with step and cause within one logging interval, the good checkpoints kept; or refused as a flag."""
    said = at.go(flag, "--fit.warm_up=0", "--rollbacks=0", "--fit.clip=1e30", "--log_every=5")
    if said.code == MISUSED:
        return at.says(said, "rate", MISUSED)
    words = at.says(said, rf"error: .*{_NAMED}.*(?:not finite|lost|explode|field)", REFUSED)
    _require_good_state(at)
    return words


def rolled_back(at: Place) -> str:
    """The rate is lowered until it goes, or said that it does not."""
    flags = ("--fit.shape_rate=1e30", "--fit.warm_up=0", "--rollbacks=1", "--fit.clip=1e30")
    said = at.go(*flags)
    return at.says(said, r"roll|back|lower", said.code if said.code in (DONE, REFUSED) else DONE)


def lost(at: Place) -> str:
    """A sphere too small to be met."""
    flags = ("--network.initial_radius=0.001", "--rollbacks=0", "--fit.shape_rate=1e-9")
    return at.refused(*flags, because=rf"surface is lost.*{_NAMED}")


def less_memory(at: Place) -> str:
    """The step is taken in parts, which is said once; the run comes to its end."""
    gigabytes = files.read_json(at.bench.reference / runs.METRICS)["step_gigabytes"] / 3
    said = at.go(f"--memory_gb={gigabytes}")
    words = at.says(said, r"in \d+ parts|chunk", DONE)
    if len(re.findall(r"in \d+ parts", said.out)) > 1:
        raise UnexpectedError("it is said more than once")
    return words


def no_memory(at: Place) -> str:
    """Refused before the first step."""
    return at.refused("--memory_gb=1e-6", because="GB")


def _require_good_state(at: Place) -> None:
    """Raise if the last checkpoint holds what is not finite.

    Raises:
        UnexpectedError: it does.
    """
    if kept(at.workdir):
        leaves = jax.tree.leaves(snapshot(at.workdir))
        if not all(np.isfinite(leaf).all() for leaf in leaves):
            raise UnexpectedError("the last checkpoint holds what is not finite")
