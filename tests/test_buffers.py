"""Buffers of a fixed size: their room, who gets in, and that in the end everybody does."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar.rendering import buffers

SIZE = 12
WANTED = jnp.isin(jnp.arange(SIZE), jnp.array([0, 2, 3, 5, 8, 11]))
VALUES = jnp.asarray(np.random.default_rng(0).normal(size=SIZE), jnp.float32)


@pytest.mark.parametrize(
    ("share", "size", "room"),
    [(0.25, 100, 25), (0.25, 10, 2), (0.3, 12, 4), (1.0, 12, 12), (1.5, 12, 12), (1e-6, 12, 1), (0.0, 12, 1)],
)
def test_capacity_is_a_whole_share_of_one_item_at_least(share, size, room):
    assert buffers.capacity(share, size) == room


def test_the_wanted_come_first_in_falling_order():
    order = jnp.asarray(np.random.default_rng(1).random(SIZE), jnp.float32)
    ranked = np.argsort(-np.asarray(order))
    wanted = np.asarray(WANTED)[ranked]
    expected = np.concatenate([ranked[wanted], ranked[~wanted]])
    for room in (1, 6, 9, SIZE):
        np.testing.assert_array_equal(buffers.choose(WANTED, room, order), expected[:room])


@pytest.mark.parametrize("room", [6, 9])
def test_all_the_wanted_count_once_where_there_is_room(room):
    chosen, weight = buffers.choose_fairly(WANTED, room, jax.random.key(0))
    assert len(np.unique(chosen)) == room
    np.testing.assert_array_equal(weight, np.asarray(WANTED)[np.asarray(chosen)])
    assert float(weight @ VALUES[chosen]) == pytest.approx(float(VALUES[WANTED].sum()), abs=1e-6)


def test_none_count_where_none_are_wanted():
    _, weight = buffers.choose_fairly(jnp.zeros(SIZE, bool), 4, jax.random.key(0))
    np.testing.assert_array_equal(weight, 0.0)


@pytest.mark.parametrize("room", [1, 4])
def test_a_random_subset_stands_for_all_the_wanted(room):
    choose = jax.jit(jax.vmap(partial(buffers.choose_fairly, WANTED, room)))
    chosen, weight = (np.asarray(x) for x in choose(jax.random.split(jax.random.key(1), 4096)))
    assert np.all(np.asarray(WANTED)[chosen])
    np.testing.assert_allclose(weight, 6 / room)
    sums = np.sum(weight * np.asarray(VALUES)[chosen], axis=1)
    error = sums.std() / np.sqrt(len(sums))
    assert 0 < error < 0.15
    assert abs(sums.mean() - float(VALUES[WANTED].sum())) < 4 * error
    # Each has the same chance: within five standard deviations of a binomial.
    chance = np.bincount(chosen.ravel(), minlength=SIZE)[np.asarray(WANTED)] / len(chosen)
    np.testing.assert_allclose(chance, room / 6, atol=5 * np.sqrt(room / 6 * (1 - room / 6) / len(chosen)))


@pytest.mark.parametrize("share", [0.01, 0.25, 1.0])
def test_the_wanted_get_results_and_the_others_keep_what_they_had(share):
    squared = jax.jit(partial(buffers.for_the_wanted, lambda x: x**2, WANTED, share))
    np.testing.assert_allclose(squared((VALUES,), -jnp.ones(SIZE)), np.where(WANTED, np.asarray(VALUES) ** 2, -1.0))


@pytest.mark.parametrize("wanted", [WANTED, jnp.zeros(SIZE, bool), jnp.ones(SIZE, bool)], ids=["some", "none", "all"])
def test_skipping_changes_neither_values_nor_derivatives(wanted):
    """Zero for those not wanted, whose derivative is zero too, even where it would not be finite."""
    values = jnp.where(wanted, VALUES, 0.0)

    def skipped(scale):
        return buffers.skipping(lambda x: scale * jnp.sqrt(jnp.abs(x)), wanted, (values,))

    np.testing.assert_allclose(skipped(2.0), 2.0 * np.sqrt(np.abs(values)), rtol=1e-6)
    np.testing.assert_allclose(jax.jacrev(skipped)(2.0), np.sqrt(np.abs(values)), rtol=1e-6)
    np.testing.assert_allclose(jax.jacfwd(skipped)(2.0), np.sqrt(np.abs(values)), rtol=1e-6)


def count_down(item, state):
    """One unit of work: (what is left, what was done)."""
    left, done = state
    return left - 1, done + item["unit"]


def worked(rounds, share):
    units = {"unit": VALUES}
    left = jnp.array([0, 3, 1, 0, 2, 5, 0, 0, 1, 1, 0, 4])
    state = (left, jnp.zeros(SIZE))
    work = jax.jit(partial(buffers.in_rounds, count_down, lambda state: state[0] > 0, share, rounds))
    return np.asarray(left), *(np.asarray(x) for x in work(units, state))


@pytest.mark.parametrize("share", [0.01, 0.25, 1.0])
def test_rounds_reach_everyone_in_the_end(share):
    before, left, done = worked(100, share)
    np.testing.assert_array_equal(left, 0)
    np.testing.assert_allclose(done, before * np.asarray(VALUES), rtol=1e-6)


@pytest.mark.parametrize(("share", "enough"), [(0.01, 17), (0.25, 7), (1.0, 5)])
def test_rounds_are_full_and_limited(share, enough):
    """17 units take one place 17 rounds; three places, which serve the first first, 7; twelve, the longest item's 5."""
    for rounds, settled in ((enough - 1, False), (enough, True)):
        before, left, done = worked(rounds, share)
        assert np.all(left == 0) == settled
        assert np.sum(before - left) <= rounds * buffers.capacity(share, SIZE)
        np.testing.assert_allclose(done, (before - left) * np.asarray(VALUES), rtol=1e-6)
    assert np.array_equal(worked(0, share)[1], before)


@pytest.mark.parametrize("count", [0, 3, 8, 20])
def test_a_sum_over_blocks_is_that_of_the_wanted_alone(count):
    x = jnp.arange(20.0).reshape(20, 1) + 1.0
    wanted = jnp.asarray(np.random.default_rng(0).permutation(20) < count)

    def work(items, wanted):
        return {"sum": jnp.sum(jnp.where(wanted[:, None], items, 0.0), axis=0), "blocks": jnp.int32(1)}

    found = buffers.summed(work, wanted, 8, x)
    np.testing.assert_allclose(found["sum"], jnp.sum(jnp.where(wanted[:, None], x, 0.0), axis=0))
    assert found["blocks"] == -(-count // 8)
