"""Checkpoints: exact, few, atomic, and refused in a sentence."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdfrepar import checkpoints, fitting
from sdfrepar.fitting import FitConfig

CONFIG = {"data": "runs/data", "fit": {"steps": 10, "rate": 0.1}, "size": [3, 4], "cap": None}


def state_with(value, width=3):
    """A fit's state, the optimiser's moments included, full of one value."""
    params = {"sdf": {"kernel": jnp.ones((2, width))}, "background": jnp.ones(3)}
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), fitting.start(FitConfig(), params))


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_round_trip_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype), state_with(0))
    checkpoints.save(tmp_path / "new", 7, state, CONFIG)
    like = state_with(1)
    restored = checkpoints.restore(tmp_path / "new", like, config_json=CONFIG)
    assert_equal(restored, state)
    assert restored.step.sharding == like.step.sharding
    on_host = jax.tree.map(np.asarray, like)
    assert isinstance(checkpoints.restore(tmp_path / "new", on_host).step, np.ndarray)


def test_the_last_ones_are_kept(tmp_path):
    assert checkpoints.latest_step(tmp_path / "none") is None
    for step in (1, 2, 12):
        checkpoints.save(tmp_path, step, state_with(step), CONFIG)
    assert checkpoints.latest_step(tmp_path) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["12", "2"]
    assert_equal(checkpoints.restore(tmp_path, state_with(0), 2), state_with(2))
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 1, only of 2, 12; choose"):
        checkpoints.restore(tmp_path, state_with(0), 1)


def test_a_step_can_be_written_again(tmp_path):
    for value in (1, 2):
        checkpoints.save(tmp_path, 5, state_with(value), CONFIG)
    assert_equal(checkpoints.restore(tmp_path, state_with(0)), state_with(2))


def test_an_interrupted_write_is_no_checkpoint(tmp_path):
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    assert checkpoints.latest_step(tmp_path) == 1
    assert_equal(checkpoints.restore(tmp_path, state_with(0)), state_with(1))
    checkpoints.save(tmp_path, 2, state_with(2), CONFIG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_another_state_is_refused(tmp_path):
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    with pytest.raises(
        ValueError, match=r"step 1 in .* average/sdf/kernel is float32 \(2, 3\) there, expected float32 \(2, 4\)"
    ):
        checkpoints.restore(tmp_path, state_with(0, width=4))
    longer = state_with(0)
    longer.params["sdf"]["bias"] = jnp.zeros(2)
    with pytest.raises(ValueError, match=r"params/sdf/bias is absent there, expected float32 \(2,\)"):
        checkpoints.restore(tmp_path, longer)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (CONFIG | {"fit": {"steps": 20, "rate": 0.1}}, r"fit\.steps was 10 and is now 20"),
        (CONFIG | {"size": (3, 5)}, r"size was \[3, 4\] and is now \[3, 5\]"),
        (CONFIG | {"extra": 1}, r"extra was 'absent' and is now 1"),
    ],
)
def test_another_config_is_refused(tmp_path, other, words):
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    with pytest.raises(checkpoints.OtherConfigError, match=rf"step 1 in .* written with another config: {words}"):
        checkpoints.restore(tmp_path, state_with(0), config_json=other)


def test_an_equal_config_may_hold_tuples(tmp_path):
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG | {"size": (3, 4)})
    checkpoints.restore(tmp_path, state_with(0), config_json=CONFIG)


def test_what_cannot_be_saved_or_found_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        checkpoints.restore(tmp_path, state_with(0))
    with pytest.raises(ValueError, match=r"inner/key is a random key.*derive keys"):
        checkpoints.save(tmp_path, 1, {"inner": {"key": jax.random.key(0)}}, CONFIG)
    with pytest.raises(ValueError, match="keep is 0, expected at least 1"):
        checkpoints.save(tmp_path, 1, state_with(0), CONFIG, keep=0)
    assert checkpoints.latest_step(tmp_path) is None
