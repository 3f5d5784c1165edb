"""Objects of a known shape: their solids and colours, their pictures, and the truth that is written beside these."""

import sys
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from experiments import make_scene
from experiments.make_scene import MakeConfig
from experiments.synthetic import meshes, paint, photography, scenes
from experiments.synthetic.surfaces import FieldSurface
from sdfrepar import fields, files, meshing
from sdfrepar.datasets import DataConfig, load

SCENES = tuple(scenes.SCENES)
TINY = MakeConfig(views=2, test_views=2, resolution=16, supersampling=2, occupancy_resolution=16, surface_points=200)
BALL = FieldSurface(fields.sphere, {"radius": jnp.float32(0.5)}, lambda x: np.full_like(x, 0.5))


@cache
def values(name: str) -> np.ndarray:
    return meshing.sample_grid(*scenes.SCENES[name].solid(), 64)


def camera(index: int = 1, resolution: int = 24):
    rig = photography.cameras_around(4, 0.0, resolution)
    return jax.tree.map(lambda leaf: leaf[index], rig)


@pytest.mark.parametrize("name", SCENES)
def test_solids_fill_the_unit_sphere_and_stay_in_it(name):
    inside = np.argwhere(values(name) < 0) * (2 / 63) - 1
    assert 0.75 < np.linalg.norm(inside, axis=1).max() < 0.93


@pytest.mark.parametrize("name", SCENES)
def test_no_field_is_steeper_than_a_distance(name):
    """Or a march would step through the surface."""
    differences = [np.abs(np.diff(values(name), axis=axis)).max() for axis in range(3)]
    assert max(differences) < 2 / 63 + 1e-5


@pytest.mark.parametrize(
    ("name", "parts", "euler"), [("demo", 2, 2), ("vessel", 1, 0), ("figure", 1, 2), ("animal", 1, 2)]
)
def test_solids_are_whole_and_have_their_handles(name, parts, euler):
    """A ring counts 0 and a ball 2; a jug has the handle's hole alone; limbs touch nothing but the body."""
    mesh = meshing.extract(*scenes.SCENES[name].solid(), 96, components="all")
    assert mesh.watertight and mesh.euler_number == euler
    assert len(meshing.as_trimesh(mesh).split(only_watertight=False)) == parts


def test_demo_is_a_ring_and_a_ball():
    volume = 2 * np.pi**2 * 0.52 * 0.21**2 + 4 / 3 * np.pi * 0.3**3
    assert np.sum(values("demo") < 0) * (2 / 63) ** 3 == pytest.approx(volume, rel=0.02)


def test_vessel_is_open_at_the_top_and_has_a_thick_wall():
    height, along_axis = np.linspace(-1, 1, 64), values("vessel")[31, :, 31]
    np.testing.assert_array_equal(along_axis < 0, (height > -0.75) & (height < -0.63))
    # A wall's middle is half its thickness deep.
    assert values("vessel").min() < -0.03


@pytest.mark.parametrize("name", SCENES)
def test_colours_are_colours_and_change_slowly(name):
    x = np.random.default_rng(0).uniform(-0.9, 0.9, (4000, 3))
    for albedo in (scenes.SCENES[name].albedo, paint.waves):
        colour = albedo(x)
        assert colour.shape == x.shape and colour.min() >= 0.05 and colour.max() <= 0.95
        assert np.ptp(colour, axis=0).min() > 0.2


def test_ball_looks_as_it_must():
    """Its silhouette is a circle, its depth and normals have closed forms."""
    exact, seen_from = photography.survey(BALL, camera()), np.asarray(camera().position)
    assert 0 < exact.mask.sum() < exact.mask.size
    np.testing.assert_array_equal(exact.depth > 0, exact.mask)
    rows, columns = np.nonzero(exact.mask)
    on_plane = (np.stack([columns, rows], 1) + 0.5 - camera().principal) / camera().focal
    in_camera = np.concatenate([on_plane, np.ones((len(rows), 1))], 1) * exact.depth[exact.mask][:, None]
    points = seen_from + in_camera @ np.asarray(camera().rotation).T
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 0.5, atol=1e-5)
    np.testing.assert_allclose(exact.normal[exact.mask], points / 0.5, atol=1e-5)
    assert np.all(exact.normal[~exact.mask] == 0)
    picture, coverage = photography.photograph(BALL, camera(), 8)
    radius = camera().focal[0] * 0.5 / np.sqrt(9.0 - 0.25)
    assert coverage.sum() == pytest.approx(np.pi * radius**2, rel=0.01)
    np.testing.assert_allclose(picture[coverage == 0], photography.BACKGROUND)
    assert picture[coverage == 1].max() <= 0.5 < photography.BACKGROUND


def test_culling_changes_nothing():
    """Rays cast by the pixel meet what rays cast one by one meet."""
    surface = scenes.surface("demo")
    origin, directions = photography._rays(camera(resolution=12), 3)
    together, alone = surface.cast(origin, directions), surface.cast(origin, directions.reshape(-1, 1, 3))
    assert together.hit.any() and not together.hit.all()
    np.testing.assert_array_equal(together.hit.ravel(), alone.hit.ravel())
    np.testing.assert_allclose(together.points, alone.points, atol=1e-6)


def test_folder_holds_what_it_says(tmp_path):
    make_scene.write(TINY, tmp_path)
    train, test = load(tmp_path, DataConfig())
    assert (len(train), len(test), train.cameras.resolution) == (2, 2, (16, 16))
    assert files.read_image(tmp_path / "train" / "view_000.png").shape == (16, 16, 3)
    with np.load(tmp_path / "truth.npz") as truth:
        assert set(truth) == {"occupancy", "resolution", "surface_points"}
        inside = np.unpackbits(truth["occupancy"])[: 16**3]
        points = jnp.asarray(truth["surface_points"])
    distance, params = scenes.SCENES["demo"].solid()
    assert 0.03 < inside.mean() < 0.2 and points.shape == (200, 3)
    np.testing.assert_allclose(jax.vmap(distance, (None, 0))(params, points), 0.0, atol=5e-3)
    with np.load(tmp_path / "truth_views.npz") as views:
        depth, normal, mask = views["depth"], views["normal"], views["mask"]
    assert (depth.shape, normal.shape, mask.shape) == ((2, 16, 16), (2, 16, 16, 3), (2, 16, 16))
    assert depth.dtype == normal.dtype == np.float32 and mask.dtype == bool
    # Where a pixel's centre sees the object, the picture is not the background.
    apart = np.abs(np.stack([test.images[i] for i in range(2)]) - photography.BACKGROUND).max(axis=-1) > 0.02
    assert np.mean(apart == mask) > 0.9


def test_alpha_over_the_background_is_the_picture(tmp_path):
    make_scene.write(TINY, tmp_path / "rgb")
    make_scene.write(replace(TINY, alpha=True), tmp_path / "rgba")
    opaque, _ = load(tmp_path / "rgb", DataConfig())
    clear, _ = load(tmp_path / "rgba", DataConfig(backdrop=photography.BACKGROUND))
    stored = files.read_image(tmp_path / "rgba" / "train" / "view_000.png")
    assert stored.shape == (16, 16, 4) and 0 < np.mean(stored[..., 3] == 0) < 1
    assert np.any((stored[..., 3] > 0) & (stored[..., 3] < 1))
    # Both files round to 8 bits.
    for one, other in zip(opaque.images, clear.images, strict=True):
        assert np.abs(files.encode_srgb(one) - files.encode_srgb(other)).max() < 1.01 / 255


@pytest.fixture
def ball_file(tmp_path):
    """A closed mesh that is neither centred nor of the right size."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=3.0)
    np.savez(tmp_path / "ball.npz", v=mesh.vertices + 7.0, f=mesh.faces)
    return tmp_path / "ball.npz"


def test_mesh_looks_like_the_field_of_its_shape(ball_file):
    pytest.importorskip("embreex")
    pytest.importorskip("igl")
    mesh = make_scene.surface_of(MakeConfig(mesh=str(ball_file)))
    ball = FieldSurface(fields.sphere, {"radius": jnp.float32(make_scene.MESH_RADIUS)}, paint.waves)
    (picture, coverage), (expected, expected_coverage) = (photography.photograph(s, camera(), 2) for s in (mesh, ball))
    assert np.mean(np.abs(coverage - expected_coverage)) < 0.01
    sure = (coverage == 1) & (expected_coverage == 1)
    np.testing.assert_allclose(picture[sure], expected[sure], atol=0.02)
    found, exact = photography.survey(mesh, camera()), photography.survey(ball, camera())
    both = found.mask & exact.mask
    # Facets of edge 0.07 lie up to 2e-3 below the sphere, and are seen aslant.
    assert np.median(np.abs(found.depth[both] - exact.depth[both])) < 2e-3
    assert np.median(np.sum(found.normal[both] * exact.normal[both], axis=-1)) > 0.999
    inside, points = mesh.occupancy(16), mesh.points(100, 16)
    np.testing.assert_array_equal(inside, ball.occupancy(16))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), make_scene.MESH_RADIUS, atol=3e-3)


def test_mesh_without_embree_is_refused(ball_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh.ray.ray_pyembree", None)
    surface = make_scene.surface_of(MakeConfig(mesh=str(ball_file)))
    with pytest.raises(ImportError, match=r"need Embree.*sdfrepar\[mesh\]"):
        photography.survey(surface, camera())


def test_mistakes_are_refused_with_a_reason(tmp_path):
    with pytest.raises(ValueError, match="views is 0, expected at least 1"):
        MakeConfig(views=0)
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.npz"):
        meshes.read(tmp_path / "none.npz")
    np.savez(tmp_path / "odd.npz", a=1)
    with pytest.raises(ValueError, match="holds the arrays a; expected v, f"):
        meshes.read(tmp_path / "odd.npz")
