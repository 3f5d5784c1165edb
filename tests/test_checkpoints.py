"""Checkpoints: exact, few, atomic, and refused in a sentence."""

import errno
import json
import os
import resource
import shutil
from types import SimpleNamespace

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
        (CONFIG | {"cap": 2, "data": "b"}, r"cap was None and is now 2; data was 'runs/data' and is now 'b'\."),
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


def test_the_best_is_kept_beside_the_last(tmp_path):
    for step, score in ((1, 0.3), (2, 0.1), (3, None), (4, 0.2), (5, 0.1), (6, None)):
        checkpoints.save(tmp_path, step, state_with(step), CONFIG, keep=1, score=score)
    assert sorted(os.listdir(tmp_path)) == ["2", "6"]
    assert_equal(checkpoints.restore(tmp_path, state_with(0), 2), state_with(2))


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """With one bit turned over in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :] if data else data


@pytest.mark.parametrize("harm", [None, halved, flipped, lambda data: b"", lambda data: bytes(len(data))])
def test_damage_to_any_file_is_noticed_or_harmless(tmp_path, harm, capfd):
    """Whatever file is harmed: the state comes back exactly, or not at all; and nobody logs a traceback."""
    rng = np.random.default_rng(0)
    state = {"a": jnp.asarray(rng.standard_normal((40, 40)), jnp.float32), "b": [jnp.ones(3), jnp.int32(7)]}
    checkpoints.save(tmp_path / "sound", 1, state, CONFIG)
    paths = [path.relative_to(tmp_path / "sound") for path in (tmp_path / "sound").rglob("*") if path.is_file()]
    refused = set()
    for number, path in enumerate(paths):
        shutil.copytree(tmp_path / "sound", folder := tmp_path / str(number))
        if harm is None:
            (folder / path).unlink()
        else:
            (folder / path).write_bytes(harm((folder / path).read_bytes()))
        try:
            assert_equal(checkpoints.restore(folder, jax.tree.map(np.asarray, state), config_json=CONFIG), state)
        except checkpoints.DamagedError as error:
            assert "step 1" in str(error) and "put one back from a copy" in str(error)
            refused.add(path.parts[1])
    assert {"_CHECKPOINT_METADATA", "state"} <= refused
    assert "Traceback" not in "".join(capfd.readouterr())


def test_an_older_one_stands_in_for_a_damaged_one(tmp_path):
    for step in (1, 2, 3):
        checkpoints.save(tmp_path, step, state_with(step), CONFIG, keep=3)
    shutil.rmtree(tmp_path / "3")
    (tmp_path / "3").mkdir()
    (tmp_path / "2" / "_CHECKPOINT_METADATA").write_bytes(b"garbage")
    said = []
    assert_equal(checkpoints.restore(tmp_path, state_with(0), config_json=CONFIG, say=said.append), state_with(1))
    assert len(said) == 2 and all("is damaged" in line and "That of step 1 is used instead." in line for line in said)
    with pytest.raises(checkpoints.DamagedError, match=r"step 2 in .* is damaged \(its description cannot be read\)"):
        checkpoints.restore(tmp_path, state_with(0), 2)
    checkpoints.set_aside(tmp_path, after=1)
    assert sorted(os.listdir(tmp_path)) == ["1", "2.damaged", "3.damaged"]
    checkpoints.save(tmp_path, 2, state_with(2), CONFIG)
    checkpoints.discard(tmp_path, after=1)
    assert checkpoints.latest_step(tmp_path) == 1


def test_that_of_a_newer_version_is_refused(tmp_path):
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    path = tmp_path / "1" / "_CHECKPOINT_METADATA"
    about = json.loads(path.read_bytes())
    assert about["custom_metadata"]["format"] == checkpoints.FORMAT
    about["custom_metadata"]["format"] += 1
    path.write_text(json.dumps(about))
    with pytest.raises(
        checkpoints.NewerFormatError, match=r"format 2, and this version reads up to 1; update sdfrepar"
    ):
        checkpoints.restore(tmp_path, state_with(0))


def test_that_of_the_first_version_is_read(tmp_path):
    """It had its config beside it, and nothing else."""
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    path = tmp_path / "1" / "_CHECKPOINT_METADATA"
    about = json.loads(path.read_bytes())
    path.write_text(json.dumps(about | {"custom_metadata": {"config": CONFIG}}))
    assert_equal(checkpoints.restore(tmp_path, state_with(0), config_json=CONFIG), state_with(1))
    with pytest.raises(ValueError, match=r"average/sdf/kernel is float32 \(2, 3\) there"):
        checkpoints.restore(tmp_path, state_with(0, width=4))


def test_a_config_that_was_altered_is_damage(tmp_path):
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    path = tmp_path / "1" / "_CHECKPOINT_METADATA"
    path.write_text(path.read_text().replace('"rate": 0.1', '"rate": 0.2'))
    with pytest.raises(checkpoints.DamagedError, match="its description is not what was written"):
        checkpoints.restore(tmp_path, state_with(0))


def test_what_has_no_room_is_said_and_leaves_the_others(tmp_path, monkeypatch, capfd):
    """Told beforehand, or by a write that fails half way."""
    checkpoints.save(tmp_path, 1, state_with(1), CONFIG)
    big = {"a": jnp.asarray(np.random.default_rng(0).standard_normal((600, 600)), jnp.float32)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(OSError, match=rf"{os.strerror(errno.EFBIG)}\); those before it stay, so make room"):
            checkpoints.save(tmp_path, 2, big, CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(OSError, match=r"step 2 could not be written into .* \(No space left on device for 1\.44 MB\)"):
        checkpoints.save(tmp_path, 2, big, CONFIG)
    assert os.listdir(tmp_path) == ["1"]
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"could not be written into .*/file \(File exists\)"):
        checkpoints.save(tmp_path / "file", 1, state_with(1), CONFIG)
