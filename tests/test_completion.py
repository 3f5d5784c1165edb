"""Shapes completed from one view: what a scan tells, codes found from it, and what the experiments leave."""

from dataclasses import replace
from functools import partial

import balls
import imageio.v3 as imageio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from experiments import compare_completion, complete_shape, runs
from experiments.compare_completion import CompareConfig
from experiments.complete_shape import CompleteConfig
from experiments.priors import completing, listing, pictures, samples, scans, scores
from experiments.priors.completing import Completion, MethodConfig
from sdfrepar import files, fitting, networks
from sdfrepar.fitting import ClaimsConfig, LiftedConfig, claims
from sdfrepar.networks import Spread
from sdfrepar.observing import ObserveConfig

# A clamp of 0.1 leaves no gradient to one that starts farther from it.
RADIUS = 0.48
CAMERA = pictures.camera(24)
METHOD = MethodConfig(
    starts=2,
    observe=ObserveConfig(block=64, pixels=0.05, scales=(8,)),
    fit=ClaimsConfig(steps=12, code_weight=1e-3),
    lifted=LiftedConfig(steps=60, rate=2e-2, code_weight=0.0),
)


@pytest.fixture(scope="module", autouse=True)
def small():
    """Fewer points everywhere, and balls in the place of mugs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "RESOLUTION", 24)
        patch.setattr(scores, "POINTS", 2000)
        patch.setattr(listing, "one", lambda _, name: balls.shape(RADIUS if name == "mug 1" else 0.45))
        yield


@pytest.fixture(scope="module")
def completion():
    return Completion(METHOD, balls.prior())


# Scans


def without_depths(scan):
    """The scan that knows the outline alone."""
    return scan._replace(maps=scan.maps._replace(measured=jnp.zeros_like(scan.maps.measured)))


def test_a_density_chooses_so_many_pixels_of_the_mask():
    mask, rng = np.arange(600).reshape(20, 30) % 3 > 0, np.random.default_rng(0)
    for density, count in (("dense", 400), ("50%", 200), ("7%", 28), ("50", 50), ("1000", 400)):
        some = scans.chosen(density, mask, rng)
        assert some.sum() == count and not np.any(some & ~mask)
    for density in ("half", "-5", "120%", "1.5"):
        with pytest.raises(ValueError, match="expected dense, a share like 10%, or a number"):
            scans.chosen(density, mask, rng)
    with pytest.raises(ValueError, match="leaves none"):
        scans.chosen("0", mask, rng)


def test_measured_points_lie_on_the_shape_and_noise_moves_them_along_the_depth():
    points, normals = completing.measured_points(scans.of_shape(balls.shape(RADIUS), CAMERA, "50", 0.0, 3))
    assert points.shape == (50, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), RADIUS, atol=1e-5)
    np.testing.assert_allclose(normals, points / RADIUS, atol=1e-4)
    exact, noisy = (scans.of_shape(balls.shape(RADIUS), CAMERA, "dense", noise, 3).maps for noise in (0.0, 0.02))
    chosen = np.asarray(exact.mask)
    share = np.asarray(noisy.depth)[chosen] / np.asarray(exact.depth)[chosen] - 1.0
    assert np.std(share) == pytest.approx(0.02, rel=0.2)
    with pytest.raises(ValueError, match="sees nothing"):
        scans.of_shape(balls.shape(RADIUS), CAMERA.replace(rotation=-CAMERA.rotation), "dense", 0.0, 0)


def test_without_a_mask_only_measured_pixels_are_known():
    maps = scans.without_mask(scans.of_shape(balls.shape(RADIUS), CAMERA, "20", 0.0, 0)).maps
    assert int(maps.outlined.sum()) == 20 == int(maps.measured.sum())


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A depth image in half millimetres of a ball in a scene of 200 millimetres a unit, its mask, points and camera."""
    folder, millimetres = tmp_path_factory.mktemp("own"), 200.0
    scan = scans.of_shape(balls.shape(RADIUS), CAMERA, "dense", 0.0, 0)
    depth, mask = np.asarray(scan.maps.depth), np.asarray(scan.maps.mask)
    stored = np.where(mask, np.round(2.0 * millimetres * depth), 0).astype(np.uint16)
    imageio.imwrite(folder / "depth.png", stored)
    imageio.imwrite(folder / "mask.png", (255 * mask).astype(np.uint8))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.asarray(CAMERA.rotation) / millimetres, np.asarray(CAMERA.position)
    intrinsics = dict(zip(("fx", "fy"), map(float, CAMERA.focal), strict=True))
    intrinsics |= dict(zip(("cx", "cy"), (float(c) - 0.5 for c in CAMERA.principal), strict=True))
    camera = {"width": 24, "height": 24, **intrinsics, "scene_from_camera": pose.tolist()}
    files.write_json(folder / "camera.json", camera)
    points, _ = completing.measured_points(scan)
    seen = (np.asarray(points) - np.asarray(CAMERA.position)) @ np.asarray(CAMERA.rotation)
    trimesh.PointCloud(millimetres * seen).export(folder / "points.ply")
    return folder, scan


def test_a_depth_image_and_points_are_read_as_they_were_seen(own):
    folder, scan = own
    depth, camera = folder / "depth.png", folder / "camera.json"
    outlined = scans.from_depth(depth, camera, folder / "mask.png", 0.5, 24)
    by_depth, by_points = (
        scans.from_depth(depth, camera, None, 0.5, 24),
        scans.from_points(folder / "points.ply", camera, 24),
    )
    for found in (outlined, by_depth, by_points):
        np.testing.assert_allclose(found.camera.rotation, CAMERA.rotation, atol=1e-6)
        np.testing.assert_allclose(found.camera.focal, CAMERA.focal)
        np.testing.assert_array_equal(found.maps.measured, scan.maps.mask)
        np.testing.assert_allclose(found.maps.depth, scan.maps.depth, atol=2e-3)
    assert np.all(outlined.maps.outlined)
    np.testing.assert_array_equal(by_depth.maps.outlined, scan.maps.mask)
    half = scans.from_depth(depth, camera, None, 0.5, 12)
    np.testing.assert_allclose(half.maps.depth, by_depth.maps.depth[::2, ::2])
    assert half.camera.resolution == (12, 12)


def test_files_that_are_wrong_are_refused(own, tmp_path):
    folder, _ = own
    camera = files.read_json(folder / "camera.json")
    for change, message in (
        ({"scene_from_camera": [[1, 0], [0, 1]]}, "expected 4x4 finite numbers"),
        ({"scene_from_camera": np.diag([1.0, 2.0, 1.0, 1.0]).tolist()}, "no similarity"),
        ({"width": 30}, "24 x 24 pixels, and its camera 30 x 24"),
    ):
        files.write_json(tmp_path / "camera.json", {**camera, **change})
        with pytest.raises(ValueError, match=message):
            scans.from_depth(folder / "depth.png", tmp_path / "camera.json", None, 0.5, 24)
    files.write_json(tmp_path / "camera.json", {"width": 3})
    with pytest.raises(ValueError, match="has no height, fx"):
        scans.read_camera(tmp_path / "camera.json")
    imageio.imwrite(tmp_path / "empty.png", np.zeros((24, 24), np.uint16))
    with pytest.raises(ValueError, match="has no depth"):
        scans.from_depth(tmp_path / "empty.png", folder / "camera.json", None, 0.5, 24)
    trimesh.PointCloud(np.array([[0.0, 0.0, -1.0]])).export(tmp_path / "behind.ply")
    with pytest.raises(ValueError, match="No point of"):
        scans.from_points(tmp_path / "behind.ply", folder / "camera.json", 24)
    with pytest.raises(ValueError, match="no normals"):
        completing.measured_points(scans.from_points(folder / "points.ply", folder / "camera.json", 24))


# Codes


def test_scales_come_to_the_same_radius():
    scan = scans.of_shape(balls.shape(RADIUS), CAMERA, "dense", 0.0, 0)
    code = Completion(replace(METHOD, strides=(2, 1)), balls.prior()).code("ours + mask", scan, "mug")
    assert 0.4 + code[0] == pytest.approx(RADIUS, abs=5e-3)
    with pytest.raises(ValueError, match="say 2,1"):
        replace(METHOD, strides=())


@pytest.mark.parametrize("method", ["DeepSDF", "ours", "ours + mask"])
def test_every_method_finds_a_radius_from_twenty_depths(completion, method):
    scan = scans.of_shape(balls.shape(RADIUS), CAMERA, "20", 0.0, 0)
    code = completion.code(method, scan, "mug")
    assert 0.4 + code[0] == pytest.approx(RADIUS, abs=5e-3)


def test_the_mask_alone_finds_a_radius_too(completion):
    scan = scans.of_shape(balls.shape(RADIUS), CAMERA, "dense", 0.0, 0)
    code = completion.code("ours + mask", without_depths(scan), "mug")
    assert 0.4 + code[0] == pytest.approx(RADIUS, abs=0.03)


# Experiments


def test_a_completion_leaves_mesh_picture_and_metrics(own, tmp_path):
    folder, _ = own
    config = CompleteConfig(resolution=24, mesh_resolution=24, unit=0.5, by=METHOD)
    given = {"depth": str(folder / "depth.png"), "points": None, "camera": str(folder / "camera.json"), "mask": None}
    scan = complete_shape.observed(config, None, **given)
    metrics = complete_shape.complete(config, balls.prior(), scan, None, tmp_path)
    assert metrics["chamfer"] is None and metrics["measured"] == int(scan.maps.mask.sum())
    assert 0.4 + metrics["code"][0] == pytest.approx(RADIUS, abs=5e-3)
    vertices, _ = files.read_mesh(tmp_path / "mesh.ply")
    assert np.linalg.norm(vertices, axis=1).mean() == pytest.approx(RADIUS, abs=0.01)
    assert files.read_image(tmp_path / "completion.png").shape[2] == 3
    with pytest.raises(ValueError, match="one of --shape, --depth and --points"):
        complete_shape.observed(config, balls.shape(0.5), **given)
    with pytest.raises(ValueError, match="need --camera"):
        complete_shape.observed(config, None, **{**given, "camera": None})


def test_a_table_of_completions_goes_on_and_shows_its_cases(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    config = CompareConfig(
        shapes=("mug 1", "mug 2"),
        densities=("20",),
        methods=("DeepSDF", "ours + mask"),
        focals=(1.0, 2.0),
        resolution=24,
        mesh_resolution=24,
        by=METHOD,
    )
    table = compare_completion.compare(config, [balls.prior()], tmp_path)
    assert [cell["method"] for cell in table["cells"]] == ["DeepSDF", "ours + mask"] * 2
    assert all(cell["shapes"] == 2 and cell["median"] < 3e-3 for cell in table["cells"])
    text = (tmp_path / "table.md").read_text()
    assert "| mug | 20 | 1 | 0 |" in text and "| mug | 20 | 2 | 0 |" in text
    assert files.read_image(tmp_path / "cases.png").shape[0] > 700 and (tmp_path / "curves.png").is_file()
    # Nothing is left to do, and what there is must be of the same config.
    monkeypatch.setattr(Completion, "code", None)
    again = compare_completion.compare(config, [balls.prior()], tmp_path)
    assert again["cells"] == table["cells"]
    with pytest.raises(runs.OtherRunError, match="another config"):
        compare_completion.compare(replace(config, resolution=32), [balls.prior()], tmp_path)
    with pytest.raises(ValueError, match="No prior has learnt shapes of 'table'"):
        compare_completion.Scene(config, [balls.prior()]).prior("table 3")
    with pytest.raises(ValueError, match="in the shapes' unit sphere"):
        replace(config, focals=(0.3,))


# Claims


ALL_COUNT = ClaimsConfig(enough=10_000)


class Ball:
    """Balls about the origin, by their radius."""

    subject = networks.in_deviations(balls.BALL)
    network = jnp.float32(0.4), Spread(jnp.zeros(1), jnp.ones((1, 1)))
    observe = METHOD.observe

    @classmethod
    def claims(cls, radius, maps, config=ALL_COUNT):
        params = cls.subject.prepare({"network": cls.network, "code": jnp.array([radius - 0.4])})
        along, _ = claims.along_rays(cls.subject.distance, cls.observe, params, CAMERA, maps, config, jnp.float32(0.0))
        return along, np.asarray(claims.missed_by(along, jax.vmap(partial(cls.subject.distance, params))(along.point)))


def test_rays_claim_what_the_silhouette_shows():
    maps = without_depths(scans.of_shape(balls.shape(RADIUS), CAMERA, "dense", 0.0, 0)).maps
    along, missed = Ball.claims(0.4, maps)
    # Rays of the outline that pass the small ball by miss it by how far they pass.
    passing = np.asarray(along.weight) > 0
    inside = np.asarray(maps.mask).reshape(-1)
    assert passing.any() and np.all(inside[passing]) and np.all(missed[passing] > 0) and missed.max() < RADIUS - 0.4
    along, missed = Ball.claims(0.6, maps)
    # Those of the background are in the large one as deep as they go.
    deep = np.asarray(along.weight) > 0
    assert deep.any() and not np.any(inside[deep]) and missed.min() == pytest.approx(RADIUS - 0.6, abs=0.02)
    _, missed = Ball.claims(RADIUS, maps)
    assert np.abs(missed).max() < 2e-3


def test_rays_are_free_up_to_the_depths_that_are_measured():
    scan = scans.without_mask(scans.of_shape(balls.shape(0.3), CAMERA, "dense", 0.0, 0))
    along, missed = Ball.claims(0.45, scan.maps)
    before = np.asarray(along.weight) > 0
    np.testing.assert_array_equal(before, np.asarray(scan.maps.measured).reshape(-1))
    # They leave the free stretch at most as deep in the large ball as the small one lies.
    assert missed[before].min() == pytest.approx(-0.15, abs=0.03) and missed[before].max() < 0


def test_a_search_has_the_slope_of_its_loss():
    """Where the points of the claims are held, as the envelope theorem has it; central differences."""
    scan = scans.of_shape(balls.shape(RADIUS), CAMERA, "dense", 0.0, 0)
    config = ClaimsConfig(deviation=0.05, bend=2.0)
    first = fitting.make_claims_search(Ball.subject, Ball.observe, config).first

    def about(code):
        return first(jnp.array([code]), Ball.network, scan.camera, scan.maps, jnp.float32(0.0)).about

    step = 2e-3
    expected = (about(0.05 + step).loss - about(0.05 - step).loss) / (2 * step)
    np.testing.assert_allclose(about(0.05).slope[0], expected, rtol=0.02)


def test_a_search_finds_the_least_of_a_curved_valley_and_never_rises():
    """Rosenbrock's valley: two residuals."""

    def about(unknown):
        def residuals(unknown):
            return jnp.stack([10.0 * (unknown[1] - unknown[0] ** 2), 1.0 - unknown[0]])

        rows = jax.jacfwd(residuals)(unknown)
        return fitting.sum_of_squares(residuals(unknown), rows, jnp.ones(2), 1e3)

    search = fitting.make_search(about)
    state, way = search.first(jnp.array([-1.2, 1.0])), []
    for _ in range(40):
        way.append(float(state.loss))
        state = search.step(state)
    np.testing.assert_allclose(state.unknown, [1.0, 1.0], atol=1e-3)
    assert np.all(np.diff(way) <= 0)


def test_patience_takes_a_search_over_the_jumps_of_a_loss():
    """A parabola with a step up on the way down."""

    def about(unknown):
        bowl = fitting.sum_of_squares(unknown - 3.0, jnp.eye(1), jnp.ones(1), 1e3)
        return bowl._replace(loss=bowl.loss + jnp.where(unknown[0] > 1.0, 5.0, 0.0))

    ends = []
    for patience in (0.0, 0.2):
        search = fitting.make_search(about, patience)
        state = search.first(jnp.array([0.0]))
        for _ in range(20):
            state = search.step(state)
        ends.append(float(state.unknown[0]))
    assert ends[0] <= 1.0 and ends[1] == pytest.approx(3.0, abs=1e-3)


def test_noisy_depths_whose_rays_miss_claim_a_surface_and_exact_ones_need_not():
    scan = scans.of_shape(balls.shape(0.6), CAMERA, "dense", 0.0, 3)
    params = Ball.subject.prepare({"network": Ball.network, "code": jnp.array([-0.1])})
    for noise, wanted in ((0.0, False), (0.1, True)):
        claimed, _ = claims.along_rays(
            Ball.subject.distance, Ball.observe, params, CAMERA, scan.maps, ALL_COUNT, jnp.float32(noise)
        )
        assert np.any(np.asarray((claimed.side < 0) & (claimed.weight > 0))) == wanted


def test_what_is_far_off_pulls_no_more_than_the_bend():
    near, far = (
        fitting.sum_of_squares(jnp.array([r]), jnp.ones((1, 1)), jnp.ones(1), 2.0).slope[0] for r in (0.1, 1e4)
    )
    assert float(near) == pytest.approx(0.1, rel=1e-2) and float(far) == pytest.approx(2.0, rel=1e-3)


def test_noise_that_is_known_weighs_depths_less_and_lets_them_lie_before_the_shape():
    exact, noisy = (scans.of_shape(balls.shape(0.48), CAMERA, "dense", noise, 3) for noise in (0.0, 0.02))
    assert exact.noise == 0.0 and noisy.noise == pytest.approx(0.02 * 2.6, rel=0.1)
    config = ClaimsConfig(enough=50, deviation=0.01)
    few, many = (claims.at_depths(CAMERA, exact.maps, config, jnp.float32(noise)) for noise in (0.0, 0.1))
    count = int(exact.maps.measured.sum())
    total_few, total_many = (float(jnp.sum(c.weight / c.deviation**2)) for c in (few, many))
    assert total_few == pytest.approx((1 + 2 * config.normal_weight) * 50 / 0.01**2, rel=1e-3)
    assert total_many < count * (1 + 2 * config.normal_weight) / 0.1**2 < 0.2 * total_few
    along, _ = Ball.claims(0.5, noisy.maps)
    assert np.any(np.asarray(along.weight) > 0)
    params = Ball.subject.prepare({"network": Ball.network, "code": jnp.array([0.1])})
    far, at_hits = claims.along_rays(
        Ball.subject.distance, Ball.observe, params, CAMERA, scans.without_mask(noisy).maps, ALL_COUNT, jnp.float32(0.5)
    )
    assert not np.any(np.asarray(far.weight) > 0)
    # The large ball is met on average 0.02 before the depths of the small one; the field there is to be so much.
    meets = np.asarray(at_hits.weight) > 0
    assert meets.sum() == count
    np.testing.assert_allclose(np.mean(np.asarray(at_hits.value)[meets]), 0.02, atol=0.006)


def test_noise_leaves_a_thin_shape_as_thick_as_it_is():
    """Depths that lie half a radius off, before and behind, on average where they belong."""
    small = balls.shape(0.2)
    scan = scans.of_shape(small, pictures.camera(48), "dense", 0.04, 1)
    scan = scan._replace(maps=scan.maps._replace(normal=jnp.zeros_like(scan.maps.normal)))
    code = Completion(METHOD, balls.prior()).code("ours", scan, "mug")
    assert 0.4 + code[0] == pytest.approx(0.2, abs=0.04)
