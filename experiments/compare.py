"""Put the held-out views of several runs beside one another, and their scores and what differs in a table.

    python -m experiments.compare runs/demo runs/interior --output=runs/compare.png

Writes the picture, each row a run: truth | render | error | normals | depth; and beside it, under the same name, the
table as .md and .json and a page as .html, which opens from disk. What differs in the runs' configs is a column each.
Runs that are not finished or went wrong have a row without scores.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import pages, run_report, runs
from experiments.charts import Curve, chart
from experiments.pages import Html, element
from experiments.run_report import Written
from experiments.scores import score_lines
from sdfrepar import files, reports

_SCORES = ("psnr", "ssim", "iou", "chamfer", "silhouette_iou", "seconds")

# Pixels of a picture on the page, at most: there may be many runs.
_WIDEST = 320


class Comparison(NamedTuple):
    """Runs beside one another."""

    runs: dict[str, Written]  # by the names that tell them apart
    differences: dict[str, list[str]]  # values of the flags that are not the same in all of them, a run each

    @property
    def finished(self) -> dict[str, Written]:
        """The runs that have scores."""
        return {name: written for name, written in self.runs.items() if "views" in written.metrics}

    @property
    def views(self) -> list[str]:
        """The held-out views of which every finished run has a picture."""
        seen = [{path.stem for path in (run.folder / "images").glob("*.png")} for run in self.finished.values()]
        return sorted(set.intersection(*seen)) if seen else []

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows: the run, what is its own, its state where some are not finished, and its scores."""
        lines = [_scores(written) for written in self.runs.values()]
        if len(self.finished) < len(self.runs):
            lines = [
                {"state": run_report.state_of(self.runs[name]), **line}
                for name, line in zip(self.runs, lines, strict=True)
            ]
        scores = list(dict.fromkeys(name for line in lines for name in line))
        rows = [
            [name, *(values[k] for values in self.differences.values()), *(line.get(score, "-") for score in scores)]
            for k, (name, line) in enumerate(zip(self.runs, lines, strict=True))
        ]
        return ["run", *_shortened(list(self.differences)), *scores], rows


def main(argv: Sequence[str]) -> None:
    """Write picture, table and page, and print the table."""
    folders = [Path(run) for run in [*argv[1:], *flags.FLAGS.runs]] or [Path("runs/demo"), Path("runs/interior")]
    output = Path(flags.FLAGS.output)
    found = compared(folders)
    write(found, output, flags.FLAGS.views)
    print(reports.table(*found.table()))
    print(f"{output.with_suffix('.html')} shows it, with pictures")


def compared(folders: Sequence[Path]) -> Comparison:
    """What the runs in some folders have left, and in what they differ.

    Raises:
        FileNotFoundError: a folder that holds no run.
    """
    for folder in folders:
        if not (folder / runs.CONFIG).is_file():
            raise FileNotFoundError(
                f"{folder} holds no {runs.CONFIG}, so no run; name work directories of experiments.reconstruct."
            )
    written = [run_report.read(folder) for folder in folders]
    short = [folder.resolve().name for folder in folders]
    names = short if len(set(short)) == len(short) else [str(folder) for folder in folders]
    return Comparison(dict(zip(names, written, strict=True)), _differences(written))


def write(found: Comparison, output: Path, views: int) -> None:
    """Write `output`, a picture of the first `views` held-out views, with .md, .json and .html beside it.

    The picture is left out where no run has any.
    """
    shown = found.views[:views]
    files.write_bytes(output.with_suffix(".md"), (reports.table(*found.table()) + "\n").encode())
    stored = {
        name: {"config": {flag: values[k] for flag, values in found.differences.items()}, "metrics": written.metrics}
        for k, (name, written) in enumerate(found.runs.items())
    }
    files.write_json(output.with_suffix(".json"), stored)
    if shown:
        files.write_image(output, stack(found, shown))
    files.write_bytes(output.with_suffix(".html"), _page(found, output, shown))


def stack(found: Comparison, views: Sequence[str]) -> np.ndarray:
    """Held-out views, each once per finished run, from top to bottom: (H, W, 3) sRGB."""
    paths = [run.folder / "images" / f"{view}.png" for view in views for run in found.finished.values()]
    return np.concatenate([files.read_image(path)[..., :3] for path in paths])


def _differences(written: Sequence[Written]) -> dict[str, list[str]]:
    flat = [runs.flat(one.stored) for one in written]
    names = dict.fromkeys(name for values in flat for name in values if name not in runs.NO_FLAGS)
    columns = {name: [values.get(name, "-") for values in flat] for name in names}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def _shortened(names: list[str]) -> list[str]:
    """The last part of each dotted name, where it tells it from the others."""
    last = [name.rpartition(".")[2] for name in names]
    return [short if last.count(short) == 1 else name for short, name in zip(last, names, strict=True)]


def _scores(written: Written) -> dict[str, str]:
    return dict(score_lines({name: written.metrics.get(name) for name in _SCORES}))


def _page(found: Comparison, output: Path, views: Sequence[str]) -> bytes:
    header, rows = found.table()
    linked = [
        [_link(written, name, output), *row[1:]] for (name, written), row in zip(found.runs.items(), rows, strict=True)
    ]
    psnr = [
        Curve(name, [line["step"] for line in run.lines], [line.get("psnr") for line in run.lines])
        for name, run in found.runs.items()
    ]
    pictures = pages.as_many_as_fit(_view(found, view) for view in views)
    return pages.page(
        output.stem,
        "sdfrepar · runs beside one another",
        pages.table(header, linked),
        pages.section("Held-out views", "Truth and render, with a line that can be moved; error; normals.", *pictures),
        pages.section("Training", "", element("div", chart("PSNR of a step's pixels, dB", psnr), class_="charts")),
        scripts=("wipe.js",),
    )


def _link(written: Written, name: str, output: Path) -> Html:
    """The run's name, which leads to its report where it has one."""
    path = written.folder / run_report.NAME
    if not path.is_file():
        return pages.escaped(name)
    return element("a", name, href=quote(os.path.relpath(path, output.parent)))


def _view(found: Comparison, view: str) -> Html:
    """A held-out view as every finished run has it, a column each."""
    columns = []
    for name, written in found.finished.items():
        truth, render, error, normals, _ = run_report.panels(written, view)
        scores = written.metrics["views"].get(view, {})
        columns.append(
            element(
                "div",
                element("h3", name, element("small", " ".join(score_lines(scores, 1)[0]) if scores else "")),
                pages.wipe(truth, render, ("truth", "render"), widest=_WIDEST),
                pages.picture(error, f"error of {name}", widest=_WIDEST),
                pages.picture(normals, f"normals of {name}", widest=_WIDEST),
            )
        )
    return Html(element("h3", view) + element("div", *columns, class_="pictures columns"))


if __name__ == "__main__":
    flags.DEFINE_list("runs", [], "work directories of experiments.reconstruct, beside those named without a flag")
    flags.DEFINE_string("output", "runs/compare.png", "picture to write; table and page go beside it")
    flags.DEFINE_integer("views", 2, "held-out views to show")
    experiment_flags.run(main)
