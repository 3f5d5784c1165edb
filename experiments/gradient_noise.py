"""Error of a picture's derivative against samples and against seconds, for every method.

    python -m experiments.gradient_noise --scene=torus --workdir=runs/noise

Eight minutes for the torus on 2 cores, half of them spent on compiling. Leaves metrics.json and, where matplotlib is
installed, gradient_noise.png in the work directory. Seconds are those of one derivative picture, without compilation;
the derivative is taken along one direction, in forward mode.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import curves, gradient_scenes
from experiments import flags as experiment_flags
from experiments.gradient_scenes import ReferenceConfig, SceneName, Subject
from experiments.versions import versions
from sdfrepar import files
from sdfrepar.gradcheck import Estimate
from sdfrepar.rendering import RenderConfig, render_film
from sdfrepar.rendering.config import Method

Picture = Callable[[Any, Any, jax.Array], jax.Array]
"""(params, direction, key) -> (H, W), one noisy derivative."""

_MARKERS = "osD^vX"


@dataclass(frozen=True)
class NoiseConfig:
    """Everything that decides the curves."""

    scene: SceneName = "torus"
    """torus: a textured solid; neural: an SDF network in the middle of a fit; spot: a mesh as a voxel grid."""
    mesh: str | None = None
    """File of a closed triangle mesh, .ply, .obj, .glb, or .npz with arrays v and f; for the scene spot."""
    methods: tuple[Method, ...] = ("velocity", "distance", "grazing", "relaxed", "interior", "finite_difference")
    """Methods to measure; finite_difference takes two pictures, `render.gradient.step` to either side."""
    samples_per_side: tuple[int, ...] = (2, 4, 8, 16)
    """Each pixel takes the square of these many samples: a point of each curve."""
    resolution: int = 64
    """Of the square picture, pixels."""
    repetitions: int = 8
    """Independent derivatives at each point."""
    seed: int = 0
    render: RenderConfig = field(default_factory=RenderConfig)
    """`gradient.method` and `film.samples_per_side` are each of the above in turn."""
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.methods or not self.samples_per_side:
            raise ValueError("methods or samples_per_side is empty; name at least one of each.")
        if self.repetitions < 2:
            raise ValueError(f"repetitions is {self.repetitions}; telling noise from bias takes at least 2.")


def main(argv: Sequence[str]) -> None:
    """Measure, then draw."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --scene=torus --workdir=FOLDER.")
    workdir = Path(flags.FLAGS.workdir)
    files.write_bytes(workdir / "gradient_noise.png", plot(measure(experiment_flags.read(NoiseConfig()), workdir)))


def measure(config: NoiseConfig, workdir: Path) -> dict[str, Any]:
    """All the curves; returns what it wrote to metrics.json, which grows point by point.

    Raises:
        ValueError, FileNotFoundError, ImportError: a scene that cannot be made.
    """
    subject = gradient_scenes.make(config.scene, config.resolution, config.mesh)
    print(f"{subject.title}: finite differences, {config.reference.repetitions} repetitions", flush=True)
    reference = gradient_scenes.finite_difference(subject, config.render, config.reference, config.seed)
    metrics: dict[str, Any] = {
        "title": subject.title,
        "config": experiment_flags.to_json(config),
        "versions": versions(),
        "reference_error": reference.noise / reference.scale,
        "curves": {method: [] for method in config.methods},
    }
    for method in config.methods:
        for per_side in config.samples_per_side:
            point = _point(config, subject, reference, method, per_side)
            metrics["curves"][method].append(point)
            print(f"{method:18}" + "  ".join(f"{name} {value:.4g}" for name, value in point.items()), flush=True)
            files.write_json(workdir / "metrics.json", metrics)
    return metrics


def plot(metrics: dict[str, Any]) -> bytes:
    """The curves of metrics.json as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """

    def draw(figure: Any) -> None:
        by_samples, by_seconds = figure.subplots(1, 2, sharey=True)
        for axes, quantity in ((by_samples, "samples"), (by_seconds, "seconds")):
            for marker, (method, curve) in zip(_MARKERS, metrics["curves"].items(), strict=False):
                values = [point[quantity] for point in curve], [point["error"] for point in curve]
                axes.loglog(*values, marker=marker, markersize=5, label=method)
            axes.grid(True, which="both", alpha=0.25)
        by_samples.set(xlabel="samples a pixel", ylabel="relative L2 error of one derivative picture")
        by_seconds.set(xlabel="seconds a derivative picture")
        by_samples.axhline(metrics["reference_error"], color="grey", linestyle=":", label="noise of the reference")
        figure.legend(*by_samples.get_legend_handles_labels(), loc="outside right center")
        figure.suptitle(metrics["title"])

    return curves.drawn(draw, (12.0, 4.2))


def errors(pictures: np.ndarray, reference: Estimate) -> tuple[float, float]:
    """Relative L2 error of one picture, and of the mean of infinitely many: the bias.

    Args:
        pictures: (N, H, W) independent derivatives, N at least 2.
        reference: of the same picture; what its noise alone would give is taken off.
    """
    excess = pictures - reference.mean[None]
    single = np.mean(np.sum(excess**2, axis=(1, 2))) - reference.noise**2
    noise_of_mean = np.sum(pictures.var(axis=0, ddof=1)) / len(pictures)
    bias = np.sum(excess.mean(axis=0) ** 2) - noise_of_mean - reference.noise**2
    scale = reference.scale
    return float(np.sqrt(max(single, 0.0)) / scale), float(np.sqrt(max(bias, 0.0)) / scale)


def _point(
    config: NoiseConfig, subject: Subject, reference: Estimate, method: Method, per_side: int
) -> dict[str, float]:
    """One point of a curve: what it costs, and its errors."""
    film = replace(config.render.film, samples_per_side=per_side)
    render = replace(config.render, film=film, gradient=replace(config.render.gradient, method=method))
    pictures, seconds, compile_seconds = _repeat(config, subject, _derivative(subject, render))
    error, bias = errors(pictures, reference)
    return {
        "samples": gradient_scenes.samples_per_pixel(render) * (2 if method == "finite_difference" else 1),
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "error": error,
        "bias": bias,
    }


def _derivative(subject: Subject, render: RenderConfig) -> Picture:
    """The method's derivative along the direction, averaged over the colours."""

    def along(params: Any, direction: Any, key: jax.Array) -> jax.Array:
        # One number is differentiated, whatever the size of the parameters: finite differences can do that as well.
        def picture(s: jax.Array) -> jax.Array:
            moved = jax.tree.map(lambda x, v: x + s * v, params, direction)
            return jnp.mean(render_film(subject.scene, render, moved, subject.camera, key=key), axis=-1)

        return jax.jvp(picture, (jnp.zeros(()),), (jnp.ones(()),))[1]

    return along


def _repeat(config: NoiseConfig, subject: Subject, picture: Picture) -> tuple[np.ndarray, float, float]:
    """Independent derivatives (N, H, W), the median seconds of one, and the seconds spent on compiling."""
    keys = jax.random.split(jax.random.key(config.seed + 2), config.repetitions)
    begun = time.monotonic()
    compiled = jax.jit(picture).lower(subject.params, subject.direction, keys[0]).compile()
    compile_seconds = time.monotonic() - begun
    pictures, seconds = [], []
    for key in keys:
        begun = time.monotonic()
        pictures.append(np.asarray(compiled(subject.params, subject.direction, key)))
        seconds.append(time.monotonic() - begun)
    return np.stack(pictures), float(np.median(seconds)), compile_seconds


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(NoiseConfig())
    flags.DEFINE_alias("method", "methods")
    flags.DEFINE_alias("filter", "render.film.filter")
    experiment_flags.run(main)
