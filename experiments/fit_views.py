"""Find a shape of a learnt family from posed pictures, without masks: by pairs of pictures [D20], or by rendering them.

    python -m experiments.fit_views --prior=runs/coloured --shape="plane 40" --workdir=runs/views
    python -m experiments.fit_views --prior=runs/coloured --shape="plane 40" --gradient=velocity --workdir=runs/velocity
    python -m experiments.fit_views --prior=runs/prior --data=FOLDER --by.similarity --workdir=runs/own

With --gradient=pairs the shape is moved until pairs of pictures show the same colours at its points; any prior will do.
With --gradient=velocity, or another gradient of rendered pictures, the decoder must have learnt colours: experiments.
train_prior --network.channels=3. A shape is a member of a procedural family, best one that the prior has not learnt, or
a closed mesh, and its pictures are computed; of one's own there is a folder of posed pictures in any format that
experiments.check_data knows, in the frame of the prior up to --by.similarity. Leaves in the work directory: mesh.ply,
metrics.json with the code, and views.png: the first and the last shape before some of the pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import runs
from experiments.priors import listing, multiview, scores, store, view_figures
from experiments.priors.multiview import MethodName, MultiView, ViewsConfig
from experiments.priors.samples import Shape
from experiments.priors.store import Prior
from experiments.versions import versions
from sdfrepar import datasets, files
from sdfrepar.datasets import DataConfig
from sdfrepar.records import Views
from sdfrepar.reports import Progress


@dataclass(frozen=True)
class FitViewsConfig:
    """Everything that decides a fit, besides prior and pictures."""

    gradient: MethodName = "pairs"
    """pairs: photometric consistency of pairs of pictures [D20]; mesh: the same, of a mesh whose vertices move; others:
    how rendered pictures are differentiated."""
    family: str = ""
    """Shapes among which the fit begins, by how their names begin: plane; all if empty."""
    views: int = 8
    """Pictures of a shape."""
    resolution: int = 64
    """Of the square pictures of a shape, pixels."""
    supersampling: int = 4
    """Rays along a side of their pixels."""
    seed: int = 0
    """Of random starts."""
    mesh_resolution: int = 128
    """Grid points a side of the mesh."""
    data: DataConfig = field(default_factory=DataConfig)
    by: ViewsConfig = field(default_factory=ViewsConfig)


def main(argv: Sequence[str]) -> None:
    """Fit, then draw."""
    del argv
    given, config = flags.FLAGS, experiment_flags.read(FitViewsConfig())
    prior = store.load(Path(given.prior))
    if (given.shape is None) == (given.data is None):
        raise ValueError("Expected one of --shape and --data; name what the pictures are of, or where they are.")
    shape = listing.one(prior.config, given.shape) if given.shape else None
    views = pictures_of(config, shape, given.data)
    metrics = fit(config, prior, views, shape, Path(given.workdir))
    said = {name: getattr(given, name) for name in ("prior", "shape", "data")}
    files.write_json(Path(given.workdir) / runs.METRICS, {**said, **metrics})


def pictures_of(config: FitViewsConfig, shape: Shape | None, data: str | None) -> Views:
    """The posed pictures that flags name; those of a data set that are for training.

    Raises:
        FileNotFoundError, ValueError: a data set that cannot be read.
    """
    if shape is not None:
        return multiview.of_shape(shape, config.views, config.resolution, config.supersampling)
    return datasets.load(Path(data or ""), config.data)[0]


def fit(config: FitViewsConfig, prior: Prior, views: Views, shape: Shape | None, workdir: Path) -> dict[str, Any]:
    """The mesh and the picture; returns the metrics.

    Raises:
        RunError: the loss is not finite, or nothing is decoded.
    """
    method = MultiView(config.by, prior)
    with Progress(method.steps(config.gradient)) as progress:
        found = method.found(config.gradient, views, config.family, config.seed, progress.update)
    start = method.start(views, config.family, config.seed)
    first = method.mesh_of(start, config.family, config.mesh_resolution)
    last = method.mesh(found, config.family, config.mesh_resolution)
    files.write_mesh(workdir / "mesh.ply", last.vertices, last.faces)
    shown = {name: (mesh.vertices, mesh.faces) for name, mesh in (("start", first), (config.gradient, last))}
    files.write_image(workdir / "views.png", view_figures.row(views, shape, shown))
    chamfer = None
    if shape is not None:
        truth = scores.true_points(shape)
        chamfer = scores.chamfer_of(last, truth)
        print(f"Chamfer distance {chamfer:.3g}, squared; at the start {scores.chamfer_of(first, truth):.3g}.")
    return {
        "config": experiment_flags.to_json(config),
        "pictures": len(views),
        "chamfer": chamfer,
        "code": None if found.code is None else np.asarray(found.code).tolist(),
        "device": jax.devices()[0].device_kind,
        "versions": versions(),
    }


if __name__ == "__main__":
    flags.DEFINE_string("prior", None, "workdir of experiments.train_prior", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    flags.DEFINE_string("shape", None, "a family's member like 'plane 40', or a file of a closed mesh")
    flags.DEFINE_string("data", None, "folder of posed pictures")
    experiment_flags.define(FitViewsConfig())
    experiment_flags.run(main)
