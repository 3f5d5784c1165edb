"""Inputs that nobody should give, by property: they are refused in a sentence, or what comes out is finite."""

import dataclasses
import io
import json
import tempfile
from functools import partial
from pathlib import Path

import imageio.v3 as imageio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzzing.subjects import ring
from sdfrepar import cameras, datasets, fields, files
from sdfrepar.datasets import FORMATS, DataConfig, Taken
from sdfrepar.datasets.check import require_sound_cameras
from sdfrepar.raygen import ray_through
from sdfrepar.records import Hit, Status
from sdfrepar.tracing import TraceConfig, refine, trace

# The same examples everywhere, and nothing left on the disk.
steady = partial(settings, deadline=None, derandomize=True, database=None)

CONFIG = TraceConfig(max_steps=24)
SIDE = 4
FIELDS = ("ball", "positive", "negative", "steep", "constant", "islands", "infinite", "nothing")


def field_of_kind(params, x):
    """All kinds in one function, so that it is compiled once."""
    radius, ball = params["radius"], fields.sphere({"radius": params["radius"]}, x)
    island = jnp.sum((x - jnp.array([0.2, 0.0, 0.0])) ** 2) < 0.09
    return jnp.stack(
        [
            ball,
            0.1 + radius * jnp.sum(x * x),
            -0.1 - radius * jnp.sum(x * x),
            30.0 * ball * (1.2 + jnp.sin(40.0 * x[0])),
            radius,
            jnp.where(island, jnp.nan, ball),
            jnp.where(x[0] > 0, jnp.inf, ball),
            jnp.nan,
        ]
    )[params["kind"]]


@jax.jit
def traced(kind, radius, camera):
    params = {"kind": kind, "radius": radius}

    def one(u) -> Hit:
        ray = ray_through(camera, u)
        hit, _ = trace(field_of_kind, CONFIG, params, ray)
        return refine(field_of_kind, CONFIG, params, ray, hit)

    columns, rows = jnp.meshgrid(jnp.arange(SIDE) + 0.5, jnp.arange(SIDE) + 0.5)
    return jax.vmap(one)(jnp.stack([columns.ravel(), rows.ravel()], axis=-1))


PLACES = {"before": -3.0, "at the surface": None, "inside": -0.1, "in the middle": -1e-6, "far": -1e6}


@steady(max_examples=60)
@given(
    kind=st.sampled_from(FIELDS),
    place=st.sampled_from(sorted(PLACES)),
    radius=st.floats(0.0625, 0.9375, width=32),
    mirrored=st.booleans(),
)
def test_the_tracer_ends_at_a_finite_place_of_any_field(kind, place, radius, mirrored):
    away = -radius if place == "at the surface" else PLACES[place]
    camera = scenes.camera_at((0.01, 0.02, away), (SIDE, SIDE))
    if mirrored:
        camera = dataclasses.replace(camera, rotation=camera.rotation @ jnp.diag(jnp.array([-1.0, 1.0, 1.0])))
    hit = traced(jnp.int32(FIELDS.index(kind)), jnp.float32(radius), camera)
    assert np.isfinite(hit.distance).all()
    assert np.isin(hit.status, (Status.HIT, Status.MISS, Status.UNDECIDED)).all()
    assert np.asarray(hit.queries).max() <= CONFIG.max_steps + 3 * CONFIG.refinements + 2
    if kind in ("positive", "constant", "nothing"):
        assert not (np.asarray(hit.status) == Status.HIT).any()
    if kind == "negative" and place == "before":
        assert (np.asarray(hit.status) == Status.HIT).any()


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)


@steady(max_examples=60)
@given(
    leaf=st.sampled_from(["focal", "principal", "rotation", "position"]),
    place=st.integers(0, 100),
    value=st.one_of(NUMBERS, st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e300])),
)
def test_a_camera_of_any_numbers_is_sound_or_refused(leaf, place, value):
    rig = ring()
    array = np.array(getattr(rig, leaf), np.float64)
    array.flat[place % array.size] = value
    broken = dataclasses.replace(rig, **{leaf: array})
    names = [f"v{i}" for i in range(4)]
    try:
        require_sound_cameras(broken, names)
    except ValueError as error:
        assert str(error).startswith("View v") and str(error).endswith(".") and "\n" not in str(error)
    else:
        assert np.isfinite(array).all() and (np.asarray(broken.focal) > 0).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rig: {"focal": 0.0 * rig.focal}, "focal length that is not positive"),
        (lambda rig: {"rotation": rig.rotation * np.array([-1.0, 1.0, 1.0])}, "mirrors"),
        (lambda rig: {"position": np.full_like(rig.position, np.inf)}, "NaN or infinity"),
    ],
)
def test_cameras_that_cannot_be_are_refused(change, sentence):
    rig = ring()
    with pytest.raises(ValueError, match=sentence):
        require_sound_cameras(dataclasses.replace(rig, **change(rig)), [f"v{i}" for i in range(4)])


SIZES = st.sampled_from([(1, 1), (1, 7), (5, 1), (2, 20_000), (20_000, 2), (3, 4)])


@steady(max_examples=40)
@given(size=SIZES, channels=st.integers(1, 4), depth=st.sampled_from([8, 16]), value=st.integers(0, 255))
def test_pictures_of_any_size_depth_and_channels_are_read(size, channels, depth, value):
    import png

    level = value * (257 if depth == 16 else 1)
    rows = np.full((size[0], size[1] * channels), level, np.uint16 if depth == 16 else np.uint8)
    file = io.BytesIO()
    png.Writer(size[1], size[0], greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=depth).write(file, rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a picture é 漢字.png"
        path.write_bytes(file.getvalue())
        picture, kind = files.read_image(path), files.picture_kind(path)
    assert picture.shape == (*size, 4 if channels in (2, 4) else 3) and kind.size == size
    assert kind.has_alpha == (channels in (2, 4))
    np.testing.assert_allclose(picture, value / 255.0, atol=1e-6)


def test_palettes_are_colours_and_inks_are_refused(tmp_path):
    codes = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    palette = Image.fromarray(codes).quantize(256)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_allclose(files.read_image(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")) / 255.0)
    Image.fromarray(codes).convert("CMYK").save(tmp_path / "ink.jpg")
    for read in (files.read_image, files.picture_kind):
        with pytest.raises(ValueError, match=r"ink\.jpg has the colours CMYK; expected grey or RGB"):
            read(tmp_path / "ink.jpg")


@pytest.mark.parametrize("name", FORMATS)
def test_names_may_have_spaces_and_any_letters(name, tmp_path):
    """In the folder and in the pictures, but for formats whose lines are parted by spaces."""
    stems = [f"v{i}é漢字" if name == "middlebury" else f"v {i} é漢字 <b>" for i in range(4)]
    folder = tmp_path / "a set é漢字"
    FORMATS[name].write(folder, Taken(images_srgb=np.full((4, 12, 16, 3), 0.5), cameras=ring(), names=stems, test=[1]))
    train, test = datasets.load(folder, DataConfig(holdout="1"))
    assert sorted([*train.names, *test.names]) == stems
    assert train.images[0].shape == (12, 16, 3)


def test_empty_folders_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no data set of a known format: .* found nothing; point to"):
        datasets.load(tmp_path, DataConfig())
    (tmp_path / "images").mkdir()
    (tmp_path / "cameras.npz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="There are no pictures in"):
        datasets.load(tmp_path, DataConfig())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@steady(max_examples=60)
@given(content=JSON, key=st.sampled_from(["", "frames", "fl_x", "w", "camera_model", "test_filenames"]))
def test_any_json_is_refused_or_read_as_cameras(content, key):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        FORMATS["transforms"].write(
            folder, Taken(images_srgb=np.zeros((4, 12, 16, 3)), cameras=ring(), names=list("abcd"), test=[1])
        )
        path = folder / "transforms.json"
        sound = json.loads(path.read_text())
        path.write_text(json.dumps(content if not key else {**sound, key: content}))
        try:
            datasets.load(folder, DataConfig())
        except (ValueError, FileNotFoundError) as error:
            assert type(error) in (ValueError, FileNotFoundError) and "\n" not in str(error)


def test_a_picture_of_another_kind_than_its_name_is_read(tmp_path):
    imageio.imwrite(tmp_path / "a.png", np.zeros((3, 4, 3), np.uint8), extension=".jpg")
    assert files.read_image(tmp_path / "a.png").shape == (3, 4, 3)


def test_a_camera_within_a_mirror_still_looks_at_the_origin():
    """The tracer's mirrored cameras above are cameras: their middle ray meets what that of the sound one meets."""
    camera = scenes.camera_at((0.0, 0.0, -3.0), (SIDE, SIDE))
    mirrored = dataclasses.replace(camera, rotation=camera.rotation @ jnp.diag(jnp.array([-1.0, 1.0, 1.0])))
    assert np.allclose(cameras.project(mirrored, jnp.zeros(3))[0], SIDE / 2)
