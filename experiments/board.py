"""What a run tells TensorBoard, if it is asked to: scalars, held-out pictures and the mesh. Needs tensorboardX."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sdfrepar import files

FOLDER = "tensorboard"
"""In the work directory."""


class Board:
    """Writes one file of events."""

    def __init__(self, workdir: Path, step: int):
        """Of the run in `workdir`, which goes on after `step`; what was told of later steps is hidden.

        Raises:
            ImportError: tensorboardX is missing.
        """
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "--tensorboard needs tensorboardX, which is not installed: pip install 'sdfrepar[tensorboard]'."
            ) from error
        self._writer = SummaryWriter(str(workdir / FOLDER), purge_step=step + 1)

    def scalars(self, step: int, metrics: Mapping[str, float]) -> None:
        """The metrics of a step."""
        for name, value in metrics.items():
            self._writer.add_scalar(name if "/" in name else f"step/{name}", value, step)
        self._writer.flush()

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """A picture (H, W, 3), sRGB in [0, 1]."""
        self._writer.add_image(name, files.as_bytes(picture), step, dataformats="HWC")
        self._writer.flush()

    def mesh(self, step: int, vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> None:
        """A mesh: vertices (V, 3), faces (F, 3), colours (V, 3), sRGB in [0, 1]."""
        self._writer.add_mesh("mesh", vertices[None], files.as_bytes(colours)[None], faces[None], global_step=step)
        self._writer.flush()
