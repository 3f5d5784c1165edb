"""How many of the march's points a velocity warp needs [B22 Fig. 8]: PSNR, Chamfer distance and memory against k.

    python -m experiments.ablate_subset --data=runs/demo/data --workdir=runs/ablate --fit.steps=2000

One reconstruction for each k, with the march of [B22 §4.3], 22 steps. Those that are in the work directory already are
not done again. Writes table.md, table.json and curves.png.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from absl import flags

from experiments import curves
from experiments import flags as experiment_flags
from experiments.cells import cell, shown
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import files, reports

STEPS = 22
"""Of the march in [B22 §4.3]."""
SUBSETS = (3, 5, 7, 9, 14, 21)
_CURVES = (
    ("psnr", "PSNR, dB", 2),
    ("chamfer", "Chamfer distance", 4),
    ("step_gigabytes", "memory of a step, GB", 3),
)


def main(argv: Sequence[str]) -> None:
    """Measure every k and write table and curves."""
    del argv
    config = experiment_flags.read(PRESETS[flags.FLAGS.preset])
    ablate(config, Path(flags.FLAGS.data), Path(flags.FLAGS.workdir), [int(k) for k in flags.FLAGS.subsets])


def ablate(config: ReconstructConfig, data: Path, workdir: Path, subsets: Sequence[int]) -> dict[int, Any]:
    """The metrics of a reconstruction for each k."""
    table = {k: cell(with_subset(config, k), data, workdir / f"k{k:02d}") for k in subsets}
    rows = [(str(k), *(shown(metrics, name, digits) for name, _, digits in _CURVES)) for k, metrics in table.items()]
    text = reports.table(("k", *(title for _, title, _ in _CURVES)), rows)
    files.write_json(workdir / "table.json", {str(k): metrics for k, metrics in table.items()})
    (workdir / "table.md").write_text(text + "\n")
    print(text)
    files.write_bytes(workdir / "curves.png", plot(table))
    return table


def with_subset(config: ReconstructConfig, k: int) -> ReconstructConfig:
    """The config with [B22]'s march and the k heaviest of its points."""
    velocity = replace(config.render.gradient.velocity, top_k=k)
    gradient = replace(config.render.gradient, method="velocity", velocity=velocity)
    trace = replace(config.render.trace, max_steps=STEPS, relaxation=0.0)
    return replace(config, render=replace(config.render, gradient=gradient, trace=trace))


def plot(table: dict[int, Any]) -> bytes:
    """The curves of the table, side by side, as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """

    def draw(figure: Any) -> None:
        for axes, (name, title, _) in zip(figure.subplots(1, len(_CURVES)), _CURVES, strict=True):
            known = {k: metrics[name] for k, metrics in table.items() if metrics.get(name) is not None}
            axes.plot(list(known), list(known.values()), "o-")
            axes.set(xlabel=f"points kept of {STEPS}", title=title, xticks=list(known))

    return curves.drawn(draw, (4.0 * len(_CURVES), 3.0))


if __name__ == "__main__":
    flags.DEFINE_string("data", None, "folder of posed pictures", required=True)
    flags.DEFINE_string("workdir", "runs/ablate", "folder to write into")
    flags.DEFINE_list("subsets", [str(k) for k in SUBSETS], "numbers of points to keep")
    flags.DEFINE_enum("preset", "quick", sorted(PRESETS), "sizes of everything; other flags override it")
    experiment_flags.define(PRESETS["quick"])
    experiment_flags.run(main)
