"""From what a depth camera tells to a code: by what its rays claim (ours), or from lifted points [P19]."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.priors import scans
from experiments.priors.scans import Scan
from experiments.priors.store import Prior
from experiments.priors.telling import Progressed, tell
from sdfrepar import cameras, fitting, networks
from sdfrepar.fitting import ClaimsConfig, LiftedConfig, Search, SearchState
from sdfrepar.observing import ObserveConfig

_CURE = "lower the learning rate"

# Steps of each start where every one of them marches; those by depths alone cost little.
_NOISY_STEPS = 10

# By so much of it the loss jumps as rays of noisy depths come to hit and cease to.
_JUMPS = 0.02

MethodName = Literal["DeepSDF", "ours", "ours + mask"]


@dataclass(frozen=True)
class MethodConfig:
    """How a code is found."""

    starts: int = 4
    """Of ours: how many codes the search begins at, the mean and those of learnt shapes of the family that come nearest
    to the measured depths; the one that ends best is taken."""
    finalists: int = 1
    """Of ours: how many of these are followed down all scales, before the one that ends best is taken. Noisy depths are
    better told apart where all of them are looked at."""
    strides: tuple[int, ...] = (1,)
    """Of ours: the pixels that are looked at, scale after scale of as many steps: every so many of a row and of a
    column. 2,1 is quicker where a scan is large."""
    observe: ObserveConfig = field(default_factory=lambda: ObserveConfig(block=256))
    fit: ClaimsConfig = field(default_factory=ClaimsConfig)
    lifted: LiftedConfig = field(default_factory=LiftedConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.finalists <= self.starts:
            raise ValueError(
                f"starts is {self.starts}, and finalists {self.finalists}; a search begins at one code at least, and "
                "follows as many, or fewer."
            )
        if not self.strides or min(self.strides) < 1:
            raise ValueError(f"strides is {self.strides}; expected pixels for each scale, at least 1, say 2,1.")


class Completion:
    """A prior and how its codes are found; what is compiled serves all scans of one size."""

    def __init__(self, config: MethodConfig, prior: Prior):
        """Of a prior."""
        self._config, self._prior = config, prior
        subject = networks.in_deviations(prior.decoder, config.fit.bias_deviation)
        search = partial(fitting.make_claims_search, subject, config.observe, config.fit)
        self._by_depths, self._by_rays, self._by_noisy_rays = search(rays=False), search(), search(patience=_JUMPS)
        self._lifted = fitting.make_lifted_step(prior.decoder, config.lifted)

    def code(self, method: MethodName, scan: Scan, family: str, told: Progressed = lambda *_: None) -> np.ndarray:
        """The code that a scan shows, (latent,) or with changes of biases, from the mean of those whose shapes' names
        begin so.

        Raises:
            ValueError: the prior has no such shapes.
            RunError: the loss is not finite.
        """
        if method == "DeepSDF":
            return self._from_points(scan, self._prior.mean_code(family), told)
        return self._from_view(scan if method == "ours + mask" else scans.without_mask(scan), family, told)

    def steps(self, method: MethodName, scan: Scan) -> int:
        """How many there are."""
        fit = self._config.fit
        return self._config.lifted.steps if method == "DeepSDF" else fit.steps + self._bias_steps(scan)

    def _bias_steps(self, scan: Scan) -> int:
        """Of how many steps all biases are sought as well; of a noisy scan they would learn the noise."""
        return self._config.fit.bias_steps if scan.noise <= self._config.fit.deviation else 0

    def _from_view(self, scan: Scan, family: str, told: Progressed) -> np.ndarray:
        fit, spread = self._config.fit, self._prior.spread(family)
        network, noise = (self._prior.network, spread), jnp.float32(scan.noise)
        search = self._by_noisy_rays if scan.noise > 0 else self._by_rays
        scales = [(network, *fitting.strided(scan.camera, scan.maps, stride), noise) for stride in self._config.strides]
        # A point that noise has put beyond a wall chooses wrong shapes to begin at; others do it without any march.
        chooser, steps = (search, _NOISY_STEPS) if scan.noise > 0 else (self._by_depths, fit.steps)
        begun = [search.first(code, *scales[-1]) for code in self._nearest(chooser, steps, family, scales[0])]
        begun.sort(key=lambda state: float(state.loss))
        ended = [self._down(search, state, scales, told) for state in begun[: self._config.finalists]]
        code = min(ended, key=lambda state: float(state.loss)).unknown
        if more := self._bias_steps(scan):
            code = jnp.concatenate([code, jnp.zeros(self._prior.config.network.biases)])
            code = _searched(search, code, scales[-1], range(fit.steps, fit.steps + more), told).unknown
        return np.asarray(networks.from_deviations(spread, code, fit.bias_deviation))

    def _down(
        self, search: Search, state: SearchState, scales: Sequence[tuple[Any, ...]], told: Progressed
    ) -> SearchState:
        """Where a search ends that goes from scale to scale, as many steps on each."""
        steps = self._config.fit.steps
        for number, data in enumerate(scales):
            first, last = (n * steps // len(scales) for n in (number, number + 1))
            state = _searched(search, state.unknown, data, range(first, last), told)
        return state

    def _nearest(self, search: Search, steps: int, family: str, data: tuple[Any, ...]) -> list[jax.Array]:
        """Codes (latent,), deviations, where a search ends that begins at the mean, and at the learnt shapes that it
        finds the best.
        """
        (_, spread), *_ = data
        apart = self._prior.codes_of(family) - np.asarray(spread.mean)
        learnt = jnp.asarray(np.linalg.solve(np.asarray(spread.axes), apart.T).T)
        mean, *others = (search.first(code, *data) for code in [jnp.zeros_like(spread.mean), *learnt])
        others.sort(key=lambda state: float(state.loss))
        found = []
        for state in [mean, *others][: self._config.starts]:
            for _ in range(steps):
                state = search.step(state, *data)
            found.append(state.unknown)
        return found

    def _from_points(self, scan: Scan, start: np.ndarray, told: Progressed) -> np.ndarray:
        config = self._config.lifted
        state = fitting.on_all_devices(fitting.first_lifted_state(config, jnp.asarray(start)))
        samples, distances = fitting.lifted(*measured_points(scan), config.lift)
        key = jax.random.key(0)
        for number in range(config.steps):
            state, metrics = self._lifted(state, self._prior.network, samples, distances, key)
            tell(told, number, metrics, "distance", _CURE)
        return np.asarray(state.params["code"])


def _searched(search: Search, code: jax.Array, data: tuple[Any, ...], steps: range, told: Progressed) -> SearchState:
    """Where a search of a code, deviations, is after some steps."""
    state = search.first(code, *data)
    for number in steps:
        state = search.step(state, *data)
        tell(told, number, {"loss": state.loss, "deviations": jnp.linalg.norm(state.unknown)}, "loss", _CURE)
    return state


def measured_points(scan: Scan) -> tuple[jax.Array, jax.Array]:
    """The points (P, 3) whose depths are measured, and their normals (P, 3); scene units.

    Raises:
        ValueError: there are no normals.
    """
    camera, maps, _ = scan
    row, column = np.nonzero(np.asarray(maps.measured))
    normals = maps.normal[row, column]
    if not bool(jnp.all(jnp.abs(jnp.sum(normals**2, axis=-1) - 1.0) < 0.1)):
        raise ValueError("The scan has no normals, and DeepSDF lifts points along them; choose --method=ours.")
    film = jnp.stack([jnp.asarray(column) + 0.5, jnp.asarray(row) + 0.5], axis=-1)
    return jax.vmap(partial(cameras.at_depth, camera))(film, maps.depth[row, column]), normals
