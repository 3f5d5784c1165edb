"""Single faults, each tried on a run of its own: what it is to say, and that it goes on once the fault is gone."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults.command import DONE, REFUSED, Bench, Said, logged
from benchmarks.faults.ledger import Job, Try

PART = "spoil"


class UnexpectedError(Exception):
    """A run did not do what was expected of it; the sentence says what it did."""


class CannotTryError(Exception):
    """This machine or this user cannot make the fault; the sentence says why."""


class Place:
    """Where one fault is tried: a work directory, and what runs in it must come to."""

    def __init__(self, bench: Bench, folder: Path):
        """In an empty folder."""
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.bench, self.folder, self.workdir, self.data = bench, folder, folder / "run", bench.data

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.workdir / "checkpoints"

    @property
    def newest(self) -> Path:
        """The last checkpoint."""
        return max(
            (path for path in self.checkpoints.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name)
        )

    def half(self) -> None:
        """Put a run here that was killed half way."""
        shutil.copytree(self.bench.half, self.workdir)

    def own_data(self) -> Path:
        """A copy of the pictures, which may be spoilt."""
        self.data = self.folder / "data"
        shutil.copytree(self.bench.data, self.data)
        return self.data

    def half_of_own_data(self) -> None:
        """As `half`, on pictures that may be spoilt."""
        self.own_data()
        self.bench.kill_at(self.workdir, 5, data=self.data)

    def go(self, *flags: str, **how: Any) -> Said:
        """The whole command."""
        return self.bench.go(self.workdir, *flags, data=self.data, **how)

    def refused(self, *flags: str, because: str, code: int = REFUSED, **how: Any) -> str:
        """The sentence with which the command is refused; `because` is a pattern of it."""
        return self.says(self.go(*flags, **how), rf"error: .*(?:{because})", code)

    def goes_on(self, *flags: str, because: str | None = None) -> str:
        """The command comes to the very end of a run that nothing has happened to; the line with this pattern."""
        words = self.says(self.go(*flags), because, DONE)
        difference = self.bench.difference(self.workdir)
        if difference is not None:
            raise UnexpectedError(f"it went on, and {difference}")
        return words

    def says(self, said: Said, pattern: str | None, code: int) -> str:
        """The line with a pattern of what a command has said; its last words where there is none to look for.

        Raises:
            UnexpectedError: it hung, showed a traceback, ended otherwise, or did not say so.
        """
        if said.trouble is not None:
            raise UnexpectedError(said.trouble)
        if said.code != code:
            raise UnexpectedError(f"exit {said.code}, expected {code}: {said.last_words}")
        if pattern is None:
            return said.last_words
        for line in (said.err + said.out).splitlines():
            if re.search(pattern, line, re.IGNORECASE):
                return line.strip()
        raise UnexpectedError(f"exit {code} without {pattern!r}: {said.last_words}")

    def logged(self) -> int:
        """The last step in metrics.jsonl."""
        return logged(self.workdir)


class Spoil(NamedTuple):
    """A fault: its name, and what tries it and returns what the run said."""

    name: str
    work: Callable[[Place], str]


def jobs(bench: Bench, spoils: list[Spoil], count: int) -> list[Job]:
    """Each fault so often."""
    return [
        Job(PART, spoil.name, number, 1, lambda s=spoil, n=number: [spoilt(bench, s, n)])
        for number in range(count)
        for spoil in spoils
    ]


def spoilt(bench: Bench, spoil: Spoil, number: int) -> Try:
    """Try a fault."""
    place = Place(bench, bench.folder / PART / f"{re.sub('[^a-z0-9]+', '_', spoil.name.lower())}-{number}")
    try:
        words, survived, tries = spoil.work(place), 1, 1
    except UnexpectedError as error:
        words, survived, tries = str(error), 0, 1
    except CannotTryError as error:
        words, survived, tries = f"not tried: {error}", 0, 0
    words = words.replace(str(place.folder), "...").replace(str(bench.folder), "...")
    if survived:
        shutil.rmtree(place.folder, ignore_errors=True)
    return Try(PART, spoil.name, number, survived, words, tries)


def _unmount(folder: Path) -> None:
    """Take down what a killed harness has left mounted below a folder."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[1].startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=True)
