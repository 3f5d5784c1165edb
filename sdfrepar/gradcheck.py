"""A gradient against finite differences of the picture: is it right, how noisy is it, where is it wrong?

    from sdfrepar import fields, gradcheck
    print(gradcheck.check(fields.torus, params, camera, {"major": 1.0, "minor": 0.0}))

Nothing here trusts a method: the reference is the rendered picture at both sides of the parameters, with the same
random numbers, extrapolated to a step of zero.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar.fields import Distance
from sdfrepar.imaging import FilmConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import GradientConfig, RenderConfig, Scene, render_film
from sdfrepar.tracing import TraceConfig

# Standard errors by which a bias must exceed its noise before anyone is accused.
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class GradcheckConfig:
    """How hard to look."""

    render: RenderConfig = field(
        default_factory=lambda: RenderConfig(
            film=FilmConfig(samples_per_side=4, edge_samples=4),
            trace=TraceConfig(max_steps=48),
            gradient=GradientConfig(band_share=0.5),
        )
    )
    """The renderer under test; its `gradient` is the method."""
    repetitions: int = 16
    """Independent estimates of the gradient picture; each costs `render.film`'s samples."""
    reference_repetitions: int = 32
    """Independent finite differences; each costs four pictures."""
    step: float = 0.002
    """Of the finite difference along the direction; twice the step is looked at too. A tenth of a pixel of silhouette's
    motion is a good one: beyond half a pixel the filter's kinks bias it, far below noise takes over."""
    tolerance: float = 0.04
    """Largest bias that passes: of the picture in relative L2, and of its sum, as shares of the reference."""
    seed: int = 0
    """Of all random numbers."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.repetitions < 2 or self.reference_repetitions < 2:
            raise ValueError(
                f"gradcheck.repetitions and reference_repetitions are {self.repetitions} and "
                f"{self.reference_repetitions}; a standard error needs at least 2 of each."
            )
        if self.step <= 0 or self.tolerance <= 0:
            raise ValueError(
                f"gradcheck.step and tolerance are {self.step} and {self.tolerance}; both must be positive."
            )


@dataclass(frozen=True)
class Estimate:
    """Repeated estimates of a picture's derivative, averaged over the colours."""

    mean: np.ndarray  # (H, W)
    standard_error: np.ndarray  # (H, W) of the mean
    sum: float  # of the mean
    sum_error: float  # standard error of the sum
    repetitions: int  # estimates that were averaged

    @property
    def noise(self) -> float:
        """L2 norm that the mean's noise has on average."""
        return float(np.sqrt(np.sum(self.standard_error**2)))

    @property
    def scale(self) -> float:
        """L2 norm of the mean with its own noise taken off."""
        return float(np.sqrt(max(np.sum(self.mean**2) - self.noise**2, 1e-24)))


@dataclass(frozen=True)
class Report:
    """What a check found; `print` it, or look at `value`, `reference.mean`, `estimate.mean` and `bias` as pictures."""

    method: str  # of `GradientConfig`
    value: np.ndarray  # (H, W) the picture itself, averaged over the colours
    reference: Estimate  # finite differences
    estimate: Estimate  # the method's
    tolerance: float  # of `GradcheckConfig`

    @property
    def bias(self) -> np.ndarray:
        """The error picture (H, W): the method's mean less the reference, noise of both included."""
        return self.estimate.mean - self.reference.mean

    @property
    def error(self) -> float:
        """Relative L2 error of the mean picture, noise included."""
        return float(np.linalg.norm(self.bias) / self.reference.scale)

    @property
    def bias_l2(self) -> float:
        """Relative L2 bias: the error with what noise alone would give taken off, 0 where noise explains all of it."""
        excess = np.sum(self.bias**2) - self.estimate.noise**2 - self.reference.noise**2
        return float(np.sqrt(max(excess, 0.0)) / self.reference.scale)

    @property
    def single_error(self) -> float:
        """Relative L2 error to expect of ONE estimate, at the film's own number of samples."""
        return float(
            np.sqrt(self.bias_l2**2 + (self.estimate.noise / self.reference.scale) ** 2 * self.estimate.repetitions)
        )

    @property
    def sum_bias(self) -> float:
        """Error of the picture's sum, as a share of the sum of magnitudes of the reference."""
        return (self.estimate.sum - self.reference.sum) / self._magnitude

    @property
    def sum_noise(self) -> float:
        """Standard error of `sum_bias`."""
        return float(np.hypot(self.estimate.sum_error, self.reference.sum_error)) / self._magnitude

    @property
    def finite(self) -> bool:
        """Whether every number is."""
        return bool(np.isfinite(self.estimate.mean).all() and np.isfinite(self.reference.mean).all())

    @property
    def verdict(self) -> str:
        """One sentence: not finite, biased, too noisy to tell, or within the tolerance."""
        if not self.finite:
            return f"NOT FINITE: {self.method} gave {int(np.sum(~np.isfinite(self.estimate.mean)))} bad pixels."
        noise = np.hypot(self.estimate.noise, self.reference.noise) / self.reference.scale
        biased_sum = abs(self.sum_bias) - _SIGNIFICANT * self.sum_noise > self.tolerance
        if biased_sum or self.bias_l2 > self.tolerance:
            return f"BIASED: picture {self.bias_l2:.1%}, sum {self.sum_bias:+.1%}, more than {self.tolerance:.1%}."
        if noise > 2.0 * self.tolerance:
            return f"TOO NOISY TO TELL: noise {noise:.1%} hides a bias of {self.tolerance:.1%}; take more repetitions."
        return f"AGREES within {self.tolerance:.1%}: picture {self.bias_l2:.1%}, sum {self.sum_bias:+.2%}."

    @property
    def passed(self) -> bool:
        """Whether the method agrees with the reference."""
        return self.verdict.startswith("AGREES")

    def __str__(self) -> str:
        """The report as a few lines."""
        relative = self.reference.noise / self.reference.scale, self.estimate.noise / self.reference.scale
        return "\n".join(
            [
                f"gradient by {self.method}, {self.value.shape[0]} x {self.value.shape[1]} pixels",
                f"  picture            mean {self.value.mean():.4f}",
                f"  finite difference  sum {self.reference.sum:+.4f} ± {self.reference.sum_error:.4f}"
                f"   picture ± {relative[0]:.1%}   ({self.reference.repetitions} repetitions)",
                f"  estimate           sum {self.estimate.sum:+.4f} ± {self.estimate.sum_error:.4f}"
                f"   picture ± {relative[1]:.1%}   ({self.estimate.repetitions} repetitions)",
                f"  error              sum {self.sum_bias:+.2%} ± {self.sum_noise:.2%}"
                f"   picture {self.error:.1%}, bias {self.bias_l2:.1%}, one estimate {self.single_error:.1%}",
                f"  {self.verdict}",
            ]
        )

    @property
    def _magnitude(self) -> float:
        return max(float(np.abs(self.reference.mean).sum()), 1e-12)


def check(
    scene: Scene | Distance,
    params: Any,
    camera: Camera,
    direction: Any = None,
    *,
    camera_direction: Any = None,
    config: GradcheckConfig | None = None,
    reference: Estimate | None = None,
) -> Report:
    """Compare the gradient of a picture with its finite differences.

    Args:
        scene: what there is to see; a field alone is shaded as matt white under one light before black.
        params: its parameters.
        camera: one camera.
        direction: like `params`, the direction in which to differentiate; None leaves the parameters alone.
        camera_direction: like `camera`, likewise.
        config: how hard to look, and which method.
        reference: of an earlier check of the same picture, to save its time.

    Returns:
        A report; `print` it.

    Raises:
        ValueError: no direction, or one that is not like what it moves.
    """
    config = config or GradcheckConfig()
    scene = scene if isinstance(scene, Scene) else Scene(scene)
    theta = (params, camera)
    motion = motion_of(params, camera, direction, camera_direction)
    if reference is None:
        reference = finite_difference(scene, config, theta, motion)
    value, estimate = estimated(scene, config, theta, motion)
    return Report(
        method=config.render.gradient.method,
        value=value,
        reference=reference,
        estimate=estimate,
        tolerance=config.tolerance,
    )


def estimated(scene: Scene, config: GradcheckConfig, theta: Any, motion: Any) -> tuple[np.ndarray, Estimate]:
    """The picture (H, W), and the derivative that the method gives it along `motion`; theta is (params, camera)."""
    keys = jax.random.split(jax.random.key(config.seed), config.repetitions)
    once = partial(_estimated_once, scene, config.render, theta, motion)
    values, derivatives = zip(*(once(key) for key in keys), strict=True)
    return np.mean(values, axis=0), _summary(np.stack(derivatives))


def finite_difference(scene: Scene, config: GradcheckConfig, theta: Any, motion: Any) -> Estimate:
    """Central differences of the picture along `motion`, extrapolated to a step of zero: (4 D(h) - D(2h)) / 3."""
    plain = replace(config.render, gradient=GradientConfig(method="interior"))
    keys = jax.random.split(jax.random.key(config.seed + 1), config.reference_repetitions)
    return _summary(np.stack([_difference(scene, plain, theta, motion, config.step, key) for key in keys]))


def motion_of(params: Any, camera: Camera, direction: Any, camera_direction: Any) -> tuple[Any, Camera]:
    """The two directions as arrays of the shapes of what they move; zero for None.

    Raises:
        ValueError: no direction, or one that is not like what it moves.
    """
    if direction is None and camera_direction is None:
        raise ValueError("gradcheck was given no direction; name one in parameter space, like {'radius': 1.0}.")
    return _like(params, direction, "direction"), _like(camera, camera_direction, "camera_direction")


@partial(jax.jit, static_argnums=(0, 1))
def _estimated_once(
    scene: Scene, render: RenderConfig, theta: Any, motion: Any, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A picture (H, W) and its derivative. Compiled once for a scene and a config, however often they are checked."""

    def picture(s: jax.Array) -> jax.Array:
        params, camera = _moved(theta, motion, s)
        return jnp.mean(render_film(scene, render, params, camera, key=key), axis=-1)

    # One number is differentiated, whatever the size of the parameters: finite differences can do that as well.
    return jax.jvp(picture, (jnp.zeros(()),), (jnp.ones(()),))


@partial(jax.jit, static_argnums=(0, 1))
def _difference(
    scene: Scene, render: RenderConfig, theta: Any, motion: Any, step: jax.Array | float, key: jax.Array
) -> jax.Array:
    """The derivative (H, W) by pictures at four places, all with the same random numbers."""
    baseline = jnp.zeros((*theta[1].resolution, 3))

    def picture(s: jax.Array) -> jax.Array:
        params, camera = _moved(theta, motion, s)
        return jnp.mean(render_film(scene, render, params, camera, baseline, key=key), axis=-1)

    far, near, nearer, farther = jax.lax.map(picture, step * jnp.array([-2.0, -1.0, 1.0, 2.0]))
    return (8.0 * (nearer - near) - (farther - far)) / (12.0 * step)


def _moved(theta: Any, motion: Any, s: jax.Array) -> Any:
    return jax.tree.map(lambda x, v: x + s * v, theta, motion)


def _like(point: Any, direction: Any, name: str) -> Any:
    """A direction as arrays of the point's shapes; zero for None."""
    if direction is None:
        return jax.tree.map(jnp.zeros_like, point)
    if jax.tree.structure(point) != jax.tree.structure(direction):
        raise ValueError(
            f"{name} is {jax.tree.structure(direction)}, expected {jax.tree.structure(point)}, that of what it moves."
        )
    return jax.tree.map(lambda x, v: jnp.broadcast_to(jnp.asarray(v, x.dtype), x.shape), point, direction)


def _summary(pictures: np.ndarray) -> Estimate:
    """Mean and standard errors of independent pictures (N, H, W)."""
    count = len(pictures)
    sums = pictures.sum(axis=(1, 2))
    return Estimate(
        mean=pictures.mean(axis=0),
        standard_error=pictures.std(axis=0, ddof=1) / np.sqrt(count),
        sum=float(sums.mean()),
        sum_error=float(sums.std(ddof=1) / np.sqrt(count)),
        repetitions=count,
    )
