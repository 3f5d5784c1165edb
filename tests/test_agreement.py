"""The figure that is reported of cameras: distances of matches from their epipolar lines."""

import numpy as np
import pytest

from sdfrepar import datasets, doctor
from sdfrepar.datasets import DataConfig, posed
from sdfrepar.doctor import agreement, epipolar
from sdfrepar.doctor.features import Features, Pair


def two_cameras():
    turn = np.array([[0.8, 0.0, -0.6], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    return posed.cameras_of(
        focal=np.array([[300.0, 310.0], [200.0, 210.0]]),
        principal=np.array([[160.0, 120.0], [150.0, 130.0]]),
        rotation=np.stack([np.eye(3), turn]),
        position=np.array([[0.0, 0.0, -3.0], [2.0, 0.3, -2.0]]),
        resolution=(240, 320),
    )


def film_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rig = two_cameras()
    films = []
    for view in (0, 1):
        there = (points - np.asarray(rig.position)[view]) @ np.asarray(rig.rotation)[view]
        films.append(np.asarray(rig.principal)[view] + np.asarray(rig.focal)[view] * there[:, :2] / there[:, 2:])
    return films[0], films[1]


def test_sampson_is_the_shortest_way_to_a_match_that_fits():
    from scipy.optimize import minimize

    films = film_of(np.random.default_rng(0).uniform(-0.5, 0.5, (6, 3)))
    off = np.random.default_rng(1).normal(0.0, 0.5, (6, 4))
    moved = films[0] + off[:, :2], films[1] + off[:, 2:]
    matrix = epipolar.fundamental(two_cameras(), 0, 1)

    def left_over(shift: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
        return float(np.append(other + shift[2:], 1.0) @ matrix @ np.append(one + shift[:2], 1.0))

    shortest = [
        minimize(
            lambda shift: shift @ shift,
            np.zeros(4),
            constraints={"type": "eq", "fun": left_over, "args": (one, other)},
            method="SLSQP",
            tol=1e-12,
        ).x
        for one, other in zip(*moved, strict=True)
    ]
    found = epipolar.sampson(two_cameras(), Pair(0, 1, moved))
    np.testing.assert_allclose(found, np.linalg.norm(shortest, axis=1), rtol=0.01)


def test_fine_features_do_not_count_and_wrong_matches_do():
    rng = np.random.default_rng(2)
    films = film_of(rng.uniform(-0.5, 0.5, (30, 3)))
    looks = np.linalg.qr(rng.normal(size=(128, 128)))[0][:30].astype(np.float32)
    blur = np.where(np.arange(30) < 10, 1.0, 2.0)
    wrong = films[1].copy()
    wrong[:12] += 40.0  # The fine ones, and two more.
    (pair,) = agreement.paired_with_nearest([Features(films[0], blur, looks), Features(wrong, blur, looks)])
    assert (pair.first, pair.second, len(pair.film[0])) == (0, 1, 20)
    distances = epipolar.sampson(two_cameras(), pair)
    assert np.sum(distances > 5.0) == 2
    assert agreement.error(two_cameras(), [pair]) < 1e-3


def test_pictures_that_share_nothing_have_no_figure():
    nothing = Features(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 128), np.float32))
    assert agreement.paired_with_nearest([nothing, nothing]) == []
    assert np.isnan(agreement.error(two_cameras(), []))


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "pixels"), [("dtu_scan65_skull", 0.30), ("middlebury_dinoSparseRing", 0.47), ("fox_270x480", 0.15)]
)
def test_figures_are_those_that_others_measured(realdata, name, pixels):
    """What stands beside the photographs, by whoever prepared them."""
    views = datasets.survey(realdata / name, DataConfig()).views
    assert doctor.examine(views).agreement == pytest.approx(pixels, rel=0.2)
