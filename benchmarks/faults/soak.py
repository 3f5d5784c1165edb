"""The memory of a long run that saves, draws and reports often: flat after the first minutes."""

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.command import STOPPED, Bench, Running, logged
from benchmarks.faults.ledger import Job, Try
from experiments import curves
from sdfrepar import files

PART = "soak"

FLAT = 0.02
"""How far the last third may lie from the middle one."""

# More steps than there is time for, a picture with a report every hundred of them, a save every few seconds.
_FLAGS = ("--fit.steps=2000000", "--pictures=20000", "--checkpoint_every=3", "--log_every=10")

_INTERVAL, _SAMPLES = 5.0, 30

# Share of the time that belongs to the warm-up.
_WARM_UP = 0.1


def jobs(bench: Bench, minutes: float) -> list[Job]:
    """One run."""
    fault = f"a run of {minutes:g} minutes"
    return [Job(PART, fault, 0, 1, lambda: [soak(bench, fault, minutes)])] if minutes > 0 else []


def soak(bench: Bench, fault: str, minutes: float) -> Try:
    """Watch a run so long, then stop it."""
    workdir = bench.folder / PART
    shutil.rmtree(workdir, ignore_errors=True)
    with bench.start(workdir, *_FLAGS) as running:
        running.until(lambda: logged(workdir) > 0)
        samples = watched(running, 60.0 * minutes)
        running.signal(signal.SIGTERM)
        said = running.ended()
    steps, change = logged(workdir), drift(samples)
    files.write_json(bench.folder / "soak.json", {"seconds": samples[:, 0], "megabytes": samples[:, 1]})
    files.write_bytes(bench.folder / "soak.png", picture(samples))
    wrong = said.trouble or (f"exit {said.code}: {said.last_words}" if said.code != STOPPED else None)
    flat = abs(change) <= FLAT
    words = f"{np.median(samples[:, 1]):.0f} MB, {change:+.1%} from the middle third to the last, {steps} steps"
    about = {"minutes": minutes, "drift": change, "seconds": 60.0 * minutes}
    survived = int(flat and wrong is None)
    return Try(PART, fault, 0, survived, f"{words}; {wrong}" if wrong else words, about=about)


def watched(running: Running, seconds: float) -> np.ndarray:
    """Seconds, and megabytes in memory, of a process until the time is over or it has ended: (N, 2)."""
    begun, samples = time.monotonic(), []
    while running.runs and time.monotonic() - begun < seconds:
        samples.append((time.monotonic() - begun, resident(running.process.pid)))
        running.sleep(min(_INTERVAL, seconds / _SAMPLES))
    return np.array(samples).reshape(-1, 2)


def resident(process: int) -> float:
    """Megabytes of memory that a process has now; NaN where it has just ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return float("nan")
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(found[0]) / 1e3 if found else float("nan")


def drift(samples: np.ndarray) -> float:
    """By which share the median of the last third, after the warm-up, lies above that of the middle third."""
    if len(samples) < 6:
        return float("nan")
    after = samples[int(_WARM_UP * len(samples)) :, 1]
    _, middle, last = np.array_split(after[np.isfinite(after)], 3)
    return float(np.median(last) / np.median(middle) - 1.0)


def picture(samples: np.ndarray) -> bytes:
    """Memory over time, as PNG."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.plot(samples[:, 0] / 60.0, samples[:, 1])
        axes.set(xlabel="minutes", ylabel="resident memory, MB", ylim=(0.0, None))

    return curves.drawn(draw, (4.0, 2.5))
