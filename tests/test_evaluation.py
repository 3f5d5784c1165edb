"""Scores against closed forms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sdfrepar import cameras, evaluation
from sdfrepar.records import Camera

GRID = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3)
PLANE = GRID[GRID[:, 2] == 0.0]
UP = np.array([0.0, 0.0, 1.0])


def ring(count: int = 4, distance: float = 3.0, resolution: tuple[int, int] = (24, 32)) -> Camera:
    """Cameras around the origin in the plane of x and y, which look at it; float64."""
    angles = 2 * np.pi * np.arange(count) / count
    rig = [
        cameras.look_at(
            jnp.asarray(distance * np.array([np.cos(a), np.sin(a), 0.0])),
            jnp.zeros(3),
            jnp.asarray(UP),
            field_of_view=0.8,
            resolution=resolution,
        )
        for a in angles
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves).astype(np.float64), *rig)


def discs(rig: Camera, radius: float) -> np.ndarray:
    """Masks (N, H, W): a disc around the middle of each picture, pixels."""
    height, width = rig.resolution
    y, x = np.mgrid[:height, :width] + 0.5
    return np.tile(np.hypot(x - width / 2, y - height / 2) < radius, (len(rig.position), 1, 1))


def test_luminance_is_rec_709():
    np.testing.assert_allclose(evaluation.luminance(np.eye(3)), [0.2126, 0.7152, 0.0722])
    assert evaluation.luminance(np.ones((4, 5, 3), np.float32)).dtype == np.float32
    np.testing.assert_allclose(evaluation.luminance(np.ones((4, 5, 3))), np.ones((4, 5)))
    with pytest.raises(ValueError, match="colour channels last"):
        evaluation.luminance(np.ones((3, 4)))


def test_psnr_closed_form():
    picture = np.full((6, 7, 3), 0.5, np.float32)
    assert evaluation.psnr(picture, picture + np.float32(0.125)) == pytest.approx(-20.0 * np.log10(0.125))
    assert evaluation.psnr(picture, picture) == float("inf")


def test_psnr_in_a_mask_sees_nothing_else():
    picture = np.full((6, 7, 3), 0.5)
    other = picture + 0.25
    mask = np.zeros((6, 7), bool)
    mask[2:4, 3] = True
    other[mask] = 0.5 + 0.1
    assert evaluation.psnr(picture, other, mask) == pytest.approx(20.0)
    assert evaluation.psnr(picture, other, ~mask) == pytest.approx(-20.0 * np.log10(0.25))
    with pytest.raises(ValueError, match="expected booleans"):
        evaluation.psnr(picture, other, mask.astype(float))
    with pytest.raises(ValueError, match=r"shape \(6, 7\) chooses 0 of pictures of shape \(6, 7, 3\)"):
        evaluation.psnr(picture, other, mask & False)
    with pytest.raises(ValueError, match=r"shape \(7, 6\) chooses 2 of pictures"):
        evaluation.psnr(picture, other, mask.T)


def test_ssim_of_flat_pictures_is_the_luminance_term():
    a, b = np.full((16, 16, 3), 0.4), np.full((16, 16, 3), 0.6)
    expected = (2 * 0.4 * 0.6 + 0.01**2) / (0.4**2 + 0.6**2 + 0.01**2)
    assert evaluation.ssim(a, b) == pytest.approx(expected)


def test_ssim_falls_with_noise():
    rng = np.random.default_rng(0)
    picture = rng.uniform(size=(16, 20, 3))
    noise = rng.normal(size=picture.shape)
    scores = [evaluation.ssim(picture, picture + size * noise) for size in (0.0, 0.05, 0.2)]
    assert scores[0] == pytest.approx(1.0) and scores[0] > scores[1] > scores[2]


def test_pictures_must_agree():
    picture = np.ones((16, 16, 3))
    with pytest.raises(ValueError, match="expected the same"):
        evaluation.psnr(picture, picture[:4])
    with pytest.raises(ValueError, match="divide bytes by 255"):
        evaluation.psnr(picture.astype(np.uint8), picture)
    with pytest.raises(ValueError, match="at least one"):
        evaluation.psnr(picture[:0], picture[:0])
    with pytest.raises(ValueError, match="at least 11"):
        evaluation.ssim(picture[:10], picture[:10])


def test_iou_of_overlapping_boxes():
    x = np.linspace(0.0, 1.0, 10)[:, None, None] + np.zeros((1, 3, 3))
    assert evaluation.occupancy_iou(x - 0.5, x - 0.25) == pytest.approx(3 / 5)
    assert evaluation.occupancy_iou(x + 1.0, x + 1.0) == 1.0
    assert evaluation.occupancy_iou(x + 1.0, x - 2.0) == 0.0
    assert evaluation.mask_iou(np.array([True, True, False]), np.array([False, True, True])) == pytest.approx(1 / 3)


def test_iou_refuses_unlike_input():
    with pytest.raises(ValueError, match="expected booleans"):
        evaluation.mask_iou(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="expected the same"):
        evaluation.occupancy_iou(np.zeros((3, 3, 3)), np.zeros((4, 4, 4)))
    with pytest.raises(ValueError, match="not finite"):
        evaluation.occupancy_iou(np.full((2, 2, 2), np.nan), np.zeros((2, 2, 2)))


def test_chamfer_of_a_shifted_grid_is_the_shift():
    assert evaluation.chamfer(GRID, GRID) == 0.0
    assert evaluation.chamfer(GRID, GRID + np.array([0.0, 0.3, 0.0])) == pytest.approx(0.3)


def test_chamfer_is_the_mean_of_both_ways():
    a, b = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    assert evaluation.chamfer(a, b) == evaluation.chamfer(b, a) == pytest.approx(0.5)


def test_squared_chamfer_is_the_sum_of_both_ways():
    a, b = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    assert evaluation.squared_chamfer(a, b) == evaluation.squared_chamfer(b, a) == pytest.approx(2.0)
    assert evaluation.squared_chamfer(GRID, GRID + np.array([0.0, 0.3, 0.0])) == pytest.approx(0.18)


def test_chamfer_refuses_empty_and_unshaped_sets():
    with pytest.raises(ValueError, match=r"points_a has shape \(0, 3\)"):
        evaluation.chamfer(GRID[:0], GRID)
    with pytest.raises(ValueError, match="points_b has shape"):
        evaluation.chamfer(GRID, GRID[:, :2])
    with pytest.raises(ValueError, match="not finite"):
        evaluation.chamfer(GRID, GRID * np.nan)


def test_fscore_of_parallel_planes_is_all_or_nothing():
    above = PLANE + 0.3 * UP
    assert evaluation.fscore(PLANE, above, 0.31) == (1.0, 1.0, 1.0)
    assert evaluation.fscore(PLANE, above, 0.29) == (0.0, 0.0, 0.0)


def test_fscore_is_the_harmonic_mean_of_its_parts():
    # Half of the scored points float far above; of the true ones all are near.
    scored = np.concatenate([PLANE, PLANE + 9.0 * UP])
    score = evaluation.fscore(scored, PLANE, 0.1)
    assert (score.precision, score.recall) == (0.5, 1.0)
    assert score.f == pytest.approx(2 / 3)
    assert evaluation.fscore(PLANE, scored, 0.1)[:2] == (1.0, 0.5)
    with pytest.raises(ValueError, match=r"threshold is 0\.0, expected a positive distance"):
        evaluation.fscore(PLANE, PLANE, 0.0)


def test_depth_error_of_parallel_planes_is_their_distance():
    depth = np.full((4, 5), 2.0, np.float32)
    mask = np.arange(20).reshape(4, 5) % 2 == 0
    other = np.where(mask, depth + 0.25, np.nan)
    assert evaluation.depth_error(depth, other, mask) == pytest.approx(0.25)
    assert evaluation.depth_error(other, depth, mask) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="depths within the mask are not all finite"):
        evaluation.depth_error(depth, other, ~mask)


def test_normal_error_of_tilted_planes_is_their_angle():
    flat = np.tile(UP, (4, 5, 1))
    mask = np.ones((4, 5), bool)
    mask[0] = False
    for angle in (1e-6, 0.3, 90.0, 180.0):
        tilted = flat @ Rotation.from_euler("x", angle, degrees=True).as_matrix().T
        tilted[0] = 0.0
        assert evaluation.normal_error(flat, 0.7 * tilted, mask) == pytest.approx(angle)
    with pytest.raises(ValueError, match="A normal within the mask is zero"):
        evaluation.normal_error(flat, tilted, np.ones((4, 5), bool))
    with pytest.raises(ValueError, match="put the components last"):
        evaluation.normal_error(flat[..., :2], flat[..., :2], mask)


def test_dtu_chamfer_of_parallel_planes_is_their_distance():
    assert evaluation.dtu_chamfer(PLANE, PLANE + 0.3 * UP) == pytest.approx((0.3, 0.3, 0.3))


def test_dtu_chamfer_leaves_far_distances_out():
    scored = np.concatenate([PLANE, PLANE + 25.0 * UP])
    score = evaluation.dtu_chamfer(scored, PLANE + 0.5 * UP)
    assert score == pytest.approx((0.5, 0.5, 0.5))
    wider = evaluation.dtu_chamfer(scored, PLANE + 0.5 * UP, max_distance=30.0)
    assert (wider.accuracy, wider.completeness, wider.mean) == pytest.approx((12.5, 0.5, 6.5))
    with pytest.raises(ValueError, match="come no nearer to the truth than 25, expected below 20"):
        evaluation.dtu_chamfer(PLANE, PLANE + 25.0 * UP)


def test_dtu_culling_keeps_what_lies_in_every_widened_mask():
    rig = ring()
    focal = float(rig.focal[0, 0])
    # Seen at these heights, in pixels, above the middle of each picture; whole rows of pixels belong to a mask.
    heights = np.array([0.0, 3.9, 6.9, 7.1, 9.0])
    points = UP * (heights * 3.0 / focal)[:, None]
    kept = evaluation.dtu_culled(points, discs(rig, 4.0), rig, dilation=3.0 / 32)
    np.testing.assert_array_equal(kept, points[:3])
    one_empty = discs(rig, 4.0)
    one_empty[2] = False
    assert len(evaluation.dtu_culled(points, one_empty, rig)) == 0
    whole = np.ones_like(one_empty, np.float32)
    np.testing.assert_array_equal(evaluation.dtu_culled(points, whole, rig), points)


def test_dtu_culling_leaves_what_no_picture_shows():
    rig = jax.tree.map(lambda leaf: leaf[:1], ring())
    masks = np.zeros((1, 24, 32), bool)
    behind, beside, before = [4.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.0]
    kept = evaluation.dtu_culled(np.array([behind, beside, before]), masks, rig)
    np.testing.assert_array_equal(kept, [behind, beside])


def test_dtu_culling_refuses_masks_of_other_cameras():
    with pytest.raises(ValueError, match=r"masks have shape \(3, 24, 32\), expected \(4, 24, 32\) as the cameras"):
        evaluation.dtu_culled(PLANE, np.ones((3, 24, 32)), ring())
    with pytest.raises(ValueError, match="dilation is -1"):
        evaluation.dtu_culled(PLANE, np.ones((4, 24, 32)), ring(), dilation=-1)


def moved(rig: Camera, scale: float, seed: int) -> Camera:
    """The cameras in a frame that differs by a random similarity."""
    turn = Rotation.random(rng=seed).as_matrix()
    shift = np.random.default_rng(seed).normal(size=3)
    return dataclasses.replace(rig, rotation=turn @ rig.rotation, position=scale * rig.position @ turn.T + shift)


def test_pose_error_does_not_see_a_similarity():
    rig = ring(5)
    disturbed = dataclasses.replace(rig, position=rig.position + np.random.default_rng(0).normal(0, 0.1, (5, 3)))
    for other in (rig, disturbed):
        plain = evaluation.pose_error(other, rig)
        for seed, scale in enumerate((0.01, 1.0, 170.0)):
            error = evaluation.pose_error(moved(other, scale, seed), rig)
            np.testing.assert_allclose(error.rotation, plain.rotation, atol=1e-5)
            np.testing.assert_allclose(error.position, plain.position, atol=1e-6)
    assert evaluation.pose_error(rig, rig).position.max() < 1e-9 < plain.position.min()


def test_pose_error_of_rotations_that_balance_is_their_angle():
    rig = ring()
    turns = Rotation.from_rotvec(np.radians([2.0, -2.0, 5.0, -5.0])[:, None] * UP).as_matrix()
    error = evaluation.pose_error(dataclasses.replace(rig, rotation=turns @ rig.rotation), rig)
    np.testing.assert_allclose(error.rotation, [2.0, 2.0, 5.0, 5.0], rtol=1e-5)
    np.testing.assert_allclose(error.position, 0.0, atol=1e-6)


def test_pose_error_of_positions_that_balance_is_what_the_best_scale_leaves():
    # Up and down in turn: nothing to turn or shift, and the scale r² / (r² + δ²) leaves r δ / √(r² + δ²).
    rig, r, delta = ring(), 3.0, 0.2
    shifts = np.array([1, -1, 1, -1])[:, None] * delta * UP
    error = evaluation.pose_error(dataclasses.replace(rig, position=rig.position + shifts), rig)
    np.testing.assert_allclose(error.position, r * delta / np.hypot(r, delta), rtol=1e-5)
    np.testing.assert_allclose(error.rotation, 0.0, atol=1e-5)


def test_pose_error_refuses_cameras_that_cannot_be_aligned():
    rig = ring()
    with pytest.raises(ValueError, match="4 estimated and 3 true cameras, expected the same views"):
        evaluation.pose_error(rig, ring(3))
    with pytest.raises(ValueError, match="The 4 estimated cameras stand in one place"):
        evaluation.pose_error(dataclasses.replace(rig, position=np.tile([0.1, 0.2, 3.0], (4, 1))), rig)
    with pytest.raises(ValueError, match="true cameras hold poses that are not finite"):
        evaluation.pose_error(rig, dataclasses.replace(rig, position=rig.position * np.nan))
    with pytest.raises(ValueError, match=r"estimated cameras have positions of shape \(3,\), expected \(N, 3\)"):
        evaluation.pose_error(jax.tree.map(lambda leaf: leaf[0], rig), rig)


def test_object_error_is_how_the_object_lies_before_the_camera():
    rig = ring(3)
    motions = np.array([[0.1, 0.0, 0.0, 0, 0, 0], [0, 0, 0, 0.0, 0.3, 0.4], [0.0, -0.2, 0.0, 0.0, 0.0, 0.1]])
    moved = jax.vmap(cameras.moved)(jax.tree.map(jnp.asarray, rig), jnp.asarray(motions, jnp.float32))
    error = evaluation.object_error(moved, rig)
    np.testing.assert_allclose(np.radians(error.rotation), [0.1, 0.0, 0.2], atol=1e-6)
    np.testing.assert_allclose(error.position, [0.0, 0.5, 0.1], atol=1e-5)
    with pytest.raises(ValueError, match="3 estimated and 4 true cameras"):
        evaluation.object_error(rig, ring(4))


def test_surface_samples_are_even_and_repeatable():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [10, 0, 0], [13, 0, 0], [10, 1, 0]], float)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    points = evaluation.sample_surface(vertices, faces, 4000, seed=3)
    assert points.shape == (4000, 3) and np.abs(points[:, 2]).max() == 0.0
    assert np.mean(points[:, 0] > 5.0) == pytest.approx(0.75, abs=0.03)
    np.testing.assert_array_equal(points, evaluation.sample_surface(vertices, faces, 4000, seed=3))
    assert not np.array_equal(points, evaluation.sample_surface(vertices, faces, 4000, seed=4))


def test_surface_samples_need_a_surface():
    vertices, faces = np.eye(3), np.array([[0, 1, 2]])
    with pytest.raises(ValueError, match="no area"):
        evaluation.sample_surface(np.zeros((3, 3)), faces, 5, seed=0)
    with pytest.raises(ValueError, match="expected indices from 0 to 2"):
        evaluation.sample_surface(vertices, faces + 1, 5, seed=0)
    with pytest.raises(ValueError, match="triangulate"):
        evaluation.sample_surface(vertices, faces[:0], 5, seed=0)
    with pytest.raises(ValueError, match="count is 0"):
        evaluation.sample_surface(vertices, faces, 0, seed=0)
