"""Which pixels a step looks at: drawn from all levels of all pictures, with silhouettes preferred."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.fitting.config import FitConfig
from sdfrepar.fitting.pixels import Pixels
from sdfrepar.fitting.views import seen_from
from sdfrepar.records import Camera, Tracks
from sdfrepar.rendering import RenderConfig, Scene, clear_starts, rays_through


class Batch(NamedTuple):
    """Pixels to look at in one step; leading axis P."""

    view: jax.Array  # (P,) int32, the picture
    camera: Camera  # as the data give it
    centre: jax.Array  # (P, 2) pixels of the full-resolution image
    width: jax.Array  # (P,) likewise
    colour: jax.Array  # (P, 3) linear
    mask: jax.Array | None  # (P,) share of the pixel that the object covers, where the data know it
    weight: jax.Array  # (P,) of the pixel's loss, 1 on average


class Tracked(NamedTuple):
    """Points that pictures share, to look at in one step; leading axis T."""

    tracks: Tracks
    rig: Camera  # (T, K), as the data give them


class Approach(NamedTuple):
    """What the march through the centre of a pixel tells; leading axis P."""

    start: jax.Array  # (P,) where the marches of the pixel's samples may start, scene units
    near: jax.Array  # (P,) bool, whether a silhouette is near
    queries: jax.Array  # (P,) int32, evaluations of the field spent


def draw_pixels(config: FitConfig, pixels: Pixels, progress: jax.Array, *, key: jax.Array) -> Batch:
    """Candidates for a batch, `config.candidates` times as many as it will have.

    Levels follow the schedule; views and places are drawn evenly.

    Args:
        config: batch size and schedule.
        pixels: where from.
        progress: () share of the steps done.
        key: random key.
    """
    level_key, view_key, place_key = jax.random.split(key, 3)
    count = (config.pixels * config.candidates,)
    levels = len(pixels.colour)
    favoured = (levels - 1) * jnp.maximum(1.0 - progress / config.descent, 0.0)
    level = jax.random.categorical(level_key, -jnp.abs(jnp.arange(levels) - favoured) / config.spread, shape=count)
    rows, columns = (jnp.array([stack.shape[axis] for stack in pixels.colour])[level] for axis in (1, 2))
    view = jax.random.randint(view_key, count, 0, pixels.colour[0].shape[0])
    place = jax.random.randint(place_key, count, 0, rows * columns)
    row, column = place // columns, place % columns
    width = 2.0 ** level.astype(jnp.float32)
    centre = width[:, None] * (jnp.stack([column, row], axis=-1) + 0.5)
    camera = jax.tree.map(lambda c: c[view], pixels.cameras)
    colour, mask = pixels.at(level, view, row, column)
    return Batch(view, camera, centre, width, colour, mask, jnp.ones(count))


def draw_tracks(config: FitConfig, pixels: Pixels, *, key: jax.Array) -> Tracked | None:
    """As many points that pictures share as the batch has pixels, drawn evenly; None where there are none."""
    if pixels.tracks is None:
        return None
    drawn = jax.random.randint(key, (config.pixels,), 0, len(pixels.tracks.film))
    tracks = jax.tree.map(lambda leaf: leaf[drawn], pixels.tracks)
    return Tracked(tracks, jax.tree.map(lambda c: c[tracks.views], pixels.cameras))


def approach_pixels(scene: Scene, config: RenderConfig, params: Any, drawn: Batch) -> Approach:
    """March along the centres of pixels. Detached."""
    rays = rays_through(seen_from(params, drawn.camera, drawn.view), drawn.centre, drawn.width)
    cones = clear_starts(scene.distance, config, params, rays, config.film.reach)
    return Approach(cones.clear, cones.measure < config.gradient.band, cones.queries)


def prefer_silhouettes(config: FitConfig, near: jax.Array, *, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which candidates are kept: those near the silhouettes of the present shape more often, with less weight.

    Few pixels see a silhouette, and they carry the shape; one ray through the centre of each candidate tells. They are
    preferred until they make up `config.silhouettes` of the batch. Candidates are resampled systematically in
    proportion to their preference, so that the weighted loss keeps its mean.

    Args:
        config: how much they are preferred, and how many pixels are kept.
        near: (C,) bool, whether a silhouette is near.
        key: random key.

    Returns:
        Indices (P,) among the candidates, and the weights (P,) of their losses, 1 on average.
    """
    odds = jnp.maximum(jnp.mean(near), 1e-6) / jnp.maximum(1.0 - jnp.mean(near), 1e-6)
    wanted = config.silhouettes / (1.0 - config.silhouettes)
    preference = jnp.where(near, jnp.clip(wanted / odds, 1.0, config.preference), 1.0)
    share = jnp.cumsum(preference) / jnp.sum(preference)
    ticks = (jnp.arange(config.pixels) + jax.random.uniform(key)) / config.pixels
    kept = jnp.minimum(jnp.searchsorted(share, ticks), share.shape[0] - 1)
    return kept, jnp.mean(preference) / preference[kept]
