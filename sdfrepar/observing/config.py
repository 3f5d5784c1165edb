"""What there is to observe, and how."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax

from sdfrepar.fields import Distance
from sdfrepar.precision import Precision
from sdfrepar.tracing import MarchConfig


class Subject(NamedTuple):
    """A shape as pure functions of one pytree of parameters; `networks.decoder` gives one."""

    distance: Distance
    """(params, x) -> () the signed distance."""
    properties: Callable[[Any, jax.Array], jax.Array]
    """(params, x) -> (C,) whatever else there is to decode at a point of the surface: colour, semantics, material."""
    prepare: Callable[[Any], Any] = lambda params: params
    """params as they are optimised -> params as they are fastest to evaluate; the functions above take either."""


@dataclass(frozen=True)
class ObserveConfig:
    """How rays are marched together, and how what they see is differentiated. Every idea of [D20] is a switch."""

    march: MarchConfig = field(default_factory=MarchConfig)
    dynamic: bool = True
    """Whether the field is asked for unfinished rays alone, gathered into full blocks; else for all of them, to the
    last step."""
    split: Literal["none", "inherit", "cone"] = "cone"
    """How rays begin: none: where they enter the unit sphere; inherit: where the ray of a coarser picture has come to
    in `coarse_steps` steps [D20]; cone: up to where a cone around that ray is free, which skips nothing (ours)."""
    scales: tuple[int, ...] = (16, 4)
    """Sides of the coarser pictures' pixels, falling; each divides the one before. [D20] has 4,2."""
    coarse_steps: int = 3
    """Steps of each coarser picture, where rays inherit."""
    threshold: float | None = None
    """A point this close to the surface is on it, scene units. If not given, so many `pixels` of the camera."""
    pixels: float = 0.5
    """The threshold in widths of a pixel: of one at the nearest depth that the scene can have [D20 §3.2]."""
    footprint: bool = False
    """Whether these widths are those of each point's own depth instead."""
    rough_precision: Precision = "float32"
    """Precision of the samples that lie farther from the surface than it may be off; what decides a ray is float32."""
    gradient: Literal["first_order", "implicit", "recursive"] = "first_order"
    """How the distance to the surface is differentiated: by the K samples next to the surface, as [D20] does; by the
    implicit function theorem; or through every step of the march, the reference of both."""
    normals: Literal["derivative", "differences"] = "derivative"
    """Normals from the field's derivative, or from its central differences over a threshold, as [D20] prints."""
    block: int = 1024
    """Samples that the field is asked for at a time: as many as stay in a cache."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        falling = all(a > b and a % b == 0 for a, b in itertools.pairwise((*self.scales, 1)))
        if self.split != "none" and not (self.scales and falling):
            raise ValueError(
                f"observe.scales is {self.scales}; expected falling sides of coarse pixels, each a multiple of the "
                "next, the last above 1, like 16,4."
            )
        for name in ("threshold", "pixels", "block", "coarse_steps"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"observe.{name} is {value}; it must be positive.")
