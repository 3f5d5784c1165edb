"""Thousands of broken inputs, in a process for each format, so that a crash or a hang is seen: see the package."""

import argparse
import collections
import faulthandler
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.fuzzing import outcomes
from benchmarks.fuzzing.subjects import SUBJECTS

# Seconds for one input, which takes milliseconds.
LONGEST = 60.0

# Defects of one kind that are printed.
_SHOWN = 3

# Bytes that a reader may ask for beyond those of the libraries.
ROOM = 4 * 2**30


def main() -> None:
    """Fuzz every format, print a table, and fail where there is a defect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="broken inputs in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first of each format")
    parser.add_argument("--subject", action="append", choices=tuple(SUBJECTS), help="one format, or several")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = arguments.subject or list(SUBJECTS)
    each = -(-arguments.count // len(chosen))
    if arguments.alone:
        fuzz(arguments.alone, range(arguments.first, arguments.first + arguments.count), sys.stdout)
        return
    print(f"{'format':<26}{'inputs':>8}{'read':>8}{'refused':>9}{'defects':>9}{'slowest, s':>12}")
    total: collections.Counter = collections.Counter()
    for subject in chosen:
        total += report(subject, in_process(subject, each, arguments.first))
    print(f"{'all':<26}{sum(total.values()):>8}{total['read']:>8}{total['refused']:>9}{total['defect']:>9}")
    sys.exit(1 if total["defect"] else 0)


def fuzz(subject: str, numbers: range, to) -> None:
    """Try the inputs of these numbers, and write a line of JSON about each, before and after."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        whole = SUBJECTS[subject].make()
        # What links lead to.
        whole.write(root / "outside")
        whole.write(root / "sound")
        SUBJECTS[subject].read(root / "sound")
        _limit_memory()
        for number in numbers:
            spoilt = outcomes.case(subject, number, whole, root / "outside")
            print(json.dumps([number, spoilt.kind, spoilt.where]), file=to, flush=True)
            faulthandler.dump_traceback_later(LONGEST, exit=True)
            start = time.perf_counter()
            outcome = outcomes.attempt(subject, spoilt, root / "set")
            seconds = time.perf_counter() - start
            faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(root / "set")
            print(json.dumps([*outcome, seconds]), file=to, flush=True)


def in_process(subject: str, count: int, first: int) -> list[tuple]:
    """(number, kind, file, outcome, words, seconds) of each input; one that ends the process is a defect, and the rest
    are tried in another.
    """
    rows: list[tuple] = []
    while len(rows) < count:
        begun = first + len(rows)
        command = [sys.executable, "-m", "benchmarks.fuzzing", "--alone", subject, "--first", str(begun)]
        done = subprocess.run([*command, "--count", str(count - len(rows))], capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        rows += [(*case, *outcome) for case, outcome in zip(lines[::2], lines[1::2], strict=False)]
        if len(rows) < count:
            if not lines:
                raise RuntimeError(f"{subject}: {done.stderr[-2000:]}")
            if len(lines) % 2:
                rows.append(
                    (*lines[-1], "defect", f"the process ended with {done.returncode}: {done.stderr[-600:]}", 0)
                )
    return rows


def report(subject: str, rows: list[tuple]) -> collections.Counter:
    """Print what came of a format's inputs, and a few of its defects; returns how many there are of each outcome."""
    counts = collections.Counter(row[3] for row in rows)
    figures = f"{len(rows):>8}{counts['read']:>8}{counts['refused']:>9}{counts['defect']:>9}"
    print(f"{subject:<26}{figures}{max(row[5] for row in rows):>12.2f}", flush=True)
    seen: collections.Counter = collections.Counter()
    for number, kind, where, outcome, words, _ in rows:
        what = words.partition(":")[0]
        if outcome == "defect" and seen[what] < _SHOWN:
            seen[what] += 1
            print(f"  {number}, {kind} of {where}: {words}", flush=True)
    return counts


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
