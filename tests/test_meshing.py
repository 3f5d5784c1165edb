"""Meshes of solids with known volume, topology and normals."""

import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import meshing


def sphere(params, x):
    return jnp.sqrt(jnp.maximum(jnp.sum((x - params["centre"]) ** 2), 1e-12)) - params["radius"]


def torus(params, x):
    major, minor = params
    ring = jnp.sqrt(jnp.maximum(x[0] ** 2 + x[1] ** 2, 1e-12)) - major
    return jnp.sqrt(jnp.maximum(ring**2 + x[2] ** 2, 1e-12)) - minor


def two_spheres(params, x):
    return jnp.minimum(sphere(params[0], x), sphere(params[1], x))


def ball(radius, centre=(0.0, 0.0, 0.0)):
    return {"radius": jnp.float32(radius), "centre": jnp.array(centre, jnp.float32)}


BALL_VOLUME = 4.0 / 3.0 * np.pi


def test_grid_runs_from_end_to_end_in_axis_order():
    values = meshing.sample_grid(lambda params, x: x[0] + 10.0 * x[1] + 100.0 * x[2], None, 5, bound=2.0, chunk=7)
    axis = np.linspace(-2.0, 2.0, 5)
    expected = axis[:, None, None] + 10.0 * axis[None, :, None] + 100.0 * axis[None, None, :]
    assert values.shape == (5, 5, 5) and values.dtype == np.float32
    np.testing.assert_allclose(values, expected, atol=1e-4)


def test_grid_compiles_once():
    traces = []

    def traced(params, x):
        traces.append(1)
        return x @ x - params

    for params in (0.25, 0.5):
        meshing.sample_grid(traced, jnp.float32(params), 9, chunk=100)
    assert len(traces) == 1


@pytest.mark.parametrize("resolution", [32, 41])
def test_culled_grids_have_the_same_surface_for_fewer_evaluations(resolution, monkeypatch):
    asked, values = [], meshing._values
    monkeypatch.setattr(meshing, "_values", lambda f, params, x: asked.append(len(x)) or values(f, params, x))
    params = jnp.array([0.6, 0.15])
    fields = {}
    for culled in (False, True):
        asked.clear()
        fields[culled] = meshing.sample_grid(torus, params, resolution, chunk=512, culled=culled)
        fields["asked", culled] = sum(asked)
    near = np.abs(fields[False]) < np.sqrt(3.0) * 2.0 / (resolution - 1)
    np.testing.assert_array_equal(fields[True][near], fields[False][near])
    np.testing.assert_array_equal(fields[True] < 0, fields[False] < 0)
    assert fields["asked", True] < 0.6 * fields["asked", False]


def test_sphere_is_closed_outward_and_of_the_right_size():
    centre = np.array([0.1, -0.05, 0.2])
    mesh = meshing.extract(sphere, ball(0.6, centre), 32)
    assert mesh.watertight and mesh.euler_number == 2
    assert mesh.volume == pytest.approx(BALL_VOLUME * 0.6**3, rel=0.02)
    outward = (mesh.vertices - centre) / np.linalg.norm(mesh.vertices - centre, axis=-1, keepdims=True)
    np.testing.assert_allclose(mesh.normals, outward, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - centre, axis=-1), 0.6, atol=2e-3)


def test_torus_has_one_handle():
    mesh = meshing.extract(torus, (0.5, 0.25), 32)
    assert mesh.watertight and mesh.euler_number == 0
    assert mesh.volume == pytest.approx(2.0 * np.pi**2 * 0.5 * 0.25**2, rel=0.03)


def test_surface_through_grid_points_stays_a_manifold_after_merging():
    import trimesh

    mesh = meshing.extract(sphere, ball(0.5), 17)
    merged = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    assert merged.is_watertight and merged.euler_number == 2


def test_largest_component_is_kept_by_default():
    params = (ball(0.35, (-0.4, 0.0, 0.0)), ball(0.2, (0.5, 0.0, 0.0)))
    largest = meshing.extract(two_spheres, params, 32)
    every = meshing.extract(two_spheres, params, 32, components="all")
    assert largest.vertices[:, 0].max() < 0.0
    assert largest.euler_number == 2 and every.euler_number == 4
    assert len(largest.normals) == len(largest.vertices) == largest.faces.max() + 1
    assert every.volume == pytest.approx(BALL_VOLUME * (0.35**3 + 0.2**3), rel=0.05)


def test_nothing_outside_the_unit_sphere_is_meshed():
    params = (ball(0.3), ball(0.4, (0.8, 0.8, 0.8)))
    inside = meshing.extract(two_spheres, params, 24, components="all")
    assert inside.euler_number == 2
    outside = meshing.extract(two_spheres, params, 24, components="all", inside_sphere=False)
    assert np.linalg.norm(outside.vertices, axis=-1).max() > 1.1


def test_object_cut_by_the_unit_sphere_is_closed_there():
    mesh = meshing.extract(lambda params, x: x[0] - params, jnp.float32(0.0), 25)
    assert mesh.watertight and mesh.euler_number == 2
    assert mesh.volume == pytest.approx(0.5 * BALL_VOLUME, rel=0.03)
    cap = mesh.vertices[:, 0] < -0.2
    np.testing.assert_allclose(mesh.normals[cap], mesh.vertices[cap], atol=0.02)


def test_normals_of_a_field_without_gradient_come_from_the_faces():
    mesh = meshing.extract(lambda params, x: jnp.sign(sphere(params, x)), ball(0.6), 16)
    assert np.isfinite(mesh.normals).all()
    assert np.mean(np.sum(mesh.normals * mesh.vertices, axis=-1) > 0.0) > 0.99


@pytest.mark.parametrize("inside_sphere", [True, False])
@pytest.mark.parametrize(("constant", "cause"), [(0.3, "surface has vanished"), (-0.3, "sign is flipped")])
def test_empty_mesh_says_why(constant, cause, inside_sphere):
    with pytest.raises(meshing.EmptyMeshError, match=cause) as caught:
        meshing.extract(lambda params, x: params + 0.0 * x[0], jnp.float32(constant), 8, inside_sphere=inside_sphere)
    assert f"{constant:.3g}" in str(caught.value) and isinstance(caught.value, ValueError)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        meshing.extract(lambda params, x: x[0] / params, jnp.float32(0.0), 8)
    with pytest.raises(ValueError, match="resolution is 1"):
        meshing.extract(sphere, ball(0.5), 1)
    with pytest.raises(ValueError, match="bound is -1"):
        meshing.sample_grid(sphere, ball(0.5), 8, bound=-1)
    with pytest.raises(ValueError, match="chunk is 0"):
        meshing.sample_grid(sphere, ball(0.5), 8, chunk=0)
    with pytest.raises(ValueError, match="'biggest'"):
        meshing.extract(sphere, ball(0.5), 8, components="biggest")


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_transform_keeps_the_mesh_outward(mirror):
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, mirror]])
    world_from_scene = np.eye(4)
    world_from_scene[:3, :3] = 3.0 * turn
    world_from_scene[:3, 3] = (10.0, -20.0, 5.0)
    scene = meshing.extract(sphere, ball(0.6, (0.1, 0.0, 0.0)), 24)
    world = meshing.transform(scene, world_from_scene)
    assert world.volume == pytest.approx(27.0 * scene.volume) and world.volume > 0.0
    homogeneous = np.append(scene.vertices[0], 1.0)
    np.testing.assert_allclose(world.vertices[0], (world_from_scene @ homogeneous)[:3])
    outward = world.vertices - (10.0, -19.7, 5.0)
    np.testing.assert_allclose(world.normals, outward / np.linalg.norm(outward, axis=-1, keepdims=True), atol=1e-3)


def test_transform_refuses_what_is_no_similarity():
    mesh = meshing.extract(sphere, ball(0.6), 8)
    with pytest.raises(ValueError, match="not a similarity"):
        meshing.transform(mesh, np.diag([1.0, 2.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="not a similarity"):
        meshing.transform(mesh, np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"expected \(4, 4\)"):
        meshing.transform(mesh, np.eye(3))
