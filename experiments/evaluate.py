"""Make the pictures, the mesh and the numbers of a run again, from its last checkpoint; while it runs, too.

    python -m experiments.evaluate --workdir=runs/demo
    python -m experiments.evaluate --workdir=runs/demo --data=OTHER --output=runs/demo/other

OTHER holds pictures of the same object in the same world frame, with the same unit sphere (--data.centre and
--data.radius of the run apply).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from absl import flags

from experiments import flags as experiment_flags
from experiments import posing, runs
from experiments.outcome import Outcome
from experiments.runs import Run


def main(argv: Sequence[str]) -> None:
    """Evaluate the run that the flags name."""
    del argv
    given = flags.FLAGS
    run = runs.load(Path(given.workdir))
    data = run.data if given.data is None else Path(given.data)
    evaluate(run, data, Path(given.output or given.workdir), mesh_resolution=given.mesh_resolution)


def evaluate(run: Run, data: Path, output: Path, *, mesh_resolution: int | None = None) -> dict[str, Any]:
    """Write images/, mesh.ply, metrics.json and report.html into `output`; returns the metrics.

    Args:
        run: what is evaluated.
        data: folder of posed pictures, of which the held-out ones are used.
        output: folder to write into.
        mesh_resolution: grid points a side for marching cubes; the run's own if not given.

    Raises:
        ValueError, FileNotFoundError: data that cannot be used.
    """
    config = replace(run.config, mesh_resolution=mesh_resolution or run.config.mesh_resolution)
    _, test, poses = posing.load(config, data)
    print(f"step {run.step} of {config.fit.steps}, {len(test)} held-out views of {data}")
    return Outcome(run.scene, config, data, output, test, poses, run=run.workdir).write(run.snapshot)


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "work directory of experiments.reconstruct", required=True)
    flags.DEFINE_string("data", None, "folder of posed pictures; that of the run if not given")
    flags.DEFINE_string("output", None, "folder to write into; the work directory if not given")
    flags.DEFINE_integer("mesh_resolution", None, "grid points a side for marching cubes; as in the run if not given")
    experiment_flags.run(main)
