"""The table of marches: what it says is so, and its files are there."""

import json

import numpy as np
import pytest
import scenes

from experiments import ablate_tracer
from experiments.ablate_tracer import Found, TracerConfig
from sdfrepar import fields, files
from sdfrepar.observing import ObserveConfig, Subject


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    config = TracerConfig(
        resolution=32,
        steps=(40,),
        ways=("naive", "cones"),
        thresholds=(0.5, 8.0),
        gradients=False,
        # Small blocks, since what fills up a block counts as asked for.
        observe=ObserveConfig(block=32),
    )
    workdir = tmp_path_factory.mktemp("tracer")
    torus = Subject(fields.torus, lambda params, x: x)
    return ablate_tracer.ablate(config, torus, scenes.TORUS, workdir), workdir


def test_the_table_compares_each_way_with_the_plain_march(ran):
    table, workdir = ran
    plain, cones = table["marches"]
    assert plain["share"] == plain["iou"] == plain["within"] == 1.0
    assert cones["queries"] < 0.5 * plain["queries"]
    assert cones["iou"] > 0.98 and cones["within"] > 0.95
    assert json.loads((workdir / "table.json").read_text())["marches"] == table["marches"]
    assert "| 40 | cones |" in (workdir / "table.md").read_text()


def test_a_large_threshold_dilates_the_outline(ran):
    table, workdir = ran
    small, large = table["thresholds"]
    assert small["dilated"] < large["dilated"] and large["eroded"] == 0.0
    assert large["dilated"] > 0.3
    picture = files.read_image(workdir / "threshold.png")
    red = (picture[..., 0] > 0.5) & (picture[..., 1] < 0.3)
    assert red.any() and red[:, : picture.shape[1] // 2].sum() < red[:, picture.shape[1] // 2 :].sum()


def test_shares_are_of_what_both_have_found():
    plain = Found(
        np.array([True, True, True, False]), np.array([True, False, True, True]), np.arange(4.0), 0.1, 100, 2.0, 1
    )
    other = plain._replace(
        hit=np.array([True, True, False, True]), distance=np.array([0.05, 1.5, 9.0, 9.0]), queries=25, seconds=1.0
    )
    row = ablate_tracer.compared(other, plain)
    assert row["iou"] == 0.5 and row["share"] == 0.25 and row["times_faster"] == 2.0
    assert row["within"] == 0.5 and row["within_arrived"] == 1.0


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="ways and steps"):
        TracerConfig(steps=())
