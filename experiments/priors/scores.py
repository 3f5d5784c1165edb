"""How near decoded shapes come to the true ones."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from experiments.priors import samples
from experiments.priors.listing import family_of
from experiments.priors.samples import Shape
from experiments.priors.store import Prior
from sdfrepar import evaluation, meshing, reports
from sdfrepar.fields import Distance
from sdfrepar.meshing import Mesh
from sdfrepar.reports import Progress

Key = TypeVar("Key")

POINTS = 30_000
"""Of each surface, for the Chamfer distance [P19]."""


def score(prior: Prior, shapes: Mapping[str, Callable[[], Shape]]) -> dict[str, Any]:
    """The Chamfer distance of every shape that was learnt, None where nothing is decoded; and of each family."""
    found: dict[str, float | None] = {}
    with Progress(len(shapes), unit="shape") as progress:
        for name, shape in shapes.items():
            truth = true_points(shape())
            params = prior.decoder.prepare(prior.params(name))
            scored = chamfer(prior.decoder.distance, params, truth, prior.config.mesh_resolution)
            found[name] = scored
            progress.update(len(found), {"chamfer": np.nan if scored is None else scored})
    families = dict.fromkeys(map(family_of, found))
    return {
        "chamfer": found,
        "families": {
            family: summary([value for name, value in found.items() if family_of(name) == family])
            for family in families
        },
        "all": summary(list(found.values())),
    }


def chamfer(distance: Distance, params: Any, truth: np.ndarray, resolution: int) -> float | None:
    """Mean squared distances, both ways, of a decoded surface and points of the true one; None if there is none."""
    mesh = decoded(distance, params, resolution)
    return None if mesh is None else chamfer_of(mesh, truth)


def true_points(shape: Shape, count: int | None = None) -> np.ndarray:
    """Points (count, 3) of a true surface, for the Chamfer distance; POINTS if not given."""
    return shape.surface.points(count or POINTS, samples.RESOLUTION)


def decoded(distance: Distance, params: Any, resolution: int) -> Mesh | None:
    """All of a decoded surface; None if there is none."""
    try:
        return meshing.extract(distance, params, resolution, components="all", culled=True)
    except meshing.EmptyMeshError:
        return None


def chamfer_of(mesh: Mesh, truth: np.ndarray) -> float:
    """Mean squared distances, both ways, of a mesh and points of the true surface."""
    return evaluation.squared_chamfer(evaluation.sample_surface(mesh.vertices, mesh.faces, len(truth), seed=1), truth)


def summary(values: list[float | None]) -> dict[str, Any]:
    """Median, mean and worst of the scores that there are, and how many shapes have none."""
    there = [value for value in values if value is not None]
    median, mean, worst = (float(f(there)) if there else None for f in (np.median, np.mean, np.max))
    return {"shapes": len(values), "empty": len(values) - len(there), "median": median, "mean": mean, "worst": worst}


def grouped(lines: Iterable[tuple[dict[str, Any], Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """What is summed up of lines with a Chamfer distance and seconds, for each label that they come with."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for label, line in lines:
        groups.setdefault(tuple(label.items()), []).append(line)
    return [
        {
            **dict(label),
            **summary([line["chamfer"] for line in group]),
            "seconds": float(np.median([line["seconds"] for line in group])),
        }
        for label, group in groups.items()
    ]


def best_median_worst(lines: Mapping[Key, Mapping[str, Any]]) -> tuple[Key, Key, Key]:
    """The keys of three lines, by their Chamfer distances; one without is the worst."""
    ordered = sorted(lines, key=lambda key: np.inf if lines[key]["chamfer"] is None else lines[key]["chamfer"])
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def table(scores: Mapping[str, Any]) -> str:
    """The scores in Markdown: families, then shapes, the worst first."""

    def row(name: str, of: Mapping[str, Any]) -> list[str]:
        return [name, str(of["shapes"]), str(of["empty"]), *(_shown(of[key]) for key in ("median", "mean", "worst"))]

    families = [row(name, of) for name, of in (*scores["families"].items(), ("all", scores["all"]))]
    ordered = sorted(scores["chamfer"].items(), key=lambda item: -np.inf if item[1] is None else -item[1])
    return "\n\n".join(
        [
            "Chamfer distance, sum of the two mean squared distances, unit sphere.",
            reports.table(["family", "shapes", "empty", "median", "mean", "worst"], families),
            reports.table(["shape", "Chamfer"], [[name, _shown(value)] for name, value in ordered]),
        ]
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"
