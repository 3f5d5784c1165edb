"""A decoder that was trained, with the codes of its shapes, in its work directory.

prior = store.load(Path("runs/prior"))
prior.decoder.distance(prior.params("mug 3"), x)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from experiments import flags
from experiments.runs import CHECKPOINTS, CONFIG, config_of
from sdfrepar import checkpoints, files, fitting
from sdfrepar.fitting import CodesConfig, FitState
from sdfrepar.networks import DecoderConfig, Spread, decoder, spread_of
from sdfrepar.observing import Subject

_NAMES = "names"

# What may change when a run goes on: what is written when. The rest decides its parameters.
_FREE = ("log_every", "checkpoint_every", "mesh_resolution")


@dataclass(frozen=True)
class PriorConfig:
    """Everything that decides a prior, besides the meshes."""

    seed: int = 0
    families: tuple[str, ...] = ("plane:40", "mug:40", "table:40")
    """Procedural families, and how many members of each: plane, mug, table."""
    radius: float = 0.9
    """How far meshes reach out from the centre of their box, scene units."""
    up: Literal["y", "z"] = "y"
    """Which axis of the meshes is up, once they are turned as their folder's rotations.json says; it becomes y."""
    held_out: tuple[str, ...] = ()
    """Meshes that are not learnt, by their files' names without suffix: for `experiments.fit_code` to be tried on."""
    variants: int = 0
    """Of each mesh, that are learnt as well: stretched along the axes at random, for families of a few meshes."""
    samples: int = 50_000
    """Distances sampled of each shape."""
    log_every: int = 25
    """Steps between two lines of metrics.jsonl."""
    checkpoint_every: float = 60.0
    """Seconds between two checkpoints."""
    mesh_resolution: int = 128
    """Grid points a side for the meshes that are compared with the true ones."""
    network: DecoderConfig = field(
        default_factory=lambda: DecoderConfig(latent=32, width=192, depth=6, skip=3, activation="softplus")
    )
    fit: CodesConfig = field(default_factory=CodesConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.samples < 1:
            raise ValueError(f"samples is {self.samples}; a shape needs some tens of thousands.")
        if self.network.channels not in (0, 3):
            raise ValueError(f"network.channels is {self.network.channels}; a prior learns colours, 3, or none, 0.")
        if not 0 < self.radius <= 1:
            raise ValueError(f"radius is {self.radius} scene units; shapes must lie in the unit sphere.")


@dataclass(frozen=True, eq=False)
class Prior:
    """A family of shapes that was learnt."""

    config: PriorConfig
    names: tuple[str, ...]
    network: Any
    codes: np.ndarray  # (S, latent)
    step: int

    @cached_property
    def decoder(self) -> Subject:
        """Its functions, the same at every call, so that what is compiled of them is too."""
        return decoder(self.config.network)

    def params(self, code: str | np.ndarray | jax.Array) -> dict[str, Any]:
        """The decoder's params for a code (latent,), or for the shape of that name.

        Raises:
            ValueError: there is no shape of that name.
        """
        if isinstance(code, str):
            if code not in self.names:
                raise ValueError(f"The prior has no shape {code!r}, expected one of {', '.join(self.names)}.")
            code = self.codes[self.names.index(code)]
        return {"network": self.network, "code": jax.numpy.asarray(code)}

    def mean_code(self, family: str = "") -> np.ndarray:
        """The mean (latent,) of the codes of all shapes, or of those whose names begin so.

        Raises:
            ValueError: there is no such shape.
        """
        return self.codes_of(family).mean(axis=0)

    def spread(self, family: str = "") -> Spread:
        """Where these codes lie.

        Raises:
            ValueError: there is no such shape.
        """
        return spread_of(self.codes_of(family))

    def codes_of(self, family: str) -> np.ndarray:
        """The codes (S, latent) of all shapes, or of those whose names begin so.

        Raises:
            ValueError: there is no such shape.
        """
        chosen = [name.startswith(family) for name in self.names]
        if not any(chosen):
            raise ValueError(f"The prior has no shapes of {family!r}, expected one of {', '.join(self.names)}.")
        return self.codes[chosen]


def write_config(workdir: Path, config: PriorConfig, names: tuple[str, ...]) -> None:
    """Leave config.json, with the names of the shapes."""
    files.write_json(workdir / CONFIG, _stored(config, names))


def state_like(config: PriorConfig, shapes: int) -> FitState:
    """A state of empty arrays on the host."""

    def first() -> FitState:
        params = fitting.initial_codes(config.network, shapes, key=jax.random.key(config.seed))
        return fitting.first_codes_state(config.fit, params)

    return jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), jax.eval_shape(first))


def identity(config: PriorConfig, names: tuple[str, ...]) -> Mapping[str, Any]:
    """What decides the parameters of a run."""
    return _deciding(_stored(config, names))


def load(workdir: Path) -> Prior:
    """A prior at its last checkpoint.

    Raises:
        FileNotFoundError: no prior, or none that has written a checkpoint yet.
        ValueError: files that another version wrote.
    """
    stored, config, names = read_config(workdir)
    # As it was stored: a version that knows more fields reads it all the same.
    state = checkpoints.restore(workdir / CHECKPOINTS, state_like(config, len(names)), config_json=_deciding(stored))
    average = state.average
    return Prior(config, names, average["network"], np.asarray(average["codes"]), int(state.step))


def read_config(workdir: Path) -> tuple[dict[str, Any], PriorConfig, tuple[str, ...]]:
    """What config.json holds, the config that it says, and the names of the shapes.

    Raises:
        FileNotFoundError: no prior.
        ValueError: a file that another version wrote, or that is broken.
    """
    path = workdir / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{workdir} holds no {CONFIG}; set --prior to a workdir of experiments.train_prior.")
    stored = files.read_json_object(path)
    names = stored.get(_NAMES)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} has no list of {_NAMES} of its shapes; expected what experiments.train_prior wrote.")
    fields = {name: value for name, value in stored.items() if name != _NAMES}
    return stored, config_of(path, PriorConfig(), fields), tuple(names)


def _stored(config: PriorConfig, names: tuple[str, ...]) -> dict[str, Any]:
    return {**flags.to_json(config), _NAMES: list(names)}


def _deciding(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name not in _FREE}
