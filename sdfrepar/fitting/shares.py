"""A batch divided among devices: each does its share, and all of them together do what one would."""

from typing import NamedTuple, TypeVar

import jax

AXIS = "rays"

Tree = TypeVar("Tree")


class Share(NamedTuple):
    """Which part of a batch a device does. All the leaves of a batch have it along their first axis."""

    index: jax.Array | int  # () of this device's part
    count: int  # parts that there are

    def part(self, index: jax.Array | int, count: int) -> "Share":
        """The equal part of this share that has this index ()."""
        return Share(self.index * count + index, self.count * count)

    def of(self, batch: Tree) -> Tree:
        """This device's part of a batch that all devices know."""
        if self.count == 1:
            return batch

        def part(leaf: jax.Array) -> jax.Array:
            size = leaf.shape[0] // self.count
            return jax.lax.dynamic_slice_in_dim(leaf, self.index * size, size)

        return jax.tree.map(part, batch)

    def gather(self, part: Tree) -> Tree:
        """The whole batch from the parts of all devices."""
        if self.count == 1:
            return part
        return jax.tree.map(lambda leaf: jax.lax.all_gather(leaf, AXIS, tiled=True), part)


WHOLE = Share(0, 1)
"""The only device's."""
