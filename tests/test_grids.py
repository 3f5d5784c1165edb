"""Cubic B-spline grids against a plain sum over all coefficients, the two-scale relation, and solids known exactly."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import fields, grids

RNG = np.random.default_rng(0)
SIDE = 7
COEFFICIENTS = RNG.normal(size=(SIDE, SIDE, SIDE))

# Anywhere in the cube, and the places where an index could be off by one: corners, faces, and the nodes between cells.
POINTS = np.concatenate(
    [
        RNG.uniform(-1.0, 1.0, (50, 3)),
        [[-1, -1, -1], [1, 1, 1], [1, -1, 0.3], [0.2, 1, -0.7], [-1, 0.4, 0.4]],
        RNG.integers(0, SIDE - 2, (9, 3)) * 0.5 - 1.0,
    ]
)

CENTRE = np.array([0.1, -0.05, 0.07])
BALL = fields.placed(fields.sphere)
BALL_PARAMS = {"solid": {"radius": 0.5}, "position": CENTRE, "rotation": np.eye(3)}

spline = jax.jit(jax.vmap(grids.distance, (None, 0)))
slopes = jax.jit(jax.vmap(jax.value_and_grad(grids.distance, argnums=1), (None, 0)))
forward_over_reverse = jax.jit(jax.vmap(jax.jacfwd(jax.grad(grids.distance, argnums=1), argnums=1), (None, 0)))


def bspline(r: np.ndarray, derivative: int) -> np.ndarray:
    """The cubic B-spline and its derivatives, from the closed form on its support [-2, 2]."""
    a, sign = np.abs(r), np.sign(r)
    near, far, side = {
        0: (2 / 3 - a**2 + a**3 / 2, (2 - a) ** 3 / 6, 1.0),
        1: (-2 * a + 1.5 * a**2, -((2 - a) ** 2) / 2, sign),
        2: (-2 + 3 * a, 2 - a, 1.0),
    }[derivative]
    return side * np.where(a < 1, near, np.where(a < 2, far, 0.0))


def bases(points: np.ndarray, side: int, order: tuple[int, int, int]) -> np.ndarray:
    """∂^order of the basis functions of all nodes (P, N, N, N) at the points (P, 3)."""
    step = 2 / (side - 3)
    at = -1 + (np.arange(side) - 1) * step
    x, y, z = (bspline((points[:, k, None] - at) / step, order[k]) / step ** order[k] for k in range(3))
    return x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]


def naive(coefficients: np.ndarray, points: np.ndarray, order: tuple[int, int, int]) -> np.ndarray:
    return np.sum(bases(points, len(coefficients), order) * coefficients, axis=(1, 2, 3))


def naive_gradient(coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    unit = np.eye(3, dtype=int)
    return np.stack([naive(coefficients, points, tuple(unit[i])) for i in range(3)], axis=-1)


def naive_hessian(coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    unit = np.eye(3, dtype=int)
    rows = [[naive(coefficients, points, tuple(unit[i] + unit[j])) for j in range(3)] for i in range(3)]
    return np.moveaxis(np.array(rows), -1, 0)


def params_of(coefficients: np.ndarray, dtype: type = np.float64) -> grids.Params:
    return {"coefficients": jnp.asarray(coefficients, dtype)}


def ball(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - CENTRE, axis=-1) - 0.5


def on_ball(offset: float) -> np.ndarray:
    """Points at a distance from the ball's surface."""
    direction = np.random.default_rng(1).normal(size=(512, 3))
    return CENTRE + (0.5 + offset) * direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def nodes_of(resolution: int) -> np.ndarray:
    axis = np.linspace(-1, 1, resolution)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def check_value_and_derivatives(dtype: type, tolerance: float) -> None:
    params, x = params_of(COEFFICIENTS, dtype), jnp.asarray(POINTS, dtype)
    f, n = slopes(params, x)
    hessian = forward_over_reverse(params, x)
    assert f.dtype == n.dtype == hessian.dtype == dtype
    for found, expected in (
        (f, naive(COEFFICIENTS, POINTS, (0, 0, 0))),
        (n, naive_gradient(COEFFICIENTS, POINTS)),
        (hessian, naive_hessian(COEFFICIENTS, POINTS)),
    ):
        assert np.abs(expected).max() > 0.5
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_value_gradient_and_hessian_equal_the_plain_sum(x64):
    check_value_and_derivatives(np.float64, 1e-10)


def test_value_gradient_and_hessian_equal_the_plain_sum_in_single_precision():
    check_value_and_derivatives(np.float32, 1e-4)


def test_derivative_in_the_coefficients_is_the_basis(x64):
    params, x = params_of(COEFFICIENTS), jnp.asarray(POINTS)
    found = jax.jit(jax.vmap(jax.grad(grids.distance), (None, 0)))(params, x)["coefficients"]
    np.testing.assert_allclose(found, bases(POINTS, SIDE, (0, 0, 0)), rtol=0, atol=1e-12)


def test_derivative_of_a_slope_in_the_coefficients(x64):
    """What the warp asks for: reverse mode in the params over forward mode in the point."""
    along_y = jnp.array([0.0, 1.0, 0.0])

    def slope(params, x):
        return jax.jvp(lambda x: grids.distance(params, x), (x,), (along_y,))[1]

    found = jax.jit(jax.vmap(jax.grad(slope), (None, 0)))(params_of(COEFFICIENTS), jnp.asarray(POINTS))["coefficients"]
    np.testing.assert_allclose(found, bases(POINTS, SIDE, (0, 1, 0)), rtol=0, atol=1e-12)


def test_second_derivatives_are_continuous_from_cell_to_cell(x64):
    # The points lie on both sides of the plane between two cells; third derivatives are below 1e3.
    left, right = (np.stack([np.full(50, side * 1e-9), *POINTS[:50, 1:].T], axis=-1) for side in (-1, 1))
    before, after = (forward_over_reverse(params_of(COEFFICIENTS), jnp.asarray(x)) for x in (left, right))
    np.testing.assert_allclose(before, after, rtol=0, atol=1e-5)


@pytest.mark.parametrize("resolution", [2, 3, 6])
def test_from_samples_interpolates(x64, resolution):
    values = np.random.default_rng(2).normal(size=(resolution,) * 3)
    params = grids.from_samples(values)
    assert params["coefficients"].shape == (resolution + 2,) * 3
    found = naive(np.asarray(params["coefficients"]), nodes_of(resolution).reshape(-1, 3), (0, 0, 0))
    np.testing.assert_allclose(found, values.ravel(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(grids.sample(grids.distance, params, resolution), values, rtol=0, atol=1e-12)


def test_from_samples_is_straight_at_the_faces_and_exact_for_planes(x64):
    coefficients = np.asarray(grids.from_samples(COEFFICIENTS)["coefficients"])
    faces = POINTS[:50].copy()
    faces[:25, 0], faces[25:, 0] = -1.0, 1.0
    np.testing.assert_allclose(naive(coefficients, faces, (2, 0, 0)), 0.0, atol=1e-10)
    normal = np.array([0.3, -0.5, 0.8])
    plane = np.asarray(grids.from_samples(nodes_of(6) @ normal - 0.2)["coefficients"])
    np.testing.assert_allclose(naive(plane, POINTS, (0, 0, 0)), POINTS @ normal - 0.2, atol=1e-12)


@pytest.mark.parametrize(("given", "kept"), [(np.float32, np.float32), (np.float64, np.float64), (int, np.float64)])
def test_from_samples_keeps_the_precision(x64, given, kept):
    assert grids.from_samples(np.ones((4, 4, 4), given))["coefficients"].dtype == kept


def test_sample_visits_every_node_in_axis_order(monkeypatch):
    monkeypatch.setattr(fields, "_CHUNK", 50)
    found = grids.sample(lambda weights, x: weights @ x, jnp.array([1.0, 10.0, 100.0]), 5)
    np.testing.assert_allclose(found, nodes_of(5) @ [1.0, 10.0, 100.0], atol=1e-4)


def test_upsampling_gives_the_same_function(x64):
    fine = grids.upsample(params_of(COEFFICIENTS))
    assert fine["coefficients"].shape == (2 * SIDE - 3,) * 3
    found = naive(np.asarray(fine["coefficients"]), POINTS, (0, 0, 0))
    np.testing.assert_allclose(found, naive(COEFFICIENTS, POINTS, (0, 0, 0)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(spline(fine, jnp.asarray(POINTS)), found, rtol=0, atol=1e-13)


def test_continuation_is_continuous_and_finite(x64):
    params = params_of(COEFFICIENTS)
    outside = POINTS * 1.5 / np.abs(POINTS).max(axis=-1, keepdims=True)
    on_face = np.clip(outside, -1.0, 1.0)
    just_outside = spline(params, jnp.asarray(on_face + 1e-9 * (outside - on_face)))
    np.testing.assert_allclose(just_outside, naive(COEFFICIENTS, on_face, (0, 0, 0)), rtol=0, atol=1e-8)
    outside[0] = [1e4, -2e4, 3.0]
    for derivative in (*slopes(params, jnp.asarray(outside)), forward_over_reverse(params, jnp.asarray(outside))):
        assert np.isfinite(derivative).all()


def test_gradient_of_the_continuation(x64):
    params, step = params_of(COEFFICIENTS), 1e-6 * np.array([0.0, 0.0, 1.0])
    # Not where the face ends, and the slope jumps.
    x = POINTS[:50] + np.array([1.5, 0.0, 0.6])
    x = np.where(np.abs(np.abs(x) - 1.0) < 1e-3, 1.2, x)
    f, n = slopes(params, jnp.asarray(x))
    there, back = (spline(params, jnp.asarray(x + shift)) for shift in (step, -step))
    assert (np.abs(x) > 1.0).any(axis=1).sum() > 20 and (f > 0).any() and (np.abs(n[:, 2]) > 0.1).any()
    np.testing.assert_allclose(n[:, 2], (there - back) / 2e-6, rtol=0, atol=1e-7)


def test_continuation_by_hand(x64):
    """A constant field: hypotenuse of the value and the way to the cube where positive, their sum where not."""
    x = jnp.array([[1.3, 1.4, 0.2], [0.1, -3.0, 0.0]])
    np.testing.assert_allclose(spline(params_of(np.full((4, 4, 4), 1.2)), x), [1.3, np.hypot(1.2, 2.0)], atol=1e-12)
    np.testing.assert_allclose(spline(params_of(np.full((4, 4, 4), -0.3)), x), [0.2, 1.7], atol=1e-12)


def test_march_from_outside_never_oversteps():
    params = grids.from_samples(grids.sample(BALL, BALL_PARAMS, 30))
    far = (POINTS * 3.0).astype(np.float32)
    far = far[np.abs(far).max(axis=-1) > 1.0]
    assert len(far) > 40
    # The slack is what the spline itself is wrong by.
    assert np.all(spline(params, far) < ball(far) + 1e-4)
    assert np.all(spline(params, far) > 0.5 * ball(far))


def test_sphere_is_close_to_the_true_one_near_its_surface():
    params = grids.from_samples(grids.sample(BALL, BALL_PARAMS, 30))
    assert params["coefficients"].shape == (32, 32, 32)
    for offset in (-0.05, 0.0, 0.05):
        x = on_ball(offset).astype(np.float32)
        f, n = slopes(params, x)
        np.testing.assert_allclose(f, ball(x), atol=1e-5)
        np.testing.assert_allclose(n, (x - CENTRE) / np.linalg.norm(x - CENTRE, axis=-1, keepdims=True), atol=5e-4)


def bent_ball(resolution: int) -> np.ndarray:
    """Samples with the ball's zero level and slopes between 0.6 and 2.4."""
    x = nodes_of(resolution)
    return ball(x) * (1.5 + 0.6 * np.sin(4 * x[..., 0]) + 0.3 * x[..., 1])


def test_redistance_makes_a_distance_and_keeps_the_surface():
    pytest.importorskip("igl")
    bent = grids.from_samples(bent_ball(30).astype(np.float32))
    straight = grids.redistance(bent)
    assert straight["coefficients"].shape == (32, 32, 32) and straight["coefficients"].dtype == np.float32
    on_surface = on_ball(0.0).astype(np.float32)
    for _ in range(3):
        f, n = slopes(bent, on_surface)
        on_surface = on_surface - f[:, None] * n / np.sum(n**2, axis=-1)[:, None]
    f, n = slopes(straight, on_surface)
    voxel = 2 / 29
    assert np.abs(slopes(bent, on_surface)[1]).max() > 1.5
    assert np.abs(f).max() < 0.02 * voxel
    np.testing.assert_allclose(np.linalg.norm(n, axis=-1), 1.0, atol=0.02)
    # Everywhere else but next to the centre, where a distance has no gradient.
    x = np.random.default_rng(3).uniform(-0.95, 0.95, (512, 3)).astype(np.float32)
    x = x[np.linalg.norm(x - CENTRE, axis=-1) > 3 * voxel]
    f, n = slopes(straight, x)
    np.testing.assert_allclose(f, ball(x), atol=0.05 * voxel)
    np.testing.assert_allclose(np.linalg.norm(n, axis=-1), 1.0, atol=0.05)


def test_redistance_accepts_a_surface_that_leaves_the_cube():
    pytest.importorskip("igl")
    straight = grids.redistance(grids.from_samples(3.0 * nodes_of(8)[..., 2]))
    np.testing.assert_allclose(spline(straight, POINTS[:50]), POINTS[:50, 2], atol=1e-5)


def icosphere(radius: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return np.asarray(mesh.vertices) + (CENTRE if radius < 0.8 else 0.0), np.asarray(mesh.faces)


def test_mesh_becomes_its_distance():
    pytest.importorskip("igl")
    params = grids.from_mesh(*icosphere(), 30)
    assert params["coefficients"].shape == (32, 32, 32)
    for offset in (-0.2, 0.0, 0.3):
        x = on_ball(offset).astype(np.float32)
        # Facets of edge 0.04 lie up to 1e-3 below the sphere.
        np.testing.assert_allclose(spline(params, x), ball(x), atol=1.2e-3)


def test_nodes_inside_a_mesh():
    pytest.importorskip("igl")
    inside = grids.inside_mesh(*icosphere(), 20)
    outermost = ball(nodes_of(20))
    # Facets of edge 0.04 lie up to 1e-3 below the sphere.
    sure = np.abs(outermost) > 1.2e-3
    assert inside.shape == (20, 20, 20) and inside.dtype == bool and inside.any()
    np.testing.assert_array_equal(inside[sure], outermost[sure] < 0)


def test_mesh_with_split_vertices_is_closed():
    pytest.importorskip("igl")
    vertices, faces = icosphere()
    soup = vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
    whole, split = (grids.from_mesh(*mesh, 6)["coefficients"] for mesh in ((vertices, faces), soup))
    np.testing.assert_allclose(split, whole, atol=1e-6)


@pytest.mark.realdata
def test_real_mesh_keeps_its_surface(realdata):
    pytest.importorskip("igl")
    import trimesh

    spot = np.load(realdata / "meshes_single" / "spot.npz")
    vertices = spot["v"] - spot["v"].mean(axis=0)
    vertices /= np.linalg.norm(vertices, axis=-1).max()
    x, _ = trimesh.sample.sample_surface(trimesh.Trimesh(vertices, spot["f"]), 1024, seed=0)
    values = np.abs(spline(grids.from_mesh(vertices, spot["f"], 62), x.astype(np.float32)))
    # In voxels. Horns and hooves are rounded off; the flanks are not.
    assert np.median(values) < 0.02 * 2 / 61 and values.max() < 0.25 * 2 / 61


def test_mistakes_are_refused_with_a_reason():
    with pytest.raises(ValueError, match=r"shape \(4, 4, 5\), expected \(N, N, N\)"):
        grids.distance({"coefficients": jnp.zeros((4, 4, 5))}, jnp.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(3, 3, 3\)"):
        grids.upsample({"coefficients": jnp.zeros((3, 3, 3))})
    with pytest.raises(ValueError, match=r"shape \(4, 4\), expected \(R, R, R\)"):
        grids.from_samples(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"shape \(1, 1, 1\)"):
        grids.from_samples(np.zeros((1, 1, 1)))
    with pytest.raises(ValueError, match="not finite"):
        grids.from_samples(np.full((4, 4, 4), np.nan))
    with pytest.raises(ValueError, match="resolution is 1"):
        grids.sample(fields.sphere, {"radius": 0.5}, 1)


def test_lost_surface_is_refused():
    pytest.importorskip("igl")
    with pytest.raises(ValueError, match=r"does not cross zero .* 0\.3 to 0\.3"):
        grids.redistance(params_of(np.full((5, 5, 5), 0.3), np.float32))


def test_meshes_without_an_inside_or_out_of_the_scene_are_refused():
    pytest.importorskip("igl")
    vertices, faces = icosphere()
    with pytest.raises(ValueError, match="not closed"):
        grids.from_mesh(vertices, faces[1:], 6)
    with pytest.raises(ValueError, match="not closed"):
        grids.inside_mesh(vertices, faces[1:], 6)
    with pytest.raises(ValueError, match="not closed"):
        grids.from_mesh(vertices, np.concatenate([faces[:1, ::-1], faces[1:]]), 6)
    with pytest.raises(ValueError, match=r"volume -0\..*faces\[:, ::-1\]"):
        grids.from_mesh(vertices, faces[:, ::-1], 6)
    with pytest.raises(ValueError, match=r"radius 1\.1"):
        grids.from_mesh(*icosphere(1.1), 6)
    with pytest.raises(ValueError, match="radius nan"):
        grids.from_mesh(np.full_like(vertices, np.nan), faces, 6)
    with pytest.raises(ValueError, match="resolution is 1"):
        grids.from_mesh(vertices, faces, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: grids.redistance({}),
        lambda: grids.from_mesh(*icosphere(), 6),
        lambda: grids.inside_mesh(*icosphere(), 6),
    ],
)
def test_missing_library_is_named(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "igl", None)
    with pytest.raises(ImportError, match=r"sdfrepar\[mesh\]"):
        call()
