"""Pictures of shapes that were found from pictures: the pictures, and before them the truth and what was found."""

from collections.abc import Mapping

import jax
import numpy as np

from experiments.panels import grid, labelled
from experiments.priors import completion_figures, pictures, samples
from experiments.priors.samples import Shape
from sdfrepar import files
from sdfrepar.records import Views

_RESOLUTION, _SHOWN = 128, 2


def row(views: Views, shape: Shape | None, found: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Some of the pictures, and from their cameras the normals of the truth, where it is known, and of meshes by name,
    vertices (V, 3) and faces (F, 3); (H, W, 3) sRGB, a row for each picture.
    """
    rows = []
    for number in np.linspace(0, len(views) - 1, min(_SHOWN, len(views))).astype(int):
        camera = completion_figures.square(jax.tree.map(lambda leaf, number=number: leaf[number], views.cameras))
        shown = [labelled(files.encode_srgb(np.asarray(views.images[number])), views.names[number], _RESOLUTION)]
        if shape is not None:
            shown.append(labelled(pictures.true(shape, camera), "truth", _RESOLUTION))
        for name, mesh in found.items():
            shown.append(labelled(pictures.true(samples.of_mesh(*mesh), camera), name, _RESOLUTION))
        rows.append(shown)
    return grid([list(column) for column in zip(*rows, strict=True)])
