"""kill -9: a run is killed several times in succession, then let finish and compared with one that was not."""

import shutil
import signal
from pathlib import Path

import numpy as np

from benchmarks.faults.command import DONE, STEPS, Bench, Running, Said, kept, logged, unfinished
from benchmarks.faults.ledger import Job, Try

PART = "kill"
ANY_MOMENT, IN_A_SAVE = "kill -9 at a random moment", "kill -9 around a save"

IN_SUCCESSION = 5
"""Kills of a run before it is compared."""

# Seconds that a save takes, and a little more.
_SAVE = 0.3


def jobs(bench: Bench, count: int) -> list[Job]:
    """So many kills, half of them aimed at saves."""
    return [
        Job(PART, fault, first, tries, lambda f=fault, n=first, t=tries: chain(bench, f, n, t))
        for fault, share in ((ANY_MOMENT, count - count // 2), (IN_A_SAVE, count // 2))
        for first in range(0, share, IN_SUCCESSION)
        for tries in [min(IN_SUCCESSION, share - first)]
    ]


def chain(bench: Bench, fault: str, first: int, count: int) -> list[Try]:
    """Kill a run so often. One that finishes before its kill is compared, and another begins."""
    rng = np.random.default_rng([first, fault == IN_A_SAVE])
    workdir = bench.folder / PART / f"{'save' if fault == IN_A_SAVE else 'any'}{first}"
    shutil.rmtree(workdir, ignore_errors=True)
    tries: list[Try] = []
    since = 0  # tries of this run
    while len(tries) < count:
        with bench.start(workdir) as running:
            if fault == ANY_MOMENT:
                _wait_for_moment(running, bench, rng, fresh=not since)
            else:
                _wait_for_save(running, workdir, rng)
            killed = running.signal(signal.SIGKILL)
            said = running.ended()
        before = tries[-1] if since else None
        _tell_loss(before, said)
        if killed:
            tries.append(_try(fault, first + len(tries), workdir))
            since += 1
            continue
        _judge(bench, before, workdir, said)
        shutil.rmtree(workdir)
        since = 0
    if since:
        said = bench.go(workdir)
        _tell_loss(tries[-1], said)
        _judge(bench, tries[-1], workdir, said)
    if all(one.survived for one in tries):
        shutil.rmtree(workdir, ignore_errors=True)
    return tries


def _wait_for_moment(running: Running, bench: Bench, rng: np.random.Generator, *, fresh: bool) -> None:
    """Any moment of the life of a run that nothing happens to."""
    moment, worked = rng.uniform(0.0, bench.life), 0.0

    def has_come() -> bool:
        nonlocal worked
        worked = max(worked, running.worked)
        return worked >= moment

    if not running.until(has_come, poll=0.005) and fresh:
        # On a machine that has become calmer, where threads wait less for each other, a life is shorter.
        bench.life = min(bench.life, worked)


def _wait_for_save(running: Running, workdir: Path, rng: np.random.Generator) -> None:
    """A moment within or just after a save."""
    seen: set[str] = set()
    old, wanted = unfinished(workdir), rng.integers(1, STEPS // 4)

    def has_begun() -> bool:
        seen.update(unfinished(workdir) - old)
        return len(seen) >= wanted

    if running.until(has_begun, poll=0.001):
        running.sleep(rng.uniform(0.0, _SAVE))


def _try(fault: str, number: int, workdir: Path) -> Try:
    """A kill, of which it is not known yet whether it is survived: so far it is."""
    step, newest = logged(workdir), max(kept(workdir), default=0)
    words = f"at step {step}" if step else "before the first step"
    about = {"in_save": bool(unfinished(workdir)), "logged": step}
    return Try(PART, fault, number, 1, words, lost=max(step - newest, 0), about=about)


def _tell_loss(before: Try | None, said: Said) -> None:
    """The steps that were lost are those that the next command did again, if it came to say so."""
    if before is not None and said.went_on_at is not None:
        before.lost = max(before.about["logged"] - said.went_on_at, 0)


def _judge(bench: Bench, before: Try | None, workdir: Path, said: Said) -> None:
    """What became of a run that ended by itself, laid to its last kill.

    Raises:
        RuntimeError: it went wrong, and nobody had killed it.
    """
    unrecoverable = said.trouble or (f"exit {said.code}: {said.last_words}" if said.code != DONE else None)
    divergent = None if unrecoverable else bench.difference(workdir)
    if not (unrecoverable or divergent):
        return
    if before is None:
        raise RuntimeError(f"A run that was not killed went wrong: {unrecoverable or divergent}")
    before.survived, before.message = 0, unrecoverable or f"silent divergence: {divergent}"
    before.about |= {"unrecoverable": bool(unrecoverable), "divergent": bool(divergent)}
