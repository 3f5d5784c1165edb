"""sdfrepar: differentiable rendering of signed distance functions, silhouettes included.

The pipeline, one module a stage, each stage written for one ray:

    Camera ─raygen▶ Ray ─tracing▶ Hit ─warping▶ Warp ─shading▶ Sample ─imaging▶ Image ─losses▶ scalar ─fitting▶ params'
                         ▲ observer (init, step): made by warping, handed over by rendering, folded by tracing

Foundations   records, numerics, fields, precision, memory, grids, networks
Stages        cameras, raygen, tracing, warping, shading, imaging
Composition   rendering, observing, triangulation, losses, fitting
Instruments   gradcheck, evaluation, meshing
Edges         files, films, datasets, doctor, reports, checkpoints, viewer

    import sdfrepar as sr

imports none of them; each is imported when it is asked for, as `sr.cameras.look_at`.

Notation      f distance, x point, u film position, V displacement of the film, θ parameters, n = ∂f/∂x,
              d direction, t distance along the ray.

Papers   [B22] Bangaru et al., Differentiable Rendering of Neural SDFs through Reparameterization, SIGGRAPH Asia 2022
         [I20] Yariv et al., Multiview Neural Surface Reconstruction (IDR), NeurIPS 2020
         [D20] Liu et al., DIST: Rendering Deep Implicit SDFs with Differentiable Sphere Tracing, CVPR 2020
         [P19] Park et al., DeepSDF: Learning Continuous Signed Distance Functions, CVPR 2019
         [V22] Vicini et al., Differentiable Signed Distance Function Rendering, SIGGRAPH 2022
         [W24] Wang et al., A Simple Approach to Differentiable Rendering of SDFs, SIGGRAPH Asia 2024
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

import jax as _jax

if _TYPE_CHECKING:
    from sdfrepar import (
        cameras,
        checkpoints,
        datasets,
        doctor,
        evaluation,
        fields,
        files,
        films,
        fitting,
        gradcheck,
        grids,
        imaging,
        losses,
        memory,
        meshing,
        networks,
        numerics,
        observing,
        precision,
        raygen,
        records,
        rendering,
        reports,
        shading,
        tracing,
        triangulation,
        viewer,
        warping,
    )
else:

    def __getattr__(name: str) -> object:
        if name in __all__:
            return _importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"sdfrepar has no module {name!r}; expected one of {', '.join(__all__)}.")


__version__ = "0.1.0"

__all__ = [
    "cameras",
    "checkpoints",
    "datasets",
    "doctor",
    "evaluation",
    "fields",
    "files",
    "films",
    "fitting",
    "gradcheck",
    "grids",
    "imaging",
    "losses",
    "memory",
    "meshing",
    "networks",
    "numerics",
    "observing",
    "precision",
    "raygen",
    "records",
    "rendering",
    "reports",
    "shading",
    "tracing",
    "triangulation",
    "viewer",
    "warping",
]

if _jax.__version__ in ("0.10.1", "0.10.2"):
    raise ImportError(
        f"jax {_jax.__version__} miscompiles chunked maps on the CPU, so that renderings come out silently wrong; "
        "sdfrepar needs jax >= 0.9.2 but neither 0.10.1 nor 0.10.2: pip install 'jax==0.10.0', or 0.11 and newer."
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
