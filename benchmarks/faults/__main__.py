"""Try the faults and print the table: see the package."""

import signal
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import app, flags, logging

from benchmarks import results
from benchmarks.faults import asked, disks, kills, ledger, numerical, pictured, soak, spoils, stops, stored, table
from benchmarks.faults.command import Bench, end_all
from benchmarks.faults.ledger import Job
from benchmarks.faults.spoils import Spoil
from sdfrepar import files

PARTS = ("kill", "stop", "spoil", "fuzz", "soak")

_WORKDIR = flags.DEFINE_string("workdir", "runs/faults", "folder of the tries; the same goes on")
_PARTS = flags.DEFINE_multi_enum("part", list(PARTS), PARTS, "one part, or several")
_JOBS = flags.DEFINE_integer("jobs", 2, "how many at a time", lower_bound=1)
_KILLS = flags.DEFINE_integer("kills", 200, "kill -9, half of them around saves", lower_bound=0)
_STOPS = flags.DEFINE_integer("stops", 50, "SIGTERM", lower_bound=0)
_SPOILS = flags.DEFINE_integer("spoils", 1, "tries of each single fault", lower_bound=0)
_ONLY = flags.DEFINE_string("only", "", "single faults with this in their names")
_INPUTS = flags.DEFINE_integer("inputs", 10_000, "broken inputs", lower_bound=0)
_MINUTES = flags.DEFINE_float("minutes", 30.0, "of the long run", lower_bound=0.0)
_AGAIN = flags.DEFINE_bool("again", False, "try again what has failed")


def main(argv: Sequence[str]) -> int:
    """Do what is left, print the table; 1 where something was not survived."""
    if len(argv) > 1:
        raise app.UsageError(f"{argv[1]!r} is no flag.")
    # Orbax tells of every checkpoint that it reads.
    logging.set_verbosity(logging.WARNING)
    # As Ctrl-C does: mounts are taken down.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Bench(Path(_WORKDIR.value))
    done = ledger.Ledger(bench.folder / "tries.jsonl")
    left = done.left(jobs(bench), again=_AGAIN.value)
    if any(job.part != "fuzz" for job in left):
        print(f"{bench.folder}: the run that others are compared with ...", flush=True)
        bench.prepare()
        print(f"{bench.life:.0f} s of a processor without a fault", flush=True)
    # The long run takes its time whatever is beside it, so it begins first.
    ledger.work(sorted(left, key=lambda job: job.part != soak.PART), done, _JOBS.value, end_all)
    text = table.markdown(done.tries)
    files.write_bytes(bench.folder / "faults.md", text.encode())
    bars = [{"part": "bar", **bar._asdict()} for bar in table.bars(done.tries)]
    results.write("faults", jax.devices()[0], [*table.rows(done.tries), *bars])
    print(text)
    return int(any(one.survived < one.tries for one in done.tries))


def jobs(bench: Bench) -> list[Job]:
    """All that the flags ask for."""
    parts = {
        kills.PART: lambda: kills.jobs(bench, _KILLS.value),
        stops.PART: lambda: stops.jobs(bench, _STOPS.value),
        spoils.PART: lambda: spoils.jobs(bench, [one for one in catalogue() if _ONLY.value in one.name], _SPOILS.value),
        "fuzz": fuzz_jobs,
        soak.PART: lambda: soak.jobs(bench, _MINUTES.value),
    }
    return [job for part in PARTS if part in _PARTS.value for job in parts[part]()]


def catalogue() -> list[Spoil]:
    """All single faults."""
    return [*disks.spoils(), *stored.spoils(), *pictured.spoils(), *numerical.spoils(), *asked.spoils()]


def fuzz_jobs() -> list[Job]:
    """Imported only where it is asked for: readers of all formats come with it."""
    from benchmarks.faults import fuzz

    return fuzz.jobs(_INPUTS.value)


if __name__ == "__main__":
    app.run(main)
