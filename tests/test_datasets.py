"""Readers of posed pictures: geometry against each format's own formula, and every refusal."""

import dataclasses
import itertools
import json
import shutil
import time
from pathlib import Path

import imageio.v3 as imageio
import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sdfrepar import cameras, evaluation, files
from sdfrepar.datasets import (
    DataConfig,
    check,
    load,
    nerf_synthetic,
    normalisation,
    pictures,
    posed,
    projections,
)
from sdfrepar.datasets.writing import Taken
from sdfrepar.records import Camera, Pictures, Views

HEIGHT, WIDTH = 6, 8
DATA = Path(__file__).parents[2] / "shared" / "data"
WHOLE = DataConfig()


def ring(count: int = 4, distance: float = 3.0, resolution: tuple[int, int] = (HEIGHT, WIDTH)) -> Camera:
    """Cameras on a tilted ring that look at the origin; NumPy leaves."""
    angles = 2 * np.pi * np.arange(count) / count
    eyes = distance * np.stack([np.cos(angles), np.full(count, 0.4), np.sin(angles)], axis=1)
    posts = [
        cameras.look_at(eye, np.zeros(3), np.array([0.0, 1.0, 0.0]), field_of_view=0.9, resolution=resolution)
        for eye in eyes.astype(np.float32)
    ]
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *posts)


def views_of(rig: Camera) -> Views:
    count, (height, width) = len(rig.position), rig.resolution
    images = np.zeros((count, height, width, 3), np.float32)
    return Views(images=images, cameras=rig, names=tuple(f"v{i}" for i in range(count)), world_from_scene=np.eye(4))


def one(rig: Camera, index: int) -> Camera:
    return jax.tree.map(lambda leaf: leaf[index], rig)


def stacked(pictures: Pictures) -> np.ndarray:
    """All of them, decoded."""
    return np.stack([pictures[i] for i in range(len(pictures))])


def images_of(count: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, HEIGHT, WIDTH, channels)).astype(np.float32)


def write_nerf(folder: Path, rig: Camera | None = None, splits: tuple[str, ...] = ("train", "test")) -> None:
    rig = ring() if rig is None else rig
    count = len(rig.position)
    for split in splits:
        write_split(folder, split, images_of(count), rig, [f"r_{i}" for i in range(count)])


def write_split(folder: Path, split: str, images: np.ndarray, rig: Camera, names: list[str]) -> None:
    """Views of one split alone, which may be called like those of the other."""
    held_out = range(len(names)) if split == "test" else ()
    nerf_synthetic.write(folder, Taken(images_srgb=images, cameras=rig, names=names, test=held_out))


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_middlebury(folder: Path, rig: Camera, skew: float = 0.0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A folder in this form; returns K, R, t of each line, in the order of the names."""
    lines, matrices = [], []
    for i in range(len(rig.position)):
        camera = one(rig, i)
        (fx, fy), (cx, cy) = np.asarray(camera.focal, float), np.asarray(camera.principal, float) - 0.5
        k = np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1]])
        r = np.asarray(camera.rotation, float).T
        t = -r @ np.asarray(camera.position, float)
        matrices.append((k, r, t))
        lines.append(" ".join([f"d{i:02}.png", *(repr(float(v)) for v in np.concatenate([k.ravel(), r.ravel(), t]))]))
        files.write_image(folder / f"d{i:02}.png", images_of(1, seed=i)[0])
    # In reverse: the reader sorts by name.
    (folder / "d_par.txt").write_text("\n".join([str(len(lines)), *lines[::-1]]) + "\n")
    return matrices


# NeRF synthetic


def test_nerf_synthetic_round_trip(tmp_path):
    write_nerf(tmp_path)
    train, test = load(tmp_path, WHOLE)
    rig = ring()
    assert train.names == test.names == ("r_0", "r_1", "r_2", "r_3")
    assert (train.images.dtype, train.images[0].dtype) == (np.uint8, np.float32)
    assert np.abs(files.encode_srgb(stacked(train.images)) - images_of(4)).max() <= 1 / 255
    for read, written in zip(jax.tree.leaves(train.cameras), jax.tree.leaves(rig), strict=True):
        assert isinstance(read, np.ndarray)
        np.testing.assert_allclose(read, written, atol=1e-5)
    np.testing.assert_array_equal(train.world_from_scene, np.eye(4))


def test_nerf_synthetic_projects_as_its_own_formula(tmp_path):
    write_nerf(tmp_path)
    config = DataConfig(centre=(0.1, -0.2, 0.05), radius=1.3)
    train, _ = load(tmp_path, config)
    content = json.loads((tmp_path / "transforms_train.json").read_text())
    world = np.array([0.3, 0.2, -0.4])
    scene = (world - np.array(config.centre)) / config.radius
    np.testing.assert_allclose(train.world_from_scene @ np.append(scene, 1), np.append(world, 1), atol=1e-9)
    focal = 0.5 * WIDTH / np.tan(0.5 * content["camera_angle_x"])
    for i, frame in enumerate(content["frames"]):
        x, y, z, _ = np.linalg.inv(frame["transform_matrix"]) @ np.append(world, 1)
        expected = [0.5 * WIDTH + focal * x / -z, 0.5 * HEIGHT - focal * y / -z]
        film, depth = cameras.project(one(train.cameras, i), scene.astype(np.float32))
        assert depth > 0
        assert np.abs(np.asarray(film) - expected).max() < 0.01


def test_nerf_synthetic_lays_code_values_over_the_backdrop(tmp_path):
    rgba = np.full((2, HEIGHT, WIDTH, 4), [1.0, 0.0, 0.4, 0.6], np.float32)
    for split in ("train", "test"):
        write_split(tmp_path, split, rgba, ring(2), ["a", "b"])
    train, _ = load(tmp_path, DataConfig(backdrop=0.2))
    under = files.encode_srgb(np.float32(0.2))
    expected = files.decode_srgb(0.6 * np.array([1.0, 0.0, 0.4]) + 0.4 * under)
    np.testing.assert_allclose(train.images[0][0, 0], expected, atol=1e-5)
    assert stacked(train.images).shape == (2, HEIGHT, WIDTH, 3)


def test_nerf_synthetic_keeps_alpha_as_the_mask(tmp_path):
    rgba = images_of(2, channels=4)
    write_split(tmp_path, "train", rgba, ring(2), ["a", "b"])
    write_split(tmp_path, "test", np.concatenate([rgba[..., :3], np.ones_like(rgba[..., :1])], -1), ring(2), ["a", "b"])
    train, test = load(tmp_path, WHOLE)
    assert train.masks[0].dtype == np.float32
    assert np.abs(stacked(train.masks) - rgba[..., 3]).max() <= 1 / 255
    assert stacked(test.masks).min() == 1.0
    half, _ = load(tmp_path, DataConfig(downscale=2))
    np.testing.assert_allclose(half.masks[1][2, 3], train.masks[1][4:6, 6:8].mean(), rtol=1e-5)


def test_alpha_that_is_1_everywhere_says_nothing(tmp_path):
    opaque = images_of(2, channels=4)
    opaque[..., 3] = 1.0
    write_split(tmp_path, "train", opaque, ring(2), ["a", "b"])
    assert load(tmp_path, WHOLE)[0].masks is None


def test_files_are_read_a_few_at_a_time_and_no_further_than_is_asked():
    begun = []

    def look(number: int) -> int:
        begun.append(number)
        time.sleep(0.02)
        return number

    assert pictures.of_each(look, range(9)) == list(range(9))
    begun.clear()
    assert any(number == 2 for number in pictures.each(look, range(200)))
    assert len(begun) < 50


def test_one_picture_without_alpha_leaves_no_masks(tmp_path):
    write_nerf(tmp_path, splits=("test",))
    write_split(tmp_path, "train", images_of(2, channels=4), ring(2), ["a", "b"])
    files.write_image(tmp_path / "train" / "b.png", images_of(1)[0])
    assert load(tmp_path, WHOLE)[0].masks is None


def test_nerf_synthetic_tolerates_file_paths_with_suffix_and_dots(tmp_path):
    write_split(tmp_path, "train", images_of(2), ring(2), ["a.5", "b"])
    write_split(tmp_path, "test", images_of(2), ring(2), ["a", "b"])
    frames = json.loads((tmp_path / "transforms_train.json").read_text())["frames"]
    frames[1]["file_path"] += ".png"
    edit_json(tmp_path / "transforms_train.json", frames=frames)
    assert load(tmp_path, WHOLE)[0].names == ("a.5", "b")


def test_nerf_synthetic_without_test_file_holds_out_every_eighth(tmp_path):
    write_nerf(tmp_path, ring(10), splits=("train",))
    train, test = load(tmp_path, WHOLE)
    assert test.names == ("r_0", "r_8")
    assert len(train) == 8
    np.testing.assert_allclose(test.cameras.position[1], ring(10).position[8], atol=1e-5)


def test_nerf_synthetic_refuses_what_it_cannot_read(tmp_path):
    write_nerf(tmp_path)
    path = tmp_path / "transforms_train.json"
    frames = json.loads(path.read_text())["frames"]
    edit_json(path, frames=[frames[0], {"file_path": "a"}])
    with pytest.raises(ValueError, match="frame 1: expected a file_path and a 4x4 transform_matrix"):
        load(tmp_path, WHOLE)
    edit_json(path, frames=[frames[0] | {"transform_matrix": [[1, 2], [3]]}])
    with pytest.raises(ValueError, match="frame 0: expected a file_path and a 4x4"):
        load(tmp_path, WHOLE)
    edit_json(path, frames=[])
    with pytest.raises(ValueError, match="lists no frames; expected one entry"):
        load(tmp_path, WHOLE)
    edit_json(path, camera_angle_x=None)
    with pytest.raises(ValueError, match="camera_angle_x None; expected the horizontal opening angle in radians"):
        load(tmp_path, WHOLE)


def test_nerf_synthetic_refuses_a_single_view_without_test_file(tmp_path):
    write_nerf(tmp_path, ring(1), splits=("train",))
    with pytest.raises(ValueError, match=r"keeps 1 of 1 views for testing; expected at least one view for testing"):
        load(tmp_path, WHOLE)


def test_nerf_synthetic_writer_refuses_cameras_the_format_cannot_state(tmp_path):
    rig, images, names = ring(2), images_of(2), ["a", "b"]
    oblong = dataclasses.replace(rig, focal=np.asarray(rig.focal) * np.array([1.0, 1.1]))
    with pytest.raises(ValueError, match="one opening angle for all pictures and square pixels"):
        write_split(tmp_path, "train", images, oblong, names)
    shifted = dataclasses.replace(rig, principal=np.asarray(rig.principal) + 0.5)
    with pytest.raises(ValueError, match="files have it in the middle, so crop the pictures"):
        write_split(tmp_path, "train", images, shifted, names)
    with pytest.raises(ValueError, match="2 pictures with 1 names and 2 cameras; expected as many of each"):
        write_split(tmp_path, "train", images, rig, names[:1])
    with pytest.raises(ValueError, match=r"shape \(6, 4\) with cameras of resolution \(6, 8\); expected the same"):
        write_split(tmp_path, "train", images[:, :, :4], rig, names)


# Middlebury


def test_middlebury_projects_as_its_own_formula(tmp_path):
    rig = ring()
    rig = dataclasses.replace(rig, focal=rig.focal * np.array([1.0, 1.02]), principal=rig.principal + 0.3)
    matrices = write_middlebury(tmp_path, rig)
    train, test = load(tmp_path, DataConfig(holdout="2"))
    assert train.names == ("d00", "d01", "d03")
    assert test.names == ("d02",)
    assert train.masks is test.masks is None
    assert np.abs(files.encode_srgb(test.images[0]) - images_of(1, seed=2)[0]).max() <= 1 / 255
    world = np.array([0.3, 0.2, -0.4])
    scene = np.linalg.solve(train.world_from_scene, np.append(world, 1))[:3]
    for i, (k, r, t) in zip((0, 1, 3), [matrices[i] for i in (0, 1, 3)], strict=True):
        homogeneous = k @ (r @ world + t)
        film, _ = cameras.project(one(train.cameras, (0, 1, 3).index(i)), scene.astype(np.float32))
        # The format counts pixel centres as whole numbers.
        assert np.abs(np.asarray(film) - 0.5 - homogeneous[:2] / homogeneous[2]).max() < 0.01


def test_middlebury_takes_its_sphere_from_the_cameras_unless_told(tmp_path):
    write_middlebury(tmp_path, ring())
    holdout = "0"
    found, _ = load(tmp_path, DataConfig(holdout=holdout))
    np.testing.assert_allclose(found.world_from_scene[:3, 3], 0, atol=1e-5)
    both, _ = load(tmp_path, DataConfig(holdout=holdout, centre=(0.1, 0.0, 0.0), radius=0.7))
    np.testing.assert_allclose(np.diag(both.world_from_scene), [0.7, 0.7, 0.7, 1])
    np.testing.assert_allclose(both.world_from_scene[:3, 3], [0.1, 0, 0])
    half, _ = load(tmp_path, DataConfig(holdout=holdout, centre=(0.1, 0.0, 0.0)))
    np.testing.assert_allclose(half.world_from_scene[:3, 3], [0.1, 0, 0])
    assert half.world_from_scene[0, 0] == pytest.approx(found.world_from_scene[0, 0], rel=0.1)
    other, _ = load(tmp_path, DataConfig(holdout=holdout, radius=0.7))
    np.testing.assert_allclose(other.world_from_scene[:3, 3], 0, atol=1e-5)


def test_middlebury_refuses_what_it_cannot_read(tmp_path):
    write_middlebury(tmp_path, ring())
    path = tmp_path / "d_par.txt"
    good = path.read_text()
    path.write_text("a b\n")
    with pytest.raises(ValueError, match="does not begin with the number of its pictures"):
        load(tmp_path, WHOLE)
    path.write_text(good.replace("4\n", "5\n", 1))
    with pytest.raises(ValueError, match="promises 5 pictures and lists 4; expected as many lines"):
        load(tmp_path, WHOLE)
    path.write_text(good.rstrip() + " 1.0\n")
    with pytest.raises(ValueError, match=r"the line of 'd00\.png' is not a name and 21 numbers"):
        load(tmp_path, WHOLE)
    path.write_text(good.replace("0.0 0.0 1.0", "0.0 0.0 x", 1))
    with pytest.raises(ValueError, match=r"'d03\.png' is not a name and 21 numbers"):
        load(tmp_path, WHOLE)
    path.write_text(good.replace("0.0 0.0 1.0", "0.0 0.0 2.0", 1))
    with pytest.raises(ValueError, match=r"K of d03\.png is not upper triangular with a last 1"):
        load(tmp_path, WHOLE)
    path.write_text(good)
    with pytest.raises(ValueError, match="holdout names view 8 but there are 4 views; expected indices from 0 to 3"):
        load(tmp_path, DataConfig(holdout="0,8"))
    for holdout in ("every 1", "0,1,2,3"):
        with pytest.raises(ValueError, match="expected at least one view for testing and one for training"):
            load(tmp_path, DataConfig(holdout=holdout))
    (tmp_path / "e_par.txt").write_text(good)
    with pytest.raises(ValueError, match=r"has 2 files named \*_par\.txt \(d_par\.txt, e_par\.txt\); expected one"):
        load(tmp_path, WHOLE)


def test_middlebury_refuses_skew(tmp_path):
    write_middlebury(tmp_path, ring(), skew=0.3)
    with pytest.raises(ValueError, match=r"d00\.png has skew 0\.3 pixels; expected perpendicular pixel axes"):
        load(tmp_path, WHOLE)


# IDR and NeuS


def similarity(scale: float = 164.6, seed: int = 0) -> np.ndarray:
    """A random world from scene (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.random(rng=seed).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).normal(size=3) * scale
    return matrix


def pixels_of(camera: Camera, x: np.ndarray) -> np.ndarray:
    """The film positions (M, 2) of points (M, 3), in float64."""
    focal, principal, rotation, position = (
        np.asarray(leaf, np.float64) for leaf in (camera.focal, camera.principal, camera.rotation, camera.position)
    )
    in_camera = (x - position) @ rotation
    return principal + focal * in_camera[:, :2] / in_camera[:, 2:]


def write_idr(folder: Path, rig: Camera, world_from_scene: np.ndarray, **entries: np.ndarray) -> None:
    """A folder in this form without masks; `entries` are added to the camera file or take an entry's place."""
    scene_from_world = np.linalg.inv(world_from_scene)
    matrices = {}
    for i in range(len(rig.position)):
        camera = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), one(rig, i))
        k = np.diag([*camera.focal, 1.0])
        k[:2, 2] = camera.principal - 0.5
        world = np.eye(4)
        world[:3] = k @ camera.rotation.T @ np.column_stack([np.eye(3), -camera.position]) @ scene_from_world
        matrices |= {f"world_mat_{i}": world, f"scale_mat_{i}": world_from_scene}
        files.write_image(folder / "image" / f"{i:06}.png", images_of(1, seed=i)[0])
    np.savez(folder / "cameras_sphere.npz", **(matrices | entries))


def uneven_ring() -> Camera:
    """The ring with pixels that are not square and a principal point beside the middle."""
    rig = ring()
    return dataclasses.replace(
        rig, focal=rig.focal * np.array([1.0, 1.02], np.float32), principal=rig.principal + np.float32(0.3)
    )


def test_idr_folder_is_read_back_exactly(tmp_path):
    rig, world_from_scene = uneven_ring(), similarity()
    write_idr(tmp_path, rig, world_from_scene)
    (tmp_path / "image" / "._000000.png").write_bytes(b"left by a file manager")
    train, test = load(tmp_path, DataConfig(holdout="2"))
    assert (train.names, test.names) == (("000000", "000001", "000003"), ("000002",))
    assert np.abs(files.encode_srgb(test.images[0]) - images_of(1, seed=2)[0]).max() <= 1 / 255
    np.testing.assert_allclose(train.world_from_scene, world_from_scene, rtol=1e-12)
    assert train.masks is None
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    for read, written in [(one(train.cameras, 2), one(rig, 3)), (one(test.cameras, 0), one(rig, 2))]:
        np.testing.assert_allclose(pixels_of(read, points), pixels_of(written, points), rtol=0, atol=1e-5)


def test_idr_sphere_follows_the_config(tmp_path):
    rig, world_from_scene = ring(), similarity()
    write_idr(tmp_path, rig, world_from_scene)
    centre = tuple(float(c) for c in (world_from_scene @ [0.1, -0.2, 0.1, 1.0])[:3])
    train, _ = load(tmp_path, DataConfig(holdout="0", centre=centre, radius=120.0))
    np.testing.assert_allclose(train.world_from_scene[:3, 3], centre, rtol=1e-9)
    assert np.cbrt(np.linalg.det(train.world_from_scene[:3, :3])) == pytest.approx(120.0)
    scene = np.array([[0.2, 0.3, -0.2]])
    before = np.linalg.solve(world_from_scene, train.world_from_scene @ np.append(scene, 1))[:3]
    np.testing.assert_allclose(pixels_of(one(train.cameras, 0), scene), pixels_of(one(rig, 1), before[None]), atol=1e-4)


def test_idr_masks_are_numbered_on_their_own_and_may_be_grey_or_coloured(tmp_path):
    write_idr(tmp_path, ring(), np.eye(4))
    (tmp_path / "cameras_sphere.npz").rename(tmp_path / "cameras.npz")
    shares = images_of(4, channels=1)
    (tmp_path / "mask").mkdir()
    for i, share in enumerate(shares):
        grey = np.round(255 * share[..., 0]).astype(np.uint8)
        pixels = grey if i % 2 else np.repeat(grey[..., None], 3, axis=-1)
        imageio.imwrite(tmp_path / "mask" / f"{i:03}.png", pixels)
    train, test = load(tmp_path, DataConfig(holdout="1"))
    assert np.abs(stacked(train.masks) - shares[[0, 2, 3], ..., 0]).max() <= 1 / 255
    assert np.abs(stacked(test.masks) - shares[[1], ..., 0]).max() <= 1 / 255
    half, _ = load(tmp_path, DataConfig(holdout="1", downscale=2))
    np.testing.assert_allclose(half.masks[1][2, 3], train.masks[1][4:6, 6:8].mean(), rtol=1e-5)


def test_idr_white_masks_say_that_there_are_none(tmp_path):
    write_idr(tmp_path, ring(), np.eye(4))
    for i in range(4):
        files.write_image(tmp_path / "mask" / f"{i:03}.png", np.ones((HEIGHT, WIDTH, 3)))
    assert load(tmp_path, DataConfig(holdout="0"))[0].masks is None


def test_idr_cameras_of_larger_pictures_shrink_with_them(tmp_path):
    rig = uneven_ring()
    full = dataclasses.replace(rig, focal=4 * rig.focal, principal=4 * rig.principal)
    film = np.eye(4)
    film[:2, :3] = [[2 / (4 * WIDTH), 0, -1], [0, 2 / (4 * HEIGHT), -1]]
    write_idr(tmp_path, full, np.eye(4), camera_mat_0=film)
    train, _ = load(tmp_path, DataConfig(holdout="0"))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 3))
    np.testing.assert_allclose(pixels_of(one(train.cameras, 0), points), pixels_of(one(rig, 1), points), atol=1e-5)
    film[1, 1] *= 2
    write_idr(tmp_path, full, np.eye(4), camera_mat_0=film)
    with pytest.raises(ValueError, match=r"000000 was made for pictures of 32x12 pixels, but .* has 8x6; expected"):
        load(tmp_path, WHOLE)


def test_idr_refuses_what_it_cannot_read(tmp_path):
    rig, scale = ring(), similarity()

    def refused(sentence: str, **entries: np.ndarray) -> None:
        write_idr(tmp_path, rig, scale, **entries)
        with pytest.raises(ValueError, match=sentence):
            load(tmp_path, WHOLE)

    refused(r"has 5 matrices world_mat_i for 4 pictures; expected world_mat_0 to world_mat_3", world_mat_4=np.eye(4))
    refused(r"scale_mat_1 of shape \(3, 4\) is not 4x4 finite numbers", scale_mat_1=np.ones((3, 4)))
    refused(r"world_mat_2 of shape \(4, 4\) is not 4x4 finite", world_mat_2=np.full((4, 4), np.nan))
    refused(r"scale_mat_3 differs from scale_mat_0; expected one sphere", scale_mat_3=1.01 * scale)
    bent = {f"scale_mat_{i}": scale @ np.diag([1.0, 1.1, 1.0, 1.0]) for i in range(4)}
    refused(r"scale_mat_0 is no similarity; expected a rotation times one positive length", **bent)
    refused(r"View 000001 has a projection matrix whose left 3x3 part is singular", world_mat_1=np.ones((4, 4)))
    skewed = np.eye(4)
    skewed[0, 1] = 0.3
    refused(r"View 000000 has skew .* pixels; expected perpendicular", world_mat_0=skewed @ similarity(seed=1))
    (tmp_path / "cameras_sphere.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"cameras_sphere\.npz cannot be read as arrays: .*expected an \.npz"):
        load(tmp_path, WHOLE)


def test_idr_refuses_pictures_and_masks_that_do_not_match(tmp_path):
    write_idr(tmp_path, ring(), np.eye(4))
    for i, height in enumerate([HEIGHT, HEIGHT, HEIGHT + 1, HEIGHT]):
        files.write_image(tmp_path / "mask" / f"{i:03}.png", np.zeros((height, WIDTH, 3)))
    with pytest.raises(ValueError, match=r"002\.png is 8x7 pixels but its pictures are 8x6"):
        load(tmp_path, WHOLE)
    (tmp_path / "mask" / "002.png").unlink()
    with pytest.raises(ValueError, match=r"holds 3 masks for 4 pictures; expected one each"):
        load(tmp_path, WHOLE)
    shutil.rmtree(tmp_path / "image")
    with pytest.raises(FileNotFoundError, match=r"There are no pictures in .*image; expected \.png"):
        load(tmp_path, WHOLE)


def test_decompose_finds_random_cameras_whatever_their_factor():
    rng = np.random.default_rng(0)
    focal, principal, skew = rng.uniform(100, 3000, (20, 2)), rng.uniform(-50, 900, (20, 2)), rng.normal(size=20)
    k = np.zeros((20, 3, 3))
    k[:, [0, 1], [0, 1]], k[:, :2, 2], k[:, 0, 1], k[:, 2, 2] = focal, principal, skew, 1.0
    r = Rotation.random(20, rng=1).as_matrix()
    position = rng.normal(size=(20, 3))
    factor = rng.normal(size=(20, 1, 1))
    projection = factor * k @ np.concatenate([r, -r @ position[:, :, None]], axis=2)
    found = projections.decompose(projection, [f"v{i}" for i in range(20)])
    for ours, true in zip(found, (k, r, position), strict=True):
        np.testing.assert_allclose(ours, true, rtol=1e-9, atol=1e-9)


def lines_past_the_centre(views: Views) -> list[np.ndarray]:
    """For each view, how far from the origin the lines of sight of the masks' pixels pass; scene units."""
    distances = []
    height, width = views.cameras.resolution
    film = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) + 0.5
    for i in range(len(views)):
        camera = one(views.cameras, i)
        u = film[views.masks[i] > 0.5]
        on_plane = np.append((u - camera.principal) / camera.focal, np.ones((len(u), 1)), axis=1)
        direction = on_plane @ camera.rotation.T
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        distances.append(np.linalg.norm(np.cross(camera.position, direction), axis=1))
    return distances


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs are not here")
def test_skull_silhouettes_lie_in_the_unit_sphere():
    train, test = load(DATA / "dtu_scan65_skull", DataConfig(downscale=4))
    assert (len(train), len(test)) == (42, 7)
    distances = lines_past_the_centre(train) + lines_past_the_centre(test)
    assert all(0.4 < line.max() < 1.0 for line in distances)


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs are not here")
def test_skull_silhouettes_agree_with_one_another():
    """The hull within all silhouettes covers each of them when seen again; with masks shifted by one, about half."""
    train, _ = load(DATA / "dtu_scan65_skull", DataConfig(downscale=8))
    height, width = train.cameras.resolution
    axis = np.linspace(-1.0, 1.0, 64)
    hull = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    for mask, camera in zip(stacked(train.masks), [one(train.cameras, i) for i in range(len(train))], strict=True):
        column, row = np.floor(pixels_of(camera, hull)).astype(int).T
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        hull = hull[seen & (mask[row.clip(0, height - 1), column.clip(0, width - 1)] > 0.5)]
    for i in (0, 8, 20):
        covered = np.zeros((height, width), bool)
        column, row = np.floor(pixels_of(one(train.cameras, i), hull)).astype(int).T
        covered[row, column] = True
        assert evaluation.mask_iou(covered, train.masks[i] > 0.5) > 0.85


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs are not here")
def test_dino_box_lies_in_the_unit_sphere():
    train, test = load(DATA / "middlebury_dinoSparseRing", DataConfig(downscale=8))
    assert (len(train), len(test)) == (14, 2)
    # The bounding box that the publisher of the photographs states, metres.
    box = zip((-0.061897, -0.018874, -0.057845), (0.010897, 0.068227, 0.015495), strict=True)
    corners = np.array([[*corner, 1.0] for corner in itertools.product(*box)])
    scene = np.linalg.solve(train.world_from_scene, corners.T)[:3]
    assert np.linalg.norm(scene, axis=0).max() < 1.0


# What all formats share


def test_downscaling_averages_light_and_scales_intrinsics_exactly(tmp_path):
    write_nerf(tmp_path)
    full, _ = load(tmp_path, WHOLE)
    half, _ = load(tmp_path, DataConfig(downscale=2))
    assert stacked(half.images).shape == (4, HEIGHT // 2, WIDTH // 2, 3)
    assert half.cameras.resolution == (HEIGHT // 2, WIDTH // 2)
    np.testing.assert_allclose(half.images[1][2, 3], full.images[1][4:6, 6:8].mean(axis=(0, 1)), rtol=1e-5)
    x = np.array([0.2, -0.1, 0.3], np.float32)
    for i in range(4):
        whole, small = (np.asarray(cameras.project(one(v.cameras, i), x)[0]) for v in (full, half))
        np.testing.assert_allclose(small, whole / 2, atol=1e-5)


def test_area_average_drops_rows_and_columns_that_fill_no_block():
    picture = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    small = pictures.area_average(picture, 2)
    assert small.shape == (2, 3, 3)
    np.testing.assert_allclose(small[1, 2], picture[2:4, 4:6].mean(axis=(0, 1)))


def test_downscale_larger_than_the_pictures_is_refused(tmp_path):
    write_nerf(tmp_path)
    with pytest.raises(ValueError, match=r"8x6 pixels, too small for data\.downscale 7; lower it"):
        load(tmp_path, DataConfig(downscale=7))


def test_pictures_of_several_sizes_are_refused(tmp_path):
    write_nerf(tmp_path)
    files.write_image(tmp_path / "train" / "r_2.png", np.zeros((HEIGHT + 1, WIDTH, 3)))
    with pytest.raises(
        ValueError, match=r"r_2\.png is 8x7 pixels but .*r_0\.png is 8x6; expected pictures of one size"
    ):
        load(tmp_path, WHOLE)


def test_missing_pictures_are_counted_and_the_first_is_named(tmp_path):
    write_nerf(tmp_path)
    for name in ("r_1", "r_3"):
        (tmp_path / "train" / f"{name}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of 4 pictures are missing, the first is .*r_1\.png; check that"):
        load(tmp_path, WHOLE)


def test_unknown_folders_are_described(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none; set --data to"):
        load(tmp_path / "none", WHOLE)
    with pytest.raises(
        FileNotFoundError, match=r"looked for transforms_train\.json \(NeRF synthetic\) or .*found nothing"
    ):
        load(tmp_path, WHOLE)
    for i in range(7):
        (tmp_path / f"f{i}").touch()
    with pytest.raises(FileNotFoundError, match=r"found f0, f1, f2, f3, f4 and 2 more; point to the folder"):
        load(tmp_path, WHOLE)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"centre": (0.0, 1.0)}, r"data\.centre is \(0\.0, 1\.0\); expected three coordinates"),
        ({"radius": 0.0}, r"data\.radius is 0\.0; expected a positive length"),
        ({"backdrop": 1.5}, r"data\.backdrop is 1\.5; expected a linear grey from 0"),
        ({"downscale": 0}, r"data\.downscale is 0; expected a whole number from 1"),
    ],
)
def test_config_refuses_numbers_out_of_range(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        DataConfig(**change)


def test_config_is_hashable():
    assert hash(DataConfig(centre=(0.0, 1.0, 2.0))) == hash(DataConfig(centre=(0.0, 1.0, 2.0)))


def test_split_keeps_images_cameras_names_and_masks_together():
    views = dataclasses.replace(views_of(ring()), images=images_of(4), masks=images_of(4, channels=1)[..., 0])
    train, test = posed.split(views, (3, 1, 1))
    assert (train.names, test.names) == (("v0", "v2"), ("v1", "v3"))
    np.testing.assert_array_equal(test.images, views.images[[1, 3]])
    np.testing.assert_array_equal(test.masks, views.masks[[1, 3]])
    np.testing.assert_array_equal(test.cameras.position, views.cameras.position[[1, 3]])


# Normalisation


def test_sphere_of_cameras_finds_where_cropped_pictures_look():
    rig = ring()
    # As if the pictures were cropped: the lines through their middles still meet, the optical axes now pass elsewhere.
    turned = dataclasses.replace(rig, principal=np.asarray(rig.principal) + np.array([3.0, -1.0]))
    centre, _ = normalisation.sphere_of_cameras(rig)
    cropped, _ = normalisation.sphere_of_cameras(turned)
    np.testing.assert_allclose(centre, 0, atol=1e-5)
    assert np.linalg.norm(cropped) > 0.1
    offset = np.array([5.0, -2.0, 1.0])
    moved, radius = normalisation.sphere_of_cameras(dataclasses.replace(rig, position=rig.position + offset))
    np.testing.assert_allclose(moved, offset, atol=1e-4)
    depth = np.linalg.norm(rig.position[0])
    assert radius == pytest.approx(0.5 * np.hypot(WIDTH, HEIGHT) / rig.focal[0, 0] * depth, rel=1e-5)


def test_sphere_of_cameras_refuses_parallel_and_outward_cameras():
    rig = ring()
    with pytest.raises(ValueError, match="The 1 cameras look in one direction, which says nothing"):
        normalisation.sphere_of_cameras(jax.tree.map(lambda leaf: leaf[:1], rig))
    outward = dataclasses.replace(rig, rotation=rig.rotation @ np.diag([1.0, -1.0, -1.0]))
    with pytest.raises(ValueError, match=r"Most cameras look away from .*OpenGL read as OpenCV"):
        normalisation.sphere_of_cameras(outward)


def test_another_frame_leaves_the_projection_alone():
    masks = images_of(4, channels=1)[..., 0]
    views = normalisation.in_frame(dataclasses.replace(views_of(ring()), masks=masks), similarity(1.7))
    np.testing.assert_array_equal(views.masks, masks)
    twice = normalisation.in_frame(views, similarity(0.8, seed=1))
    scene = np.array([0.2, 0.3, -0.2])
    world = (twice.world_from_scene @ np.append(scene, 1))[:3]
    for i in range(4):
        film, _ = cameras.project(one(twice.cameras, i), scene.astype(np.float32))
        before, _ = cameras.project(one(ring(), i), world.astype(np.float32))
        np.testing.assert_allclose(film, before, atol=1e-3)
    assert {np.asarray(leaf).dtype for leaf in jax.tree.leaves(twice.cameras)} == {np.dtype(np.float32)}


def test_centres_that_are_no_point_are_refused(tmp_path):
    write_nerf(tmp_path)
    with pytest.raises(ValueError, match=r"Cannot make a unit sphere of centre .* set --data\.centre"):
        load(tmp_path, DataConfig(centre=(0.0, 0.0, np.nan)))


# Checks


def changed(index: int, **leaves: np.ndarray) -> Views:
    """The ring with one view's leaves replaced."""
    rig = ring()
    copies = {name: np.array(getattr(rig, name)) for name in leaves}
    for name, value in leaves.items():
        copies[name][index] = value
    return views_of(dataclasses.replace(rig, **copies))


def test_check_accepts_cameras_outside_and_inside():
    check.require_sphere_in_view(views_of(ring()))
    check.require_sphere_in_view(views_of(ring(distance=0.5)))


def test_check_refuses_numbers_that_are_no_camera():
    rotation = np.asarray(ring().rotation[2])
    with pytest.raises(ValueError, match="View v2 has a camera with NaN or infinity"):
        check.require_sphere_in_view(changed(2, position=np.full(3, np.nan)))
    with pytest.raises(ValueError, match="View v2 has a focal length that is not positive"):
        check.require_sphere_in_view(changed(2, focal=np.array([5.0, -5.0])))
    with pytest.raises(ValueError, match="View v2 has a pose whose 3x3 part is no rotation; expected orthonormal"):
        check.require_sphere_in_view(changed(2, rotation=1.01 * rotation))
    with pytest.raises(ValueError, match=r"View v2 has a pose that mirrors \(determinant -1\)"):
        check.require_sphere_in_view(changed(2, rotation=rotation @ np.diag([1.0, -1.0, 1.0])))


def test_check_refuses_views_that_do_not_see_the_sphere():
    rig = ring()
    flipped = dataclasses.replace(rig, rotation=rig.rotation @ np.diag([1.0, -1.0, -1.0]))
    with pytest.raises(
        ValueError, match=r"View v0 \(and 3 of 3 others\) has the centre .* behind .*OpenGL read as OpenCV"
    ):
        check.require_sphere_in_view(views_of(flipped))
    beside = np.asarray(rig.position[1]) + 4.0 * np.asarray(rig.rotation[1])[:, 0]
    with pytest.raises(ValueError, match=r"View v1 does not show the unit sphere; .*--data\.centre and --data\.radius"):
        check.require_sphere_in_view(changed(1, position=beside))
    grazing = np.asarray(rig.position[1]) + 2.0 * np.asarray(rig.rotation[1])[:, 0]
    check.require_sphere_in_view(changed(1, position=grazing))


def test_load_checks_the_views(tmp_path):
    rig = ring()
    write_nerf(tmp_path, dataclasses.replace(rig, rotation=rig.rotation @ np.diag([1.0, -1.0, -1.0])))
    with pytest.raises(ValueError, match="behind its camera"):
        load(tmp_path, WHOLE)


def test_middlebury_reader_checks_poses_before_it_normalises(tmp_path):
    rig = ring()
    write_middlebury(tmp_path, dataclasses.replace(rig, rotation=np.asarray(rig.rotation) * 2))
    with pytest.raises(ValueError, match=r"View d00 \(and 3 of 3 others\) has a pose whose 3x3 part"):
        load(tmp_path, WHOLE)
