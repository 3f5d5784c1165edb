"""Work on some of many items, in buffers of a fixed size, as compiled code needs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Parts into which work is cut, of which those without any wanted items are skipped.
_PARTS = 4


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
        work: (*items) -> pytree, for a whole buffer of items.
        wanted: (S,) bool.
        share: room of the buffer, as a share of S.
        items: arguments of `work`, leading axis S.
        key: random key, for which of the wanted stand for the rest, each weighted up.

    Returns:
        The results, leading axis S.
    """
    size = wanted.shape[0]
    chosen, weight = choose_fairly(wanted, capacity(share, size), key)
    few = work(*jax.tree.map(lambda x: x[chosen], items))

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
        work: (item, state) -> state, for one item.
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
        still = wanted(state)
        return done + 1, _applied(work, still, _wanted_first(still)[:room], items, state)

    return jax.lax.while_loop(unsettled, one_round, (jnp.zeros((), jnp.int32), state))[1]


def in_blocks(
    work: Callable[[Any, Any], Any], wanted: jax.Array, block: int, items: Any, state: Any
) -> tuple[Any, jax.Array]:
    """Apply `work` once to every wanted item, in as few blocks as hold them.

    Args:
        work: (item, state) -> state, for one item.
        wanted: (S,) bool.
        block: items at a time.
        items: pytree, leading axis S.
        state: likewise.

    Returns:
        The states, and the items () that `work` was given, those included that fill up the last block.
    """
    size = wanted.shape[0]
    block = min(block, size)
    count = jnp.sum(wanted)
    # Places beyond the items fill up the last block of all.
    order = jnp.concatenate([_wanted_first(wanted), jnp.full(block, size)])

    def one_block(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        begun, state = carry
        chosen = jax.lax.dynamic_slice(order, (begun,), (block,))
        return begun + block, _applied(work, wanted, chosen, items, state)

    begun, state = jax.lax.while_loop(lambda carry: carry[0] < count, one_block, (jnp.zeros((), jnp.int32), state))
    return state, begun


def summed(work: Callable[[Any, jax.Array], Any], wanted: jax.Array, block: int, items: Any) -> Any:
    """Σ work(items of a block, whether each is wanted) over as few blocks as hold the wanted items.

    Args:
        work: (items, wanted (block,)) -> pytree, in which what is not wanted adds nothing.
        wanted: (S,) bool.
        block: items at a time.
        items: pytree, leading axis S.
    """
    size = wanted.shape[0]
    block = min(block, size)
    order = jnp.concatenate([_wanted_first(wanted), jnp.zeros(block, jnp.int32)])
    count = jnp.sum(wanted)

    def of_block(begun: jax.Array) -> Any:
        chosen = jax.lax.dynamic_slice(order, (begun,), (block,))
        return work(jax.tree.map(lambda x: x[chosen], items), begun + jnp.arange(block) < count)

    def one_more(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        begun, total = carry
        return begun + block, jax.tree.map(jnp.add, total, of_block(begun))

    zero = jnp.zeros((), jnp.int32)
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(of_block, zero))
    return jax.lax.while_loop(lambda carry: carry[0] < count, one_more, (zero, nothing))[1]


def for_the_wanted(
    work: Callable[..., Any], wanted: jax.Array, share: float, items: tuple[Any, ...], otherwise: Any = None
) -> Any:
    """Results of `work` for every wanted item, a buffer at a time, and `otherwise` for the rest. Not in reverse mode.

    Args:
        work: (*item) -> pytree, for one item.
        wanted: (S,) bool.
        share: room of the buffer, as a share of S.
        items: arguments of `work`, leading axis S.
        otherwise: results, leading axis S; zeros if not given.
    """
    otherwise = _zeros_like_results(work, items) if otherwise is None else otherwise

    def replace(item: tuple[Any, ...], _: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        return jnp.zeros((), bool), work(*item)

    rounds = -(-wanted.shape[0] // capacity(share, wanted.shape[0]))
    return in_rounds(replace, lambda state: state[0], share, rounds, items, (wanted, otherwise))[1]


def skipping(work: Callable[..., Any], wanted: jax.Array, items: tuple[Any, ...], parts: int = _PARTS) -> Any:
    """Results of `work` for every wanted item and zero for the others, whose work is left out where it can be.

    The wanted come first, in a few equal parts, and a part without any is skipped.

    Args:
        work: (*item) -> pytree, for one item.
        wanted: (S,) bool.
        items: arguments of `work`, leading axis S.
        parts: how many at most; the largest number that divides S.

    Returns:
        The results, leading axis S.

    Gradient: that of `work` for the wanted items, by forward and reverse mode.
    """
    size = wanted.shape[0]
    parts = max(number for number in range(1, parts + 1) if size % number == 0)
    order = _wanted_first(wanted)
    sorted_items, sorted_wanted = jax.tree.map(
        lambda x: x[order].reshape(parts, size // parts, *x.shape[1:]), (items, wanted)
    )
    nothing = _zeros_like_results(work, jax.tree.map(lambda x: x[: size // parts], items))

    def one_part(part: tuple[jax.Array, tuple[Any, ...]]) -> Any:
        wanted, items = part
        done = jax.lax.cond(jnp.any(wanted), lambda: jax.vmap(work)(*items), lambda: nothing)
        return where_wanted(wanted, done, nothing)

    # In reverse a part is computed again: to keep what it needs would fill the memory of all parts, skipped or not.
    done = jax.lax.map(jax.checkpoint(one_part), (sorted_wanted, sorted_items))
    return jax.tree.map(
        lambda x: jnp.zeros((size, *x.shape[2:]), x.dtype).at[order].set(x.reshape(size, *x.shape[2:])), done
    )


def in_chunks(work: Callable[..., Any], items: tuple[Any, ...], chunk: int) -> Any:
    """Results of `work` for all the items, at most so many at a time.

    Args:
        work: (*items) -> pytree, for a whole chunk of items.
        items: arguments of `work`, leading axis S.
        chunk: items at a time; items that were done before fill up the last chunk.

    Returns:
        The results, leading axis S.

    Gradient: that of `work`; what a chunk needs in reverse, it computes again.
    """
    size = jax.tree.leaves(items)[0].shape[0]
    chunks = -(-size // chunk)
    if chunks == 1:
        return work(*items)
    per_chunk = -(-size // chunks)
    padded = jax.tree.map(lambda x: jnp.resize(x, (chunks, per_chunk, *x.shape[1:])), items)
    again = jax.checkpoint(work)
    done = jax.lax.map(lambda part: again(*part), padded)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:size], done)


def where_wanted(wanted: jax.Array, new: Any, old: Any) -> Any:
    """The new results of the wanted items (S,) and the old ones of the others; pytrees of leading axis S."""

    def one(wanted: jax.Array, new: Any, old: Any) -> Any:
        return jax.tree.map(lambda new, old: jnp.where(wanted, new, old), new, old)

    return jax.vmap(one)(wanted, new, old)


def _applied(work: Callable[[Any, Any], Any], wanted: jax.Array, chosen: jax.Array, items: Any, state: Any) -> Any:
    """The states after `work` on the chosen items; others among them fill up a buffer, and stay as they are."""
    some_items, old = jax.tree.map(lambda x: x[chosen], (items, state))
    new = where_wanted(wanted.at[chosen].get(mode="fill", fill_value=False), jax.vmap(work)(some_items, old), old)
    return jax.tree.map(lambda whole, part: whole.at[chosen].set(part), state, new)


def _wanted_first(wanted: jax.Array) -> jax.Array:
    """Indices (S,) that hold the wanted entries first, else in their order: a partition, cheaper than sorting."""
    before = jnp.cumsum(wanted)
    place = jnp.where(wanted, before - 1, before[-1] + jnp.cumsum(~wanted) - 1)
    return jnp.zeros_like(place).at[place].set(jnp.arange(wanted.shape[0]))


def _zeros_like_results(work: Callable[..., Any], items: tuple[Any, ...]) -> Any:
    """Zeros where `work` on all the items would leave its results."""
    size = jax.tree.leaves(items)[0].shape[0]
    shapes = jax.eval_shape(work, *jax.tree.map(lambda x: x[0], items))
    return jax.tree.map(lambda x: jnp.zeros((size, *x.shape), x.dtype), shapes)
