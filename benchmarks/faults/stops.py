"""SIGTERM at a random step: the run saves, ends with a code of its own, and goes on to the same bits."""

import re
import shutil
import signal

import numpy as np

from benchmarks.faults.command import DONE, STEPS, STOPPED, Bench, logged
from benchmarks.faults.ledger import Job, Try

PART, FAULT = "stop", "SIGTERM at a random step"

SENTENCE = re.compile(r".*(?:stopped|same command|SIGTERM).*", re.IGNORECASE)
"""What a stopped run says."""

# Seconds of a step and its save.
_STEP = 0.3


def jobs(bench: Bench, count: int) -> list[Job]:
    """So many stops."""
    return [Job(PART, FAULT, number, 1, lambda n=number: [stop(bench, n)]) for number in range(count)]


def stop(bench: Bench, number: int) -> Try:
    """Stop a run at a random step, and let it go on."""
    rng = np.random.default_rng([number, 2])
    workdir = bench.folder / PART / str(number)
    step, late = int(rng.integers(1, STEPS - 1)), rng.uniform(0.0, _STEP)
    shutil.rmtree(workdir, ignore_errors=True)
    with bench.start(workdir) as running:
        running.until(lambda: logged(workdir) >= step)
        running.sleep(late)
        running.signal(signal.SIGTERM)
        said = running.ended()
    stopped_at = logged(workdir)
    found = SENTENCE.search(said.err + said.out)
    after = bench.go(workdir)
    wrong = (
        said.trouble
        or (f"exit {said.code}, expected {STOPPED}: {said.last_words}" if said.code != STOPPED else None)
        or ("no sentence says that it was stopped" if found is None else None)
        or after.trouble
        or (f"going on, exit {after.code}: {after.last_words}" if after.code != DONE else None)
        or bench.difference(workdir)
    )
    lost = None if after.went_on_at is None else max(stopped_at - after.went_on_at, 0)
    if wrong is None:
        shutil.rmtree(workdir)
    words = wrong or (found.group().strip() if found else "")
    return Try(PART, FAULT, number, int(wrong is None), words, lost=lost, about={"step": stopped_at})
