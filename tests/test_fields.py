"""Solids against closed forms, the eikonal equation, and derivatives in the parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from sdfrepar import fields

SPHERE = {"radius": 0.6}
TORUS = {"major": 0.5, "minor": 0.2}
BOX = {"half_extent": np.array([0.4, 0.3, 0.2]), "rounding": 0.1}
CAPSULE = {"half_length": 0.4, "radius": 0.25}
CONE = {"half_length": 0.4, "lower": 0.3, "upper": 0.12}
CYLINDER = {"radius": 0.35, "half_height": 0.25, "rounding": 0.1}
ARC = {"major": 0.5, "minor": 0.15, "half_angle": 1.9}
SOLIDS = {
    "sphere": (fields.sphere, SPHERE),
    "torus": (fields.torus, TORUS),
    "box": (fields.box, BOX),
    "capsule": (fields.capsule, CAPSULE),
    "rounded_cone": (fields.rounded_cone, CONE),
    "cylinder": (fields.cylinder, CYLINDER),
    "arc": (fields.arc, ARC),
}
TURN = Rotation.from_euler("xyz", [0.3, -0.8, 1.1]).as_matrix()
PLACE = {"position": np.array([0.2, -0.1, 0.3]), "rotation": TURN}
BLENDED = fields.smooth_union(fields.placed(fields.box), fields.sphere)
BLENDED_PARAMS = {"first": {"solid": BOX, **PLACE}, "second": SPHERE, "width": 0.3}


# One number of points wherever possible, so that each solid is compiled once.
POINTS = np.random.default_rng(0).uniform(-0.9, 0.9, (512, 3)).astype(np.float32)


@functools.cache
def mapped(distance):
    return jax.jit(jax.vmap(jax.value_and_grad(distance, argnums=1), (None, 0)))


def values_and_normals(distance, params, x) -> tuple[np.ndarray, np.ndarray]:
    f, n = mapped(distance)(jax.tree.map(jnp.asarray, params), jnp.asarray(x))
    return np.asarray(f), np.asarray(n)


def values(distance, params, x) -> np.ndarray:
    return values_and_normals(distance, params, x)[0]


def from_segment(x: np.ndarray, half_length: float) -> np.ndarray:
    return np.linalg.norm(x - np.array([0, 1, 0]) * np.clip(x[:, 1:2], -half_length, half_length), axis=1)


def from_circle(x: np.ndarray, radius: float) -> np.ndarray:
    return np.hypot(np.hypot(x[:, 0], x[:, 2]) - radius, x[:, 1])


def from_cone(x: np.ndarray) -> np.ndarray:
    """The signed distance to the hull of two balls, from the largest of the planes that touch it.

    In the half-plane (across, up) a plane of normal (cos a, sin a) touches the ball that reaches furthest along it.
    """
    # The last plane touches both balls.
    angle = np.append(np.linspace(-np.pi / 2, np.pi / 2, 4001), np.arcsin((0.3 - 0.12) / 0.8))
    reach = np.maximum(CONE["lower"] - 0.4 * np.sin(angle), CONE["upper"] + 0.4 * np.sin(angle))
    across = np.hypot(x[:, 0], x[:, 2])
    return np.array(
        [np.max(c * np.cos(angle) + u * np.sin(angle) - reach) for c, u in zip(across, x[:, 1], strict=True)]
    )


def from_arc(x: np.ndarray) -> np.ndarray:
    """The distance to the circle's part, from many points of it."""
    angle = np.linspace(-1.9, 1.9, 8001)
    return KDTree(0.5 * np.stack([np.cos(angle), 0.0 * angle, np.sin(angle)], axis=1)).query(x)[0]


# Roundings of float32 on lengths of about 1: 1e-6, here and below.
@pytest.mark.parametrize(
    ("solid", "expected"),
    [
        ("sphere", 3 * [lambda t: t - 0.6]),
        ("torus", [lambda t: np.abs(t - 0.5) - 0.2, lambda t: np.hypot(0.5, t) - 0.2, lambda t: np.abs(t - 0.5) - 0.2]),
        # Inside the box the nearest face may be one of the sides.
        ("box", [lambda t: np.maximum(t - 0.5, -0.3), lambda t: np.maximum(t - 0.4, -0.3), lambda t: t - 0.3]),
        ("capsule", [lambda t: t - 0.25, lambda t: np.maximum(t - 0.65, -0.25), lambda t: t - 0.25]),
        # Inside the cylinder the nearest face may be the top.
        (
            "cylinder",
            [lambda t: np.maximum(t - 0.45, -0.35), lambda t: t - 0.35, lambda t: np.maximum(t - 0.45, -0.35)],
        ),
    ],
)
def test_distance_along_the_axes(solid, expected):
    t = np.linspace(-1.0, 1.0, 171, dtype=np.float32)
    x = POINTS.copy()
    for axis in range(3):
        x[axis * 170 : axis * 170 + 171] = t[:, None] * np.eye(3, dtype=np.float32)[axis]
    found = values(*SOLIDS[solid], x)
    for axis in range(3):
        part = slice(axis * 170, axis * 170 + 170)
        np.testing.assert_allclose(found[part], expected[axis](np.abs(t[:170])), atol=1e-6)


def test_distance_off_the_axes():
    x = POINTS
    np.testing.assert_allclose(values(fields.sphere, SPHERE, x), np.linalg.norm(x, axis=1) - 0.6, atol=1e-6)
    np.testing.assert_allclose(values(fields.torus, TORUS, x), from_circle(x, 0.5) - 0.2, atol=1e-6)
    np.testing.assert_allclose(values(fields.capsule, CAPSULE, x), from_segment(x, 0.4) - 0.25, atol=1e-6)
    across = np.hypot(x[:, 0], x[:, 2]) - 0.35
    q = np.stack([across, np.abs(x[:, 1]) - 0.25], axis=1)
    edge = np.where(q.max(axis=1) > 0, np.linalg.norm(np.maximum(q, 0), axis=1), q.max(axis=1))
    np.testing.assert_allclose(values(fields.cylinder, CYLINDER, x), edge - 0.1, atol=1e-6)
    # The references of these two have many, but not all, planes and points.
    np.testing.assert_allclose(values(fields.rounded_cone, CONE, x), from_cone(x), atol=2e-6)
    np.testing.assert_allclose(values(fields.arc, ARC, x), from_arc(x) - 0.15, atol=2e-5)
    to_core = np.linalg.norm(x - np.clip(x, -BOX["half_extent"], BOX["half_extent"]), axis=1)
    to_face = np.max(np.abs(x) - BOX["half_extent"], axis=1)
    assert 0 < np.sum(to_core == 0) < len(x)
    np.testing.assert_allclose(values(fields.box, BOX, x), np.where(to_core > 0, to_core, to_face) - 0.1, atol=1e-6)


@pytest.mark.parametrize(
    ("solid", "inside", "on", "outside"),
    [
        ("sphere", [0.3, 0.3, 0.3], [0.36, 0.0, -0.48], [0.4, 0.4, 0.4]),
        ("torus", [0.35, 0.1, 0.35], [0.3, 0.2, -0.4], [0.0, 0.0, 0.0]),
        ("box", [0.41, 0.31, 0.21], [0.4, -0.36, 0.28], [0.49, 0.39, 0.29]),
        ("capsule", [0.1, 0.5, 0.1], [0.15, -0.6, 0.0], [0.2, 0.6, 0.0]),
        ("rounded_cone", [0.2, -0.4, 0.1], [0.18, -0.64, 0.0], [0.2, 0.4, 0.0]),
        ("cylinder", [0.3, 0.3, 0.1], [0.41, 0.33, 0.0], [0.43, 0.34, 0.0]),
        ("arc", [0.4, 0.1, 0.0], [0.0, -0.09, 0.62], [-0.5, 0.0, 0.0]),
    ],
)
def test_sign(solid, inside, on, outside):
    f = values(*SOLIDS[solid], np.concatenate([[inside, on, outside], POINTS[3:]]).astype(np.float32))
    assert f[0] < -1e-3 and abs(f[1]) < 1e-6 and f[2] > 1e-3


def far_from_medial_axis(solid: str, x: np.ndarray) -> np.ndarray:
    """Points at least 0.02 from where the nearest surface point is not unique."""
    if solid == "sphere":
        return np.linalg.norm(x, axis=1) > 0.02
    if solid == "torus":
        return (np.hypot(x[:, 0], x[:, 2]) > 0.02) & (from_circle(x, 0.5) > 0.02)
    if solid == "capsule":
        return from_segment(x, 0.4) > 0.02
    if solid == "rounded_cone":
        return np.hypot(x[:, 0], x[:, 2]) > 0.02
    if solid == "cylinder":
        across = np.hypot(x[:, 0], x[:, 2])
        inside = np.maximum(across - 0.35, np.abs(x[:, 1]) - 0.25) < 0
        return ~inside | ((np.abs(across - np.abs(x[:, 1]) - 0.1) > 0.03) & (across > 0.02) & (np.abs(x[:, 1]) > 0.02))
    if solid == "arc":
        # Behind the gap both ends are as near.
        return (from_arc(x) > 0.02) & (np.hypot(x[:, 0], x[:, 2]) > 0.02) & ((np.abs(x[:, 2]) > 0.02) | (x[:, 0] > 0))
    q = np.sort(np.abs(x) - BOX["half_extent"], axis=1)
    inside = q[:, 2] < 0
    return np.where(inside, (q[:, 2] - q[:, 1] > 0.03) & (np.abs(x).min(axis=1) > 0.02), True)


@pytest.mark.parametrize("solid", SOLIDS)
def test_gradient_is_the_unit_normal(solid):
    distance, params = SOLIDS[solid]
    f, n = values_and_normals(distance, params, POINTS)
    sure = far_from_medial_axis(solid, POINTS)
    assert np.sum(sure & (f < 0)) > 5 and np.sum(sure & (f > 0)) > 100
    np.testing.assert_allclose(np.linalg.norm(n[sure], axis=1), 1.0, atol=1e-5)
    # Going down the normal by the distance leads to the surface.
    landed = values(distance, params, POINTS - f[:, None] * n)
    np.testing.assert_allclose(landed[sure], 0.0, atol=2e-6)


@pytest.mark.parametrize("solid", SOLIDS)
def test_gradient_is_finite_on_the_medial_axis(solid):
    x = POINTS.copy()
    x[:3] = [[0, 0, 0], [0, 0.1, 0], [0.5, 0, 0]]
    _, n = values_and_normals(*SOLIDS[solid], x)
    assert np.all(np.isfinite(n[:3])) and np.all(np.linalg.norm(n[:3], axis=1) < 1 + 1e-5)


def test_gradient_of_a_field():
    x = jnp.array([0.3, -0.2, 0.6])
    found = fields.gradient(fields.sphere, {"radius": jnp.float32(0.6)}, x)
    np.testing.assert_allclose(found, x / 0.7, atol=1e-6)


def test_placed_moves_and_turns():
    moved = (POINTS @ TURN.T + PLACE["position"]).astype(np.float32)
    f, n = values_and_normals(fields.placed(fields.box), {"solid": BOX, **PLACE}, moved)
    f_still, n_still = values_and_normals(fields.box, BOX, POINTS)
    np.testing.assert_allclose(f, f_still, atol=1e-6)
    # Elsewhere rounding may put a point on the other side of a medial plane.
    sure = far_from_medial_axis("box", POINTS)
    np.testing.assert_allclose(n[sure], n_still[sure] @ TURN.T, atol=1e-5)


def test_union_is_the_nearest_of_all():
    together = fields.union(fields.sphere, fields.torus, fields.capsule)
    params = (SPHERE, TORUS, CAPSULE)
    parts = [values(*SOLIDS[solid], POINTS) for solid in ("sphere", "torus", "capsule")]
    assert len(set(np.argmin(parts, axis=0))) == 3
    np.testing.assert_allclose(values(together, params, POINTS), np.min(parts, axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="zip"):
        together(params[:2], jnp.zeros(3))


BALL = fields.placed(fields.sphere)
LEFT, RIGHT = (
    {"solid": {"radius": 0.3}, "rotation": np.eye(3), "position": np.array([x, 0.0, 0.0])} for x in (-0.35, 0.35)
)
WIDTH = 0.25
TWO_SMOOTH = (fields.smooth_union(BALL, BALL), {"first": LEFT, "second": RIGHT, "width": WIDTH})
TWO = (fields.union(BALL, BALL), (LEFT, RIGHT))


def test_smooth_union_equals_the_union_beyond_its_width():
    x = POINTS.copy()
    x[0] = 0.0
    a, b = (np.linalg.norm(x - [centre, 0, 0], axis=1) - 0.3 for centre in (-0.35, 0.35))
    blended, plain = values(*TWO_SMOOTH, x), values(*TWO, x)
    beyond = np.abs(a - b) > WIDTH + 1e-5
    assert beyond.any() and not beyond.all()
    np.testing.assert_allclose(blended[beyond], plain[beyond], atol=1e-7)
    assert np.all(blended[~beyond] < plain[~beyond] + 1e-7)
    # In the crease itself the fillet is a quarter of the width deep.
    np.testing.assert_allclose(blended[0], 0.05 - 0.25 * WIDTH, atol=1e-6)


def test_smooth_union_is_c1_across_the_crease(x64):
    # The path runs past the crease and past both ends of the fillet.
    x = np.stack([np.linspace(-0.3, 0.3, 512), np.full(512, 0.1), np.zeros(512)], axis=1)
    step = x[1, 0] - x[0, 0]
    smooth, sharp = (np.abs(np.diff(values(*two, x), 2)).max() / step for two in (TWO_SMOOTH, TWO))
    # The second derivative is at most 2 / width, plus the spheres' own 1 / 0.1: slopes change by no more than that
    # times a step. The union's slope falls by 1.9 at once, shared here by two differences.
    assert smooth < (2 / WIDTH + 10) * step
    assert sharp > 0.9


def test_shell_is_a_wall_on_both_sides():
    f = values(fields.shell(fields.sphere), {"solid": SPHERE, "thickness": 0.1}, POINTS)
    radius = np.linalg.norm(POINTS, axis=1)
    np.testing.assert_allclose(f, np.abs(radius - 0.6) - 0.05, atol=1e-6)
    assert np.all((f < -1e-6) == ((radius > 0.55 + 1e-6) & (radius < 0.65 - 1e-6)))


def test_smooth_difference_equals_the_difference_beyond_its_width():
    carved = fields.smooth_difference(BALL, BALL)
    far = {**RIGHT, "position": np.array([0.05, 0.0, 0.0])}
    found = values(carved, {"first": LEFT, "second": far, "width": WIDTH}, POINTS)
    a, b = (np.linalg.norm(POINTS - [centre, 0, 0], axis=1) - 0.3 for centre in (-0.35, 0.05))
    sharp, beyond = np.maximum(a, -b), np.abs(a + b) > WIDTH + 1e-5
    assert np.any(beyond & (sharp < 0)) and not beyond.all()
    np.testing.assert_allclose(found[beyond], sharp[beyond], atol=1e-6)
    # The rounding takes away.
    assert np.all(found[~beyond] > sharp[~beyond] - 1e-6)


def test_smooth_union_of_many_is_the_chain():
    bodies = [{"solid": {"radius": 0.2}, "rotation": np.eye(3), "position": 0.3 * np.eye(3)[axis]} for axis in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *bodies)
    found = values(fields.smooth_union_of(BALL), {"solids": stacked, "width": WIDTH}, POINTS)
    pair = {"first": bodies[0], "second": bodies[1], "width": WIDTH}
    chain = fields.smooth_union(fields.smooth_union(BALL, BALL), BALL)
    expected = values(chain, {"first": pair, "second": bodies[2], "width": WIDTH}, POINTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)


CARVED = fields.smooth_difference(fields.shell(fields.sphere), fields.placed(fields.box))
CARVED_PARAMS = {"first": {"solid": SPHERE, "thickness": 0.4}, "second": {"solid": BOX, **PLACE}, "width": 0.3}


@pytest.mark.parametrize(
    ("distance", "params"),
    [
        *SOLIDS.values(),
        (fields.placed(fields.box), {"solid": BOX, **PLACE}),
        (fields.union(fields.sphere, fields.torus), (SPHERE, TORUS)),
        (BLENDED, BLENDED_PARAMS),
        (CARVED, CARVED_PARAMS),
    ],
    ids=[*SOLIDS, "placed", "union", "smooth_union", "smooth_difference"],
)
def test_gradient_in_the_parameters(x64, distance, params):
    flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params))
    step = 1e-6
    moved = jnp.concatenate([flat[None] + step * jnp.eye(flat.size), flat[None] - step * jnp.eye(flat.size)])
    x = jnp.asarray(POINTS[:6], jnp.float64)

    def at_all_points(flat: jax.Array) -> jax.Array:
        return jax.vmap(lambda x: distance(unravel(flat), x))(x)

    there = np.asarray(jax.jit(jax.vmap(at_all_points))(moved))
    expected = (there[: flat.size] - there[flat.size :]) / (2 * step)
    found = jax.jit(jax.jacrev(at_all_points))(flat)
    assert np.abs(expected).max() > 0.5
    # Central differences: step² from curvature, 1e-16 / step from rounding.
    np.testing.assert_allclose(found.T, expected, atol=1e-8)
