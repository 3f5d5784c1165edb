"""Broken inputs through every reader: `benchmarks.fuzzing` makes and judges them, in processes of their own."""

import collections

from benchmarks.faults.ledger import Job, Try
from benchmarks.fuzzing.__main__ import in_process
from benchmarks.fuzzing.subjects import SUBJECTS

PART = "fuzz"

# Inputs that one process tries; a start takes as long as some hundred of them.
_EACH = 500


def jobs(count: int) -> list[Job]:
    """So many inputs in all, shared among the formats."""
    each = -(-count // len(SUBJECTS))
    return [
        Job(PART, subject, first, 1, lambda s=subject, n=first, m=count: [inputs(s, n, m)])
        for subject in SUBJECTS
        for first in range(0, each, _EACH)
        for count in [min(_EACH, each - first)]
    ]


def inputs(subject: str, first: int, count: int) -> Try:
    """Some broken inputs of one format, beginning with that of number `first`."""
    rows = in_process(subject, count, first)
    defects = [(number, kind, where, words) for number, kind, where, outcome, words, _ in rows if outcome == "defect"]
    kinds = collections.Counter(kind_of(words) for *_, words in defects)
    outcomes = collections.Counter(row[3] for row in rows)
    message = f"{outcomes['read']} read, {outcomes['refused']} refused"
    if defects:
        number, kind, where, words = defects[0]
        message = f"{number}, {kind} of {where}: {words}"
    about = {"tracebacks": kinds["traceback"], "hangs": kinds["hang"], "writes": kinds["write"]}
    return Try(PART, subject, first, count - len(defects), message, tries=count, about=about)


def kind_of(words: str) -> str:
    """A defect is a hang, a write (or a program) where there should be none, or else an error that is no sentence."""
    if words.startswith("it did "):
        return "write"
    return "hang" if "Timeout (" in words else "traceback"
