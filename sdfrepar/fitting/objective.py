"""The objective on one batch of pixels, or on one device's share of it."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import losses
from sdfrepar.fitting.batches import (
    Approach,
    Batch,
    Tracked,
    approach_pixels,
    draw_pixels,
    draw_tracks,
    prefer_silhouettes,
)
from sdfrepar.fitting.config import FitConfig
from sdfrepar.fitting.masks import least_values, sharpness
from sdfrepar.fitting.pixels import Pixels
from sdfrepar.fitting.shares import WHOLE, Share
from sdfrepar.fitting.views import exposed, seen_from
from sdfrepar.precision import in_float32
from sdfrepar.records import Camera, Status
from sdfrepar.rendering import RenderConfig, Scene, render_pixels

Terms = dict[str, tuple[jax.Array | float, jax.Array]]
"""Weight and value () of each named term of the objective."""


@in_float32
def choose_batch(
    scene: Scene,
    render_config: RenderConfig,
    config: FitConfig,
    params: Any,
    pixels: Pixels,
    progress: jax.Array,
    *,
    key: jax.Array,
    share: Share = WHOLE,
) -> tuple[Batch, Approach, Tracked | None]:
    """The pixels of a share of the batch. All devices draw the same candidates, march some, and hear of the others.

    `progress` () is the share of the steps that is done.
    """
    pixel_key, choice_key, track_key = jax.random.split(key, 3)
    tracked = share.of(draw_tracks(config, pixels, key=track_key))
    drawn = draw_pixels(config, pixels, progress, key=pixel_key)
    approach = share.gather(approach_pixels(scene, render_config, params, share.of(drawn)))
    if config.candidates == 1:
        return share.of(drawn), share.of(approach), tracked
    kept, weight = prefer_silhouettes(config, approach.near, key=choice_key)
    kept, weight = share.of((kept, weight))
    batch, chosen = jax.tree.map(lambda leaf: leaf[kept], (drawn, approach))
    # The pixels that were not kept cost as much: each of the kept stands for its share of all.
    spent = jnp.full_like(chosen.start, config.candidates * jnp.mean(approach.queries))
    return batch._replace(weight=weight), chosen._replace(queries=spent), tracked


@in_float32
def objective_of_batch(
    scene: Scene,
    render_config: RenderConfig,
    config: FitConfig,
    params: Any,
    batch: Batch,
    approach: Approach,
    tracked: Tracked | None,
    progress: jax.Array,
    *,
    key: jax.Array,
    share: Share = WHOLE,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """A share of the loss on one batch, and of its measurements: the shares sum to those of the batch.

    Args:
        scene: what is fitted.
        render_config: how it is rendered.
        config: how it is fitted.
        params: parameters of the scene, and of the views where these are fitted.
        batch: the pixels of this share.
        approach: to them.
        tracked: points that pictures share; None where there are none.
        progress: () share of the steps done.
        key: random key, the same for all shares.
        share: which one this is.
    """
    render_key, point_key, mask_key, way_key = jax.random.split(key, 4)
    of_each = share.of(jax.random.split(render_key, config.pixels))
    camera = seen_from(params, batch.camera, batch.view)
    # The photograph itself is the control variate: a guess of the pixel that no sample of ours has touched.
    rendered, samples, statistics = render_pixels(
        scene, render_config, params, camera, batch.centre, batch.width, batch.colour, approach.start, key=of_each
    )
    rendered = exposed(params, rendered, batch.view)
    near = _some(config, samples.point, share)
    terms: Terms = {
        "photometric": (1.0, losses.photometric(rendered, batch.colour, batch.weight)),
        "eikonal": (
            config.eikonal_weight,
            losses.eikonal(scene.distance, params, eikonal_points(config, near, key=point_key, share=share)),
        ),
    }
    if config.masks == "use":
        keys = share.of(jax.random.split(mask_key, config.pixels))
        terms |= _by_masks(scene, config, params, batch, camera, rendered, samples.status, progress, keys)
    if tracked is not None:
        rig = jax.vmap(partial(seen_from, params))(tracked.rig, tracked.tracks.views)
        terms["matches"] = config.match_weight, losses.reprojection(rig, tracked.tracks)
    if config.smoothness_weight:
        fading = config.smoothness_weight * jnp.maximum(1.0 - progress / config.smoothness_fade, 0.0)
        way = share.of(_short_way(way_key, share.count * near.shape[0]))
        terms["smoothness"] = fading, losses.smoothness(scene.distance, params, near, way)
    loss = sum((weight * term for weight, term in terms.values()), jnp.zeros(()))
    statistics["queries"] += jnp.mean(approach.queries) / samples.status.shape[1]
    means = {
        "loss": loss,
        **{f"loss/{name}": term for name, (_, term) in terms.items()},
        **statistics,
        "squared_error": losses.squared_error(rendered, batch.colour),
    }
    metrics = {name: value / share.count for name, value in means.items()}
    return loss / share.count, {**metrics, "hits": jnp.sum(samples.status == Status.HIT).astype(loss.dtype)}


def _by_masks(
    scene: Scene,
    config: FitConfig,
    params: Any,
    batch: Batch,
    camera: Camera,
    rendered: jax.Array,
    status: jax.Array,
    progress: jax.Array,
    keys: jax.Array,
) -> Terms:
    """The terms of [I20]: colours where surface and mask overlap, and the mask everywhere else."""
    if batch.mask is None:
        raise ValueError("fit.masks is use, but the data set has no masks; expected --fit.masks=ignore.")
    covered = batch.mask > 0.5
    overlap = covered & (jnp.mean(status == Status.HIT, axis=1) > 0.5)
    least = least_values(scene.distance, params, camera, batch.centre, ~overlap, keys)
    α = sharpness(config, progress)
    elsewhere = jnp.where(overlap, 0.0, batch.weight)
    return {
        "photometric": (1.0, losses.photometric(rendered, batch.colour, jnp.where(overlap, batch.weight, 0.0))),
        "mask": (config.mask_weight / α, losses.mask(least, covered, α, elsewhere)),
    }


def eikonal_points(config: FitConfig, near: jax.Array, *, key: jax.Array, share: Share = WHOLE) -> jax.Array:
    """A share of the points for the eikonal term: M in the unit ball, evenly, and the ends of rays, jittered a little.

    Args:
        config: says how many points in the ball.
        near: (N, 3) the ends of this share's rays.
        key: random key, the same for all shares.
        share: which one this is.

    Returns:
        (M / count + N, 3), in the unit ball.
    """
    direction_key, radius_key, jitter_key = jax.random.split(key, 3)
    shape = (config.eikonal_points, 3)
    direction = jax.random.normal(direction_key, shape)
    radius = jax.random.uniform(radius_key, shape[:1]) ** (1.0 / 3.0)
    ball = share.of(direction / jnp.linalg.norm(direction, axis=1, keepdims=True) * radius[:, None])
    ends = near + 0.05 * share.of(jax.random.normal(jitter_key, (share.count * near.shape[0], 3)))
    length = jnp.linalg.norm(ends, axis=1, keepdims=True)
    return jnp.concatenate([ball, ends / jnp.maximum(length, 1.0)])


def _some(config: FitConfig, points: jax.Array, share: Share) -> jax.Array:
    """A share (M / count, 3) of the points (P, S, 3) for the eikonal term, evenly from all pixels."""
    flat = points.reshape(-1, 3)
    wanted = min(config.eikonal_points // share.count, flat.shape[0])
    return flat[(jnp.arange(wanted) * flat.shape[0]) // wanted]


def _short_way(key: jax.Array, count: int) -> jax.Array:
    """Steps (count, 3) in all directions over which normals are compared, scene units."""
    return 0.02 * jax.random.normal(key, (count, 3))
