"""The table of [D20 Table 2]: shapes completed from ever fewer depths, by DeepSDF and by ours without and with a mask.

    python -m experiments.compare_completion --prior=runs/prior --workdir=runs/completion
    python -m experiments.compare_completion --prior=runs/prior --workdir=runs/focal --densities=dense \
        --focals=0.5,0.7,1,1.4,2 --methods="ours + mask"
    python -m experiments.compare_completion --prior=runs/prior --workdir=runs/noise --densities=dense \
        --noises=0,0.01,0.02,0.03,0.05

Every cell completes the same shapes, members of procedural families or mesh files that no prior has learnt, each seen
from its own side. Of several priors, --prior=runs/airplane,runs/vase, that one completes a shape which has learnt its
family. The same command goes on where it was stopped. Leaves in the work directory:

    cells.jsonl      every completion: its code and Chamfer distance
    table.json       medians by family, density, focal length, noise and method; table.md the same in Markdown
    cases.png        the best, the median and the worst completion of the last method, with those of the others
    curves.png       with several focal lengths or noises: medians against them
"""

import itertools
import math
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from absl import flags

from experiments import curves, runs
from experiments import flags as experiment_flags
from experiments.priors import completion_figures, listing, pictures, scans, scores, store
from experiments.priors.completing import Completion, MethodConfig, MethodName
from experiments.priors.pictures import Pictures
from experiments.priors.samples import Shape
from experiments.priors.scans import Scan
from experiments.priors.store import Prior
from experiments.synthetic import photography
from experiments.versions import versions
from sdfrepar import files, reports
from sdfrepar.reports import Progress

LINES = "cells.jsonl"

# What decides no completion by itself, but which there are to be.
_FREE = ("shapes", "densities", "methods", "focals", "noises")


@dataclass(frozen=True)
class CompareConfig:
    """The cells."""

    shapes: tuple[str, ...] = tuple(
        f"{family} {number}" for number in range(45, 50) for family in ("plane", "mug", "table")
    )
    """Members of families, or mesh files; what the prior has learnt says little."""
    densities: tuple[str, ...] = (scans.DENSE, "50%", "10%", "100", "50", "20")
    """Which pixels' depths are measured: dense, a share like 10%, or a number like 50."""
    methods: tuple[MethodName, ...] = get_args(MethodName)
    focals: tuple[float, ...] = (1.0,)
    """Focal lengths, of that of the standard camera; it steps back as far, so that the shape is seen as large."""
    noises: tuple[float, ...] = (0.0,)
    """Standard deviations of the depths, shares of the depth."""
    start: str = "family"
    """Shapes at whose mean code every fit starts, by how their names begin; all if empty, and "family" for the shape's
    own family."""
    resolution: int = 64
    """Of the square views, pixels."""
    distance: float = photography.RIG_RADIUS
    """From the standard camera to the origin, scene units."""
    elevation: float = 30.0
    """Of the cameras, degrees; they stand around the shapes evenly."""
    mesh_resolution: int = 128
    """Grid points a side of the meshes for the Chamfer distance."""
    points: int = 100_000
    """Of each surface, for the Chamfer distance; of points of one surface alone it is above zero: 1.2e-4 of 30,000 that
    are drawn on a mug twice, as large as the differences here."""
    by: MethodConfig = field(default_factory=MethodConfig)

    def __post_init__(self) -> None:
        """Refuse what measures nothing."""
        if not (self.shapes and self.densities and self.methods and self.focals and self.noises):
            raise ValueError("shapes, densities, methods, focals and noises must not be empty.")
        if min(self.focals) * self.distance <= 1.2:
            raise ValueError(
                f"With a focal length of {min(self.focals)} the camera stands {min(self.focals) * self.distance:.2f} "
                "from the origin, in the shapes' unit sphere or next to it; choose longer ones."
            )


class Cell(NamedTuple):
    """One completion that is to be done."""

    shape: str
    density: str
    focal: float
    noise: float
    method: MethodName

    @property
    def label(self) -> dict[str, Any]:
        """What it has in common with those that it is summed up with."""
        rest = {name: value for name, value in self._asdict().items() if name != "shape"}
        return {"family": listing.family_of(self.shape), **rest}


def main(argv: Sequence[str]) -> None:
    """Fill the table and write it."""
    del argv
    given = flags.FLAGS
    priors = [store.load(Path(name)) for name in given.prior]
    compare(experiment_flags.read(CompareConfig()), priors, Path(given.workdir))


def cells(config: CompareConfig) -> Iterator[Cell]:
    """All of them, whole shapes first, so that a table that is not done yet says something of each family."""
    settings = itertools.product(config.shapes, config.densities, config.focals, config.noises, config.methods)
    yield from itertools.starmap(Cell, settings)


def compare(config: CompareConfig, priors: Sequence[Prior], workdir: Path) -> dict[str, Any]:
    """Every cell that is not done yet, then the table; returns what it writes to table.json.

    Raises:
        OtherRunError: the workdir holds completions of another config or prior.
        ValueError: a shape or a density that cannot be, or a shape of whose family no prior knows.
        RunError: a loss is not finite.
    """
    lines = _begun(config, priors, workdir)
    done, wanted = {_cell(line): line for line in lines}, list(cells(config))
    scene = Scene(config, priors)
    with Progress(len(wanted), start=sum(cell in done for cell in wanted), unit="cell") as progress:
        for number, cell in enumerate(wanted):
            if cell in done:
                continue
            begun = time.perf_counter()
            code = scene.completion(cell.shape).code(cell.method, scene.scan(cell), scene.start(cell.shape))
            seconds = time.perf_counter() - begun
            about = {"chamfer": scene.chamfer(cell.shape, code), "seconds": seconds, "code": code.tolist()}
            line = done[cell] = {**cell._asdict(), **about}
            files.append_json_line(workdir / LINES, line)
            progress.update(number + 1, {"chamfer": math.nan if line["chamfer"] is None else line["chamfer"]})
    table = {"cells": scores.grouped((cell.label, done[cell]) for cell in wanted), "versions": versions()}
    files.write_json(workdir / "table.json", table)
    files.write_bytes(workdir / "table.md", markdown(config, table).encode())
    print(markdown(config, table))
    files.write_image(workdir / "cases.png", cases(config, scene, wanted, done))
    if len(config.focals) > 1 or len(config.noises) > 1:
        files.write_bytes(workdir / "curves.png", plot(config, table))
    return table


class Scene:
    """The shapes of the cells, and how they are seen; what takes long is made once."""

    def __init__(self, config: CompareConfig, priors: Sequence[Prior]):
        """Of priors, each shape's the one that has learnt its family."""
        self.config, self._priors = config, priors
        self.shape, self.points = cache(self._shape), cache(self._points)
        self._completions, self._pictures = cache(partial(Completion, config.by)), cache(Pictures)

    def scan(self, cell: Cell) -> Scan:
        """What the camera of a cell tells of its shape."""
        config = self.config
        # The same for a shape in whatever company.
        number = zlib.crc32(Path(cell.shape).name.encode()) % 1000
        turn = np.pi * number * (np.sqrt(5.0) - 1.0)
        towards = pictures.towards(float(turn), math.radians(config.elevation))
        wide = 2.0 * np.arctan(np.tan(0.5 * photography.FIELD_OF_VIEW) / cell.focal)
        camera = pictures.camera(config.resolution, cell.focal * config.distance * towards, float(wide))
        return scans.of_shape(self.shape(cell.shape), camera, cell.density, cell.noise, number)

    def prior(self, shape: str) -> Prior:
        """The prior of a shape.

        Raises:
            ValueError: none has learnt its family.
        """
        start = self.start(shape)
        for prior in self._priors:
            if any(name.startswith(start) for name in prior.names):
                return prior
        raise ValueError(f"No prior has learnt shapes of {start!r}, which {shape} is of; name one in --prior.")

    def completion(self, shape: str) -> Completion:
        """How a shape is completed."""
        return self._completions(self.prior(shape))

    def drawn(self, shape: str) -> Pictures:
        """Pictures of what its prior decodes."""
        return self._pictures(self.prior(shape))

    def start(self, shape: str) -> str:
        """Beginnings of the names of the shapes at whose mean code a shape's fits start."""
        return listing.family_of(shape) if self.config.start == "family" else self.config.start

    def chamfer(self, shape: str, code: np.ndarray) -> float | None:
        """How near a code comes to a shape."""
        prior = self.prior(shape)
        params = prior.decoder.prepare(prior.params(code))
        return scores.chamfer(prior.decoder.distance, params, self.points(shape), self.config.mesh_resolution)

    def _shape(self, name: str) -> Shape:
        return listing.one(self.prior(name).config, name)

    def _points(self, name: str) -> np.ndarray:
        return scores.true_points(self.shape(name), self.config.points)


def markdown(config: CompareConfig, table: dict[str, Any]) -> str:
    """A line for each family and setting, distances in thousandths, the ratio of the last method to the first."""
    methods = config.methods
    rows = []
    for row, medians in _by_row(table).items():
        family, density, focal, noise = row
        values = [medians[method] for method in methods]
        shown = ["-" if value is None else f"{1e3 * value:.3f}" for value in values]
        first, last = values[0], values[-1]
        ratio = "-" if first is None or last is None else f"{last / first:.2f}"
        rows.append([family, density, f"{focal:g}", f"{noise:g}", *shown, ratio])
    header = ["family", "depths", "focal length", "noise", *methods, f"{methods[-1]} / {methods[0]}"]
    return "Median Chamfer distance, squared, in thousandths.\n\n" + reports.table(header, rows) + "\n"


def cases(config: CompareConfig, scene: Scene, wanted: list[Cell], done: dict[Cell, dict[str, Any]]) -> np.ndarray:
    """The best, the median and the worst completion of the last method, beside those of the others; (H, W, 3) sRGB."""
    rows = []
    for cell in scores.best_median_worst({cell: done[cell] for cell in wanted if cell.method == config.methods[-1]}):
        codes = {}
        for method in config.methods:
            found = done[cell._replace(method=method)]
            score = "nothing" if found["chamfer"] is None else f"{1e3 * found['chamfer']:.2f}"
            codes[f"{method}: {score}"] = np.array(found["code"])
        rows.append(completion_figures.case(scene.drawn(cell.shape), scene.scan(cell), scene.shape(cell.shape), codes))
    return np.concatenate(rows)


def plot(config: CompareConfig, table: dict[str, Any]) -> bytes:
    """Medians against what was varied, a curve for each family and method, as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """
    varied, name = (config.focals, "focal length") if len(config.focals) > 1 else (config.noises, "noise of the depth")
    position = 2 if len(config.focals) > 1 else 3

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for family in dict.fromkeys(row[0] for row in _by_row(table)):
            for method in config.methods:
                curve = {row[position]: medians for row, medians in _by_row(table).items() if row[0] == family}
                values = [math.nan if curve[x][method] is None else curve[x][method] for x in varied]
                axes.plot(varied, values, marker="o", label=f"{family}, {method}")
        axes.set(xlabel=name, ylabel="median Chamfer distance, squared", ylim=(0, None))
        axes.grid(True, alpha=0.25)
        axes.legend()

    return curves.drawn(draw, (7.0, 4.0))


def _begun(config: CompareConfig, priors: Sequence[Prior], workdir: Path) -> list[dict[str, Any]]:
    """The completions that are done already; config.json is written."""
    learnt = {"prior_step": [prior.step for prior in priors], "prior_names": [list(prior.names) for prior in priors]}
    now = {**experiment_flags.to_json(config), **learnt}
    return runs.lines_done(workdir, now, _FREE, LINES, "completions by another prior or")


def _cell(line: dict[str, Any]) -> Cell:
    return Cell(*(line[name] for name in Cell._fields))


def _by_row(table: dict[str, Any]) -> dict[tuple[str, str, float, float], dict[str, float | None]]:
    """Medians by method, for every row."""
    rows: dict[tuple[str, str, float, float], dict[str, float | None]] = {}
    for cell in table["cells"]:
        row = cell["family"], cell["density"], cell["focal"], cell["noise"]
        rows.setdefault(row, {})[cell["method"]] = cell["median"]
    return rows


if __name__ == "__main__":
    flags.DEFINE_list("prior", None, "workdirs of experiments.train_prior", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(CompareConfig())
    experiment_flags.define_aliases({"steps": "by.fit.steps"})
    experiment_flags.run(main)
