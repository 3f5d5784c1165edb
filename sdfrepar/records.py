"""The records that travel down the pipeline, and the conventions they all obey.

Conventions
    Camera axes   OpenCV: x right, y down, z forward. Poses are camera-to-scene.
    Film          `u` is in pixels of the full-resolution image. Pixel (row i, column j) covers [j, j+1] x [i, i+1];
                  its centre is (j + 0.5, i + 0.5). `u[0]` counts columns, `u[1]` counts rows.
    Scene space   The object lies inside the unit sphere. `Views.world_from_scene` leads back to the user's world.
    Distance      f(params, x) < 0 inside, > 0 outside, in scene units.
    Colour        Linear light, except where a name ends in `_srgb`.
    Angles        Radians.

Every record is a frozen pytree of arrays for ONE item: stages carry no batch axis, and a batch of records is the same
record with a leading axis on every field.
"""

from enum import IntEnum
from typing import Any, Protocol

import jax
import numpy as np
from flax import struct


class Status(IntEnum):
    """What became of a ray."""

    MISS = 0
    HIT = 1
    UNDECIDED = 2


@struct.dataclass(kw_only=True)
class Camera:
    """A pinhole camera, or a parallel one, whose rays all go along its optical axis."""

    focal: jax.Array  # (2,) focal length along columns and rows, pixels; of a parallel camera, pixels a scene unit
    principal: jax.Array  # (2,) principal point, pixels, corner convention
    rotation: jax.Array  # (3, 3) scene from camera; its columns are the camera's axes
    position: jax.Array  # (3,) scene units
    resolution: tuple[int, int] = struct.field(pytree_node=False)  # (height, width), pixels
    parallel: bool = struct.field(pytree_node=False, default=False)  # whether it is orthographic


@struct.dataclass(kw_only=True)
class Line:
    """A line of sight with the stretch of it in the unit sphere, for pinhole and parallel cameras alike."""

    origin: jax.Array  # (3,) scene units
    direction: jax.Array  # (3,) unit
    near: jax.Array  # () where it enters the unit sphere, 0 for a camera inside; scene units along the line
    far: jax.Array  # () where it leaves it, scene units; below `near` when it misses it
    width: jax.Array  # () of a pixel at the origin, scene units; 0 for a pinhole
    spread: jax.Array  # () by how much a pixel widens with the distance

    def width_at(self, t: jax.Array) -> jax.Array:
        """Width () of a pixel at distance t (), scene units."""
        return self.width + self.spread * t


@struct.dataclass(kw_only=True)
class Ray:
    """A half-line through the film, with the stretch of it that can meet the object."""

    origin: jax.Array  # (3,) scene units
    direction: jax.Array  # (3,) unit
    near: jax.Array  # () where the march starts, outside the unit sphere or at the camera; scene units along the ray
    far: jax.Array  # () where the ray leaves the unit sphere; below `near` when it misses the sphere
    differential: jax.Array  # (3, 2) ∂direction/∂u, per pixel; orthogonal to the direction

    @property
    def footprint(self) -> jax.Array:
        """Width () of a pixel at unit distance, scene units."""
        return jax.numpy.sqrt(jax.numpy.sum(self.differential[:, 0] ** 2))


@struct.dataclass(kw_only=True)
class Hit:
    """Where a ray ended. Detached: no field carries a derivative with respect to the parameters."""

    distance: jax.Array  # () along the ray, scene units; where the march stopped if it is no hit
    field: jax.Array  # () value of the distance function there
    step: jax.Array  # () how far an undecided march has gone on behind the last point that it took, scene units
    status: jax.Array  # () int32, a `Status`
    queries: jax.Array  # () int32, evaluations of the field spent on this ray


@struct.dataclass(kw_only=True)
class Warp:
    """A displacement of the film that moves with the silhouettes. Zero in value; only tangents are non-zero."""

    displacement: jax.Array  # (2,) V(u; θ), pixels
    divergence: jax.Array  # () ∂V/∂u, the first-order part of det ∂T/∂u


@struct.dataclass(kw_only=True)
class Sample:
    """Light arriving at one film position."""

    film: jax.Array  # (2,) u, pixels
    radiance: jax.Array  # (3,) L(T(u; θ); θ), linear
    warp: Warp
    boundary: jax.Array  # (3,) density of a widened silhouette's own term, linear; zero in value
    point: jax.Array  # (3,) where the ray ended, detached; scene units
    status: jax.Array  # () int32, a `Status`


@struct.dataclass(kw_only=True)
class Image:
    """A rendered picture with what lies behind it; fields have leading axes (height, width)."""

    radiance: jax.Array  # (..., 3) linear
    opacity: jax.Array  # (...) share of the pixel's samples that hit
    depth: jax.Array  # (...) z of the surface seen from the camera, averaged over the hits; scene units, 0 where none
    normal: jax.Array  # (..., 3) averaged outward normal, scene frame, 0 where none


@struct.dataclass(kw_only=True)
class Observation:
    """What a camera sees of a shape; every field but `queries` has leading axes (height, width)."""

    valid: jax.Array  # (...) bool, whether the ray meets the surface
    distance: jax.Array  # (...) to the surface along the ray, scene units; 0 where not valid
    depth: jax.Array  # (...) z of the surface seen from the camera, scene units; 0 where not valid
    normal: jax.Array  # (..., 3) outward unit normal, scene frame; 0 where not valid
    silhouette: jax.Array  # (...) least field along the ray less the threshold, scene units; negative on the shape
    properties: jax.Array  # (..., C) what else is decoded at the surface; 0 where not valid
    queries: jax.Array  # () int32, samples of the field that the march has asked for


class Pictures(Protocol):
    """N arrays of one shape; a NumPy array (N, ...), or what reads an item from its file when it is asked for."""

    @property
    def dtype(self) -> np.dtype:
        """float32 for what is kept as it is; uint8 or uint16 where so many sRGB codes hold all that the files say."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """One array, or the `Pictures` at a NumPy array of indices."""
        ...


@struct.dataclass(kw_only=True)
class Tracks:
    """A point that several pictures of a set show: at most K of them, and fewer where `seen` says so."""

    views: jax.Array  # (K,) int32, which pictures
    film: jax.Array  # (K, 2) where in each, pixels
    seen: jax.Array  # (K,) bool; the others repeat a place where it is seen, so that all are numbers


@struct.dataclass(kw_only=True)
class Views:
    """A set of posed pictures of one object, on the host; every reader in `datasets` returns this."""

    images: Pictures = struct.field(pytree_node=False)  # N of (H, W, 3) float32, linear
    cameras: Camera  # leading axis N; NumPy leaves
    names: tuple[str, ...] = struct.field(pytree_node=False)  # of the pictures
    world_from_scene: np.ndarray  # (4, 4) similarity
    # N of (H, W) float32, share of the pixel that the object covers; None if unknown
    masks: Pictures | None = struct.field(pytree_node=False, default=None)

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.names)
