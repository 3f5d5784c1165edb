"""From posed pictures to parameters: which pixels to look at, the objective, and one step of the optimiser."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from sdfrepar import imaging, losses, raygen
from sdfrepar.records import Camera, Status, Views
from sdfrepar.rendering import RenderConfig, Scene, approach_rays, render_pixels


@dataclass(frozen=True)
class FitConfig:
    """The optimisation."""

    steps: int = 2000
    pixels: int = 512
    """Pixels a step, from all views and levels."""
    candidates: int = 4
    """Of this many pixels, drawn evenly, one is kept; silhouettes are preferred. 1 keeps all."""
    preference: float = 8.0
    """How many times likelier, at most, a pixel near a silhouette is kept than another; its loss weighs less."""
    levels: int = 8
    """Levels of the image pyramid at most; the coarsest keeps 8 pixels a side."""
    descent: float = 0.4
    """Share of the steps over which the favoured level moves from the coarsest to the finest."""
    spread: float = 1.3
    """How many levels from the favoured one a pixel is drawn e times less often. The coarse levels move the silhouettes
    that are far from where they belong, so these must not run dry."""
    shape_rate: float = 4e-4
    """Learning rate of the field; a fast one loses the surface before the colours are learnt."""
    colour_rate: float = 2e-3
    """Learning rate of everything else."""
    warm_up: int = 200
    """Steps over which the field's learning rate rises from zero."""
    final_rate: float = 0.05
    """Learning rates at the end, as a share of those at the start; the decay is a cosine."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    eikonal_weight: float = 0.1
    eikonal_points: int = 512
    """Points in the unit ball for the eikonal term, beside as many near the surface."""
    average: float = 0.99
    """Decay of the moving average of the parameters, with which pictures and meshes are made."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("steps", "pixels", "levels", "eikonal_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"fit.{name} is {getattr(self, name)}; it must be at least 1.")


@struct.dataclass(kw_only=True)
class Pixels:
    """All pixels of all levels of all views, as a camera with a tent filter would see them."""

    colour: jax.Array  # (T, 3) linear; level by level, view by view, row by row
    first: jax.Array  # (L,) int32 index of the level's first pixel
    rows: jax.Array  # (L,) int32
    columns: jax.Array  # (L,) int32
    cameras: Camera  # leading axis N


@struct.dataclass(kw_only=True)
class FitState:
    """Everything that changes from step to step."""

    params: Any
    average: Any  # moving average of params
    optimiser: Any
    step: jax.Array  # () int32, steps done


def gather_pixels(views: Views, levels: int) -> Pixels:
    """The pyramids of all views on the device.

    Args:
        views: N pictures (H, W).
        levels: levels at most; level l has pixels of width 2^l. Fewer where a picture would shrink below 8 pixels.
    """
    height, width = views.images.shape[1:3]
    levels = max(1, min(levels, (min(height, width) // 8).bit_length()))
    per_view = [[imaging.tent_from_box(level) for level in imaging.pyramid(image, levels)] for image in views.images]
    shapes = [level.shape[:2] for level in per_view[0]]
    sizes = [len(views) * rows * columns for rows, columns in shapes]
    colour = [view[level].reshape(-1, 3) for level in range(levels) for view in per_view]
    return Pixels(
        colour=jnp.concatenate(colour).astype(jnp.float32),
        first=jnp.cumsum(jnp.array([0, *sizes[:-1]])),
        rows=jnp.array([rows for rows, _ in shapes]),
        columns=jnp.array([columns for _, columns in shapes]),
        cameras=jax.tree.map(jnp.asarray, views.cameras),
    )


class Batch(NamedTuple):
    """Pixels to look at in one step; leading axis P."""

    camera: Camera
    centre: jax.Array  # (P, 2) pixels of the full-resolution image
    width: jax.Array  # (P,) likewise
    colour: jax.Array  # (P, 3) linear
    weight: jax.Array  # (P,) of the pixel's loss, 1 on average


def draw_pixels(config: FitConfig, pixels: Pixels, progress: jax.Array, *, key: jax.Array) -> Batch:
    """Candidates for a batch, `config.candidates` times as many as it will have.

    Levels follow the schedule; views and places are drawn evenly.

    Args:
        config: batch size and schedule.
        pixels: where from.
        progress: () share of the steps done.
        key: random key.
    """
    level_key, place_key = jax.random.split(key)
    count = config.pixels * config.candidates
    levels = pixels.first.shape[0]
    favoured = (levels - 1) * jnp.maximum(1.0 - progress / config.descent, 0.0)
    level = jax.random.categorical(level_key, -jnp.abs(jnp.arange(levels) - favoured) / config.spread, shape=(count,))
    rows, columns = pixels.rows[level], pixels.columns[level]
    per_view = rows * columns
    views = pixels.cameras.position.shape[0]
    place = jax.random.randint(place_key, (count,), 0, views * per_view)
    view, in_view = place // per_view, place % per_view
    width = 2.0 ** level.astype(jnp.float32)
    centre = width[:, None] * (jnp.stack([in_view % columns, in_view // columns], axis=-1) + 0.5)
    camera = jax.tree.map(lambda c: c[view], pixels.cameras)
    return Batch(camera, centre, width, pixels.colour[pixels.first[level] + place], jnp.ones(count))


def prefer_silhouettes(
    scene: Scene, render_config: RenderConfig, config: FitConfig, params: Any, drawn: Batch, *, key: jax.Array
) -> Batch:
    """The batch kept of the candidates: pixels near the silhouettes of the present shape more often, with less weight.

    Few pixels see a silhouette, and they carry the shape; one ray through the centre of each candidate tells. They are
    preferred as far as the band's buffer has room for them. Candidates are resampled systematically in proportion to
    their preference, so that the weighted loss keeps its mean.

    Gradient: none; the choice is detached.
    """
    if config.candidates == 1:
        return drawn
    rays = jax.vmap(raygen.ray_through)(drawn.camera, drawn.centre)
    _, (grazing, _, _) = approach_rays(scene.distance, render_config, jax.lax.stop_gradient(params), rays)
    near = grazing / drawn.width < render_config.gradient.band
    odds = jnp.maximum(jnp.mean(near), 1e-6) / jnp.maximum(1.0 - jnp.mean(near), 1e-6)
    room = render_config.gradient.band_share / max(1.0 - render_config.gradient.band_share, 1e-6)
    preference = jnp.where(near, jnp.clip(room / odds, 1.0, config.preference), 1.0)
    share = jnp.cumsum(preference) / jnp.sum(preference)
    ticks = (jnp.arange(config.pixels) + jax.random.uniform(key)) / config.pixels
    kept = jnp.minimum(jnp.searchsorted(share, ticks), share.shape[0] - 1)
    batch = jax.tree.map(lambda leaf: leaf[kept], drawn)
    return batch._replace(weight=jnp.mean(preference) / preference[kept])


def make_optimiser(config: FitConfig) -> optax.GradientTransformation:
    """Adam under a cosine decay, on clipped gradients; the field warms up, so that colours come before shape."""

    def adam(rate: float, warm_up: int) -> optax.GradientTransformation:
        schedule = optax.warmup_cosine_decay_schedule(
            init_value=0.0,
            peak_value=rate,
            warmup_steps=warm_up,
            decay_steps=max(config.steps, warm_up + 1),
            end_value=config.final_rate * rate,
        )
        return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(schedule, b2=0.99))

    def group(params: Any) -> dict[str, str]:
        return {name: "shape" if name == "sdf" else "colour" for name in params}

    return optax.multi_transform(
        {"shape": adam(config.shape_rate, config.warm_up), "colour": adam(config.colour_rate, 1)}, group
    )


def start(config: FitConfig, params: Any) -> FitState:
    """The state before the first step."""
    return FitState(
        params=params,
        average=jax.tree.map(jnp.copy, params),  # a copy: the step donates both
        optimiser=make_optimiser(config).init(params),
        step=jnp.zeros((), jnp.int32),
    )


def objective(
    scene: Scene,
    render_config: RenderConfig,
    config: FitConfig,
    params: Any,
    pixels: Pixels,
    progress: jax.Array,
    *,
    key: jax.Array,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted sum of the terms on one random batch, and its measurements."""
    pixel_key, choice_key, render_key, point_key = jax.random.split(key, 4)
    candidates = draw_pixels(config, pixels, progress, key=pixel_key)
    batch = prefer_silhouettes(scene, render_config, config, params, candidates, key=choice_key)
    # The photograph itself is the control variate: a guess of the pixel that no sample of ours has touched.
    rendered, samples, statistics = render_pixels(
        scene, render_config, params, batch.camera, batch.centre, batch.width, batch.colour, key=render_key
    )
    hit_points = samples.point.reshape(-1, 3)[: config.eikonal_points]
    points = eikonal_points(config, hit_points, key=point_key)
    terms = {
        "photometric": losses.photometric(rendered, batch.colour, batch.weight),
        "eikonal": losses.eikonal(scene.distance, params, points),
    }
    loss = terms["photometric"] + config.eikonal_weight * terms["eikonal"]
    hits = jnp.sum(samples.status == Status.HIT)
    metrics = {
        "loss": loss,
        **{f"loss/{name}": value for name, value in terms.items()},
        **statistics,
        "hits": hits,
        "psnr": losses.psnr_of(rendered, batch.colour),
    }
    return loss, metrics


def eikonal_points(config: FitConfig, near: jax.Array, *, key: jax.Array) -> jax.Array:
    """Points (2 M, 3) for the eikonal term: M in the unit ball, evenly, and the ends of M rays, jittered a little."""
    direction_key, radius_key, jitter_key = jax.random.split(key, 3)
    shape = (config.eikonal_points, 3)
    direction = jax.random.normal(direction_key, shape)
    radius = jax.random.uniform(radius_key, shape[:1]) ** (1.0 / 3.0)
    ball = direction / jnp.linalg.norm(direction, axis=1, keepdims=True) * radius[:, None]
    ends = near + 0.05 * jax.random.normal(jitter_key, near.shape)
    length = jnp.linalg.norm(ends, axis=1, keepdims=True)
    return jnp.concatenate([ball, ends / jnp.maximum(length, 1.0)])


def make_step(
    scene: Scene, render_config: RenderConfig, config: FitConfig
) -> Callable[[FitState, Pixels, jax.Array], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, pixels, key) -> (state, metrics). The batch depends on the key and the step alone."""
    optimiser = make_optimiser(config)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: FitState, pixels: Pixels, key: jax.Array) -> tuple[FitState, dict[str, jax.Array]]:
        def loss(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
            return objective(
                scene,
                render_config,
                config,
                params,
                pixels,
                state.step / config.steps,
                key=jax.random.fold_in(key, state.step),
            )

        gradient, metrics = jax.grad(loss, has_aux=True)(state.params)
        updates, optimiser_state = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        # Early on the average follows closely, so that it forgets where it began.
        decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
        metrics["gradient_norm"] = optax.tree.norm(gradient)
        return FitState(
            params=params,
            average=optax.incremental_update(params, state.average, 1.0 - decay),
            optimiser=optimiser_state,
            step=state.step + 1,
        ), metrics

    return step
