"""The silhouette's gradient from a renderer that shares nothing with this one: Mitsuba 3 on triangle meshes.

Its projective integrators sample the mesh's silhouette edges themselves (Zhang et al., "Projective Sampling for
Differentiable Rendering of Geometry", 2023), where sdfrepar moves the samples of the film. The mesh is an area light
of constant radiance before a constant background: the derivative is all boundary term and no shading.

What Mitsuba 3.9.1 needs to be right here:

- Films without `sample_border`, although it recommends them. With it the boundary term is drawn over the widened film
  and divided as if over the film itself, too large by (w + 2b)(h + 2b) / (w h), with b the filter's border: 13 % for a
  tent on 32 x 32 pixels. Without it tent and box are both right, as long as the mesh stays inside the picture.
- LLVM 19 or newer. LLVM 15 and 16 cannot compile its kernels on x86 and abort the whole process.
- Edges much longer than 1e-3 of the camera's distance, the length by which visibility tests are kept off the surface.
  Shorter ones let hidden folds of a saddle's silhouette pass as visible: a torus of 1024 x 512 vertices has a gradient
  12 % too large where its hole's silhouette ends, one of 192 x 96 is right to 1 % there. Convex meshes do not suffer.
- Outward faces: an area light shines on the side of the normal alone.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras
from sdfrepar.records import Camera

_OLDEST_LLVM = 19


class UnfitLLVMError(RuntimeError):
    """Mitsuba finds no LLVM that can compile its kernels."""


@functools.cache
def start() -> None:
    """Set Mitsuba's variant, for the whole process.

    Raises:
        UnfitLLVMError: LLVM is missing or too old.
        ImportError: Mitsuba is missing.
    """
    import drjit as dr
    import mitsuba as mi

    # Asking for the backend is what loads the library.
    found = dr.detail.llvm_version()[0] if dr.has_backend(dr.JitBackend.LLVM) else None
    if found is None or found < _OLDEST_LLVM:
        raise UnfitLLVMError(
            f"Mitsuba found {'no LLVM' if found is None else f'LLVM {found}'}, expected {_OLDEST_LLVM} or newer; "
            "install libllvm19, or set DRJIT_LIBLLVM_PATH to the file of a newer libLLVM.so."
        )
    mi.set_variant("llvm_ad_rgb")


def gradient_image(
    vertices: np.ndarray,
    velocity: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    radiance: float,
    background: float,
    *,
    filter_name: Literal["box", "tent"] = "tent",
    samples: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """d(picture)/dθ of a mesh whose vertices are at `vertices` + θ `velocity`, at θ = 0.

    Args:
        vertices: (V, 3) scene units; all of them inside the picture.
        velocity: (V, 3) scene units per unit of θ.
        faces: (F, 3) indices of vertices, counter-clockwise seen from outside; not too small, see the module.
        camera: one camera with square pixels.
        radiance: of the surface, linear.
        background: radiance behind it, linear.
        filter_name: the pixel's filter; the box is a pixel wide, the tent two.
        samples: silhouette samples a pixel, a perfect square; they are drawn over the whole silhouette.
        seed: estimates with different seeds are independent.

    Returns:
        (height, width) linear radiance per unit of θ.

    Raises:
        ValueError: pixels that are not square, or a mesh that leaves the picture.
        UnfitLLVMError: LLVM is missing or too old.
    """
    start()
    import drjit as dr
    import mitsuba as mi

    _check_in_picture(camera, vertices)
    scene = mi.load_dict(
        {
            "type": "scene",
            "mesh": _glowing_mesh(vertices, faces, radiance),
            "background": {"type": "constant", "radiance": {"type": "rgb", "value": background}},
            "sensor": _sensor(camera, filter_name),
        }
    )
    θ = mi.Float(0.0)
    dr.enable_grad(θ)
    params = mi.traverse(scene)
    params["mesh.vertex_positions"] = _flat(vertices) + θ * _flat(velocity)
    params.update()
    picture = mi.render(scene, params, integrator=_integrator(), spp=1, spp_grad=samples, seed=seed)
    dr.forward(θ)
    return np.asarray(dr.grad(picture), np.float64)[..., 0]


def _integrator() -> Any:
    """Primary silhouettes alone: radiance is constant on both of their sides, and nothing is lit by anything."""
    import mitsuba as mi

    integrator = mi.load_dict({"type": "prb_projective", "max_depth": 1, "sppc": 0, "sppi": 0})
    # It would ask for `sample_border`: see the module.
    integrator.sample_border_warning = False
    return integrator


def _sensor(camera: Camera, filter_name: str) -> dict[str, Any]:
    """The camera in Mitsuba's terms: x left, y up, z forward; the principal point as a share of the film."""
    import mitsuba as mi

    height, width = camera.resolution
    focal, principal = np.asarray(camera.focal, np.float64), np.asarray(camera.principal, np.float64)
    if not np.isclose(focal[0], focal[1], rtol=1e-5):
        raise ValueError(f"The focal lengths are {focal}, expected equal ones: Mitsuba's pixels are square.")
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.rotation, camera.position
    return {
        "type": "perspective",
        "fov_axis": "x",
        "fov": float(np.degrees(2.0 * np.arctan(0.5 * width / focal[0]))),
        "principal_point_offset_x": float(0.5 - principal[0] / width),
        "principal_point_offset_y": float(0.5 - principal[1] / height),
        "near_clip": 1e-2,
        "to_world": mi.ScalarTransform4f(pose @ np.diag([-1.0, -1.0, 1.0, 1.0])),
        # Stratified, which leaves less than half of the independent sampler's noise.
        "sampler": {"type": "multijitter"},
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "pixel_format": "luminance",
            "component_format": "float32",
            "sample_border": False,
            "rfilter": {"type": filter_name},
        },
    }


def _glowing_mesh(vertices: np.ndarray, faces: np.ndarray, radiance: float) -> Any:
    """A black mesh that emits the same radiance everywhere, in all directions."""
    import mitsuba as mi

    props = mi.Properties()
    props["emitter"] = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": radiance}})
    props["bsdf"] = mi.load_dict({"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}})
    mesh = mi.Mesh("mesh", len(vertices), len(faces), props=props)
    params = mi.traverse(mesh)
    params["vertex_positions"] = _flat(vertices)
    params["faces"] = mi.UInt32(np.asarray(faces, np.uint32).ravel())
    params.update()
    return mesh


def _flat(points: np.ndarray) -> Any:
    import mitsuba as mi

    return mi.Float(np.asarray(points, np.float32).ravel())


def _check_in_picture(camera: Camera, vertices: np.ndarray) -> None:
    """Raise when the mesh leaves the picture, where edge pixels would miss a part of the boundary term."""
    film, depth = jax.vmap(cameras.project, in_axes=(None, 0))(camera, jnp.asarray(vertices, jnp.float32))
    beyond = np.asarray(film) > camera.resolution[::-1]
    if np.any(depth <= 0) or np.any(film < 0) or np.any(beyond):
        raise ValueError("The mesh leaves the picture, expected all of it inside; move the camera back.")
