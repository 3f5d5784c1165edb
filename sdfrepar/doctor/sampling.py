"""Which pictures of many are looked at closely."""

import numpy as np

from sdfrepar.records import Camera

# Groups of pictures that may show the same from near places: some next to one another in the order of their names,
# some next to one another by their cameras, which may be wrong.
_GROUPS, _SIZE = 4, 3


def neighbours(cameras: Camera, names: tuple[str, ...]) -> np.ndarray:
    """Indices (K,) of at most 24 pictures, in small groups that lie side by side, from all over the set."""
    order = np.argsort(names, kind="stable")
    count = len(order)
    if count <= 2 * _GROUPS * _SIZE:
        return order
    starts = np.linspace(0, count - _SIZE, _GROUPS).round().astype(int)
    by_name = [order[start + k] for start in starts for k in range(_SIZE)]
    ahead = np.asarray(cameras.rotation, float)[:, :, 2]
    seeds = order[np.linspace(0, count - 1, _GROUPS + 2).round().astype(int)[1:-1]]
    by_camera = [i for seed in seeds for i in np.argsort(-ahead @ ahead[seed])[:_SIZE]]
    return np.unique([*by_name, *by_camera])
