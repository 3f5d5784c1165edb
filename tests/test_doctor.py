"""What is wrong with cameras that are known to be right, or known to be wrong."""

from dataclasses import replace

import numpy as np
import pytest
import spoils

from experiments import check_data, make_scene
from experiments.make_scene import MakeConfig
from sdfrepar import datasets, doctor, files
from sdfrepar.datasets import DataConfig, posed
from sdfrepar.doctor import elsewhere, epipolar, geometry, outlines, placement, silhouettes
from sdfrepar.doctor.features import Pair

FLIP = np.diag([1.0, -1.0, -1.0])
RESOLUTION = (240, 320)


def rig(count: int = 8, seed: int = 0):
    """Cameras all around the origin, at different heights, that look past it a little."""
    rng = np.random.default_rng(seed)
    position = 3.0 * _unit(rng.normal(size=(count, 3)) * np.array([1.0, 1.0, 0.5]))
    ahead = _unit(0.1 * rng.normal(size=(count, 3)) - position)
    right = _unit(np.cross(ahead, np.array([0.0, 0.0, 1.0])))
    return posed.cameras_of(
        focal=np.full((count, 2), 350.0),
        principal=np.tile([158.0, 122.0], (count, 1)),
        rotation=np.stack([right, np.cross(ahead, right), ahead], axis=2),
        position=position,
        resolution=RESOLUTION,
    )


def project(cameras, view: int, points: np.ndarray) -> np.ndarray:
    there = (points - np.asarray(cameras.position)[view]) @ np.asarray(cameras.rotation)[view]
    return np.asarray(cameras.principal)[view] + np.asarray(cameras.focal)[view] * there[:, :2] / there[:, 2:]


def cloud(count: int = 4000) -> np.ndarray:
    """Points on an ellipsoid off the middle."""
    directions = _unit(np.random.default_rng(1).normal(size=(count, 3)))
    return directions * np.array([0.6, 0.35, 0.5]) + np.array([0.05, 0.1, -0.05])


def outlined(cameras) -> list[outlines.Outline]:
    return [outlines.Outline(project(cameras, i, cloud()), True) for i in range(len(cameras.position))]


def pairs_of(cameras) -> list[Pair]:
    points = cloud(40)
    count = len(cameras.position)
    return [
        Pair(i, j, (project(cameras, i, points), project(cameras, j, points)))
        for i in range(count)
        for j in range(i + 1, count)
    ]


def test_outlines_of_one_object_are_touched_by_the_same_planes():
    cameras = rig()
    error, pairs = outlines.error(cameras, outlined(cameras))
    # The points of the cloud are a pixel or two apart on an outline.
    assert pairs > 15 and error < 0.1


@pytest.mark.parametrize(
    ("spoiled", "least"),
    [
        (lambda rig: replace(rig, rotation=rig.rotation @ FLIP), 3.0),
        (lambda rig: replace(rig, rotation=rig.rotation.transpose(0, 2, 1)), 10.0),
        (lambda rig: replace(rig, focal=0.5 * rig.focal), 3.0),
        (lambda rig: replace(rig, focal=1.05 * rig.focal), 0.3),
        (lambda rig: replace(rig, principal=rig.principal - 0.5), 0.15),
        (lambda rig: replace(rig, position=np.roll(rig.position, 1, 0), rotation=np.roll(rig.rotation, 1, 0)), 5.0),
    ],
    ids=["axes", "transposed", "halved focal", "focal off by a twentieth", "half a pixel", "shuffled"],
)
def test_outlines_tell_wrong_cameras(spoiled, least):
    cameras = rig()
    assert outlines.error(spoiled(cameras), outlined(cameras))[0] > least


@pytest.mark.parametrize("change", [lambda x: 10.0 * x, lambda x: x + 2.0], ids=["scale", "place"])
def test_outlines_are_blind_to_scale_and_place(change):
    cameras = rig()
    before, after = (
        outlines.error(replace(cameras, position=position), outlined(cameras))
        for position in (cameras.position, change(cameras.position))
    )
    assert after == pytest.approx(before)


def test_cut_and_missing_outlines_are_passed_over():
    cameras = rig()
    found = outlined(cameras)
    found[0] = None
    found[1] = replace(found[1], film=found[1].film + 50.0, is_whole=False)
    assert outlines.error(cameras, found)[0] < 0.1
    error, pairs = outlines.error(cameras, [None] * len(found))
    assert np.isnan(error) and pairs == 0


def test_outline_of_a_mask_goes_along_the_outer_edges_of_its_pixels():
    mask = np.zeros((20, 30))
    mask[5:9, 10:18] = 1.0
    found = outlines.of_mask(mask)
    assert found is not None and found.is_whole
    assert sorted(map(tuple, found.film)) == [(10, 5), (10, 9), (18, 5), (18, 9)]
    mask[0, 12] = 1.0
    cut = outlines.of_mask(mask)
    assert cut is not None and not cut.is_whole
    assert outlines.of_mask(np.zeros((20, 30))) is None


def test_an_object_before_one_colour_has_an_outline():
    picture = np.full((40, 60, 3), 0.01)
    picture[10:20, 20:40] = 0.5
    found = outlines.before_even_background(picture)
    assert found is not None
    assert found.film.min(axis=0) == pytest.approx([20, 10], abs=1) and found.film.max(axis=0) == pytest.approx(
        [40, 20]
    )
    noise = np.random.default_rng(0).random(picture.shape)
    assert outlines.before_even_background(noise) is None


def test_shuffled_pictures_fit_other_cameras():
    cameras = rig()
    pairs = pairs_of(cameras)
    assert elsewhere.share_elsewhere(cameras, pairs, 1.0) == 0.0
    order = np.random.default_rng(3).permutation(len(cameras.position))
    shuffled = replace(cameras, position=cameras.position[order], rotation=cameras.rotation[order])
    assert epipolar.error(shuffled, pairs) > 5.0
    assert elsewhere.share_elsewhere(shuffled, pairs, 1.0) > 0.7


def test_cameras_that_are_wrong_otherwise_are_no_shuffle():
    cameras = rig()
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(len(cameras.position), 3, 3)))[0]
    wrong = replace(cameras, rotation=cameras.rotation @ turn)
    assert elsewhere.share_elsewhere(wrong, pairs_of(cameras), 1.0) < 0.1


@pytest.mark.parametrize(
    ("spoiled", "cause"),
    [
        (lambda rig: rig, None),
        (lambda rig: replace(rig, rotation=rig.rotation @ FLIP), "camera axes are flipped"),
        (lambda rig: replace(rig, rotation=rig.rotation.transpose(0, 2, 1)), "rotations are transposed"),
        (
            lambda rig: replace(
                rig,
                rotation=rig.rotation.transpose(0, 2, 1),
                position=-np.einsum("nji,nj->ni", rig.rotation, rig.position),
            ),
            "poses are inverse",
        ),
        (lambda rig: replace(rig, focal=0.5 * rig.focal), "focal length is half"),
        (lambda rig: replace(rig, focal=2.0 * rig.focal), "focal length is twice"),
        (
            lambda rig: replace(rig, position=np.roll(rig.position, 1, 0), rotation=np.roll(rig.rotation, 1, 0)),
            "pictures are shuffled against their cameras",
        ),
    ],
    ids=["sound", "axes", "transposed", "inverse", "halved focal", "doubled focal", "shuffled"],
)
def test_mistakes_are_named(spoiled, cause):
    cameras = rig()
    found = geometry.consistency(spoiled(cameras), pairs_of(cameras), [f"v{i}" for i in range(8)], outlined(cameras))
    assert found.fault is None if cause is None else cause in found.fault


MIRROR = np.array([1.0, 1.0, -1.0])


@pytest.mark.parametrize("axis", range(3))
def test_mirrored_worlds_are_named(axis):
    """A left-handed world, where a camera axis is turned round besides, so that the matrix is a rotation again."""
    cameras = rig()
    other = np.ones(3)
    other[axis] = -1.0
    mirrored = replace(
        cameras,
        position=MIRROR * cameras.position,
        rotation=MIRROR[:, None] * cameras.rotation * other,
    )
    found = geometry.consistency(mirrored, pairs_of(cameras), [f"v{i}" for i in range(8)], outlined(cameras))
    assert "poses are mirrored" in found.fault


def test_negated_positions_are_a_mirror():
    cameras = rig()
    behind = replace(cameras, position=-cameras.position)
    found = geometry.consistency(behind, pairs_of(cameras), [f"v{i}" for i in range(8)], outlined(cameras))
    assert found.error < 0.1 and "poses are mirrored" in found.fault


@pytest.mark.parametrize("turn", [[-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
def test_axes_that_are_turned_by_half_are_no_mirror(turn):
    cameras = rig()
    turned = replace(cameras, rotation=cameras.rotation * np.array(turn))
    found = geometry.consistency(turned, pairs_of(cameras), [f"v{i}" for i in range(8)], outlined(cameras))
    assert "point the wrong way" in found.fault


@pytest.fixture(scope="module")
def many_masks(tmp_path_factory):
    """The demo's solid with alpha, seen by many."""
    config = MakeConfig(
        format="transforms",
        alpha=True,
        views=12,
        test_views=2,
        resolution=128,
        occupancy_resolution=8,
        surface_points=50,
    )
    folder = tmp_path_factory.mktemp("many")
    make_scene.write(config, folder)
    return folder


@pytest.mark.parametrize(("shift", "offset"), [(-0.5, "0"), (0.5, "0.5"), (0.0, None)])
def test_centres_of_pixels_that_are_counted_otherwise_are_mentioned(many_masks, shift, offset):
    """Masks that are seen by many tell half a pixel."""
    views = datasets.survey(many_masks, DataConfig(pixel_offset=0.5 - shift)).views
    found = {finding.about: finding for finding in doctor.examine(views).findings}
    assert not any(finding.is_fault for finding in found.values())
    if offset is None:
        assert "pixel centres" not in found
    else:
        assert found["pixel centres"].sentence.endswith(f"--data.pixel_offset={offset}")


def test_one_camera_that_is_off_is_named():
    cameras = rig()
    position = cameras.position.copy()
    position[3] += 0.3
    found = geometry.consistency(
        replace(cameras, position=position), pairs_of(cameras), [f"v{i}" for i in range(8)], [None] * 8
    )
    # Most pairs are sound, so that the median is; its own pairs are not.
    assert found.error < 0.1 and found.fault is None
    position[[1, 5]] -= 0.4
    found = geometry.consistency(
        replace(cameras, position=position), pairs_of(cameras), [f"v{i}" for i in range(8)], [None] * 8
    )
    assert "off" in found.fault or "do not belong" in found.fault


@pytest.mark.parametrize(
    ("scale", "shift", "sentence"),
    [
        (1.0, 0.0, None),
        (10.0, 0.0, "the scale is off"),
        (0.1, 0.0, "the scale is off"),
        (1.0, 2.0, "is outside the unit"),
    ],
)
@pytest.mark.parametrize("outlines_known", [True, False])
def test_objects_that_miss_the_sphere_are_found(scale, shift, sentence, outlines_known):
    cameras = rig(12)
    moved = replace(cameras, position=scale * cameras.position + shift)
    pairs, found = (pairs_of(cameras), outlined(cameras)) if outlines_known else (pairs_of(cameras), [None] * 12)
    fault = placement.place_of(moved, pairs, found).fault(np.diag([2.0, 2.0, 2.0, 1.0]))
    assert fault is None if sentence is None else sentence in fault and "--data.centre=" in fault


def test_objects_that_reach_out_of_the_sphere_get_advice():
    cameras = rig(12)
    larger = replace(cameras, position=1.8 * cameras.position)
    place = placement.place_of(larger, [], outlined(cameras))
    assert place.fault(np.eye(4)) is None and "it reaches out of the unit sphere" in place.advice(np.eye(4))
    assert placement.place_of(cameras, [], outlined(cameras)).advice(np.eye(4)) is None


def test_inverted_masks_cover_the_borders():
    mask = np.zeros((3, 40, 60), np.float32)
    mask[:, 10:30, 15:45] = 1.0
    assert not silhouettes.coverage(mask, range(3)).is_inverted
    assert silhouettes.coverage(1.0 - mask, range(3)).is_inverted


def test_a_sound_folder_passes_and_a_spoiled_one_is_refused(tmp_path):
    """The whole command on the demo's solid: report, overlay, cameras; then with the poses of another format."""
    make_scene.write(
        MakeConfig(views=10, test_views=2, resolution=96, occupancy_resolution=16, surface_points=50),
        tmp_path / "a <b>",
    )
    check_data.check(tmp_path / "a <b>", DataConfig(), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Nothing wrong was found" in page and "a &lt;b&gt;" in page and "<b>" not in page
    assert files.read_image(tmp_path / "out" / "overlay.png").shape[1] == 4 * 96
    vertices, _ = files.read_mesh(tmp_path / "out" / "cameras.ply")
    assert len(vertices) == 162 + 12 * 5
    spoils.respoken(tmp_path / "a <b>", spoils.axes_flipped)
    with pytest.raises(check_data.UnsoundDataError, match="is not sound: the camera axes are flipped"):
        check_data.check(tmp_path / "a <b>", DataConfig(), tmp_path / "out")
    assert "Not sound: the camera axes are flipped" in (tmp_path / "out" / "report.html").read_text()


CAUSES = {
    "axes": "camera axes are flipped",
    "transposed": "rotations are transposed",
    "inverse": "poses are inverse",
    "focal": "focal length is half",
    "scale": "the scale is off",
    "outside": "outside the unit sphere",
    "shuffled": "shuffled against their cameras",
    "missing": "missing|for 48 pictures",
    "truncated": "cannot be read as a picture",
    "inverted masks": "masks seem to be inverted",
}


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("way", CAUSES)
@pytest.mark.parametrize("name", ["dtu_scan65_skull", "middlebury_dinoSparseRing", "nerf_lego_200", "nerf_mic_400"])
def test_spoiled_photographs_are_refused_with_the_cause(realdata, tmp_path, name, way):
    if way == "inverted masks" and name == "middlebury_dinoSparseRing":
        pytest.skip("it has no masks")
    options = dict(
        flag.removeprefix("--data.").split("=") for flag in spoils.spoil(realdata / name, tmp_path / "a", way)
    )
    config = DataConfig(
        centre=tuple(map(float, options["centre"].split(","))) if "centre" in options else None,
        radius=float(options["radius"]) if "radius" in options else None,
    )
    with pytest.raises((ValueError, FileNotFoundError, check_data.UnsoundDataError), match=CAUSES[way]):
        check_data.check(tmp_path / "a", config, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["dtu_scan65_skull", "middlebury_dinoSparseRing", "nerf_lego_200", "nerf_mic_400", "fox_270x480"]
)
def test_photographs_as_they_are_pass(realdata, tmp_path, name):
    check_data.check(realdata / name, DataConfig(), tmp_path)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
