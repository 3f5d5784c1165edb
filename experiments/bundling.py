"""Bundle adjustment: cameras are moved to where they see the points that pictures share, before a fit begins."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras, losses, triangulation
from sdfrepar.records import Camera, Tracks

# Pixels off its place beyond which a point of a picture is false, in rounds: cameras are a degree off at first.
_WITHIN = (30.0, 10.0, 4.0, 2.0, 1.0)

# Of each such limit, what true points are within.
_NEAR = 0.25

# Points that fewer pictures are left of are dropped.
_FEWEST = 3

_STEPS = 300


def bundled(rig: Camera, tracks: Tracks) -> tuple[jax.Array, Tracks]:
    """Motions to where the cameras see the tracks best, and the tracks without what is false among them.

    Args:
        rig: leading axis N, NumPy leaves.
        tracks: leading axis T, NumPy leaves.

    Returns:
        (N, 6), as `cameras.moved` takes them; intrinsics stay, and so does the frame, but for what the errors of all
        cameras have in common. And tracks, leading axis at most T, NumPy leaves.

    Raises:
        ValueError: no track is left.
    """
    motions = jnp.zeros((len(rig.position), 6))
    left = tracks
    for within in _WITHIN:
        left = replace(left, seen=_true(motions, rig, left, within))
        motions = _settled(motions, rig, left, _NEAR * within)
    left = replace(left, seen=_true(motions, rig, left, _WITHIN[-1]))
    is_left = np.any(np.asarray(left.seen), axis=1)
    if not is_left.any():
        raise ValueError(
            f"No point is within {_WITHIN[-1]:g} pixel of where its pictures put it, so that points cannot refine the "
            "cameras; expected these to be a degree or two off, so check the data set, or set --fit.match_weight=0."
        )
    print(f"{is_left.sum()} of {is_left.size} points are seen within {_WITHIN[-1]:g} pixel of their places")
    return motions, jax.tree.map(lambda leaf: np.asarray(leaf)[is_left], left)


def _settled(motions: jax.Array, rig: Camera, tracks: Tracks, near: float) -> jax.Array:
    """The motions with the least reprojection distances of the tracks."""
    from scipy.optimize import minimize

    def shaped(flat: np.ndarray) -> jax.Array:
        return jnp.asarray(flat.reshape(motions.shape), motions.dtype)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _value_and_slope(shaped(flat), rig, tracks, near)
        return float(value), np.asarray(slope, np.float64).ravel()

    begin = np.asarray(motions, np.float64).ravel()
    return shaped(minimize(objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x)


@jax.jit
@jax.value_and_grad
def _value_and_slope(motions: jax.Array, rig: Camera, tracks: Tracks, near: float) -> jax.Array:
    return losses.reprojection(_seeing(motions, rig, tracks), tracks, near)


@jax.jit
def _true(motions: jax.Array, rig: Camera, tracks: Tracks, within: float) -> jax.Array:
    """Which places (T, K) are no farther from where the others put them."""

    def of_point(rig: Camera, track: Tracks) -> jax.Array:
        x = triangulation.point_of(rig, track.film, track.seen, _NEAR * within)
        return track.seen & (jnp.linalg.norm(triangulation.offsets(rig, track.film, x), axis=1) < within)

    true = jax.vmap(of_point)(_seeing(motions, rig, tracks), tracks)
    return true & (jnp.sum(true, axis=1, keepdims=True) >= _FEWEST)


def _seeing(motions: jax.Array, rig: Camera, tracks: Tracks) -> Camera:
    """The cameras (T, K) that see the tracks, after their motions."""
    moved = jax.vmap(cameras.moved)(rig, motions)
    return jax.tree.map(lambda leaf: leaf[tracks.views], moved)
