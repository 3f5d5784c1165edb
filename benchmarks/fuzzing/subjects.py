"""What is fuzzed: a small sound set of files of every format that is read, and what reads it as the programs do."""

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as imageio
import jax
import numpy as np
import png
import trimesh
from absl import flags as absl_flags
from PIL import Image

from benchmarks.fuzzing.files import FileSet, taken_from
from experiments import fit_scans, flags, run_logs, run_report, runs, view_scores
from experiments.flag_files import parsed
from experiments.outcome import read_truth
from experiments.presets import PRESETS
from experiments.priors import folder as mesh_folder
from experiments.priors import published, samples, scans, store
from sdfrepar import cameras, datasets, files
from sdfrepar.datasets import FORMATS, DataConfig, Taken, colmap
from sdfrepar.datasets.opengl import opengl_poses
from sdfrepar.records import Camera
from tests import torch_saving, written

_SIZE, _COUNT = (12, 16), 4


class Subject(NamedTuple):
    """A format."""

    make: Callable[[], FileSet]
    """Its sound set."""
    read: Callable[[Path], Any]
    """Reads the folder of a set as far as the programs do."""
    main: tuple[str, ...] = ()
    """The files that say how the others are to be read."""


# ---- Data sets


@cache
def ring() -> Camera:
    """A few cameras around the origin."""
    angles = 2 * np.pi * np.arange(_COUNT) / _COUNT
    eyes = np.stack([3.0 * np.cos(angles), np.full(_COUNT, 1.0), 3.0 * np.sin(angles)], axis=1).astype(np.float32)
    up = np.array([0.0, 1.0, 0.0], np.float32)
    posts = [cameras.look_at(eye, np.zeros(3), up, field_of_view=0.9, resolution=_SIZE) for eye in eyes]
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *posts)


def _taken(channels: int = 3) -> Taken:
    pixels = np.random.default_rng(0).random((_COUNT, *_SIZE, channels))
    return Taken(images_srgb=pixels, cameras=ring(), names=[f"v{i}" for i in range(_COUNT)], test=[1])


def _of_format(name: str, channels: int = 3) -> Callable[[], FileSet]:
    return _made(lambda folder: FORMATS[name].write(folder, _taken(channels)))


def _made(write: Callable[[Path], object]) -> Callable[[], FileSet]:
    """A set from what writes it into a folder."""

    def make() -> FileSet:
        with tempfile.TemporaryDirectory() as temporary:
            write(Path(temporary) / "set")
            return taken_from(Path(temporary) / "set")

    return make


def _with_lenses(folder: Path) -> None:
    taken = _taken()
    taken.write_pictures(folder / "images")
    frames = [
        {
            "file_path": f"images/{name}.png",
            "mask_path": f"images/{name}.png",
            "transform_matrix": pose.tolist(),
            "k1": 0.02,
        }
        for name, pose in zip(taken.names, opengl_poses(taken.cameras), strict=True)
    ]
    points = np.random.default_rng(1).normal(size=(40, 3)) * 0.3
    files.write_bytes(folder / "points.ply", trimesh.PointCloud(points).export(file_type="ply"))
    height, width = _SIZE
    content = {
        **{"camera_model": "OPENCV", "w": width, "h": height, "camera_angle_x": 0.9, "k2": 0.001, "p1": 0.0003},
        **{"ply_file_path": "points.ply", "test_filenames": ["images/v1.png"], "frames": frames},
    }
    files.write_json(folder / "transforms.json", content)


def _colmap_text(folder: Path) -> None:
    colmap.write(folder, _taken())
    place = folder / "sparse" / "0"
    model = colmap._pycolmap().Reconstruction(str(place))
    for path in place.iterdir():
        path.unlink()
    model.write_text(str(place))


def _load(folder: Path) -> None:
    """The views, and every picture and mask of them."""
    for views in datasets.load(folder, DataConfig()):
        for i in range(len(views)):
            views.images[i]
            if views.masks is not None:
                views.masks[i]


def _held_out(folder: Path) -> None:
    datasets.load(folder, DataConfig(holdout="test.txt"))


# ---- Scans


def _scan(folder: Path) -> None:
    depth = np.full(_SIZE, 2000, np.uint16)
    folder.mkdir(parents=True)
    imageio.imwrite(folder / "depth.png", depth)
    imageio.imwrite(folder / "mask.png", np.full(_SIZE, 255, np.uint8))
    points = np.random.default_rng(2).uniform(-0.2, 0.2, (30, 3)) + np.array([0, 0, 2.0])
    files.write_bytes(folder / "points.ply", trimesh.PointCloud(points).export(file_type="ply"))
    intrinsics = {"width": _SIZE[1], "height": _SIZE[0], "fx": 20.0, "fy": 20.0, "cx": 7.5, "cy": 5.5}
    files.write_json(folder / "camera.json", {**intrinsics, "scene_from_camera": np.eye(4).tolist()})


def _read_depth(folder: Path) -> None:
    scans.from_depth(folder / "depth.png", folder / "camera.json", folder / "mask.png", 0.001, 8)


def _read_seen_points(folder: Path) -> None:
    scans.from_points(folder / "points.ply", folder / "camera.json", 16)


def _ranges(folder: Path) -> None:
    folder.mkdir(parents=True)
    points = np.random.default_rng(3).normal(size=(20, 3))
    np.savez(folder / "a.npz", points=points, translation=np.zeros(3), quaternion_xyzw=np.array([0, 0, 0, 1.0]))
    files.write_bytes(folder / "b.ply", trimesh.PointCloud(points).export(file_type="ply", encoding="ascii"))
    (folder / "poses.conf").write_text("camera 1 2 3 0 0 0 1\nbmesh b.ply 10 0 0 0 0 0.5 0.5\n")
    files.write_json(folder / "poses.json", {"b": np.eye(4).tolist()})


def _read_ranges(folder: Path) -> None:
    for poses in ("poses.conf", "poses.json"):
        fit_scans.read([folder / "a.npz", folder / "b.ply"], folder / poses)


# ---- Runs


def _run(folder: Path) -> None:
    written.run_folder(folder, views=written.NAMES[:1], has_mesh=False)
    ball = trimesh.creation.icosphere(subdivisions=1)
    files.write_mesh(folder / run_report.MESH, ball.vertices, ball.faces)
    lines = [f"--data={folder}", *flags.to_lines(written.CONFIG)]
    (folder / runs.FLAGS).write_text("\n".join(lines) + "\n")


def _read_run(folder: Path) -> None:
    runs.read_config(folder)
    run_report.write(folder, [], folder)


def _read_log(folder: Path) -> None:
    run_logs.cut(folder / runs.LOG, 100)
    runs.read_config(folder)
    runs.finished(written.CONFIG, Path("data"), folder)


def _read_flags(folder: Path) -> None:
    """As the launchers do; absl says itself what is wrong with a flag."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_string("data", None, "", flag_values=values)
    absl_flags.DEFINE_string("flagfile", None, "", flag_values=values)
    flags.define(PRESETS["quick"], flag_values=values)
    parsed(["program", f"--flagfile={folder / runs.FLAGS}"], values)
    flags.read(PRESETS["quick"], values)


def _prior(folder: Path) -> None:
    store.write_config(folder, store.PriorConfig(), ("mug 0", "mug 1"))


def _read_prior(folder: Path) -> None:
    store.read_config(folder)


# ---- Meshes and points


def _meshes(folder: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=1)
    colours = 0.5 + 0.5 * ball.vertices
    for suffix in ("ply", "glb", "stl"):
        files.write_mesh(folder / f"a.{suffix}", ball.vertices, ball.faces, None if suffix == "stl" else colours)
    files.write_bytes(folder / "text.ply", ball.export(file_type="ply", encoding="ascii"))
    obj = b"mtllib a.mtl\nusemtl m\n" + ball.export(file_type="obj", include_texture=False).encode()
    files.write_bytes(folder / "a.obj", obj)
    files.write_bytes(folder / "a.mtl", b"newmtl m\nKd 1 0 0\nmap_Kd a.png\n")
    files.write_image(folder / "a.png", np.zeros((4, 4, 3)))
    np.savez(folder / "a.npz", v=ball.vertices, f=ball.faces, c=np.full((len(ball.vertices), 3), 200))
    files.write_json(folder / "rotations.json", {"a": np.eye(3).tolist()})


def _read_meshes(folder: Path) -> None:
    for name in ("a.ply", "a.obj", "a.stl", "a.glb", "text.ply"):
        vertices, faces, _ = files.read_coloured_mesh(folder / name)
        vertices[faces]


def _read_mesh_folder(folder: Path) -> None:
    mesh_folder.read(folder / "a.npz", 0.9, "y")


def _points(folder: Path) -> None:
    cloud = trimesh.PointCloud(np.random.default_rng(4).normal(size=(9, 3)))
    for name, encoding in (("binary.ply", "binary"), ("text.ply", "ascii")):
        files.write_bytes(folder / name, cloud.export(file_type="ply", encoding=encoding))


def _read_points(folder: Path) -> None:
    for name in ("binary.ply", "text.ply"):
        files.read_points(folder / name)


# ---- Pictures


def _pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    codes = np.random.default_rng(5).integers(0, 256, (*_SIZE, 4), np.uint8)
    for name, pixels in (("grey", codes[..., 0]), ("colour", codes[..., :3]), ("alpha", codes)):
        imageio.imwrite(folder / f"{name}.png", pixels)
    Image.fromarray(codes[..., :3]).quantize(8).save(folder / "palette.png")
    Image.fromarray(codes[..., 0] > 128).save(folder / "bits.png")
    Image.fromarray(codes[..., :3]).save(folder / "colour.jpg")
    deep = codes.astype(np.uint16) * 257
    for name, mode, pixels in (("deep", "RGB", deep[..., :3]), ("deep_grey", "L", deep[..., :1])):
        rows = pixels.reshape(_SIZE[0], -1)
        with (folder / f"{name}.png").open("wb") as file:
            png.Writer(_SIZE[1], _SIZE[0], bitdepth=16, greyscale=mode == "L").write(file, rows)


def _read_pictures(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        files.picture_kind(path)
        files.read_image(path)


# ---- Weights and arrays


def _decoder() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    sizes = [(8, 7), (8, 8), (1, 8)]
    arrays = {f"lin{n}.weight": rng.normal(size=size).astype(np.float32) for n, size in enumerate(sizes)}
    return arrays | {f"lin{n}.bias": np.zeros(size[0], np.float32) for n, size in enumerate(sizes)}


def _saved(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        name: torch_saving.Tensor(torch_saving.Storage(array, key=str(i)), array.shape)
        for i, (name, array) in enumerate(arrays.items())
    }


def _safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    header, data = {}, b""
    for name, array in arrays.items():
        ends = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": ends}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _weights() -> FileSet:
    codes = {"codes": np.zeros((3, 4), np.float32)}
    npz = io.BytesIO()
    np.savez(npz, **(_decoder() | codes))
    return FileSet(
        {
            "legacy.pth": torch_saving.legacy(_saved(_decoder() | codes)),
            "archive.pth": torch_saving.archive(_saved(_decoder() | codes)),
            "weights.npz": npz.getvalue(),
            "weights.safetensors": _safetensors(_decoder() | codes),
        }
    )


def _read_weights(folder: Path) -> None:
    for name in ("legacy.pth", "archive.pth", "weights.npz", "weights.safetensors"):
        published.load(folder / name, folder / name)


def _arrays(folder: Path) -> None:
    folder.mkdir(parents=True)
    np.savez(folder / "truth.npz", occupancy=np.packbits(np.ones(8**3, bool)), resolution=8, surface_points=np.eye(3))
    maps = {"depth": np.ones((2, *_SIZE)), "normal": np.ones((2, *_SIZE, 3)), "mask": np.ones((2, *_SIZE))}
    np.savez(folder / "truth_views.npz", **maps)
    numbers = {"points": np.zeros((1, 5, 3)), "distances": np.zeros((1, 5)), "colours": np.zeros((1, 5, 0))}
    np.savez(folder / "samples.npz", about="these", **numbers)


def _read_arrays(folder: Path) -> None:
    read_truth(folder / "truth.npz")
    view_scores.read_exact(folder / "truth_views.npz")
    samples.kept(folder / "samples.npz", "these", _none_made)


def _none_made() -> Any:
    """What would be sampled where the file is of others."""
    return samples.Samples(np.zeros((1, 5, 3)), np.zeros((1, 5)), np.zeros((1, 5, 0)))


SUBJECTS: dict[str, Subject] = {
    "NeRF synthetic": Subject(_of_format("nerf", 4), _load, ("transforms_train.json", "transforms_test.json")),
    "transforms.json": Subject(_of_format("transforms"), _load, ("transforms.json",)),
    "transforms.json, lenses": Subject(_made(_with_lenses), _load, ("transforms.json",)),
    "NeuS": Subject(_of_format("neus"), _load, ("cameras_sphere.npz",)),
    "IDR": Subject(_of_format("idr", 4), _load, ("cameras.npz",)),
    "COLMAP, binary": Subject(
        _of_format("colmap"), _load, tuple(f"sparse/0/{name}.bin" for name in ("cameras", "images", "points3D"))
    ),
    "COLMAP, text": Subject(
        _made(_colmap_text), _load, tuple(f"sparse/0/{name}.txt" for name in ("cameras", "images", "points3D"))
    ),
    "MVSNet": Subject(_of_format("mvsnet"), _load, ("cams/v0_cam.txt", "cams/v1_cam.txt")),
    "Middlebury": Subject(_of_format("middlebury"), _load, ("set_par.txt",)),
    "held-out names": Subject(_of_format("mvsnet"), _held_out, ("test.txt",)),
    "depth and camera": Subject(_made(_scan), _read_depth, ("camera.json", "depth.png")),
    "points and camera": Subject(_made(_scan), _read_seen_points, ("camera.json", "points.ply")),
    "range scans": Subject(_made(_ranges), _read_ranges),
    "report of a run": Subject(_made(_run), _read_run, (runs.CONFIG, runs.LOG, runs.METRICS)),
    "log of a run": Subject(_made(_run), _read_log, (runs.CONFIG, runs.LOG, runs.METRICS)),
    "flags of a run": Subject(_made(_run), _read_flags, (runs.FLAGS,)),
    "prior": Subject(_made(_prior), _read_prior),
    "meshes": Subject(_made(_meshes), _read_meshes),
    "meshes of a folder": Subject(_made(_meshes), _read_mesh_folder, ("a.npz", "rotations.json")),
    "points": Subject(_made(_points), _read_points),
    "pictures": Subject(_made(_pictures), _read_pictures),
    "weights": Subject(_weights, _read_weights),
    "arrays": Subject(_made(_arrays), _read_arrays),
}
