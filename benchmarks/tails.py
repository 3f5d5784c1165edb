"""The largest single contributions to a gradient picture, over a million samples of each scene, by every warp.

python -m benchmarks.tails            (ten minutes; append the table to benchmarks/RESULTS.md)

A contribution is that of a sample to the pixel in whose cell it lies, divided by their mean magnitude there, over the
pixels whose mean is above a hundredth of the picture's largest: elsewhere there is nothing to compare with. The control
variate is `render_film`'s own.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import gradient_scenes
from experiments.gradient_scenes import Subject
from sdfrepar import cameras, fields
from sdfrepar.imaging import FilmConfig, corners
from sdfrepar.imaging.estimators import excess, weigh
from sdfrepar.records import Sample
from sdfrepar.rendering import GradientConfig, RenderConfig, Scene, sample_film
from sdfrepar.rendering.config import WARPS, Method
from sdfrepar.rendering.film import pilot

RESOLUTION = 24
REPETITIONS = 109  # of 576 pixels with 16 samples each: 10^6


def main() -> None:
    """Print the table."""
    print("| scene | " + " | ".join(WARPS) + " |\n|---|" + len(WARPS) * "---|")
    for subject in subjects():
        cells = [f"{largest(subject, method):.0f}" for method in WARPS]
        print(f"| {subject.title} | " + " | ".join(cells) + " |", flush=True)


def subjects() -> Iterator[Subject]:
    """Every row of the table."""
    position, up = jnp.array([0.4, 0.6, -2.5]), jnp.array([0.0, 1.0, 0.0])
    camera = cameras.look_at(position, jnp.zeros(3), up, field_of_view=0.7, resolution=(RESOLUTION, RESOLUTION))
    ball = fields.placed(fields.sphere)
    small, large = placed(0.28, 0.35, 0.15, -0.5), placed(0.5, -0.1, 0.0, 0.2)
    still = jax.tree.map(jnp.zeros_like, large)
    grows = {**still, "solid": {"radius": jnp.ones(())}}
    moves = {**still, "position": jnp.array([0.0, 1.0, 0.0])}
    yield Subject(
        "two spheres, one before the other",
        Scene(fields.union(ball, ball)),
        (small, large),
        (grows, still),
        camera,
    )
    yield Subject(
        "two spheres, melted together",
        Scene(fields.smooth_union(ball, ball)),
        {"first": placed(0.4, -0.25, 0.0, 0.0), "second": placed(0.3, 0.3, 0.1, -0.1), "width": jnp.asarray(0.2)},
        {"first": still, "second": moves, "width": jnp.asarray(0.5)},
        camera,
    )
    yield gradient_scenes.torus(RESOLUTION)
    yield gradient_scenes.neural(RESOLUTION)


def placed(radius: float, *position: float) -> dict[str, Any]:
    """Params of a placed sphere."""
    return {"solid": {"radius": jnp.asarray(radius)}, "position": jnp.array(position), "rotation": jnp.eye(3)}


def largest(subject: Subject, method: Method) -> float:
    """The largest ratio of a contribution to its pixel's mean magnitude."""
    film = FilmConfig(samples_per_side=4)
    config = RenderConfig(film=film, gradient=GradientConfig(method=method, band_share=0.6))
    centre = jnp.repeat(corners(RESOLUTION, RESOLUTION) + 0.5, film.inside, axis=0)
    camera = jax.tree.map(lambda c: jnp.broadcast_to(c, (len(centre), *c.shape)), subject.camera)

    def weighted(sample: Sample, centre: jax.Array, baseline: jax.Array) -> jax.Array:
        return jnp.mean(weigh(film.kernel, sample, centre, jnp.ones(())) * excess(sample, baseline))

    @jax.jit
    def contributions(baseline: jax.Array, key: jax.Array) -> jax.Array:
        place, choose = jax.random.split(key)
        u = centre + jax.random.uniform(place, centre.shape) - 0.5

        def of(params: Any) -> jax.Array:
            samples, _ = sample_film(subject.scene, config, params, camera, u, jnp.ones(len(u)), key=choose)
            return jax.vmap(weighted)(samples, centre, baseline)

        moved = jax.jvp(of, (subject.params,), (subject.direction,))[1]
        return moved.reshape(-1, film.inside)

    keys = jax.random.split(jax.random.key(0), REPETITIONS + 1)
    half_way = pilot(subject.scene, config, subject.params, subject.camera, key=keys[0])
    baseline = jnp.repeat(half_way.reshape(-1, 3), film.inside, axis=0)
    moved = np.concatenate([np.abs(contributions(baseline, key)) for key in keys[1:]], axis=1)
    mean = moved.mean(axis=1)
    counted = mean > 0.01 * mean.max()
    return float(np.max(moved[counted].max(axis=1) / mean[counted]))


if __name__ == "__main__":
    main()
