"""Put the held-out views of several runs under one another, and their scores in a table.

    python -m experiments.compare --runs=runs/demo,runs/interior --output=runs/compare.png

Each row is a run: truth | render | error | normals | depth.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from sdfrepar import files

_SCORES = ("gradient", "psnr", "ssim", "iou", "chamfer", "silhouette_iou", "seconds")


def main(argv: Sequence[str]) -> None:
    """Write the picture and print the table."""
    del argv
    runs = [Path(run) for run in flags.FLAGS.runs]
    picture = stack(runs, flags.FLAGS.views)
    files.write_image(Path(flags.FLAGS.output), picture)
    print(table(runs))


def stack(runs: Sequence[Path], views: int) -> np.ndarray:
    """The first `views` held-out views, each once per run, from top to bottom: (H, W, 3) sRGB.

    Raises:
        FileNotFoundError: a run that has left no pictures.
    """
    rows = []
    for name in _view_names(runs[0])[:views]:
        rows += [files.read_image(run / "images" / name)[..., :3] for run in runs]
    return np.concatenate(rows)


def table(runs: Sequence[Path]) -> str:
    """A line a run with its scores, from metrics.json."""
    lines = ["  ".join(f"{name:>14}" for name in ("run", *_SCORES))]
    for run in runs:
        metrics = files.read_json(run / "metrics.json")
        values = [metrics.get(name, "-") for name in _SCORES]
        cells = [run.name, *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)]
        lines.append("  ".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def _view_names(run: Path) -> list[str]:
    names = sorted(path.name for path in (run / "images").glob("*.png"))
    if not names:
        raise FileNotFoundError(f"{run} holds no images/*.png; run experiments.reconstruct with --workdir={run} first.")
    return names


if __name__ == "__main__":
    flags.DEFINE_list("runs", ["runs/demo", "runs/interior"], "work directories of experiments.reconstruct, same data")
    flags.DEFINE_string("output", "runs/compare.png", "picture to write")
    flags.DEFINE_integer("views", 2, "held-out views to show")
    experiment_flags.run(main)
