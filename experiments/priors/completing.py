"""From what a depth camera tells to a code: by first-order gradients [D20 eq. 5], or from lifted points [P19]."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.flags import RunError
from experiments.priors import scans
from experiments.priors.scans import Scan
from experiments.priors.store import Prior
from sdfrepar import cameras, fitting, networks
from sdfrepar.fitting import CompletionConfig, LiftedConfig
from sdfrepar.observing import ObserveConfig

MethodName = Literal["DeepSDF", "ours", "ours + mask"]

Progressed = Callable[[int, dict[str, float]], None]
"""Told of the steps done, and of their metrics."""

# The code counts deviations of the family's codes.
_DEFAULT_FIT = CompletionConfig(
    steps=200, rate=0.05, depth_weight=3.0, normal_weight=0.0, surface_weight=30.0, code_weight=0.03
)


@dataclass(frozen=True)
class MethodConfig:
    """How a code is found."""

    strides: tuple[int, ...] = (2, 1)
    """Of ours: the pixels that are looked at, stage after stage of as many steps: every so many of a row and of a
    column."""
    observe: ObserveConfig = field(default_factory=lambda: ObserveConfig(block=256, gradient="implicit"))
    fit: CompletionConfig = field(default_factory=lambda: _DEFAULT_FIT)
    lifted: LiftedConfig = field(default_factory=LiftedConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.strides or min(self.strides) < 1:
            raise ValueError(f"strides is {self.strides}; expected pixels for each stage, at least 1, say 2,1.")


class Completion:
    """A prior and how its codes are found; what is compiled serves all scans of one size."""

    def __init__(self, config: MethodConfig, prior: Prior):
        """Of a prior."""
        self._config, self._prior = config, prior
        in_deviations = networks.in_deviations(prior.decoder)
        self._observed = fitting.make_completion_step(in_deviations, config.observe, config.fit)
        self._lifted = fitting.make_lifted_step(prior.decoder, config.lifted)

    def code(self, method: MethodName, scan: Scan, family: str, told: Progressed = lambda *_: None) -> np.ndarray:
        """The code (latent,) that a scan shows, from the mean of those whose shapes' names begin so.

        Raises:
            ValueError: the prior has no such shapes.
            RunError: the loss is not finite.
        """
        if method == "DeepSDF":
            return self._from_points(scan, self._prior.mean_code(family), told)
        return self._from_view(scan if method == "ours + mask" else scans.without_mask(scan), family, told)

    def steps(self, method: MethodName) -> int:
        """How many there are."""
        return self._config.lifted.steps if method == "DeepSDF" else self._config.fit.steps

    def _from_view(self, scan: Scan, family: str, told: Progressed) -> np.ndarray:
        config, spread = self._config, self._prior.spread(family)
        state = fitting.on_all_devices(fitting.first_completion_state(config.fit, jnp.zeros_like(spread.mean)))
        stages = [fitting.thinned(scan.maps, stride) for stride in config.strides]
        for number in range(config.fit.steps):
            maps = stages[number * len(stages) // config.fit.steps]
            state, metrics = self._observed(state, (self._prior.network, spread), scan.camera, maps)
            _tell(told, number, metrics, "image")
        return np.asarray(spread.mean + spread.axes @ state.params["code"])

    def _from_points(self, scan: Scan, start: np.ndarray, told: Progressed) -> np.ndarray:
        config = self._config.lifted
        state = fitting.on_all_devices(fitting.first_lifted_state(config, jnp.asarray(start)))
        samples, distances = fitting.lifted(*measured_points(scan), config.lift)
        key = jax.random.key(0)
        for number in range(config.steps):
            state, metrics = self._lifted(state, self._prior.network, samples, distances, key)
            _tell(told, number, metrics, "distance")
        return np.asarray(state.params["code"])


def measured_points(scan: Scan) -> tuple[jax.Array, jax.Array]:
    """The points (P, 3) whose depths are measured, and their normals (P, 3); scene units.

    Raises:
        ValueError: there are no normals.
    """
    camera, maps = scan
    row, column = np.nonzero(np.asarray(maps.measured))
    normals = maps.normal[row, column]
    if not bool(jnp.all(jnp.abs(jnp.sum(normals**2, axis=-1) - 1.0) < 0.1)):
        raise ValueError("The scan has no normals, and DeepSDF lifts points along them; choose --method=ours.")
    film = jnp.stack([jnp.asarray(column) + 0.5, jnp.asarray(row) + 0.5], axis=-1)
    return jax.vmap(partial(cameras.at_depth, camera))(film, maps.depth[row, column]), normals


# Steps between two lines of progress: to ask for a number waits for it.
_TOLD = 10


def _tell(told: Progressed, number: int, metrics: dict[str, jax.Array], loss: str) -> None:
    if number % _TOLD == _TOLD - 1:
        values = {name: float(value) for name, value in metrics.items()}
        if not np.isfinite(values[loss]):
            raise RunError(f"The loss is not finite at step {number}; lower the learning rate.")
        told(number + 1, values)
