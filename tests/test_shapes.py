"""Shapes by name, and what they look like when they are seen anew."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from experiments import render_shape, render_views, shapes
from experiments.priors.families import FAMILIES
from experiments.render_shape import RenderShapeConfig
from experiments.shapes import ShapeConfig, Solid
from experiments.synthetic import photography
from experiments.synthetic.scenes import SCENES
from sdfrepar import fields, files, networks, observing, reports
from sdfrepar.networks import DecoderConfig
from sdfrepar.observing import ObserveConfig, Subject

NETWORK = DecoderConfig(latent=3, width=24, depth=3, skip=1)
CODES = np.array([[0.1, -0.2, 0.3], [0.0, 0.4, -0.1]], np.float32)


@pytest.fixture
def decoder(tmp_path):
    """A decoder as others publish it, and its codes in a file of their own."""
    params = networks.initial_decoder(NETWORK, key=jax.random.key(0))["network"]
    arrays = {}
    for number, layer in enumerate(("hidden_0", "hidden_1", "hidden_2", "distance")):
        dense = {name: np.asarray(leaf) for name, leaf in params[layer].items()}
        arrays[f"lin{number}.bias"] = dense["bias"]
        if "kernel" in dense:
            arrays[f"lin{number}.weight"] = dense["kernel"].T
        else:
            arrays[f"lin{number}.weight_v"], arrays[f"lin{number}.weight_g"] = dense["direction"].T, dense["scale"]
    np.savez(tmp_path / "decoder.npz", **arrays)
    np.savez(tmp_path / "codes.npz", **{"latent_codes.weight": CODES})
    return ShapeConfig(name="1", decoder=str(tmp_path / "decoder.npz"), codes=str(tmp_path / "codes.npz")), params


def test_shapes_are_what_their_names_say():
    x = jnp.array([0.3, 0.2, -0.1])
    mug = FAMILIES["mug"]
    solid = shapes.make(ShapeConfig(name="mug 3"))
    assert solid.subject.distance(solid.params, x) == mug.distance(mug.draw(np.random.default_rng(3)), x)
    assert solid.subject.properties(solid.params, x).shape == (0,)
    np.testing.assert_array_equal(solid.albedo(np.zeros((2, 3))), shapes.GREY)
    demo, (distance, params) = shapes.make(ShapeConfig(name="demo")), SCENES["demo"].solid()
    assert demo.subject.distance(demo.params, x) == pytest.approx(float(distance(params, x)), abs=1e-7)


def test_colours_of_a_scene_are_properties_of_its_subject():
    demo = shapes.make(ShapeConfig(name="demo"))
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 5, 3)).astype(np.float32)
    found = jax.jit(jax.vmap(jax.vmap(lambda x: demo.subject.properties(demo.params, x))))(x)
    truth = SCENES["demo"].albedo(x.reshape(-1, 3))
    np.testing.assert_allclose(np.asarray(found).reshape(-1, 3), truth, atol=1e-6)
    np.testing.assert_allclose(demo.albedo(x[0]), truth[:5], atol=1e-6)


def test_a_published_decoder_has_a_shape_for_each_of_its_codes(decoder):
    config, network = decoder
    solid = shapes.make(config)
    x = jnp.array([0.3, 0.2, -0.1])
    expected = networks.decoder(NETWORK).distance({"network": network, "code": jnp.asarray(CODES[1])}, x)
    assert float(solid.subject.distance(solid.params, x)) == pytest.approx(float(expected), abs=1e-6)
    assert shapes.prior(config).names == ("0", "1")
    with pytest.raises(ValueError, match="no shape '2', expected one of 0, 1"):
        shapes.make(replace(config, name="2"))
    with pytest.raises(ValueError, match=r"expected one table of codes of 3 numbers"):
        shapes.make(replace(config, codes=None))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prior": "a", "decoder": "b"}, "both given"),
        ({"codes": "b"}, "without a decoder"),
        ({"octaves": 5}, "without"),
    ],
)
def test_names_that_contradict_themselves_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ShapeConfig(**settings)


def test_a_shape_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="'tree 3', expected one of demo"):
        shapes.make(ShapeConfig(name="tree 3"))
    with pytest.raises(FileNotFoundError, match="holds no config"):
        shapes.make(ShapeConfig(prior=str(tmp_path)))
    with pytest.raises(ValueError, match="No decoder is named"):
        shapes.prior(ShapeConfig())


# Pictures

BALL = Solid("a ball", Subject(fields.sphere, lambda params, x: jnp.array([0.8, 0.4, 0.2])), {"radius": jnp.array(0.5)})
SMALL = RenderShapeConfig(
    frames=1, elevation=0.0, resolution=(24, 16), lights=(0.0, 0.0, -3.0, 0.5), azimuth=0.0, ambient=0.1, background=0.0
)


def one(config, solid=BALL):
    (picture,) = render_shape.turntable(config, solid)
    return picture


def covered(picture):
    return float(np.mean(picture.max(axis=-1) > 0.05))


def test_a_ball_is_lit_as_its_closed_form_says(tmp_path):
    """Seen from where the light is: the middle of the picture has n·l = 1 at 2.5 of the light's 3 units."""
    picture = one(SMALL)
    assert picture.shape == (16, 24, 3)
    expected = np.array([0.8, 0.4, 0.2]) * (0.1 + 0.5 * (3.0 / 2.5) ** 2)
    np.testing.assert_allclose(picture[8, 12], files.encode_srgb(expected), atol=0.01)
    # From behind there is only what comes from all around.
    np.testing.assert_allclose(
        one(replace(SMALL, azimuth=180.0))[8, 12], files.encode_srgb(0.1 * np.array([0.8, 0.4, 0.2])), atol=0.01
    )
    turned = one(replace(SMALL, azimuth=180.0, lights_turn=True))
    np.testing.assert_allclose(turned, picture, atol=0.01)


def test_twice_the_focal_length_covers_four_times_the_film():
    small, large = (covered(one(replace(SMALL, focal=focal))) for focal in (0.8, 1.6))
    assert large == pytest.approx(4.0 * small, rel=0.15)


def test_a_parallel_camera_sees_the_ball_in_its_size():
    """A disc of radius 0.5 at 1.5 * 32 / 3 = 16 pixels a unit of length."""
    picture = one(replace(SMALL, parallel=True, resolution=(48, 32), supersampling=1))
    assert covered(picture) * 48 * 32 == pytest.approx(np.pi * 8.0**2, rel=0.1)


def test_a_turn_is_written_as_pictures_or_as_a_film(tmp_path):
    config = replace(SMALL, frames=2, what=("colour", "normals", "depth"))
    frames = list(render_shape.turntable(config, BALL))
    panels = [reports.panels_of(frame, 3) for frame in frames]
    assert all(panel.shape == (16, 24, 3) for panel in panels[0])
    # The ball looks the same from all sides, its normals do not.
    np.testing.assert_allclose(panels[0][2], panels[1][2], atol=0.02)
    assert np.abs(panels[0][1] - panels[1][1]).max() > 0.5
    render_views.write(tmp_path / "turn", frames)
    assert len(list((tmp_path / "turn").glob("*.png"))) == 2
    render_views.write(tmp_path / "turn.gif", frames)
    assert (tmp_path / "turn.gif").stat().st_size > 100


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"elevation": 90.0}, "elevation is 90"),
        ({"focal": 0.0}, "focal 0"),
        ({"what": ()}, "what is empty"),
        ({"lights": (1.0, 2.0, 3.0)}, "lights has 3 numbers"),
    ],
)
def test_pictures_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        RenderShapeConfig(**settings)


def test_exact_maps_are_those_of_first_order_mode():
    camera = scenes.camera_at((0.3, 0.4, -2.4), (16, 16))
    exact = photography.survey(BALL.surface, camera)
    see = jax.jit(partial(observing.observe, BALL.subject, ObserveConfig(threshold=1e-3)))
    seen = see(BALL.params, camera)
    both = exact.mask & np.asarray(seen.valid)
    assert both.sum() > 0.9 * exact.mask.sum()
    np.testing.assert_allclose(np.asarray(seen.depth)[both], exact.depth[both], atol=2e-3)
