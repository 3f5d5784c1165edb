"""Fitting: which pixels are drawn, and that a step does what it says."""

from dataclasses import replace
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scenes

from sdfrepar import fitting, imaging
from sdfrepar.fitting import FitConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.records import Tracks, Views
from sdfrepar.rendering import GradientConfig, RenderConfig

CONFIG = FitConfig(pixels=4000, candidates=1, levels=3, descent=0.5)


@pytest.fixture(scope="module")
def views() -> Views:
    """Two pictures of 32 x 40 pixels whose colour says where they were taken: (column, row, view) over 64."""
    columns, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(32) + 0.5)
    images = np.stack([np.stack([columns, rows, np.full_like(rows, view)], axis=-1) / 64 for view in range(2)])
    rig = [scenes.camera_at((x, 0.0, -2.5), (32, 40)) for x in (0.0, 0.5)]
    cameras = jax.tree.map(lambda *leaves: np.stack(leaves), *rig)
    return Views(images=images.astype(np.float32), cameras=cameras, names=("a", "b"), world_from_scene=np.eye(4))


def draw(views, progress):
    pixels = fitting.gather_pixels(views, CONFIG.levels)
    return jax.jit(fitting.draw_pixels, static_argnums=0)(CONFIG, pixels, jnp.asarray(progress), key=jax.random.key(0))


def test_colours_belong_to_their_places(views):
    """The centre of a pixel of any level, and its camera, agree with the colour that came with it."""
    batch = draw(views, 0.3)
    centre, width, colour = np.asarray(batch.centre), np.asarray(batch.width), np.asarray(batch.colour)
    # The tent's edge pixels repeat their neighbours, so the ramp holds inside.
    inside = np.all((centre > width[:, None]) & (centre < np.array([40, 32]) - width[:, None]), axis=1)
    np.testing.assert_allclose(colour[inside, :2] * 64, centre[inside], atol=1e-4)
    np.testing.assert_allclose(colour[:, 2] * 64, np.asarray(batch.camera.position[:, 0]) / 0.5, atol=1e-5)


def test_levels_descend(views):
    """All levels are drawn at any time, the coarse ones mostly at first and the finest mostly at last."""
    first, last = (np.bincount(np.log2(np.asarray(draw(views, p).width)).astype(int), minlength=3) for p in (0.0, 0.9))
    assert np.all(first > 100) and np.all(last > 100)
    assert first[2] > 1.5 * first[0] and last[0] > 1.5 * last[2]


def test_drawn_points_come_with_the_cameras_that_see_them(views):
    """As many as pixels, so that devices share them alike; the film says which picture it was."""
    pixels = fitting.gather_pixels(views, 1)
    assert fitting.draw_tracks(CONFIG, pixels, key=jax.random.key(0)) is None
    seen_by = np.array([[0, 1, 0], [1, 0, 1]], np.int32)
    film = np.stack([seen_by, 2 * seen_by], axis=-1).astype(np.float32)
    tracks = Tracks(views=seen_by, film=film, seen=np.array([[True] * 3, [True, True, False]]))
    drawn = fitting.draw_tracks(CONFIG, replace(pixels, tracks=tracks), key=jax.random.key(0))
    chex.assert_shape(drawn.tracks.film, (CONFIG.pixels, 3, 2))
    np.testing.assert_allclose(drawn.rig.position[..., 0], 0.5 * drawn.tracks.film[..., 0], atol=1e-6)
    assert 0.45 < float(jnp.mean(drawn.tracks.seen[:, 2])) < 0.55


def test_levels_stop_at_eight_pixels(views):
    assert len(fitting.gather_pixels(views, 10).colour) == 3


def test_targets_are_tent_pixels(views):
    pixels = fitting.gather_pixels(views, 1)
    expected = imaging.tent_from_box(jnp.asarray(views.images[1]))
    np.testing.assert_allclose(pixels.colour[0][1], expected, atol=1e-6)


class InBytes:
    """Pictures whose files have 8 bits."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images: np.ndarray):
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._images[index]


def test_pixels_are_kept_in_the_bits_of_their_files(views):
    masks = np.asarray(views.images[..., 0] > 0.3, np.float32)
    exact = fitting.gather_pixels(replace(views, masks=masks), 3)
    coded = fitting.gather_pixels(replace(views, images=InBytes(views.images), masks=InBytes(masks)), 3)
    assert {stack.dtype for stack in (*coded.colour, *coded.mask)} == {np.dtype(np.uint8)}
    assert sum(leaf.nbytes for leaf in jax.tree.leaves((coded.colour, coded.mask))) == fitting.bytes_of_pixels(
        replace(views, images=InBytes(views.images), masks=InBytes(masks)), 3
    )
    places = [np.array(numbers) for numbers in ([0, 1, 2, 2], [1, 0, 1, 0], [30, 3, 7, 0], [2, 19, 9, 5])]
    on_device = [jax.tree.map(jnp.asarray, pixels) for pixels in (exact, coded)]
    (colour, mask), (found, share) = (pixels.at(*places) for pixels in on_device)
    assert np.abs(imaging.srgb_from_linear(colour) - imaging.srgb_from_linear(found)).max() < 0.51 / 255
    assert np.abs(mask - share).max() < 0.51 / 255
    for column, level in enumerate(places[0]):
        view, row, place = (numbers[column] for numbers in places[1:])
        np.testing.assert_allclose(colour[column], exact.colour[level][view, row, place], atol=1e-6)


def covered(sphere: scenes.SphereImage) -> np.ndarray:
    """The tent's mean of a white disc (H, W), of 24 x 24 points a pixel."""
    radius = 0.5 * sphere.side / np.tan(0.35) * sphere.radius / np.sqrt(sphere.distance**2 - sphere.radius**2)
    place = (np.arange(24 * sphere.side) + 0.5) / 24
    disc = np.hypot(*np.meshgrid(place - 0.5 * sphere.side, place - 0.5 * sphere.side)) < radius
    tent = np.maximum(1.0 - np.abs(place[None] - (np.arange(sphere.side)[:, None] + 0.5)), 0.0) / 24
    return (tent @ disc @ tent.T).astype(np.float32)


def sphere_fit(config: FitConfig):
    """A white sphere on black whose radius and nothing else is fitted; the pictures show radius 0.6."""
    sphere = scenes.SphereImage(side=16)
    images = np.repeat(covered(sphere)[None, :, :, None], 3, axis=3)
    cameras = jax.tree.map(lambda leaf: np.asarray(leaf)[None], sphere.camera)
    views = Views(images=images, cameras=cameras, names=("a",), world_from_scene=np.eye(4))
    pixels = fitting.gather_pixels(views, 1)
    # The pictures are tent pixels already.
    pixels = pixels.replace(colour=(jnp.asarray(images),))
    scene = replace(sphere.scene, distance=lambda params, x: sphere.scene.distance(params["sdf"], x))
    return fitting.make_step(scene, RENDER, config), pixels


RENDER = RenderConfig(film=FilmConfig(samples_per_side=4), gradient=GradientConfig(band_share=0.6))


def test_steps_find_the_radius_and_repeat_exactly(monkeypatch):
    """From a sphere of 0.45 to one of 0.6 by its silhouette alone; the same key gives the same numbers.

    All the steps, at every level of the pyramid, are one program.
    """
    step_traced = chex.assert_max_traces(optax.apply_updates, n=1)
    monkeypatch.setattr("sdfrepar.fitting.step.optax.apply_updates", step_traced)
    config = FitConfig(steps=60, pixels=256, shape_rate=1e-2, warm_up=1, eikonal_points=4, final_rate=0.02, average=0.0)
    step, pixels = sphere_fit(config)

    def run(steps: int):
        state, radii = fitting.start(config, {"sdf": {"radius": jnp.asarray(0.45)}}), []
        for _ in range(steps):
            state, metrics = step(state, pixels, jax.random.key(0))
            radii.append(float(state.params["sdf"]["radius"]))
        return state, metrics, radii

    state, metrics, radii = run(config.steps)
    assert radii[-1] == pytest.approx(0.6, abs=0.01)
    assert radii[:10] == run(10)[-1]
    assert int(state.step) == config.steps
    assert step._cache_size() == 1
    assert float(state.average["sdf"]["radius"]) == pytest.approx(radii[-1])
    assert all(np.isfinite(float(value)) for value in metrics.values())


def test_eikonal_points_lie_in_the_unit_ball():
    near = 0.95 * jnp.ones((50, 3)) / jnp.sqrt(3.0)
    points = fitting.eikonal_points(FitConfig(eikonal_points=50), near, key=jax.random.key(0))
    assert points.shape == (100, 3)
    assert float(jnp.max(jnp.linalg.norm(points, axis=1))) <= 1.0 + 1e-6


def test_preferred_pixels_keep_the_mean():
    """Pixels near the silhouette come more often, and any weighted mean stays what it was."""
    sphere = scenes.SphereImage(side=32)
    camera, centre, width = scenes.every_pixel(sphere.camera)
    from_axis = jnp.linalg.norm(centre - 16.0, axis=1)
    drawn = fitting.Batch(
        jnp.zeros(1024, int), camera, centre, width, jnp.repeat(from_axis[:, None], 3, axis=1), None, jnp.ones(1024)
    )
    approach = jax.jit(partial(fitting.approach_pixels, sphere.scene, RENDER))(sphere.params, drawn)
    config = FitConfig(pixels=256, candidates=4, preference=8.0, silhouettes=0.6)
    choose = jax.jit(lambda key: fitting.prefer_silhouettes(config, approach.near, key=key))
    batches = [choose(key) for key in jax.random.split(jax.random.key(0), 20)]
    distances = [np.asarray(from_axis)[kept] for kept, _ in batches]
    weights = np.stack([weight for _, weight in batches])
    outline = 0.6 / np.sqrt(2.5**2 - 0.6**2) * 16 / np.tan(0.35)
    near = np.abs(np.asarray(from_axis) - outline) < 0.5
    share = np.mean([np.abs(distance - outline) < 0.5 for distance in distances])
    assert share > 1.5 * near.mean()
    # Pixels that are preferred weigh less than 1; they make up the share of the batch that is asked for, and no more.
    assert np.mean(weights < 1) == pytest.approx(config.silhouettes, abs=0.03)
    assert np.mean(weights * distances) == pytest.approx(float(from_axis.mean()), rel=0.02)
    assert np.mean(weights) == pytest.approx(1.0, rel=0.02)


def test_config_refuses_what_cannot_work():
    with pytest.raises(ValueError, match=r"fit\.pixels is 0"):
        FitConfig(pixels=0)
