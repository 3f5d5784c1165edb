"""Pictures of searches for a camera: what is seen on the way, how it differs from the truth, and the errors' curves."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import curves
from experiments.panels import labelled
from experiments.shapes import Solid
from sdfrepar import cameras, observing, reports
from sdfrepar.fitting import Maps
from sdfrepar.observing import ObserveConfig
from sdfrepar.records import Camera, Observation

# Shares of the steps that are shown between start and end, most of them early on, when much happens.
_SHOWN = (0.04, 0.08, 0.15, 0.3)

# Differences of depth of this much and more, scene units, have the deepest colour.
_DEEPEST = 0.1

_ONLY_TRUE, _ONLY_FOUND = (0.35, 0.65, 0.25), (0.95, 0.6, 0.1)
"""Green where only the true silhouette is, orange where only the one that is found."""

_PANEL_WIDTH = 192
_LABELS = ("best", "median", "worst")


def ways(solid: Solid, rig: Camera, truths: Sequence[Maps], lines: Sequence[dict[str, Any]]) -> np.ndarray:
    """The best, the median and the worst search by how they end: what is seen, and below how it differs from the truth.

    Args:
        solid: what is seen.
        rig: the true cameras, leading axis N.
        truths: what each of them sees, where searches have been made.
        lines: the searches.
    """
    see = jax.jit(partial(observing.observe, solid.subject, ObserveConfig(), channels=("normal",)))
    order = sorted(lines, key=lambda line: max(line["rotation"][-1], line["shift"][-1]))
    chosen = order[0], order[len(order) // 2], order[-1]
    rows = []
    for label, line in zip(_LABELS, chosen, strict=True):
        true = truths[line["view"]]
        opacity = np.asarray(true.mask, np.float32)
        above = [_labelled(reports.normal_picture(np.asarray(true.normal), opacity), f"{label}: truth")]
        below = [_labelled(reports.depth_picture(np.asarray(true.depth), opacity), "its depth")]
        for step in _steps(len(line["motions"])):
            seen = see(solid.params, _camera(rig, line, step))
            errors = f"{line['rotation'][step]:.2f}°, {line['shift'][step]:.2f} %"
            normals = reports.normal_picture(np.asarray(seen.normal), np.asarray(seen.valid, np.float32))
            above.append(_labelled(normals, f"step {step}"))
            below.append(_labelled(_difference(seen, true), errors))
        rows += [reports.side_by_side(*above), reports.side_by_side(*below)]
    return np.concatenate(rows)


def curves_of(lines: Sequence[dict[str, Any]], home: float) -> bytes:
    """Errors against steps, all searches and their median, as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """

    def draw(figure: Any) -> None:
        for axes, name, title in zip(
            figure.subplots(1, 2), ("rotation", "shift"), ("degrees", "hundredths of the distance"), strict=True
        ):
            every = np.array([line[name] for line in lines])
            axes.semilogy(every.T, color="grey", linewidth=0.5, alpha=0.5)
            axes.semilogy(np.median(every, axis=0), linewidth=2.0, label="median")
            axes.axhline(home, color="C1", linestyle="--", label="home")
            axes.set(xlabel="step", title=f"{name}, {title}")
            axes.grid(True, alpha=0.25)
        axes.legend()

    return curves.drawn(draw, (10.0, 4.0))


def _steps(count: int) -> list[int]:
    """Start, a few steps on the way, and the end, of so many poses."""
    return sorted({0, *(round(share * (count - 1)) for share in _SHOWN), count - 1})


def _camera(rig: Camera, line: dict[str, Any], step: int) -> Camera:
    """Where a search stood."""
    first = cameras.moved(cameras.one_of(rig, line["view"]), jnp.asarray(line["start"], jnp.float32))
    return cameras.moved(first, jnp.asarray(line["motions"][step], jnp.float32))


def _difference(seen: Observation, true: Maps) -> np.ndarray:
    """How depth and silhouette differ from the truth, (H, W, 3) sRGB; white where neither has a surface."""
    found, mask = np.asarray(seen.valid), np.asarray(true.mask)
    picture = reports.signed_picture(np.asarray(seen.depth - true.depth), _DEEPEST)
    picture[~found & ~mask] = 1.0
    picture[mask & ~found] = _ONLY_TRUE
    picture[found & ~mask] = _ONLY_FOUND
    return picture


def _labelled(picture: np.ndarray, label: str) -> np.ndarray:
    return labelled(picture, label, _PANEL_WIDTH)
