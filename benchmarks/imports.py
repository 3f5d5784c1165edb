"""How long `import sdfrepar` takes beside the libraries that it stands on, each time in a fresh interpreter.

    python -m benchmarks.imports [repetitions]

The statements take turns, so that what else the machine does falls on all of them. Writes runs/benchmarks/imports.json.
"""

import statistics
import subprocess
import sys
import time

import jax

from benchmarks import results
from sdfrepar import reports

BASELINE = "import jax, flax, optax"
STATEMENTS = {
    "what it stands on": BASELINE,
    "the package": "import sdfrepar",
    "and rendering": "import sdfrepar as sr; sr.rendering",
    "and networks, fitting": "import sdfrepar as sr; sr.networks, sr.fitting",
    "and every module": "import sdfrepar as sr; [getattr(sr, name) for name in sr.__all__]",
}


def main(repetitions: int) -> None:
    """Print the table and write the JSON."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for number in range(repetitions + 1):
        for name, statement in STATEMENTS.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            # The first round fills the file system's cache.
            if number:
                times[name].append(time.perf_counter() - begun)
    baseline = statistics.median(times["what it stands on"])
    rows = [
        {"name": name, "statement": STATEMENTS[name], "median": statistics.median(each), "least": min(each)}
        for name, each in times.items()
    ]
    results.write("imports", jax.devices()[0], rows, repetitions=repetitions)
    cells = [
        [f"`{row['statement']}`", f"{row['median']:.2f} s", f"{row['least']:.2f} s", f"{row['median'] / baseline:.2f}"]
        for row in rows
    ]
    print(reports.table(("statement", "median", "least", "of the median of the first"), cells))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
