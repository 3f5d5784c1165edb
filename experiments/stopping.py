"""Signals that ask a program to end: it does so at once, or when the step it is at is done and saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXIT_CODE = 75
"""Of a program that was asked to stop and goes on with the same command: EX_TEMPFAIL, as schedulers know it."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """The program was asked to stop; the sentence says what has been saved. Not an error, so that nobody catches it."""

    @classmethod
    def at_step(cls, by: str, step: int, workdir: Path) -> "Stopped":
        """After a step that is saved; `by` is who asked."""
        return cls(f"Stopped by {by} at step {step}, which is saved in {workdir}; the same command goes on from there.")


@dataclass
class Request:
    """Whether somebody has asked the program to stop."""

    by: str | None = None
    """The signal's name."""


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """SIGTERM and SIGINT raise `Stopped` where the program is; in the midst of compiling, right after it.

    Raises:
        Stopped: a signal came.
    """

    def stop(name: str) -> None:
        raise Stopped(f"Stopped by {name} with nothing new to save; the same command goes on.")

    with _listening(stop):
        yield


@contextlib.contextmanager
def when_it_suits() -> Iterator[Request]:
    """SIGTERM and SIGINT are noted in what this gives, for a loop to look at between two steps."""
    request = Request()

    def note(name: str) -> None:
        request.by = name

    with _listening(note):
        yield request


@contextlib.contextmanager
def _listening(answer: Callable[[str], None]) -> Iterator[None]:
    """The first signal is answered, a second ends the program at once; signals that are ignored stay so."""
    # Only the main thread may choose; in another, signals are somebody else's business.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def first(number: int, frame: Any) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_DFL)
        answer(signal.Signals(number).name)

    before = {number: signal.signal(number, first) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
