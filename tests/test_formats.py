"""The formats that people bring: geometry against each format's own formula, lenses, and every refusal."""

import dataclasses
import json
from pathlib import Path

import imageio.v3 as imageio
import jax
import numpy as np
import png
import pytest
import trimesh
from skimage.filters import gaussian

from sdfrepar import cameras, datasets, files
from sdfrepar.datasets import DataConfig, holdouts, lenses, normalisation, undistortion
from sdfrepar.datasets.opengl import opengl_poses
from sdfrepar.datasets.writing import Taken
from sdfrepar.records import Camera, Views

HEIGHT, WIDTH, COUNT = 36, 48, 5
DATA = Path(__file__).parents[2] / "shared" / "data"
POINTS = np.random.default_rng(3).uniform(-0.4, 0.4, (12, 3))


def ring(count: int = COUNT) -> Camera:
    """Cameras on a tilted ring that look at the origin, pixels not square, principal points beside the middle."""
    angles = 2 * np.pi * np.arange(count) / count
    eyes = 3.0 * np.stack([np.cos(angles), np.full(count, 0.4), np.sin(angles)], axis=1)
    posts = [
        cameras.look_at(eye, np.zeros(3), np.array([0.0, 1.0, 0.0]), field_of_view=0.9, resolution=(HEIGHT, WIDTH))
        for eye in eyes.astype(np.float32)
    ]
    rig = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *posts)
    return dataclasses.replace(rig, focal=rig.focal * np.array([1.0, 1.02]), principal=rig.principal + 0.7)


def one(rig: Camera, index: int) -> Camera:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64)[index], rig)


def on_film(camera: Camera, world: np.ndarray, lens: lenses.Lens = lenses.PINHOLE) -> np.ndarray:
    """Film positions (M, 2) of world points (M, 3) through a lens, by the formulas as the formats write them."""
    in_camera = (world - camera.position) @ camera.rotation
    return camera.principal + camera.focal * lens.distort(in_camera[:, :2] / in_camera[:, 2:])


def require_same_film(views: Views, written: Camera, numbers: list[int]) -> None:
    """Points of the world fall on the same film positions by the file's cameras and by those read, to 0.01 pixel."""
    scene = (POINTS - views.world_from_scene[:3, 3]) @ np.linalg.inv(views.world_from_scene[:3, :3]).T
    for i, number in enumerate(numbers):
        np.testing.assert_allclose(
            on_film(one(views.cameras, i), scene), on_film(one(written, number), POINTS), rtol=0, atol=0.01
        )


def smooth_picture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH, 3))
    return np.clip(0.5 + 3.0 * (gaussian(noise, 2.0, channel_axis=-1) - 0.5), 0.0, 1.0)


# transforms.json


def write_transforms(folder: Path, rig: Camera, **top: object) -> dict:
    """A folder of this form; frames in reverse order, all that is the same for them at the top."""
    frames = []
    for i in reversed(range(len(rig.position))):
        files.write_image(folder / "images" / f"f{i}.png", smooth_picture(i))
        frames.append({"file_path": f"images/f{i}.png", "transform_matrix": opengl_poses(rig)[i].tolist()})
    (fx, fy), (cx, cy) = rig.focal[0], rig.principal[0]
    content = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": WIDTH, "h": HEIGHT, **top, "frames": frames}
    files.write_json(folder / "transforms.json", content)
    return content


def test_transforms_project_as_their_own_formula(tmp_path):
    write_transforms(tmp_path, ring())
    train, test = datasets.load(tmp_path, DataConfig(holdout="1"))
    assert (train.names, test.names) == (("f0", "f2", "f3", "f4"), ("f1",))
    require_same_film(train, ring(), [0, 2, 3, 4])
    assert np.abs(files.encode_srgb(train.images[1]) - smooth_picture(2)).max() <= 1 / 255


def test_transforms_know_angles_splits_masks_and_larger_pictures(tmp_path):
    rig = ring()
    content = write_transforms(tmp_path, rig)
    del content["fl_x"], content["fl_y"], content["cx"], content["cy"]
    content |= {"w": 4 * WIDTH, "h": 4 * HEIGHT, "camera_angle_x": 0.9, "test_filenames": ["images/f3.png"]}
    for frame in content["frames"]:
        frame["mask_path"] = frame["file_path"].replace("images", "masks")
        files.write_image(tmp_path / frame["mask_path"], np.zeros((HEIGHT, WIDTH, 3)))
    files.write_json(tmp_path / "transforms.json", content)
    train, test = datasets.load(tmp_path, DataConfig(sphere="cameras"))
    assert test.names == ("f3",)
    middle = dataclasses.replace(
        rig, focal=np.full((COUNT, 2), 0.5 * WIDTH / np.tan(0.45)), principal=rig.principal - 0.7
    )
    require_same_film(train, middle, [0, 1, 2, 4])
    assert train.masks is not None and train.masks[0].max() == 0.0


@pytest.mark.parametrize("stated", [{"camera_angle_x": 0.9}, {"x_fov": np.degrees(0.9)}, {"y_fov": np.degrees(0.7)}])
def test_transforms_of_any_opening_angle_and_of_windows(tmp_path, stated):
    content = write_transforms(tmp_path, ring())
    for frame in content["frames"]:
        frame["file_path"] = frame["file_path"].replace("/", "\\")
    stay = {name: value for name, value in content.items() if name not in ("fl_x", "fl_y")}
    files.write_json(tmp_path / "transforms.json", stay | stated)
    found = datasets.survey(tmp_path, DataConfig())
    expected = 0.5 * HEIGHT / np.tan(0.35) if "y_fov" in stated else 0.5 * WIDTH / np.tan(0.45)
    np.testing.assert_allclose(found.listing.focal, expected)
    assert found.views.names[0] == "f0"


def test_transforms_know_points(tmp_path):
    """The sphere is that around the points of the PLY, in the world of the poses."""
    directions = np.random.default_rng(0).normal(size=(300, 3))
    ball = np.array([0.1, -0.05, 0.08]) + 0.3 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    (tmp_path / "sparse.ply").write_bytes(trimesh.PointCloud(ball).export(file_type="ply"))
    good = write_transforms(tmp_path, ring(), ply_file_path="sparse.ply")
    sphere = datasets.survey(tmp_path, DataConfig()).views.world_from_scene
    np.testing.assert_allclose(sphere[:3, 3], [0.1, -0.05, 0.08], atol=0.06)
    assert 0.3 < sphere[0, 0] < 0.4
    around = datasets.survey(tmp_path, DataConfig(sphere="cameras")).views.world_from_scene
    assert around[0, 0] > 1.0

    def refused(error: type[Exception], sentence: str, stated: object) -> None:
        files.write_json(tmp_path / "transforms.json", good | {"ply_file_path": stated})
        with pytest.raises(error, match=sentence):
            datasets.survey(tmp_path, DataConfig())

    refused(FileNotFoundError, r"has its points in 'none\.ply', and there is no .*; expected a PLY file", "none.ply")
    refused(ValueError, r"the path '\.\./sparse\.ply' leads out of the folder", "../sparse.ply")
    refused(ValueError, "ply_file_path is 3; expected the path of a PLY file", 3)
    (tmp_path / "sparse.ply").write_bytes(b"ply")
    refused(ValueError, r"sparse\.ply cannot be read as points .*; expected a whole PLY file", "sparse.ply")


@pytest.mark.parametrize(
    ("numbers", "lens"),
    [
        (
            {"k1": -0.15, "k2": 0.03, "p1": 0.004, "p2": -0.003},
            lenses.Radial((-0.15, 0.03, 0, 0, 0, 0), (0.004, -0.003)),
        ),
        ({"k1": 0.2, "camera_model": "OPENCV"}, lenses.Radial((0.2, 0, 0, 0, 0, 0))),
        ({"k1": 0.05, "k2": -0.01, "camera_model": "OPENCV_FISHEYE"}, lenses.Fisheye((0.05, -0.01, 0, 0))),
        ({"k1": 0.05, "k2": -0.01, "camera_model": "RADIAL_FISHEYE"}, lenses.Fisheye((0.05, -0.01, 0, 0))),
        ({"is_fisheye": True}, lenses.Fisheye()),
    ],
)
def test_pictures_are_straightened_with_their_cameras(tmp_path, numbers, lens):
    """What a lens shows at a place, the picture read shows where the camera read projects it."""
    write_transforms(tmp_path, ring(), **numbers)
    train, _ = datasets.load(tmp_path, DataConfig(holdout="1"))
    points = 2.0 * POINTS
    scene = (points - train.world_from_scene[:3, 3]) @ np.linalg.inv(train.world_from_scene[:3, :3]).T
    for i, number in enumerate([0, 2, 3, 4]):
        bent = on_film(one(ring(), number), points, lens)
        straight = on_film(one(train.cameras, i), scene)
        assert np.abs(bent - straight).max() > 0.05
        inside = np.all((straight > 2) & (straight < [WIDTH - 2, HEIGHT - 2]), axis=1)
        assert inside.sum() > 3
        seen, shown = (
            undistortion.resampled(picture, film[None, inside].astype(np.float32))[0]
            for picture, film in ((files.decode_srgb(smooth_picture(number)), bent), (train.images[i], straight))
        )
        assert np.abs(seen - shown).max() < 0.01


def test_straightening_shows_nothing_from_outside_the_picture():
    for lens in (lenses.Radial((0.2, 0.1, 0, 0, 0, 0)), lenses.Radial((-0.2, 0, 0, 0, 0, 0)), lenses.Fisheye()):
        straight = undistortion.straighten(lens, np.full(2, 50.0), np.array([25.0, 17.0]), (HEIGHT, WIDTH))
        assert straight.source.min() > -0.5
        assert np.all(straight.source.max(axis=(0, 1)) < [WIDTH + 0.5, HEIGHT + 0.5])
    with pytest.raises(ValueError, match=r"a: its lens distortion .* leaves no picture of 48x36 pixels"):
        undistortion.straighten(lenses.Radial((900.0, 0, 0, 0, 0, 0)), np.full(2, 9.0), np.zeros(2), (36, 48), "a")


def test_transforms_refuse_what_they_cannot_read(tmp_path):
    good = write_transforms(tmp_path, ring())

    def refused(sentence: str, **changes: object) -> None:
        files.write_json(tmp_path / "transforms.json", {k: v for k, v in (good | changes).items() if v is not None})
        with pytest.raises(ValueError, match=sentence):
            datasets.load(tmp_path, DataConfig())

    refused("lists no frames; expected one entry", frames=[])
    refused("fl_x is 'wide'; expected a number", fl_x="wide")
    refused("neither fl_x nor camera_angle_x; expected one", fl_x=None, fl_y=None)
    refused(
        "the camera_model is 'EQUIRECTANGULAR', which no pinhole camera can stand for", camera_model="EQUIRECTANGULAR"
    )
    refused("the camera_model is 'FTHETA', which no pinhole camera can stand for", ftheta_p0=0.1)
    refused(r"f0 was made for pictures of 36x48 pixels, but .*f0\.png has 48x36", w=HEIGHT, h=WIDTH)
    refused("holds out 'images/none.png', which is no frame's file_path", test_filenames=["images/none.png"])
    outside = [good["frames"][0] | {"file_path": "../../secret.png"}]
    refused(r"'../../secret\.png' leads out of the folder", frames=outside)
    (tmp_path / "transforms.json").write_text("{")
    with pytest.raises(ValueError, match=r"transforms\.json"):
        datasets.load(tmp_path, DataConfig())


# COLMAP


def write_colmap(folder: Path, rig: Camera, kind: str, model: str, params: list[float]) -> None:
    """A sparse model with one camera and a few points, written by COLMAP's own library."""
    pycolmap = pytest.importorskip("pycolmap")
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    made = pycolmap.Reconstruction()
    camera = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=params, camera_id=7)
    made.add_camera_with_trivial_rig(camera)
    for i in range(len(rig.position)):
        turn = rig.rotation[i].T
        pose = np.column_stack([turn, -turn @ rig.position[i]]).astype(np.float64)
        image = pycolmap.Image(name=f"p{i}.png", camera_id=7, image_id=3 * i + 1)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(np.array([1.0, 2.0])) for _ in POINTS])
        made.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
        files.write_image(folder / "images" / f"p{i}.png", smooth_picture(i))
    for number, point in enumerate(POINTS):
        track = pycolmap.Track()
        for i in range(len(rig.position)):
            track.add_element(3 * i + 1, number)
        made.add_point3D(point, track, np.zeros(3, np.uint8))
    (made.write_binary if kind == "bin" else made.write_text)(str(place))


@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_colmap_projects_as_its_own_formula(tmp_path, kind):
    rig = ring()
    (fx, fy), (cx, cy) = rig.focal[0], rig.principal[0]
    write_colmap(tmp_path, rig, kind, "PINHOLE", [fx, fy, cx, cy])
    train, test = datasets.load(tmp_path, DataConfig(holdout="1", sphere="cameras"))
    assert test.names == ("p1",)
    require_same_film(train, rig, [0, 2, 3, 4])


def test_colmap_lenses_are_straightened(tmp_path):
    rig = ring()
    (fx, fy), (cx, cy) = rig.focal[0], rig.principal[0]
    write_colmap(tmp_path, rig, "bin", "OPENCV", [fx, fy, cx, cy, -0.15, 0.03, 0.004, -0.003])
    found = datasets.survey(tmp_path, DataConfig(sphere="cameras"))
    lens = lenses.Radial((-0.15, 0.03, 0, 0, 0, 0), (0.004, -0.003))
    film = np.random.default_rng(0).uniform(-0.4, 0.4, (9, 2))
    np.testing.assert_allclose(found.listing.lenses[0].distort(film), lens.distort(film), atol=1e-12)
    write_transforms(tmp_path / "same", rig, k1=-0.15, k2=0.03, p1=0.004, p2=-0.003)
    same = datasets.survey(tmp_path / "same", DataConfig(sphere="cameras"))
    np.testing.assert_allclose(found.views.images[2], same.views.images[2], atol=1e-6)


def test_colmap_refuses_what_it_cannot_read(tmp_path):
    write_colmap(tmp_path, ring(), "bin", "EQUIRECTANGULAR", [WIDTH, HEIGHT])
    with pytest.raises(ValueError, match="has a camera EQUIRECTANGULAR, which no pinhole camera can stand for"):
        datasets.load(tmp_path, DataConfig())
    for path in sorted((tmp_path / "sparse" / "0").iterdir()):
        whole = path.read_bytes()
        for broken in (whole[:1], whole[:-1], whole[: len(whole) // 2], whole + b"1"):
            path.write_bytes(broken)
            with pytest.raises(ValueError, match=rf"{path.name} is not whole; expected all that COLMAP wrote"):
                datasets.load(tmp_path, DataConfig())
        path.write_bytes(whole)
    for path in (tmp_path / "sparse" / "0").iterdir():
        path.unlink()
    (tmp_path / "sparse" / "0" / "cameras.txt").write_text("1 PINHOLE")
    with pytest.raises(ValueError, match=r"sparse/0 cannot be read .*; expected cameras, images and points3D"):
        datasets.load(tmp_path, DataConfig())


# MVSNet and BlendedMVS


def write_mvsnet(folder: Path, rig: Camera) -> None:
    for i in range(len(rig.position)):
        k = np.diag([*rig.focal[i], 1.0])
        k[:2, 2] = rig.principal[i]
        pose = np.linalg.inv(np.vstack([np.column_stack([rig.rotation[i], rig.position[i]]), [0, 0, 0, 1]]))
        rows = [" ".join(map(repr, map(float, row))) for row in (*pose, *k)]
        text = "\n".join(["extrinsic", *rows[:4], "", "intrinsic", *rows[4:], "", "0.5 0.01 128 3.0"])
        (folder / "cams").mkdir(parents=True, exist_ok=True)
        (folder / "cams" / f"{i:08}_cam.txt").write_text(text)
        (folder / "blended_images").mkdir(exist_ok=True)
        imageio.imwrite(folder / "blended_images" / f"{i:08}.jpg", files.as_bytes(smooth_picture(i)))


def test_mvsnet_projects_as_its_own_formula(tmp_path):
    write_mvsnet(tmp_path, ring())
    train, test = datasets.load(tmp_path, DataConfig(holdout="1"))
    assert test.names == ("00000001",)
    require_same_film(train, ring(), [0, 2, 3, 4])


def test_mvsnet_refuses_what_it_cannot_read(tmp_path):
    write_mvsnet(tmp_path, ring())
    (tmp_path / "cams" / "00000002_cam.txt").write_text("extrinsic 1 2 3")
    with pytest.raises(ValueError, match=r"00000002_cam\.txt is no camera of MVSNet; expected 'extrinsic' and 16"):
        datasets.load(tmp_path, DataConfig())
    write_mvsnet(tmp_path, ring())
    (tmp_path / "blended_images" / "00000003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="but no picture 00000003 in blended_images or images"):
        datasets.load(tmp_path, DataConfig())


# What all formats share


def test_pixel_offset_overrides_the_format(tmp_path):
    write_transforms(tmp_path, ring())
    (told, _), (plain, _) = (datasets.load(tmp_path, DataConfig(pixel_offset=offset)) for offset in (0.0, None))
    np.testing.assert_allclose(told.cameras.principal, plain.cameras.principal + 0.5, atol=1e-5)


def test_views_are_held_out_by_rule_by_list_and_by_file(tmp_path):
    names = tuple("abcde")
    assert holdouts.chosen("every 2", names, tmp_path) == (0, 2, 4)
    assert holdouts.chosen("3, 1", names, tmp_path) == (3, 1)
    (tmp_path / "test.txt").write_text("d.png\n\nb\n")
    assert holdouts.chosen("test.txt", names, tmp_path) == (3, 1)
    with pytest.raises(ValueError, match=r"'sometimes'; expected 'every 8', indices such as '0,8', or a \.txt file"):
        holdouts.chosen("sometimes", names, tmp_path)
    with pytest.raises(ValueError, match=r"is 'every 0'; expected every first view or rarer"):
        holdouts.chosen("every 0", names, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"There is no .*none\.txt, which data\.holdout names"):
        holdouts.chosen("none.txt", names, tmp_path)
    (tmp_path / "test.txt").write_text("z\n")
    with pytest.raises(ValueError, match="lists 'z', which no view is called; expected names such as a"):
        holdouts.chosen("test.txt", names, tmp_path)


def test_masks_of_either_polarity(tmp_path):
    content = write_transforms(tmp_path, ring())
    for frame in content["frames"]:
        frame["mask_path"] = frame["file_path"].replace("images", "masks")
        black_on_left = np.broadcast_to((np.arange(WIDTH) > 9)[None, :, None], (HEIGHT, WIDTH, 3))
        files.write_image(tmp_path / frame["mask_path"], black_on_left)
    files.write_json(tmp_path / "transforms.json", content)
    for inverted in (False, True):
        config = DataConfig(sphere="cameras", inverted_masks=inverted, downscale=2)
        train, _ = datasets.load(tmp_path, config)
        assert train.masks[0][3, 2] == (1.0 if inverted else 0.0)
        assert train.masks[0][3, 9] == (0.0 if inverted else 1.0)


def test_colours_of_16_bits_keep_them_all(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    with (tmp_path / "deep.png").open("wb") as file:
        png.Writer(WIDTH, HEIGHT, greyscale=False, bitdepth=16).write(file, deep.reshape(HEIGHT, -1))
    np.testing.assert_allclose(files.read_image(tmp_path / "deep.png"), deep / 65535.0, atol=1e-7)
    assert files.picture_kind(tmp_path / "deep.png") == ((HEIGHT, WIDTH), False, np.dtype(np.uint16))
    files.write_image(tmp_path / "shallow.png", np.zeros((HEIGHT, WIDTH, 4)))
    assert files.picture_kind(tmp_path / "shallow.png") == ((HEIGHT, WIDTH), True, np.dtype(np.uint8))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"bad\.png cannot be read as a picture"):
        files.picture_kind(tmp_path / "bad.png")


def test_truncated_pictures_are_named_when_they_are_read(tmp_path):
    write_transforms(tmp_path, ring())
    path = tmp_path / "images" / "f2.png"
    path.write_bytes(path.read_bytes()[:900])
    train, _ = datasets.load(tmp_path, DataConfig(holdout="1"))
    with pytest.raises(ValueError, match=r"f2\.png cannot be read as a picture; expected a whole PNG"):
        _ = train.images[1]


def test_spheres_hold_the_object_whatever_tells_of_it(tmp_path):
    """A ball of radius 0.3 beside the origin: its masks, and points on it with some far away."""
    rig, ball, radius = ring(12), np.array([0.1, -0.05, 0.08]), 0.3
    masks = []
    for i in range(12):
        camera = one(rig, i)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        film = np.stack([columns, rows], axis=-1)
        ways = np.concatenate([(film - camera.principal) / camera.focal, np.ones((HEIGHT, WIDTH, 1))], axis=-1)
        ways = ways @ camera.rotation.T
        ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
        masks.append(np.linalg.norm(np.cross(ways, ball - camera.position), axis=-1) < radius)
    where, size = normalisation.sphere_of_cameras(rig)
    centre, found = normalisation.sphere_of_masks(rig, np.array(masks, np.float32), where, size)
    np.testing.assert_allclose(centre, ball, atol=0.05)
    assert radius < found < 1.5 * radius
    with pytest.raises(ValueError, match=r"have nothing in common .* white on the object"):
        normalisation.sphere_of_masks(rig, np.zeros((12, HEIGHT, WIDTH), np.float32), where, size)

    directions = np.random.default_rng(0).normal(size=(300, 3))
    on_ball = ball + radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    far = 20.0 * directions[:50]
    centre, found = normalisation.sphere_of_points(np.concatenate([on_ball, far]), where, size)
    np.testing.assert_allclose(centre, ball, atol=0.06)
    assert radius < found < 1.5 * radius
    with pytest.raises(ValueError, match=r"0 of 50 points lie within .*--data\.sphere=cameras"):
        normalisation.sphere_of_points(far, where, size)


def test_spheres_that_nobody_knows_are_refused(tmp_path):
    write_transforms(tmp_path, ring())
    with pytest.raises(ValueError, match=r"data\.sphere is masks, but this data set has none; expected one of cameras"):
        datasets.load(tmp_path, DataConfig(sphere="masks"))


@pytest.mark.parametrize("form", datasets.FORMATS)
def test_what_is_written_is_read_back(tmp_path, form):
    """Pictures, cameras, alpha as masks and the split, by every format; scene space is the world of the files."""
    rig = ring()
    if form == "nerf":
        even = np.repeat(rig.focal[:, :1], 2, axis=1)
        rig = dataclasses.replace(rig, focal=even, principal=np.tile([WIDTH / 2, HEIGHT / 2], (COUNT, 1)))
    images = np.concatenate(
        [np.stack([smooth_picture(i) for i in range(COUNT)]), np.zeros((COUNT, HEIGHT, WIDTH, 1))], -1
    )
    images[..., 9:30, 9:30, 3] = 1.0
    names = [f"v{i}" for i in range(COUNT)]
    folder = tmp_path / "a b"
    datasets.FORMATS[form].write(folder, Taken(images_srgb=images, cameras=rig, names=names, test=(1, 3)))
    own_split = form in ("nerf", "transforms")
    config = DataConfig(centre=(0.0, 0.0, 0.0), radius=1.0, holdout="every 8" if own_split else "test.txt")
    found = datasets.survey(folder, config)
    train, test = datasets.load(folder, config)
    assert (found.format, train.names, test.names) == (datasets.FORMATS[form].name, ("v0", "v2", "v4"), ("v1", "v3"))
    require_same_film(train, rig, [0, 2, 4])
    inside = files.encode_srgb(train.images[1])[9:30, 9:30]
    assert np.abs(inside - smooth_picture(2)[9:30, 9:30]).max() <= 1 / 255
    np.testing.assert_allclose(train.masks[1], images[2, ..., 3])


def test_writers_refuse_what_does_not_belong_together():
    rig, images = ring(2), np.zeros((2, HEIGHT, WIDTH, 3))
    with pytest.raises(ValueError, match="2 pictures with 1 names and 2 cameras; expected as many of each"):
        Taken(images_srgb=images, cameras=rig, names=["a"])
    with pytest.raises(ValueError, match=r"shape \(36, 9\) with cameras of resolution \(36, 48\); expected the same"):
        Taken(images_srgb=images[:, :, :9], cameras=rig, names=["a", "b"])


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs are not here")
def test_every_real_set_loads():
    for name, form, count in [
        ("dtu_scan65_skull", "NeuS", 49),
        ("middlebury_dinoSparseRing", "Middlebury", 16),
        ("fox_270x480", "nerfstudio or instant-ngp", 50),
        ("nerf_mic_400", "NeRF synthetic", 125),
        ("nerf_lego_200", "NeRF synthetic", 125),
    ]:
        found = datasets.survey(DATA / name, DataConfig(downscale=4))
        assert (found.format, len(found.views)) == (form, count)
        datasets.load(DATA / name, DataConfig(downscale=4))
    assert json.loads((DATA / "fox_270x480" / "transforms.json").read_text())["k1"] != 0
