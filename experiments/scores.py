"""The scores of a run in words, for pages and tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdfrepar import files

_WHOLE = ("steps", "restarts")
_LONGEST_NAME = 200

# Names in metrics.json: what a reader calls them, and how they are written; in the order in which they are shown.
_SCORES = {
    "psnr": ("PSNR", "{:.2f} dB"),
    "ssim": ("SSIM", "{:.3f}"),
    "iou": ("IoU of the solid", "{:.3f}"),
    "chamfer": ("Chamfer distance", "{:.4g}"),
    "silhouette_iou": ("silhouette IoU", "{:.3f}"),
    "fscore": ("F-score", "{:.3f}"),
    "normal_error": ("error of normals", "{:.1f}°"),
    "depth_error": ("error of depth", "{:.3g}"),
    "psnr_in_mask": ("PSNR in the mask", "{:.2f} dB"),
    "fscore_threshold": ("F-score's threshold", "{:.3g}"),
    "rotation_error": ("cameras' rotation error", "{:.3g}°"),
    "rotation_error_at_first": ("before the run", "{:.3g}°"),
    "position_error": ("cameras' position error", "{:.3g}"),
    "position_error_at_first": ("before the run", "{:.3g}"),
    "gradient": ("gradient", "{}"),
    "steps": ("steps", "{:,}"),
    "restarts": ("restarts", "{}"),
    "seconds_per_step": ("a step", "{:.3g} s"),
    "step_gigabytes": ("memory of a step", "{:.2g} GB"),
}


# Beyond what any score is, and near what numbers of the machine can be.
_LARGEST = 1e100


def drawable(value: Any) -> float | None:
    """A number that a curve can be drawn of, or None in the place of all else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and -_LARGEST < value < _LARGEST else None


def read_metrics(path: Path) -> dict[str, Any]:
    """What metrics.json holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or a score in it is no number.
    """
    metrics = files.read_json_object(path)
    views, versions = metrics.get("views", {}), metrics.get("versions", {})
    for scores in (metrics, *_tables(path, "views", views).values()):
        for name in (*_SCORES, "seconds"):
            if not _is_score(name, scores.get(name)):
                raise ValueError(
                    f"{path}: {name} is {str(scores[name])[:100]!r}; expected a number, so mend that entry."
                )
    if not isinstance(versions, Mapping):
        raise ValueError(f"{path}: versions holds no names and values; expected those of jax and Python.")
    return metrics


def _tables(path: Path, name: str, tables: Any) -> Mapping[str, Mapping[str, Any]]:
    """Scores by view."""
    # The names are those of files.
    if isinstance(tables, Mapping) and all(
        isinstance(table, Mapping) and view.isprintable() and Path(view).name == view and len(view) < _LONGEST_NAME
        for view, table in tables.items()
    ):
        return tables
    raise ValueError(f"{path}: {name} holds no scores by the names of pictures; expected those, so mend that entry.")


def _is_score(name: str, value: Any) -> bool:
    if value is None or name == "gradient":
        return value is None or isinstance(value, str)
    return drawable(value) is not None and (name not in _WHOLE or isinstance(value, int))


def score_lines(metrics: Mapping[str, Any], most: int | None = None) -> list[tuple[str, str]]:
    """The scores that metrics.json, or one of its views, holds: what each is called, and its value with its unit.

    Args:
        metrics: numbers by their names; those that are None are left out.
        most: how many at most, the first ones.
    """
    known = [
        (words, form.format(metrics[name])) for name, (words, form) in _SCORES.items() if metrics.get(name) is not None
    ]
    if metrics.get("seconds") is not None:
        known.append(("time", duration(metrics["seconds"])))
    return known[:most]


def duration(seconds: float) -> str:
    """A time as people say it: 42 s, 5 min 3 s, 2 h 10 min."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
