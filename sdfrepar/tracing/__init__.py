"""Where a ray meets the surface, or that it does not; and the points on its way. One ray, no derivative.

spheres      from sphere to touching sphere, with a verdict on rays that graze: what gradients of silhouettes need
aggressive   the march of [D20], step by step for whoever asks the field: what first-order mode needs
"""

from sdfrepar.tracing.aggressive import March, MarchConfig, advance, begin
from sdfrepar.tracing.spheres import NOTHING, Observer, TraceConfig, refine, resume, surface_tolerance, trace

__all__ = [
    "NOTHING",
    "March",
    "MarchConfig",
    "Observer",
    "TraceConfig",
    "advance",
    "begin",
    "refine",
    "resume",
    "surface_tolerance",
    "trace",
]
