"""A run as a page: what it found, how it went, and what it was; finished, unfinished or failed.

All of it is read from what the run has written, so that the page can be made again at any time.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import pages, run_logs, runs
from experiments.charts import Curve, chart
from experiments.frustums import Frustum
from experiments.pages import Html, element
from experiments.scene_view import SCRIPT, scene_view
from experiments.scores import drawable, duration, read_metrics, score_lines
from experiments.versions import versions
from sdfrepar import files, reports

NAME, MESH = "report.html", "mesh.ply"
"""Of the page and of the mesh in the folder."""

PANELS = 5
"""Truth, render, error, normals, depth: what `outcome` joins for every view."""

# Pictures on the way that are shown, at most.
_ON_THE_WAY = 12


class Written(NamedTuple):
    """What a run has left so far."""

    stored: dict[str, Any]  # config.json
    lines: list[dict[str, Any]]  # metrics.jsonl
    metrics: dict[str, Any]  # metrics.json; empty before the end
    folder: Path  # of images and mesh

    @property
    def steps(self) -> tuple[int, int]:
        """Steps done, and those to be done."""
        done = self.metrics.get("steps", self.lines[-1]["step"] if self.lines else 0)
        return done, self.stored["fit"]["steps"]


def read(run: Path, folder: Path | None = None) -> Written:
    """What the run in `run` has left, with images, mesh and numbers in another folder if one is given.

    Raises:
        FileNotFoundError: no run.
        ValueError: files that are broken.
    """
    folder = folder or run
    log, metrics = run / runs.LOG, folder / runs.METRICS
    return Written(
        stored=runs.read_config(run)[0],
        lines=run_logs.read(log) if log.is_file() else [],
        metrics=read_metrics(metrics) if metrics.is_file() else {},
        folder=folder,
    )


def write(run: Path, cameras: Sequence[Frustum], folder: Path | None = None, trouble: str | None = None) -> Path:
    """Write the page of a run; returns its path.

    Args:
        run: folder with config.json and metrics.jsonl.
        cameras: in the world frame.
        folder: where images, mesh and numbers are and the page goes; the run's own if not given.
        trouble: why the run cannot go on.
    """
    written = read(run, folder)
    page = pages.page(
        run.resolve().name,
        "sdfrepar · reconstruction",
        _verdict(written, trouble),
        pages.numbers(score_lines(written.metrics, most=8)),
        _shape(written, cameras),
        _held_out(written),
        _way(written),
        _curves(written),
        _tables(written),
        _what_it_was(written, run),
        scripts=("wipe.js", SCRIPT),
    )
    path = written.folder / NAME
    files.write_bytes(path, page)
    return path


def state_of(written: Written) -> str:
    """Whether a run is finished, in a word or two."""
    done, steps = written.steps
    if runs.FAILURE in written.metrics:
        return "failed"
    return "finished" if written.metrics and done == steps else f"step {done:,} of {steps:,}"


def panels(written: Written, view: str) -> list[np.ndarray]:
    """The pictures (H, W, 3), sRGB, of a held-out view or of one on the way: PANELS of them."""
    return reports.panels_of(files.read_image(written.folder / "images" / f"{view}.png")[..., :3], PANELS)


def _verdict(written: Written, trouble: str | None) -> Html:
    (done, steps), failure = written.steps, trouble or written.metrics.get(runs.FAILURE)
    if failure:
        return pages.verdict(f"It failed. {failure}", "bad")
    if state_of(written) == "finished":
        took, device = duration(written.metrics["seconds"]), written.metrics["versions"].get("device", "some device")
        return pages.verdict(f"Finished: {steps:,} steps in {took}, on {device}.", "good")
    sentence = f"Not finished: {done:,} of {steps:,} steps are done."
    if not written.metrics:
        sentence += (
            " Held-out views, mesh and scores come at the end; the same command goes on with a run that stopped."
        )
    return pages.verdict(sentence, "plain")


def _shape(written: Written, cameras: Sequence[Frustum]) -> Html:
    path = written.folder / MESH
    mesh = path if written.metrics and path.is_file() else None
    words = "The mesh in the frame of the input's cameras, with what the run has learnt of its colours."
    if mesh is None:
        words = "There is no mesh yet." if not written.metrics else "There is no mesh: the field has no surface."
    view = [scene_view(mesh, cameras)] if mesh is not None or cameras else []
    return pages.section("Shape and cameras", words, *view)


def _held_out(written: Written) -> Html:
    """The pictures that the run has not been fitted to."""
    views: Mapping[str, Mapping[str, float]] = written.metrics.get("views", {})
    paths = {name: written.folder / "images" / f"{name}.png" for name in views}
    paths = {name: path for name, path in paths.items() if path.is_file()}
    if not paths:
        return pages.section(
            "Held-out views", "There are none." if written.metrics else "They come at the end of the run."
        )
    shown = pages.as_many_as_fit(_view(written, name, views[name]) for name in paths)
    left_out = "" if len(shown) == len(paths) else f" {len(shown)} of {len(paths)} are shown; all are in images/."
    words = (
        "Pictures that the run was not fitted to. The line between truth and render can be moved. An error of 0.25 or "
        "more is pale yellow, none is black; what is near is bright."
    )
    return pages.section("Held-out views", words + left_out, *shown)


def _view(written: Written, name: str, scores: Mapping[str, float]) -> Html:
    truth, render, error, normals, depth = panels(written, name)
    others = {"error": error, "normals": normals, "depth": depth}
    words = ", ".join(" ".join(line) for line in score_lines(scores, 3))
    pictures = (pages.figure(pages.picture(panel, what), what) for what, panel in others.items())
    row = element("div", pages.wipe(truth, render, ("truth", "render")), *pictures, class_="pictures")
    return Html(element("h3", name, element("small", words)) + row)


def _way(written: Written) -> Html:
    """How the first held-out view looked as the run went."""
    done, _ = written.steps
    names = sorted(path.stem for path in (written.folder / "images" / "progress").glob("step_*.png"))
    figures = []
    for name in names[-_ON_THE_WAY:]:
        step, render = int(name.removeprefix("step_")), panels(written, f"progress/{name}")[1]
        if step > done:
            # Of another run that was in the folder.
            continue
        figures.append(pages.figure(pages.picture(render, f"step {step}", widest=240), f"step {step:,}"))
    if not figures:
        return Html("")
    return pages.section("On the way", "The first held-out view.", element("div", *figures, class_="pictures strip"))


def _curves(written: Written) -> Html:
    if not written.lines:
        return Html("")
    steps = [line["step"] for line in written.lines]

    def curve(key: str, name: str) -> Curve:
        return Curve(name, steps, [drawable(line.get(key)) for line in written.lines])

    terms = [name for name in written.lines[-1] if name == "loss" or name.startswith("loss/")]
    named = [curve(name, name.removeprefix("loss/")) for name in terms]
    drawn = (
        chart("Loss, and its terms unweighted", named, is_log=True),
        chart("PSNR of a step's pixels, dB", [curve("psnr", "PSNR")], shown="{:.4g}".format),
        chart(
            "Shares of a step's rays",
            [curve("hit_rate", "hit the surface"), curve("band", "in the band of silhouettes")],
            shown="{:.0%}".format,
        ),
    )
    return pages.section("Training", "Against steps.", element("div", *drawn, class_="charts"))


def _tables(written: Written) -> Html:
    if not written.metrics:
        return Html("")
    views = written.metrics.get("views", {})
    parts = [pages.facts(score_lines(written.metrics))]
    if views:
        names = list(dict.fromkeys(name for scores in views.values() for name, _ in score_lines(scores)))
        rows = [[view, *(dict(score_lines(scores)).get(name, "") for name in names)] for view, scores in views.items()]
        parts.append(pages.folded(f"Each of {len(views)} held-out views", pages.table(["view", *names], rows)))
    return pages.section("Scores", "Means over held-out views; of the shape, where the data hold the truth.", *parts)


def _what_it_was(written: Written, run: Path) -> Html:
    """Configuration, command and versions."""
    again = f"python -m experiments.reconstruct --flagfile={shlex.quote(str(run / runs.FLAGS))} --workdir=NEW"
    used = written.metrics.get("versions") or versions()
    values = [(name, value) for name, value in runs.flat(written.stored).items() if name not in runs.NO_FLAGS]
    command = written.stored.get(runs.COMMAND)
    given = [] if command is None else [element("pre", command), element("p", "Another like it, with all its flags:")]
    return pages.section(
        "How it was made",
        "The command line, as a shell takes it.",
        *given,
        element("pre", again),
        pages.folded(f"Configuration, {len(values)} values", pages.facts(values)),
        pages.folded("Versions", pages.facts(used.items())),
    )
