"""Scores against closed forms."""

import numpy as np
import pytest

from sdfrepar import evaluation

GRID = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3)


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


def test_chamfer_refuses_empty_and_unshaped_sets():
    with pytest.raises(ValueError, match=r"points_a has shape \(0, 3\)"):
        evaluation.chamfer(GRID[:0], GRID)
    with pytest.raises(ValueError, match="points_b has shape"):
        evaluation.chamfer(GRID, GRID[:, :2])
    with pytest.raises(ValueError, match="not finite"):
        evaluation.chamfer(GRID, GRID * np.nan)


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
