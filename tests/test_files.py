"""The disk edge: what is written comes back, and what cannot be read is said in a sentence."""

import json

import imageio.v3 as imageio
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from sdfrepar import files

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)


def test_srgb_curves_are_inverse_and_meet_known_values():
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(files.decode_srgb(files.encode_srgb(x)), x, atol=1e-6)
    np.testing.assert_allclose(files.encode_srgb(np.array([0.0, 0.2158605, 1.0])), [0, 128 / 255, 1], atol=1e-5)
    assert files.encode_srgb(np.float32(0.5)).dtype == np.float32


@pytest.mark.parametrize("channels", [3, 4])
def test_image_round_trip_rounds_to_the_nearest_level(tmp_path, channels):
    image = np.random.default_rng(0).random((6, 8, channels)).astype(np.float32)
    files.write_image(tmp_path / "new" / "a.png", image)
    read = files.read_image(tmp_path / "new" / "a.png")
    assert read.dtype == np.float32
    assert read.shape == image.shape
    assert np.abs(read - image).max() <= 0.5 / 255 + 1e-6


def test_write_image_clips(tmp_path):
    files.write_image(tmp_path / "a.png", np.full((6, 8, 3), [-1.0, 0.5, 2.0]))
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png")[0, 0], [0, 128 / 255, 1], atol=1e-6)


def test_grey_pictures_of_8_and_16_bits_get_three_channels(tmp_path):
    imageio.imwrite(tmp_path / "deep.png", np.full((6, 8), 12345, np.uint16))
    imageio.imwrite(tmp_path / "grey.png", np.full((6, 8), 100, np.uint8))
    deep, grey = files.read_image(tmp_path / "deep.png"), files.read_image(tmp_path / "grey.png")
    assert deep.shape == grey.shape == (6, 8, 3)
    np.testing.assert_allclose(deep, 12345 / 65535, atol=1e-6)
    np.testing.assert_allclose(grey, 100 / 255, atol=1e-6)


def test_grey_with_alpha_keeps_its_alpha(tmp_path):
    imageio.imwrite(tmp_path / "a.png", np.full((6, 8, 2), [51, 102], np.uint8))
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png")[0, 0], [0.2, 0.2, 0.2, 0.4], atol=1e-6)


def test_read_image_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.png; check the path"):
        files.read_image(tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"bad\.png cannot be read as a picture; expected a whole PNG or JPEG"):
        files.read_image(tmp_path / "bad.png")
    imageio.imwrite(tmp_path / "film.gif", np.random.default_rng(0).integers(0, 255, (2, 6, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"film\.gif holds an array of shape .* expected one still picture"):
        files.read_image(tmp_path / "film.gif")
    imageio.imwrite(tmp_path / "float.tiff", np.zeros((6, 8), np.float32))
    with pytest.raises(ValueError, match=r"float\.tiff stores its pixels as float32; expected 8 or 16 bits"):
        files.read_image(tmp_path / "float.tiff")


def test_write_image_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"end the name in \.png"):
        files.write_image(tmp_path / "a.jpg", np.zeros((6, 8, 3)))
    with pytest.raises(ValueError, match=r"shape \(6, 8\); expected \(H, W, 3\)"):
        files.write_image(tmp_path / "a.png", np.zeros((6, 8)))
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        files.write_image(tmp_path / "a.png", np.full((6, 8, 3), np.nan))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb"])
def test_mesh_round_trip(tmp_path, suffix):
    colours = np.array([[0, 0, 0], [1, 0, 0], [0, 0.5, 0], [0, 0, 1]])
    path = tmp_path / "new" / f"mesh{suffix}"
    files.write_mesh(path, VERTICES, FACES, colours)
    vertices, faces = files.read_mesh(path)
    assert (vertices.dtype, faces.dtype) == (np.float32, np.int32)
    np.testing.assert_allclose(vertices, VERTICES, atol=1e-6)
    np.testing.assert_array_equal(faces, FACES)
    stored = trimesh.load_mesh(path, process=False)
    np.testing.assert_array_equal(stored.visual.vertex_colors[:, :3], np.round(colours * 255))


def test_mesh_normals_are_the_given_ones(tmp_path):
    normals = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, -1]], float)
    for suffix in (".ply", ".obj", ".glb"):
        files.write_mesh(tmp_path / f"a{suffix}", VERTICES, FACES, normals=normals)
    # trimesh recomputes normals when it reads, so the files are read by hand.
    raw = trimesh.load_mesh(tmp_path / "a.ply", process=False).metadata["_ply_raw"]["vertex"]["data"]
    np.testing.assert_allclose(np.stack([raw["nx"], raw["ny"], raw["nz"]], axis=1), normals)
    lines = [line.split() for line in (tmp_path / "a.obj").read_text().splitlines()]
    np.testing.assert_allclose([[float(v) for v in line[1:]] for line in lines if line[:1] == ["vn"]], normals)
    assert normals.astype("<f4").tobytes() in (tmp_path / "a.glb").read_bytes()


def test_stl_holds_the_triangles(tmp_path):
    files.write_mesh(tmp_path / "a.stl", VERTICES, FACES, colours=np.zeros((4, 3)), normals=np.ones((4, 3)))
    vertices, faces = files.read_mesh(tmp_path / "a.stl")
    np.testing.assert_allclose(vertices[faces], VERTICES[FACES], atol=1e-6)


def test_mesh_without_colours_or_normals(tmp_path):
    files.write_mesh(tmp_path / "a.ply", VERTICES, FACES)
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header")[0]
    assert b"red" not in header
    assert b"nx" not in header


def test_write_mesh_says_what_is_wrong(tmp_path):
    path = tmp_path / "a.ply"
    with pytest.raises(ValueError, match=r"a\.off has no known mesh format; end the name in one of \.ply"):
        files.write_mesh(tmp_path / "a.off", VERTICES, FACES)
    with pytest.raises(ValueError, match=r"vertices \(4, 2\) and faces \(4, 3\); expected \(V, 3\)"):
        files.write_mesh(path, VERTICES[:, :2], FACES)
    with pytest.raises(ValueError, match="the mesh has no faces; check that the surface was not lost"):
        files.write_mesh(path, VERTICES, FACES[:0])
    with pytest.raises(ValueError, match="faces name vertices 1 to 4; expected indices from 0 to 3"):
        files.write_mesh(path, VERTICES, FACES + 1)
    with pytest.raises(ValueError, match=r"colours of shape \(3,\); expected \(4, 3\)"):
        files.write_mesh(path, VERTICES, FACES, colours=np.zeros(3))
    with pytest.raises(ValueError, match=r"normals of shape \(3,\); expected \(4, 3\)"):
        files.write_mesh(path, VERTICES, FACES, normals=np.zeros(3))


def test_read_mesh_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        files.read_mesh(tmp_path / "none.ply")
    (tmp_path / "bad.ply").write_bytes(b"no mesh")
    with pytest.raises(ValueError, match=r"bad\.ply cannot be read as a mesh"):
        files.read_mesh(tmp_path / "bad.ply")
    trimesh.PointCloud(VERTICES).export(tmp_path / "points.ply")
    with pytest.raises(ValueError, match=r"points\.ply (holds no triangles|cannot be read as a mesh)"):
        files.read_mesh(tmp_path / "points.ply")


@pytest.mark.parametrize("encoding", ["binary", "ascii"])
def test_points_of_a_ply_are_read(tmp_path, encoding):
    path = tmp_path / "points.ply"
    path.write_bytes(trimesh.PointCloud(VERTICES).export(file_type="ply", encoding=encoding))
    np.testing.assert_allclose(files.read_points(path), VERTICES, atol=1e-6)
    files.write_mesh(path, VERTICES, FACES)
    np.testing.assert_allclose(files.read_points(path), VERTICES, atol=1e-6)


def test_read_points_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        files.read_points(tmp_path / "none.ply")
    path = tmp_path / "points.ply"
    whole = trimesh.PointCloud(VERTICES).export(file_type="ply")
    for broken in (b"no points", whole[:-5], whole[:40], b""):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"points\.ply cannot be read as points .*; expected a whole PLY file"):
            files.read_points(path)
    coordinates = "".join(f"property float {axis}\n" for axis in "xyz")
    path.write_text(f"ply\nformat ascii 1.0\nelement vertex 0\n{coordinates}end_header\n")
    with pytest.raises(ValueError, match=r"points\.ply holds no points; expected a PLY file with x, y and z"):
        files.read_points(path)


def test_json_holds_arrays_and_turns_what_is_not_finite_into_null(tmp_path):
    record = {"a": np.float32(1.5), "b": np.arange(3), "c": [np.nan, np.inf, 1.0], "d": jnp.float32(2), 5: (True, None)}
    files.write_json(tmp_path / "new" / "a.json", record | {"path": tmp_path})
    text = (tmp_path / "new" / "a.json").read_text()
    assert '\n  "a": 1.5' in text
    expected = {"a": 1.5, "b": [0, 1, 2], "c": [None, None, 1.0], "d": 2.0, "5": [True, None], "path": str(tmp_path)}
    assert files.read_json(tmp_path / "new" / "a.json") == expected


def test_json_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        files.read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json is not valid JSON .* mend it"):
        files.read_json(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="Cannot write a set as JSON"):
        files.write_json(tmp_path / "a.json", {1})


def test_json_lines_outlive_a_killed_run(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    files.append_json_line(path, {"step": 0, "loss": np.float32(np.nan)})
    files.append_json_line(path, {"step": 1})
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    assert files.read_json_lines(path) == [{"step": 0, "loss": None}, {"step": 1}]
    files.append_json_line(path, {"step": 3})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 1, 3]


def test_json_lines_written_at_once_can_be_appended_to(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    files.write_json_lines(path, [{"step": 1, "loss": 0.1}, {"step": 2, "loss": np.inf}])
    files.append_json_line(path, {"step": 3})
    assert files.read_json_lines(path) == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": None}, {"step": 3}]


def test_json_lines_keep_a_whole_record_that_lacks_its_line_end(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 0}')
    files.append_json_line(path, {"step": 1})
    assert files.read_json_lines(path) == [{"step": 0}, {"step": 1}]


def test_json_lines_say_what_is_wrong(tmp_path):
    path = tmp_path / "log.jsonl"
    with pytest.raises(FileNotFoundError, match="There is no file"):
        files.read_json_lines(path)
    path.write_text('{"step": 0}\n\nbroken\n{"step": 2}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 3, is not JSON"):
        files.read_json_lines(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
