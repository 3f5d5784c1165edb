"""The scores of a run in words, for pages and tables."""

from collections.abc import Mapping
from typing import Any

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
