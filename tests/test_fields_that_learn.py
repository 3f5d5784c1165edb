"""Weight norm, grids of features, voxel pyramids and backgrounds, against naive twins."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import fields, grids, networks
from sdfrepar.networks import BackgroundConfig, FeatureConfig, NetworkConfig, VoxelConfig, background, features, voxels

SMALL = NetworkConfig(
    sdf_width=8,
    sdf_depth=2,
    sdf_skip=1,
    features=4,
    radiance_width=8,
    radiance_depth=1,
    grid=FeatureConfig(levels=2, coarsest=3, finest=6, sdf_width=8),
    voxels=VoxelConfig(coarsest=4, levels=2),
)
CAMERA_SIDE = jnp.array([0.3, -0.2, -3.0])


def perturbed(params, scale=0.1):
    """Every number moved a little, by chance."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    return tree.unflatten(
        [leaf + scale * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    )


def initialised(config, background):
    """Parameters that have moved a little from where they begin."""
    return jax.jit(lambda key: perturbed(networks.initialise(config, background, key=key)))(jax.random.key(0))


def in_cube(count: int, reach: float = 0.95) -> np.ndarray:
    return np.random.default_rng(1).uniform(-reach, reach, (count, 3)).astype(np.float32)


@pytest.mark.parametrize("field", ["network", "features", "voxels"])
def test_prepared_params_give_the_same_scene(field):
    """Folded weight norms and summed levels: the same distances, colours and backgrounds, and the same gradient."""
    config = replace(SMALL, field=field, weight_norm=True, background=BackgroundConfig(kind="sphere", width=8, depth=1))
    scene = networks.scene(config)
    params = initialised(config, jnp.full(3, 0.5))

    def seen(params, x):
        normal = jnp.array([0.0, 0.0, -1.0])
        return jnp.concatenate(
            [
                scene.distance(params, x)[None],
                scene.radiance(params, x, normal, normal),
                scene.background(params, CAMERA_SIDE, x),
            ]
        )

    x = jnp.asarray(in_cube(8))
    raw = jax.jit(lambda params: jax.vmap(seen, (None, 0))(params, x))
    ready = jax.jit(lambda params: jax.vmap(seen, (None, 0))(scene.prepare(params), x))
    np.testing.assert_allclose(ready(params), raw(params), atol=1e-5)
    slopes = [jax.jit(jax.grad(lambda params, f=f: jnp.sum(jnp.sin(f(params)))))(params) for f in (raw, ready)]
    for one, other in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert sum(float(jnp.abs(leaf).sum()) > 0 for leaf in jax.tree.leaves(slopes[0]["sdf"])) >= 2


def test_weight_norm_learns_direction_and_length_apart():
    """At first it is the layer without it; a direction's length does not matter, its scale does."""
    layer = networks.layers.Dense(4, weight_norm=True)
    x = jnp.array([0.3, -0.7, 0.2])
    params = layer.init(jax.random.key(0), x)["params"]
    plain = networks.folded(params)
    assert set(plain) == {"kernel", "bias"}
    np.testing.assert_allclose(plain["kernel"], params["direction"], rtol=1e-6)
    longer = {**params, "direction": 3.0 * params["direction"]}
    np.testing.assert_allclose(layer.apply({"params": longer}, x), x @ params["direction"], rtol=1e-5)
    scaled = {**params, "scale": 2.0 * params["scale"]}
    np.testing.assert_allclose(layer.apply({"params": scaled}, x), 2.0 * x @ params["direction"], rtol=1e-5)


def quadratic_spline(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The naive sum over all nodes of one dense level."""
    count = table.shape[0] - 2

    def weight(s):
        s = np.abs(s)
        return np.where(s < 0.5, 0.75 - s**2, np.where(s < 1.5, 0.5 * (1.5 - s) ** 2, 0.0))

    place = (x + 1.0) * 0.5 * count + 0.5
    along = weight(place[:, None] - np.arange(count + 2))
    return np.einsum("i,j,k,ijkc->c", *along, table)


def test_features_are_the_spline_of_their_nodes():
    config = FeatureConfig(levels=3, coarsest=2, finest=5, channels=2)
    tables = perturbed(features.initial_tables(config, key=jax.random.key(0)), 1.0)
    x = in_cube(16, 1.0)
    found = jax.jit(jax.vmap(lambda x: features.lookup(config, tables, x)))(x)
    naive = [np.concatenate([quadratic_spline(np.asarray(table), point) for table in tables]) for point in x]
    assert features.cells(config) == [2, 3, 5] and found.shape == (16, features.width(config))
    np.testing.assert_allclose(found, naive, atol=1e-5)


def test_hashed_features_are_the_dense_ones_of_their_entries():
    """A hashed level is the spline whose node (i, j, k) holds the entry that the hash names."""
    config = FeatureConfig(levels=1, coarsest=6, finest=6, channels=2, table=64)
    (table,) = perturbed(features.initial_tables(config, key=jax.random.key(0)), 1.0)
    assert table.shape == (64, 2)
    nodes = np.stack(np.meshgrid(*3 * [np.arange(8)], indexing="ij"), axis=-1).reshape(-1, 3)
    entry = (nodes[:, 0] ^ (nodes[:, 1] * 2654435761 % 2**32) ^ (nodes[:, 2] * 805459861 % 2**32)) % 64
    dense = np.asarray(table)[entry].reshape(8, 8, 8, 2)
    x = in_cube(8)
    found = jax.jit(jax.vmap(lambda x: features.lookup(config, [table], x)))(x)
    np.testing.assert_allclose(found, [quadratic_spline(dense, point) for point in x], atol=1e-5)


def test_features_have_no_kinks_between_cells():
    """The slope on both sides of a face of a cell is the same: C1."""
    config = FeatureConfig(levels=1, coarsest=4, finest=4, channels=1)
    tables = perturbed(features.initial_tables(config, key=jax.random.key(0)), 1.0)
    slope = jax.jit(jax.jacfwd(lambda x: features.lookup(config, tables, x)[0]))
    face = jnp.array([0.5, 0.13, -0.4])
    before, after = (slope(face + jnp.array([side, 0.0, 0.0])) for side in (-1e-5, 1e-5))
    np.testing.assert_allclose(before, after, atol=1e-3)
    assert float(jnp.abs(before).max()) > 0.1


def test_voxel_levels_add_up_to_their_splines():
    """The sum's spline is the sum of the levels' splines, with halved factors."""
    levels = perturbed(voxels.initial_levels(VoxelConfig(coarsest=4, levels=3), 0.5))
    assert [level.shape[0] for level in levels] == [7, 11, 19]
    x = in_cube(32)
    value = jax.jit(jax.vmap(grids.distance, (None, 0)))
    expected = sum(0.5**n * value({"coefficients": level}, x) for n, level in enumerate(levels))
    np.testing.assert_allclose(value(voxels.summed(levels), x), expected, atol=1e-5)


@pytest.mark.parametrize("field", ["features", "voxels"])
def test_grids_start_as_a_sphere(field):
    config = NetworkConfig(field=field)
    scene = networks.scene(config)
    params = networks.initialise(config, jnp.zeros(3), key=jax.random.key(0))
    directions = in_cube(64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    distances = jax.jit(lambda params, x: jax.vmap(scene.distance, (None, 0))(scene.prepare(params), x))
    on_sphere, outside = (distances(params, r * directions) for r in (0.5, 0.9))
    np.testing.assert_allclose(on_sphere, 0.0, atol=0.05)
    np.testing.assert_allclose(outside, 0.4, atol=0.05)


def test_rays_leave_the_sphere_around_the_scene():
    origin, direction = jnp.array([0.3, 0.1, -3.0]), jnp.array([0.0, 0.6, 0.8])
    point = background.leaves_sphere(origin, direction, 4.0)
    assert float(jnp.linalg.norm(point)) == pytest.approx(4.0, rel=1e-5)
    along = (point - origin) / direction.at[0].set(1.0)
    assert float(along[1]) == pytest.approx(float(along[2]), rel=1e-5) and along[1] > 0
    # A ray that misses is given its nearest point, next to which its neighbours leave.
    missing = background.leaves_sphere(jnp.array([3.0, 0.0, -3.0]), jnp.array([0.0, 0.0, 1.0]), 2.0)
    np.testing.assert_allclose(missing, [3.0, 0.0, 0.0], atol=0.03)
    slope = jax.jacfwd(background.leaves_sphere)(jnp.array([2.0, 0.0, -3.0]), jnp.array([0.0, 0.0, 1.0]), 2.0)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(("kind", "moves"), [("given", False), ("learned", True)])
def test_a_given_background_does_not_learn(kind, moves):
    config = replace(SMALL, background=BackgroundConfig(kind=kind))
    scene = networks.scene(config)
    params = networks.initialise(config, jnp.full(3, 0.5), key=jax.random.key(0))
    slope = jax.grad(lambda params: scene.background(params, CAMERA_SIDE, CAMERA_SIDE).sum())(params)
    assert bool(jnp.any(slope["background"]["colour"] != 0)) == moves


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (FeatureConfig, {"coarsest": 9, "finest": 8}, "coarsest and finest are 9 and 8"),
        (FeatureConfig, {"channels": 0}, "at least 1"),
        (VoxelConfig, {"levels": 0}, "levels are 8 and 0"),
        (BackgroundConfig, {"radius": 0.5}, "must enclose the unit sphere"),
    ],
)
def test_configs_refuse_what_cannot_work(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_normals_of_features_follow_finite_differences():
    config = replace(SMALL, field="features")
    scene = networks.scene(config)
    params = initialised(config, jnp.zeros(3))
    x, way = jnp.asarray(in_cube(16)), jnp.array([0.6, 0.0, 0.8])
    slope = jax.jit(jax.vmap(lambda x: fields.gradient(scene.distance, params, x) @ way))(x)
    distances = jax.jit(jax.vmap(lambda x: scene.distance(params, x)))
    ahead, behind = (distances(x + sign * 1e-2 * way[None]) for sign in (1, -1))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-2, atol=5e-3)
