"""An independent control of the silhouette's gradient: Mitsuba against a closed form, then sdfrepar against Mitsuba."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import mitsuba_control
import numpy as np
import pytest
import scenes
import trimesh

from sdfrepar import fields, gradcheck
from sdfrepar.gradcheck import GradcheckConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import GradientConfig, RenderConfig
from sdfrepar.tracing import TraceConfig

pytestmark = pytest.mark.slow

SPHERE = scenes.SphereImage()
RADIANCE, BACKGROUND = 0.9, 0.25
MAJOR, MINOR = 0.55, 0.22
TORUS_CAMERA = scenes.camera_at((1.2, 1.6, -2.0), (24, 24))


@pytest.fixture(scope="module", autouse=True)
def mitsuba():
    pytest.importorskip("mitsuba")
    try:
        mitsuba_control.start()
    except mitsuba_control.UnfitLLVMError as error:
        pytest.skip(str(error))


def box_gradient(sphere: scenes.SphereImage) -> np.ndarray:
    """d(pixel)/d(radius), (side, side), of box pixels: the length of silhouette in each, times its speed.

    The silhouette is the circle of film radius F r / √(D² - r²), as in `SphereImage.gradient`.
    """
    square = sphere.distance**2 - sphere.radius**2
    focal = 0.5 * sphere.side / np.tan(0.5 * sphere.field_of_view)
    on_film = focal * sphere.radius / np.sqrt(square)
    speed = focal * (1 / np.sqrt(square) + sphere.radius**2 / square**1.5)
    angle = 2 * np.pi * (np.arange(1_000_000) + 0.5) / 1_000_000
    points = 0.5 * sphere.side + on_film * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    length, _, _ = np.histogram2d(*points.T, bins=sphere.side, range=2 * [[0, sphere.side]])
    return length * speed * on_film * 2 * np.pi / len(angle)


def sphere_mesh(radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, their derivative in the radius, and faces."""
    unit = trimesh.creation.icosphere(subdivisions=6, radius=1.0)
    return radius * unit.vertices, np.asarray(unit.vertices), np.asarray(unit.faces)


def torus_mesh(major: float, minor: float, around: int, across: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of `fields.torus`, their derivative in the major radius, and faces."""
    i, j = (k.ravel() for k in np.meshgrid(np.arange(around), np.arange(across), indexing="ij"))
    u, v = 2 * np.pi * i / around, 2 * np.pi * j / across
    outward = np.stack([np.cos(u), np.zeros_like(u), np.sin(u)], axis=-1)
    vertices = (major + minor * np.cos(v))[:, None] * outward + minor * np.sin(v)[:, None] * [0.0, 1.0, 0.0]
    here, beside, above = i * across + j, (i + 1) % around * across + j, i * across + (j + 1) % across
    opposite = (i + 1) % around * across + (j + 1) % across
    faces = np.stack([here, above, opposite, here, opposite, beside], axis=-1).reshape(-1, 3)
    return vertices, outward, faces


def our_gradient_image(camera: Camera, method: str) -> np.ndarray:
    """d(picture)/d(major) of the white torus by sdfrepar, 1,024 samples a pixel."""
    config = GradcheckConfig(
        render=RenderConfig(
            film=FilmConfig(samples_per_side=16),
            trace=TraceConfig(max_steps=48),
            gradient=GradientConfig(method=method, band_share=0.6),
        ),
        repetitions=4,
    )
    params = {"major": jnp.float32(MAJOR), "minor": jnp.float32(MINOR)}
    motion = {"major": jnp.float32(1.0), "minor": jnp.float32(0.0)}
    still = jax.tree.map(jnp.zeros_like, camera)
    scene = scenes.white_on_black(fields.torus)
    return gradcheck.estimated(scene, config, (params, camera), (motion, still))[1].mean


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


TORUS = torus_mesh(MAJOR, MINOR, 192, 96)


@pytest.mark.parametrize("filter_name", ["tent", "box"])
def test_mitsuba_agrees_with_the_closed_form(filter_name):
    """Found: 0.5 % of noise with the tent, 0.9 % with the box, and sums right to 3e-5."""
    truth = SPHERE.gradient() if filter_name == "tent" else box_gradient(SPHERE)
    found = mitsuba_control.gradient_image(
        *sphere_mesh(SPHERE.radius), SPHERE.camera, RADIANCE, BACKGROUND, filter_name=filter_name
    )
    truth = (RADIANCE - BACKGROUND) * truth
    assert found.sum() == pytest.approx(truth.sum(), rel=3e-4)
    assert relative_error(found, truth) < 0.015


def test_mitsuba_follows_the_principal_point():
    """The torus, which has no symmetry here, moves with the principal point by whole pixels."""
    shifted = replace(TORUS_CAMERA, principal=TORUS_CAMERA.principal + jnp.array([1.0, -2.0]))
    centred, moved = (
        mitsuba_control.gradient_image(*TORUS, camera, 1.0, 0.0, filter_name="box", samples=16)
        for camera in (TORUS_CAMERA, shifted)
    )
    # The same seed draws the same points of the silhouette; a few of them change pixel by rounding.
    assert relative_error(moved[:-2, 1:], centred[2:, :-1]) < 1e-3


def test_mitsuba_refuses_a_mesh_that_leaves_the_picture():
    vertices, velocity, faces = sphere_mesh(SPHERE.radius)
    aside = np.array([0.6, 0.0, 0.0])
    with pytest.raises(ValueError, match="leaves the picture"):
        mitsuba_control.gradient_image(vertices + aside, velocity, faces, SPHERE.camera, RADIANCE, BACKGROUND)


@pytest.mark.parametrize("method", ["velocity", "distance", "grazing"])
def test_sdfrepar_agrees_with_mitsuba(method):
    """On a torus whose hole's silhouette ends where it hides itself.

    Central differences of the exact torus, 40,000 samples a pixel, are 0.6 % from Mitsuba.
    """
    expected = mitsuba_control.gradient_image(*TORUS, TORUS_CAMERA, 1.0, 0.0, samples=576)
    found = our_gradient_image(TORUS_CAMERA, method)
    # The outline grows and the hole's shrinks, so that part of the sum cancels: its error is a share of what does not.
    assert abs(found.sum() - expected.sum()) < 0.01 * np.abs(expected).sum()
    assert relative_error(found, expected) < 0.03
