"""The table of [D20 Table 3]: shapes from posed pictures without masks, by moving a mesh, by pairs, and by rendering.

    python -m experiments.compare_views --prior=runs/coloured --workdir=runs/views

All methods begin at the same random shape of the family. The same command goes on where it was stopped. Leaves in the
work directory:

    cells.jsonl      every fit: its code, or none, and its Chamfer distance
    table.json       medians by family and method; table.md the same in Markdown
    cases.png        the best, the median and the worst fit of the last method, with those of the others
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import runs
from experiments.priors import listing, multiview, scores, store, view_figures
from experiments.priors.multiview import MethodName, MultiView, ViewsConfig
from experiments.priors.samples import Shape
from experiments.priors.store import Prior
from experiments.versions import versions
from sdfrepar import files, reports
from sdfrepar.records import Views
from sdfrepar.reports import Progress

LINES = "cells.jsonl"

# What decides no fit by itself, but which there are to be.
_FREE = ("methods", "shapes")


@dataclass(frozen=True)
class CompareConfig:
    """The cells."""

    shapes: tuple[str, ...] = tuple(f"{family} {number}" for number in range(45, 50) for family in ("plane", "mug"))
    """Members of families; what the prior has learnt says little."""
    methods: tuple[MethodName, ...] = ("mesh", "pairs", "velocity")
    views: int = 8
    """Pictures of each."""
    resolution: int = 64
    """Of the square pictures, pixels."""
    supersampling: int = 4
    """Rays along a side of their pixels."""
    mesh_resolution: int = 128
    """Grid points a side of the meshes for the Chamfer distance."""
    by: ViewsConfig = field(default_factory=ViewsConfig)

    def __post_init__(self) -> None:
        """Refuse what measures nothing."""
        if not (self.shapes and self.methods):
            raise ValueError("shapes and methods must not be empty.")


class Cell(NamedTuple):
    """One fit that is to be done."""

    shape: str
    method: MethodName

    @property
    def label(self) -> dict[str, Any]:
        """What it has in common with those that it is summed up with."""
        return {"family": listing.family_of(self.shape), "method": self.method}


class Scene:
    """The shapes of the cells, and their pictures; what takes long is made once."""

    def __init__(self, config: CompareConfig, prior: Prior):
        """Of a prior."""
        self.shape = cache(lambda name: listing.one(prior.config, name))
        self.points = cache(lambda name: scores.true_points(self.shape(name)))
        self.views = cache(lambda name: self._views(config, self.shape(name)))

    @staticmethod
    def _views(config: CompareConfig, shape: Shape) -> Views:
        return multiview.of_shape(shape, config.views, config.resolution, config.supersampling)


def main(argv: Sequence[str]) -> None:
    """Fill the table and write it."""
    del argv
    given = flags.FLAGS
    compare(experiment_flags.read(CompareConfig()), store.load(Path(given.prior)), Path(given.workdir))


def cells(config: CompareConfig) -> Iterator[Cell]:
    """All of them, whole shapes first."""
    yield from itertools.starmap(Cell, itertools.product(config.shapes, config.methods))


def compare(config: CompareConfig, prior: Prior, workdir: Path) -> dict[str, Any]:
    """Every cell that is not done yet, then the table; returns what it writes to table.json.

    Raises:
        OtherRunError: the workdir holds fits of another config or prior.
        ValueError: a shape that cannot be.
        RunError: a loss is not finite.
    """
    now = {**experiment_flags.to_json(config), "prior_step": prior.step, "prior_names": list(prior.names)}
    lines = runs.lines_done(workdir, now, _FREE, LINES, "fits by another prior or")
    done, wanted = {Cell(line["shape"], line["method"]): line for line in lines}, list(cells(config))
    method, scene = MultiView(config.by, prior), Scene(config, prior)
    with Progress(len(wanted), start=sum(cell in done for cell in wanted), unit="cell") as progress:
        for number, cell in enumerate(wanted):
            if cell in done:
                continue
            begun, family = time.perf_counter(), listing.family_of(cell.shape)
            found = method.found(cell.method, scene.views(cell.shape), family, _seed(cell))
            seconds = time.perf_counter() - begun
            mesh = method.mesh(found, family, config.mesh_resolution)
            files.write_mesh(_mesh_path(workdir, cell), mesh.vertices, mesh.faces)
            chamfer = scores.chamfer_of(mesh, scene.points(cell.shape))
            code = None if found.code is None else found.code.tolist()
            done[cell] = {**cell._asdict(), "chamfer": chamfer, "seconds": seconds, "code": code}
            files.append_json_line(workdir / LINES, done[cell])
            progress.update(number + 1, {"chamfer": chamfer})
    table = {"cells": scores.grouped((cell.label, done[cell]) for cell in wanted), "versions": versions()}
    files.write_json(workdir / "table.json", table)
    text = markdown(config, table)
    files.write_bytes(workdir / "table.md", text.encode())
    print(text)
    files.write_image(workdir / "cases.png", cases(config, method, scene, wanted, done, workdir))
    return table


def markdown(config: CompareConfig, table: dict[str, Any]) -> str:
    """A line for each family, distances in thousandths, and ratios to the first method."""
    medians = {(cell["family"], cell["method"]): cell["median"] for cell in table["cells"]}
    rows = []
    for family in dict.fromkeys(cell["family"] for cell in table["cells"]):
        values = [medians[family, method] for method in config.methods]
        ratios = [f"{value / values[0]:.2f}" for value in values[1:]]
        rows.append([family, *(f"{1e3 * value:.3f}" for value in values), *ratios])
    against = [f"{method} / {config.methods[0]}" for method in config.methods[1:]]
    header = ["family", *config.methods, *against]
    return "Median Chamfer distance, squared, in thousandths.\n\n" + reports.table(header, rows) + "\n"


def cases(
    config: CompareConfig,
    method: MultiView,
    scene: Scene,
    wanted: list[Cell],
    done: dict[Cell, dict[str, Any]],
    workdir: Path,
) -> np.ndarray:
    """The best, the median and the worst fit of the last method, beside those of the others; (H, W, 3) sRGB."""
    rows = []
    for cell in scores.best_median_worst({cell: done[cell] for cell in wanted if cell.method == config.methods[-1]}):
        views, family = scene.views(cell.shape), listing.family_of(cell.shape)
        start = method.mesh_of(method.start(views, family, _seed(cell)), family, config.mesh_resolution)
        found = {"start": (start.vertices, start.faces)}
        for name in config.methods:
            other = cell._replace(method=name)
            found[f"{name}: {1e3 * done[other]['chamfer']:.2f}"] = files.read_mesh(_mesh_path(workdir, other))
        rows.append(view_figures.row(views, scene.shape(cell.shape), found))
    return np.concatenate(rows)


def _seed(cell: Cell) -> int:
    """Of a shape's start, the same for all methods."""
    return int(cell.shape.rpartition(" ")[2]) if cell.shape.rpartition(" ")[2].isdigit() else 0


def _mesh_path(workdir: Path, cell: Cell) -> Path:
    return workdir / "meshes" / f"{Path(cell.shape).stem} {cell.method}.ply"


if __name__ == "__main__":
    flags.DEFINE_string("prior", None, "workdir of experiments.train_prior", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(CompareConfig())
    experiment_flags.run(main)
