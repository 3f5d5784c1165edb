"""A fit that is stopped at any step, and gone on with, comes to the same bits; one in trouble goes back."""

import re
import signal
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
import tiny

from experiments import fit_loop, make_scene, posing, reconstruct, runs, stopping, watch
from experiments.make_scene import MakeConfig
from experiments.presets import PRESETS
from sdfrepar import checkpoints, files, fitting, networks
from sdfrepar.fitting import FitConfig

QUICK = PRESETS["quick"]
# Poses, a moving average, three levels that change on the way, and a band too small for all samples: each depends on
# the step alone.
CONFIG = replace(
    QUICK,
    log_every=2,
    checkpoint_every=1e6,
    network=tiny.NETWORK,
    render=replace(QUICK.render, chunk=512, gradient=replace(QUICK.render.gradient, band_share=0.25)),
    fit=FitConfig(
        steps=8, pixels=16, warm_up=3, eikonal_points=8, levels=3, descent=0.5, refine_poses=True, match_weight=0.0
    ),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_scene.write(
        MakeConfig(views=3, test_views=2, resolution=32, occupancy_resolution=16, surface_points=500), folder
    )
    return folder


@pytest.fixture(scope="module")
def pixels(data):
    train, _, _ = posing.load(CONFIG, data)
    return len(train), fitting.on_all_devices(reconstruct.load_pixels(CONFIG, train))


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """All runs here take the same step; compiling it again would be all that these tests do."""
    made, compile_step = [], fit_loop.compile_step

    def once(*given):
        if not made:
            made.append(compile_step(*given))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_loop, "compile_step", once)
        yield


def go(data, pixels, workdir, *, stop_at=None, config=CONFIG, worth=1.0):
    """The run, or the rest of it, as `reconstruct` does it; a signal comes in the midst of a step."""
    views, gathered = pixels
    key = jax.random.key(config.seed)
    params = networks.initialise(config.network, np.zeros(3, np.float32), key=key) | fitting.of_views(config.fit, views)
    params["sdf"] = jax.tree.map(lambda leaf: worth * leaf, params["sdf"])
    snapshot = runs.begin(config, data, workdir, params)
    config = replace(config, pictures=config.fit.steps)

    def show(state):
        if int(state.step) == stop_at:
            signal.raise_signal(signal.SIGTERM)

    keep = partial(runs.save, CONFIG, data, workdir)
    scene, log = networks.scene(config.network), workdir / runs.LOG
    return fit_loop.fit(config, scene, snapshot, gathered, fitting.on_all_devices(key), log, show=show, keep=keep)


@pytest.fixture(scope="module")
def whole(data, pixels, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, jax.tree.map(np.asarray, go(data, pixels, workdir).state)


def test_stopped_at_any_step_it_comes_to_the_same_bits(data, pixels, whole, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        workdir = tmp_path / str(number)
        stops = sorted(rng.choice(np.arange(1, 8), size=rng.integers(1, 4), replace=False).tolist())
        for step in stops:
            with pytest.raises(
                stopping.Stopped, match=rf"Stopped by SIGTERM at step {step}, which is saved in {workdir};"
            ):
                go(data, pixels, workdir, stop_at=step)
            assert checkpoints.latest_step(workdir / runs.CHECKPOINTS) == step
        state = go(data, pixels, workdir).state
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, state), whole[1])
        lines = [files.read_json_lines(folder / runs.LOG) for folder in (workdir, whole[0])]
        without = [[{n: v for n, v in line.items() if n != "seconds"} for line in each] for each in lines]
        assert without[0] == without[1]
    assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(whole[1].params["poses"]))


def test_a_state_with_nans_is_never_kept(data, pixels, tmp_path):
    config = replace(CONFIG, checkpoint_every=0.0)
    with pytest.raises(watch.NotFiniteError, match=r"At step 1 .* became not finite; try a lower --fit\.shape_rate"):
        go(data, pixels, tmp_path, config=config, worth=np.nan)
    assert checkpoints.latest_step(tmp_path / runs.CHECKPOINTS) is None


def test_trouble_goes_back_to_where_all_was_well(data, pixels, whole, tmp_path):
    """And from there to what the run would have come to, were its rate as it was."""
    params = whole[1].params
    for step in (2, 5):
        with pytest.raises(stopping.Stopped):
            go(data, pixels, tmp_path, stop_at=step)
    snapshot = runs.go_back(CONFIG, tmp_path, params, restarts=0, sound_until=4)
    assert (int(snapshot.state.step), int(snapshot.restarts)) == (2, 1)
    assert checkpoints.latest_step(tmp_path / runs.CHECKPOINTS) == 2
    assert [line["step"] for line in files.read_json_lines(tmp_path / runs.LOG)] == [2]
    assert int(runs.go_back(CONFIG, tmp_path, params, restarts=1, sound_until=1).state.step) == 0
    assert checkpoints.latest_step(tmp_path / runs.CHECKPOINTS) is None
    calm = runs.calmed(CONFIG, 1).fit
    assert (calm.shape_rate, calm.warm_up) == (CONFIG.fit.shape_rate / 2, 2 * CONFIG.fit.warm_up)


def test_what_is_there_already_is_refused_or_forced(data, whole, capsys):
    workdir = whole[0]
    other = replace(CONFIG, seed=3, fit=replace(CONFIG.fit, shape_rate=1.0))
    with pytest.raises(runs.OtherRunError, match=r"fit\.shape_rate was \S+ and is now 1\.0; seed was 0 and is now 3\."):
        runs.require_resumable(other, data, workdir, "auto")
    with pytest.raises(runs.OtherRunError, match=r"holds a run, and resume is never; choose another --workdir"):
        runs.require_resumable(CONFIG, data, workdir, "never")
    runs.require_resumable(replace(CONFIG, rollbacks=5, checkpoints_kept=1), data, workdir, "auto")
    assert capsys.readouterr().out == ""
    runs.require_resumable(other, data, workdir, "force")
    assert "goes on all the same: fit.shape_rate was" in capsys.readouterr().out
    with pytest.raises(ValueError, match="resume is 'maybe', expected one of auto, never, force"):
        runs.require_resumable(CONFIG, data, workdir, "maybe")


def test_an_older_checkpoint_stands_in_for_a_damaged_one(data, pixels, whole, tmp_path, capsys):
    for step in (2, 5):
        with pytest.raises(stopping.Stopped):
            go(data, pixels, tmp_path, stop_at=step)
    (tmp_path / runs.CHECKPOINTS / "5" / "_CHECKPOINT_METADATA").write_bytes(b"{")
    state = go(data, pixels, tmp_path).state
    said = capsys.readouterr().out
    assert re.search(
        r"step 5 in \S+ is damaged \(its description cannot be read\)\. That of step 2 is used instead", said
    )
    assert "it goes on at step 2" in said and (tmp_path / runs.CHECKPOINTS / "5.damaged").is_dir()
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, state), whole[1])


def test_pictures_with_nans_are_refused(data):
    train, _, _ = posing.load(CONFIG, data)
    gathered = reconstruct.load_pixels(CONFIG, train)
    floats = [np.ones(level.shape, np.float32) for level in gathered.colour]
    floats[0][1, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match=rf"The picture of {train.names[1]} holds values that are not finite; mend it"):
        reconstruct._require_finite(train.names, gathered.replace(colour=tuple(floats)))
