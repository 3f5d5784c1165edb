"""What was found about a data set, as a page, a picture and a model of the cameras."""

from pathlib import Path

import jax
import numpy as np
from skimage.draw import line

from experiments import frustums, pages
from sdfrepar import cameras, files
from sdfrepar.datasets import Survey
from sdfrepar.datasets.lenses import PINHOLE
from sdfrepar.doctor import Examination
from sdfrepar.records import Camera, Views

_SHOWN = 12
_COLUMNS = 4
_WIDTH = 320
_AXES = np.array([[1.0, 0.2, 0.2], [0.2, 0.8, 0.2], [0.3, 0.4, 1.0]])
_SPHERE = np.array([1.0, 0.85, 0.1])

# Rows and columns that a line's points cover: the pictures are shown smaller than they are.
_PEN = (0, 0, 1, 1), (0, 1, 0, 1)


def write(survey: Survey, found: Examination, data: Path, output: Path) -> None:
    """Write report.html, overlay.png and cameras.ply into `output`."""
    picture = overlay(survey.views)
    files.write_image(output / "overlay.png", picture)
    write_cameras(output / "cameras.ply", survey.views)
    files.write_bytes(output / "report.html", _page(survey, found, data, picture))


def lens_of(survey: Survey) -> str:
    """The kind of lens, in words."""
    lenses = survey.listing.lenses
    if lenses is None or all(lens == PINHOLE for lens in lenses):
        return "pinhole cameras"
    kinds = {type(lens).__name__ if lens != PINHOLE else "pinhole" for lens in lenses}
    return f"lenses whose distortion is taken out ({', '.join(sorted(kinds))})"


def overlay(views: Views) -> np.ndarray:
    """Some pictures, side by side, with the outline of the unit sphere and the axes of the scene: (H, W, 3), sRGB."""
    some = np.unique(np.linspace(0, len(views) - 1, min(_SHOWN, len(views))).round().astype(int))
    tiles = [_drawn_over(views, int(i)) for i in some]
    blank = np.ones_like(tiles[0])
    rows = [tiles[k : k + _COLUMNS] for k in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(
        [np.concatenate([*row, *[blank] * (min(_COLUMNS, len(tiles)) - len(row))], axis=1) for row in rows]
    )


def write_cameras(path: Path, views: Views) -> None:
    """The cameras as pyramids, and the unit sphere, as a mesh in the world frame."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=2)
    vertices, faces, colours = [np.asarray(ball.vertices)], [np.asarray(ball.faces)], [np.tile(_SPHERE, (162, 1))]
    count = len(ball.vertices)
    for pyramid in frustums.of_rig(views.cameras):
        vertices.append(pyramid)
        faces.append(count + np.array([[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4]]))
        colours.append(np.tile([0.2, 0.4, 0.9], (5, 1)))
        count += 5
    world = frustums.in_world(np.concatenate(vertices), views.world_from_scene)
    files.write_mesh(path, world, np.concatenate(faces), np.concatenate(colours))


def _camera(views: Views, index: int) -> Camera:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64)[index], views.cameras)


def _drawn_over(views: Views, index: int) -> np.ndarray:
    """A picture (H', W', 3), sRGB, with the sphere's outline and the axes."""
    picture = files.encode_srgb(views.images[index])
    step = max(picture.shape[1] // _WIDTH, 1)
    picture, camera = picture[::step, ::step].copy(), _camera(views, index)
    for ends, colour in [*_axes(), *_outline(camera)]:
        film, depth = zip(*(cameras.project(camera, end) for end in ends), strict=True)
        if min(depth) > 0:
            _stroke(picture, np.array(film) / step, colour)
    return picture.astype(np.float32)


def _axes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.stack([np.zeros(3), way]), colour) for way, colour in zip(np.eye(3), _AXES, strict=True)]


def _outline(camera: Camera) -> list[tuple[np.ndarray, np.ndarray]]:
    """The circle in which the rays from a camera touch the unit sphere, in short pieces; none from inside it."""
    distance = float(np.linalg.norm(camera.position))
    if distance <= 1.0:
        return []
    to_camera = np.asarray(camera.position) / distance
    across = np.linalg.svd(to_camera[None])[2][1:]
    angle = np.linspace(0.0, 2.0 * np.pi, 65)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ across * np.sqrt(1.0 - distance**-2)
    circle += to_camera / distance
    return [(circle[k : k + 2], _SPHERE) for k in range(64)]


def _stroke(picture: np.ndarray, ends: np.ndarray, colour: np.ndarray) -> None:
    """A line between two film positions, where it is in the picture."""
    if not (np.abs(ends) < 1e4).all():
        return
    (x0, y0), (x1, y1) = np.floor(ends).astype(int)
    rows, columns = (np.add.outer(by, along) for by, along in zip(_PEN, line(y0, x0, y1, x1), strict=True))
    inside = (rows >= 0) & (rows < picture.shape[0]) & (columns >= 0) & (columns < picture.shape[1])
    picture[rows[inside], columns[inside]] = colour


def _page(survey: Survey, found: Examination, data: Path, picture: np.ndarray) -> bytes:
    views = survey.views
    height, width = views.cameras.resolution
    fault = found.fault
    verdict = "Nothing wrong was found." if fault is None else f"Not sound: {fault.sentence}."
    rows = [
        ("format", survey.format),
        ("pictures", f"{len(views)} of {width} x {height} pixels, {len(survey.test)} held out"),
        ("cameras", lens_of(survey)),
        *((finding.about, finding.sentence) for finding in found.findings),
    ]
    words = "The outline of the unit sphere, and the axes of the scene from its centre: x red, y green, z blue."
    return pages.page(
        str(data),
        "sdfrepar · data set",
        pages.verdict(verdict, "good" if fault is None else "bad"),
        pages.facts(rows),
        pages.element("p", words),
        pages.picture(picture, "pictures with the unit sphere", widest=_COLUMNS * _WIDTH * 2),
    )
