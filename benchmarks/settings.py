"""What the constants of the gradient do: bias and noise on the torus for each of them.

python -m benchmarks.settings            (a quarter of an hour; append the table to benchmarks/RESULTS.md)

Bias is that of a picture of 1,024 samples a pixel against finite differences of 6,144, noise taken off; noise is that
of one picture of 256 samples a pixel.
"""

from collections.abc import Iterator
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras, fields, gradcheck
from sdfrepar.gradcheck import GradcheckConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import GradientConfig, RenderConfig, Scene
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import DistanceConfig, RelaxedConfig, VelocityConfig

PARAMS = {"major": jnp.asarray(0.55), "minor": jnp.asarray(0.22)}
MOTION = {"major": 1.0, "minor": 0.0}


def main() -> None:
    """Print the table."""
    camera = cameras.look_at(
        jnp.array([1.2, 1.6, -2.0]), jnp.zeros(3), jnp.array([0.0, 1.0, 0.0]), field_of_view=0.7, resolution=(24, 24)
    )
    scene = Scene(fields.torus)
    render = RenderConfig(
        film=FilmConfig(samples_per_side=16),
        trace=TraceConfig(max_steps=48),
        gradient=GradientConfig(band_share=0.6),
        chunk=1 << 15,
    )
    config = GradcheckConfig(render=render, repetitions=4, reference_repetitions=24, step=0.005)
    motion = gradcheck.motion_of(PARAMS, camera, MOTION, None)
    reference = gradcheck.finite_difference(scene, config, (PARAMS, camera), motion)
    print(f"reference noise {reference.noise / np.linalg.norm(reference.mean):.1%}")
    print("| method | setting | bias | sum | noise | finite |")
    print("|---|---|---|---|---|---|")
    for label, gradient in settings():
        checked = replace(config, render=replace(render, gradient=gradient))
        report = gradcheck.check(scene, PARAMS, camera, MOTION, config=checked, reference=reference)
        noise = np.sqrt(max(report.single_error**2 - report.bias_l2**2, 0.0))
        print(
            f"| {gradient.method} | {label} | {report.bias_l2:.1%} | {report.sum_bias:+.2%} | {noise:.1%} "
            f"| {'yes' if report.finite else 'NO'} |",
            flush=True,
        )


def settings() -> Iterator[tuple[str, GradientConfig]]:
    """Every row of the table: what is changed, and the whole of the gradient's settings."""
    base = GradientConfig(method="velocity", band_share=0.6)
    for k in (3, 5, 7, 8, 14, 50):
        name = "all" if k == 50 else str(k)
        yield f"k = {name}", replace(base, velocity=VelocityConfig(top_k=k))
    for gamma in (2.1, 3.0, 10.0):
        yield f"γ = {gamma:g}", replace(base, velocity=VelocityConfig(gamma=gamma))
    for weight in (0.01, 1.0):
        yield f"λ_d = {weight:g}", replace(base, velocity=VelocityConfig(angle_weight=weight))
    for epsilon in (0.0, 1e-4, 1e-3, 1e-2):
        yield f"ε = {epsilon:g}", replace(base, velocity=VelocityConfig(epsilon=epsilon))
    yield "γ = 3, λ = 0.05", replace(base, method="distance")
    for gamma, weight, epsilon in ((2.1, 0.01, 0.0), (10.0, 1.0, 0.0), (3.0, 0.05, 1e-2)):
        constants = DistanceConfig(gamma=gamma, angle_weight=weight, epsilon=epsilon)
        yield f"γ = {gamma:g}, λ = {weight:g}, ε = {epsilon:g}", replace(base, method="distance", distance=constants)
    yield "as it is", replace(base, method="grazing")
    for thickness in (0.1, 0.25, 0.5, 1.0):
        relaxed = RelaxedConfig(thickness=thickness)
        yield f"thickness = {thickness:g}", replace(base, method="relaxed", relaxed=relaxed)
    yield "as it is", replace(base, method="interior")


if __name__ == "__main__":
    main()
