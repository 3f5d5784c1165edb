"""Work on some of many items, in buffers of a fixed size, as compiled code needs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def capacity(share: float, size: int) -> int:
    """A share of a batch as a whole number of items, at least one."""
    return min(size, max(1, round(share * size)))


def choose(wanted: jax.Array, room: int, order: jax.Array) -> jax.Array:
    """Indices (room,) that hold the wanted entries first, in falling `order` (values in [0, 1))."""
    return jax.lax.top_k(wanted + order, room)[1]


def choose_fairly(wanted: jax.Array, room: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A random subset of the wanted entries that stands for all of them.

    Args:
        wanted: (S,) bool.
        room: size of the buffer.
        key: random key.

    Returns:
        Indices (room,), and weights (room,) whose sum over any function of the entries has the sum over all the wanted
        ones as its mean: 1 where they fit, more where they do not, 0 for entries that were not wanted.
    """
    chosen = choose(wanted, room, jax.random.uniform(key, wanted.shape))
    return chosen, wanted[chosen] * jnp.maximum(jnp.sum(wanted) / room, 1.0)


def stand_for(work: Callable[..., Any], wanted: jax.Array, share: float, items: tuple[Any, ...], key: jax.Array) -> Any:
    """Results of `work` for the wanted items and zero for the others; unbiased where the buffer is too small for all.

    Args:
        work: (*item) -> pytree, for one item.
        wanted: (S,) bool.
        share: room of the buffer, as a share of S.
        items: arguments of `work`, leading axis S.
        key: random key, for which of the wanted stand for the rest, each weighted up.

    Returns:
        The results, leading axis S.
    """
    size = wanted.shape[0]
    chosen, weight = choose_fairly(wanted, capacity(share, size), key)
    few = jax.vmap(work)(*jax.tree.map(lambda x: x[chosen], items))

    def scattered(part: jax.Array) -> jax.Array:
        weighted = part * weight.reshape(-1, *(1 for _ in part.shape[1:]))
        return jnp.zeros((size, *part.shape[1:]), part.dtype).at[chosen].set(weighted)

    return jax.tree.map(scattered, few)


def in_rounds(
    work: Callable[[Any, Any], Any],
    wanted: Callable[[Any], jax.Array],
    share: float,
    rounds: int,
    items: Any,
    state: Any,
) -> Any:
    """Apply `work` to the items whose state is wanted, a buffer at a time, until none is left or `rounds` are over.

    Args:
        work: (item, state) -> state, for one item; leaves a state that is not wanted as it is, since those fill up the
            last buffer.
        wanted: all states -> (S,) bool.
        share: room of the buffer, as a share of S.
        rounds: at most.
        items: pytree, leading axis S.
        state: likewise.
    """
    size = jax.tree.leaves(items)[0].shape[0]
    room = capacity(share, size)

    def unsettled(carry: tuple[jax.Array, Any]) -> jax.Array:
        done, state = carry
        return (done < rounds) & jnp.any(wanted(state))

    def one_round(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        done, state = carry
        chosen = choose(wanted(state), room, jnp.zeros(size))
        some_items, some = jax.tree.map(lambda x: x[chosen], (items, state))
        some = jax.vmap(work)(some_items, some)
        return done + 1, jax.tree.map(lambda whole, part: whole.at[chosen].set(part), state, some)

    return jax.lax.while_loop(unsettled, one_round, (jnp.zeros((), jnp.int32), state))[1]
