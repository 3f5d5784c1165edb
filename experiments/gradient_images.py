"""A picture's derivative by each method beside its finite difference, and what each gets wrong, after [B22 Fig. 6].

    python -m experiments.gradient_images --scene=torus --methods=velocity,interior --workdir=runs/gradients

Three minutes for the torus by all five methods on 2 cores, half of them spent on compiling. Leaves metrics.json and
gradient_images.png in the work directory:

    picture   finite difference    velocity     distance    ...
              colour scale         its error    its error

A sample of the network takes seventy times as long as one of the torus: give it --resolution=48 --samples_per_side=4
--reference.samples_per_side=6 --reference.repetitions=4 --reference.step=0.004, and a minute for each method.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import gradient_scenes
from experiments.gradient_scenes import ReferenceConfig, SceneName, Subject
from experiments.panels import labelled
from experiments.versions import versions
from sdfrepar import files, gradcheck, reports
from sdfrepar.gradcheck import Estimate, GradcheckConfig, Report
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import RenderConfig, render_image
from sdfrepar.rendering.config import Method

# The deepest colour stands for this quantile of the magnitude of the finite differences: a few pixels are far above.
_QUANTILE = 0.995


@dataclass(frozen=True)
class ImagesConfig:
    """Everything that decides the figure."""

    scene: SceneName = "torus"
    """torus: a textured solid; neural: an SDF network in the middle of a fit; spot: a mesh as a voxel grid."""
    mesh: str | None = None
    """File of a closed triangle mesh, .ply, .obj, .glb, or .npz with arrays v and f; for the scene spot."""
    methods: tuple[Method, ...] = ("velocity", "distance", "grazing", "relaxed", "interior")
    """Methods to show, in this order."""
    resolution: int = 96
    """Of the square picture, pixels."""
    repetitions: int = 4
    """Independent pictures averaged into each method's."""
    magnification: float = 1.0
    """Errors are shown so many times as large as gradients."""
    seed: int = 0
    render: RenderConfig = field(default_factory=lambda: RenderConfig(film=FilmConfig(samples_per_side=8)))
    """`gradient.method` is each of `methods` in turn."""
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.methods or "finite_difference" in self.methods:
            raise ValueError(
                f"methods is {','.join(self.methods) or 'empty'}; expected some of velocity, distance, grazing, relaxed"
                " and interior: the finite difference is shown in any case."
            )
        if self.magnification <= 0:
            raise ValueError(f"magnification is {self.magnification}; it must be positive, say 1 or 4.")


def main(argv: Sequence[str]) -> None:
    """Measure and draw."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --scene=torus --workdir=FOLDER.")
    compare(experiment_flags.read(ImagesConfig()), Path(flags.FLAGS.workdir))


def compare(config: ImagesConfig, workdir: Path) -> dict[str, Any]:
    """The whole experiment; returns what it wrote to metrics.json.

    Raises:
        ValueError, FileNotFoundError, ImportError: a scene that cannot be made.
    """
    subject = gradient_scenes.make(config.scene, config.resolution, config.mesh)
    print(f"{subject.title}: finite differences, {config.reference.repetitions} repetitions", flush=True)
    begun = time.monotonic()
    reference = gradient_scenes.finite_difference(subject, config.render, config.reference, config.seed)
    metrics: dict[str, Any] = {
        "title": subject.title,
        "config": experiment_flags.to_json(config),
        "versions": versions(),
        "reference": {"sum": reference.sum, "sum_error": reference.sum_error, "seconds": time.monotonic() - begun},
        "methods": {},
    }
    checked = []
    for method in config.methods:
        begun = time.monotonic()
        report = _check(config, subject, method, reference)
        checked.append(report)
        metrics["methods"][method] = _scores(config, report, seconds=time.monotonic() - begun)
        print(report, flush=True)
        files.write_json(workdir / "metrics.json", metrics)
    files.write_image(workdir / "gradient_images.png", figure(_primal(config, subject), checked, config.magnification))
    return metrics


def figure(primal_srgb: np.ndarray, checked: Sequence[Report], magnification: float) -> np.ndarray:
    """Gradients above, errors below, all on one scale: (H, W, 3) sRGB.

    Args:
        primal_srgb: (h, w, 3) the picture itself.
        checked: one report a method, of one reference.
        magnification: of the errors.
    """
    reference = checked[0].reference.mean
    scale = max(float(np.quantile(np.abs(reference), _QUANTILE)), 1e-12)
    upper = [labelled(primal_srgb, "picture"), labelled(reports.signed_picture(reference, scale), "finite difference")]
    lower = [labelled(np.ones_like(primal_srgb), ""), labelled(_colour_scale(reference.shape, scale), f"± {scale:.3g}")]
    times = "" if magnification == 1.0 else f" x {magnification:g}"
    for report in checked:
        error = reports.signed_picture(magnification * report.bias, scale)
        upper.append(labelled(reports.signed_picture(report.estimate.mean, scale), report.method))
        lower.append(labelled(error, f"error{times}: {report.error:.1%}, bias {report.bias_l2:.1%}"))
    return np.concatenate([reports.side_by_side(*upper), reports.side_by_side(*lower)])


def _check(config: ImagesConfig, subject: Subject, method: Method, reference: Estimate) -> Report:
    """One method against the finite differences."""
    gradient = replace(config.render.gradient, method=method)
    check = GradcheckConfig(
        render=replace(config.render, gradient=gradient), repetitions=config.repetitions, seed=config.seed
    )
    return gradcheck.check(
        subject.scene, subject.params, subject.camera, subject.direction, config=check, reference=reference
    )


def _scores(config: ImagesConfig, report: Report, *, seconds: float) -> dict[str, Any]:
    """What metrics.json says of a method. Norms are L2 over the picture, as shares of the finite difference's."""
    noiseless = math.sqrt(max(np.sum(report.reference.mean**2) - report.reference.noise**2, 1e-24))
    return {
        "error": report.error,
        "bias": report.bias_l2,
        "single_error": report.single_error,
        "standard_error": report.estimate.noise / noiseless,
        "reference_standard_error": report.reference.noise / noiseless,
        "sum_ratio": report.estimate.sum / report.reference.sum,
        "sum_bias": report.sum_bias,
        "sum_noise": report.sum_noise,
        "seconds": seconds,
        "samples": config.repetitions * gradient_scenes.samples_per_pixel(config.render),
    }


def _primal(config: ImagesConfig, subject: Subject) -> np.ndarray:
    """The picture itself, (H, W, 3) sRGB."""
    draw = jax.jit(lambda params, camera: render_image(subject.scene, config.render, params, camera).radiance)
    return files.encode_srgb(np.clip(np.asarray(draw(subject.params, subject.camera)), 0.0, 1.0))


def _colour_scale(shape: tuple[int, ...], scale: float) -> np.ndarray:
    """The colours from -scale to scale, left to right, over the upper eighth of a white picture."""
    height, width = shape
    values = np.broadcast_to(np.linspace(-scale, scale, width), (max(height // 8, 1), width))
    ramp = reports.signed_picture(values, scale)
    return np.concatenate([ramp, np.ones((height - len(ramp), width, 3), np.float32)])


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(ImagesConfig())
    flags.DEFINE_alias("method", "methods")
    flags.DEFINE_alias("samples_per_side", "render.film.samples_per_side")
    flags.DEFINE_alias("filter", "render.film.filter")
    experiment_flags.run(main)
