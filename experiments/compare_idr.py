"""The table of [B22 Table 1]: IDR with masks, IDR without, and ours without, on the same pictures in one pipeline.

    python -m experiments.compare_idr --preset=quick --workdir=runs/compare_idr
    python -m experiments.compare_idr --workdir=runs/real --scenes= --data=FOLDER,FOLDER        (photographs)

Networks, optimiser, steps and rays a step are the same in all columns; what differs is the pixel, the gradient and the
masks (`experiments.baselines`). Runs that are in the work directory already are not done again; without masks in the
data the first column stays empty. Writes table.md, table.json and table.png: for each scene the first held-out view in
the layout of [B22 Fig. 7], truth and then the columns, colours above normals.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import baselines, make_scene
from experiments import flags as experiment_flags
from experiments.cells import cell, shown
from experiments.presets import PRESETS, ReconstructConfig
from experiments.run_report import PANELS
from experiments.runs import FAILURE
from experiments.synthetic.scenes import SceneName
from sdfrepar import datasets, files, reports

SCENES: tuple[SceneName, ...] = ("vessel", "figure", "animal")
"""From easy to hard."""

# Among those of `run_report`.
_TRUTH, _RENDER, _NORMALS = 0, 1, 3

_SCORES = (("PSNR", "psnr", 2), ("SSIM", "ssim", 3), ("mask IoU", "silhouette_iou", 3), ("IoU", "iou", 3))
_SCORES += (("Chamfer", "chamfer", 4), ("normals", "normal_error", 1), ("minutes", "seconds", 0))


def idr_with_masks(config: ReconstructConfig) -> ReconstructConfig:
    """[I20] as published."""
    return baselines.idr(replace(config, fit=replace(config.fit, masks="use")))


COLUMNS: dict[str, Callable[[ReconstructConfig], ReconstructConfig]] = {
    "IDR with masks": idr_with_masks,
    "IDR without masks": baselines.idr,
    "ours without masks": lambda config: config,
}


def main(argv: Sequence[str]) -> None:
    """Fill the table and write it."""
    del argv
    workdir = Path(flags.FLAGS.workdir)
    config = experiment_flags.read(PRESETS[flags.FLAGS.preset])
    folders = [Path(folder) for folder in flags.FLAGS.data]
    folders += [synthetic(workdir, name) for name in flags.FLAGS.scenes]
    compare(config, folders, workdir)


def synthetic(workdir: Path, name: SceneName) -> Path:
    """The folder of a synthetic scene, photographed if it is not there yet: 36 views, as many as [B22] has."""
    folder = workdir / "data" / name
    if not (folder / "truth.npz").exists():
        make_scene.write(make_scene.MakeConfig(scene=name, views=36, alpha=True), folder)
    return folder


def compare(config: ReconstructConfig, folders: Sequence[Path], workdir: Path) -> dict[str, Any]:
    """Every column of every folder; returns what it writes to table.json, by scene and column."""
    table: dict[str, Any] = {}
    for folder in folders:
        _, test = datasets.load(folder, config.data)
        columns = {
            name: change for name, change in COLUMNS.items() if test.masks is not None or "with masks" not in name
        }
        table[folder.name] = {
            name: cell(change(config), folder, _run(workdir / "runs", folder.name, name))
            for name, change in columns.items()
        }
        # After every scene, so that hours of work show.
        files.write_json(workdir / "table.json", table)
        (workdir / "table.md").write_text(markdown(table) + "\n")
        files.write_image(workdir / "table.png", picture(table, workdir / "runs"))
    print(markdown(table))
    return table


def markdown(table: dict[str, Any]) -> str:
    """A line for each scene and column."""
    rows = []
    for scene, columns in table.items():
        for name, metrics in columns.items():
            minutes = {**metrics, "seconds": metrics["seconds"] / 60} if "seconds" in metrics else metrics
            rows.append((scene, name, *(shown(minutes, score, digits) for _, score, digits in _SCORES)))
    failures = [
        f"{scene}, {name}: {metrics[FAILURE]}"
        for scene, columns in table.items()
        for name, metrics in columns.items()
        if FAILURE in metrics
    ]
    header = ("scene", "method", *(title for title, _, _ in _SCORES))
    return "\n\n".join([reports.table(header, rows), *failures])


def picture(table: dict[str, Any], folder: Path) -> np.ndarray:
    """For each scene the first view in colours and, below, the normals: truth, then the columns; (H, W, 3) sRGB."""
    rows = []
    for scene in table:
        views = {name: _panels(_run(folder, scene, name)) for name in COLUMNS}
        known = next(panels for panels in views.values() if panels is not None)
        empty = np.ones_like(known[_TRUTH])
        for truth, panel in ((known[_TRUTH], _RENDER), (empty, _NORMALS)):
            seen = [empty if panels is None else panels[panel] for panels in views.values()]
            rows.append(reports.side_by_side(truth, *seen))
    widest = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 2), (0, widest - row.shape[1]), (0, 0)), constant_values=1.0) for row in rows]
    )


def _run(folder: Path, scene: str, column: str) -> Path:
    """The work directory of a cell."""
    return folder / scene / column.replace(" ", "_")


def _panels(run: Path) -> list[np.ndarray] | None:
    """The panels of a run's first held-out view, or of the last picture on the way of one that failed."""
    pictures = sorted((run / "images").glob("*.png")) or sorted((run / "images" / "progress").glob("*.png"))[::-1]
    return reports.panels_of(files.read_image(pictures[0])[..., :3], PANELS) if pictures else None


if __name__ == "__main__":
    flags.DEFINE_string("workdir", "runs/compare_idr", "folder to write into")
    flags.DEFINE_list("data", [], "folders of posed pictures, beside the synthetic scenes")
    flags.DEFINE_list("scenes", list(SCENES), "synthetic scenes; empty for none")
    flags.DEFINE_enum("preset", "quick", sorted(PRESETS), "sizes of everything; other flags override it")
    experiment_flags.define(PRESETS["quick"])
    experiment_flags.run(main)
