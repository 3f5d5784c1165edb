"""What tells that a fit goes wrong, and when it was last known to be right."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.flags import RunError
from experiments.presets import ReconstructConfig

# Slopes of the field that are wrong by so much, on average of squares: a distance has slope 1, and fits that go well
# stay within a third of it.
_STEEP = 5.0

# Of the hits there have been at most: as long as there are so many, the surface is surely there.
_FEW = 0.5


class TroubleError(RunError):
    """The fit has gone wrong; a lower rate from an earlier state may do better."""

    def __init__(self, sentence: str, sound_until: int):
        """With the last step at which all was well."""
        super().__init__(sentence)
        self.sound_until = sound_until


class LostSurfaceError(TroubleError):
    """No ray meets the surface any more."""


class NotFiniteError(TroubleError):
    """A number is NaN or infinite."""


class ExplodedError(TroubleError):
    """The field is far from any distance."""


class Watch:
    """Looks at what is logged, and stops a run that has gone wrong with a sentence that says how."""

    def __init__(self, config: ReconstructConfig, lines: Iterable[Mapping[str, Any]] = ()):
        """Watch a run of this config that has left these lines of metrics.jsonl."""
        level = config.fit.steps * config.fit.descent / config.fit.levels
        self._patience = max(level, 2 * config.log_every)
        self._all_levels_from = config.fit.steps * config.fit.descent
        self._most_hits = 0.0
        self._last_looked = self._last_seen = self._last_well_seen = 0
        self._losses: list[float] = []
        for line in lines:
            self._note_hits(line["step"], line["hits"])

    def __call__(self, step: int, metrics: Mapping[str, float]) -> str | None:
        """Look at the metrics of a step; a sentence where something is odd, and may yet come right by itself.

        Raises:
            NotFiniteError: a value is not finite.
            ExplodedError: the field's slopes are far from those of a distance.
            LostSurfaceError: no ray has met the surface for as long as a pyramid level lasts.
        """
        self._require_finite(step, [name for name, value in metrics.items() if not np.isfinite(value)])
        self._require_slopes(step, metrics.get("loss/eikonal", 0.0))
        was_seen = self.sees_surface
        self._note_hits(step, metrics["hits"])
        if step >= self._all_levels_from and "loss/photometric" in metrics:
            self._losses.append(metrics["loss/photometric"])
        if self.sees_surface:
            return None
        if step - self._last_seen >= self._patience:
            raise LostSurfaceError(
                f"The surface is lost: no ray has hit it since step {self._last_seen}, now {step}. Try a lower "
                "--fit.shape_rate, another --network.initial_radius, or check that the object fills the unit sphere "
                "(--data.centre, --data.radius).",
                self._last_well_seen,
            )
        if was_seen:
            return f"step {step}: no ray of the batch hits the surface, which was last hit at step {self._last_seen}"
        return None

    @property
    def sees_surface(self) -> bool:
        """Whether rays hit the surface when it was last looked."""
        return self._last_seen == self._last_looked

    def require_sound(self, step: int, state: Any) -> None:
        """Look at a state before it is kept.

        Raises:
            NotFiniteError: a number of it is not finite.
        """
        self._require_finite(step, not_finite(state)[:3])

    def score(self) -> float | None:
        """The mean photometric loss that was logged since this was last asked; None while levels still change."""
        losses, self._losses = self._losses, []
        return float(np.mean(losses)) if losses else None

    def _note_hits(self, step: int, hits: float) -> None:
        self._last_looked, self._most_hits = step, max(self._most_hits, hits)
        if hits > 0:
            self._last_seen = step
        if hits > 0 and hits >= _FEW * self._most_hits:
            self._last_well_seen = step

    def _require_finite(self, step: int, broken: list[str]) -> None:
        if broken:
            raise NotFiniteError(
                f"At step {step} {', '.join(broken)} became not finite; try a lower --fit.shape_rate, "
                "a lower --fit.clip, or more --fit.warm_up.",
                self._last_looked,
            )

    def _require_slopes(self, step: int, eikonal: float) -> None:
        if eikonal > _STEEP**2:
            raise ExplodedError(
                f"At step {step} the field has exploded: its slopes are off by {np.sqrt(eikonal):.3g}, where a "
                "distance has slope 1; try a lower --fit.shape_rate, or a larger --fit.eikonal_weight.",
                self._last_looked,
            )


def not_finite(tree: Any) -> list[str]:
    """Names of the arrays that hold a NaN or an infinity."""
    found = jax.tree_util.tree_leaves_with_path(_all_finite(tree))
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, finite in found if not finite]


@jax.jit
def _all_finite(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.all(jnp.isfinite(leaf)), tree)
