"""The tries that have been done, a line of JSON each, and the jobs that do the others."""

import concurrent.futures
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sdfrepar import files
from sdfrepar.reports import Progress


@dataclasses.dataclass
class Try:
    """What came of a fault that was tried once, or so often."""

    part: str
    fault: str
    number: int
    """Among the tries of this fault."""
    survived: int
    """How many of the tries were survived, or refused with the sentence expected."""
    message: str
    """What the run said, or what was wrong."""
    tries: int = 1
    lost: int | None = None
    """Steps that had to be done again, where that can be told."""
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What else the bars ask for."""


class Job(NamedTuple):
    """Work that makes tries, the first of which has this number."""

    part: str
    fault: str
    number: int
    tries: int
    work: Callable[[], list[Try]]


class Ledger:
    """A file of tries that grows; of several with one number the last counts."""

    def __init__(self, path: Path):
        """Read the file, if there is one."""
        self._path, self._lock = path, threading.Lock()
        lines = files.read_json_lines(path) if path.is_file() else []
        self._tries = {(line["part"], line["fault"], line["number"]): Try(**line) for line in lines}

    @property
    def tries(self) -> list[Try]:
        """In the order in which they were first done."""
        return list(self._tries.values())

    def add(self, tries: Sequence[Try]) -> None:
        """Append tries."""
        with self._lock:
            for one in tries:
                files.append_json_line(self._path, dataclasses.asdict(one))
                self._tries[one.part, one.fault, one.number] = one

    def left(self, jobs: Sequence[Job], *, again: bool) -> list[Job]:
        """The jobs that have not been done; those with a failure count as undone where `again` says so."""
        return [job for job in jobs if not self._is_done(job, again)]

    def _is_done(self, job: Job, again: bool) -> bool:
        # A job that makes several lines numbers them one after the other.
        found = [self._tries.get((job.part, job.fault, job.number + i)) for i in range(job.tries)]
        done = [one for one in found if one is not None]
        return bool(done) and not (again and any(one.survived < one.tries for one in done))


def work(jobs: Sequence[Job], ledger: Ledger, at_a_time: int, give_up: Callable[[], object]) -> None:
    """Do the jobs, so many at a time, with a line of progress; interrupted, `give_up` ends those at work."""
    failed = 0
    with Progress(len(jobs), unit="job") as progress, concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        futures = [pool.submit(_done, job) for job in jobs]
        try:
            for count, future in enumerate(concurrent.futures.as_completed(futures), start=1):
                tries = future.result()
                ledger.add(tries)
                for one in tries:
                    if one.survived < one.tries:
                        failed += one.tries - one.survived
                        progress.note(f"{one.part}, {one.fault}, {one.number}: {one.message}")
                progress.update(count, {"failed": failed})
        except BaseException:
            # What they come to now says nothing, and is not written.
            pool.shutdown(wait=False, cancel_futures=True)
            give_up()
            raise


def _done(job: Job) -> list[Try]:
    """The tries of a job; an error of the harness is a failure that says so."""
    begun = time.monotonic()
    try:
        tries = job.work()
    except Exception as error:
        words = f"the harness itself: {type(error).__name__}: {error}"
        tries = [Try(job.part, job.fault, job.number, 0, words, job.tries)]
    seconds = round((time.monotonic() - begun) / len(tries), 1)
    for one in tries:
        one.about.setdefault("seconds", seconds)
    return tries
