"""Experiments that put many runs into a table: what is kept, what is shown, and what a failure leaves."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import ablate_subset, baselines, cells, compare_idr
from experiments.presets import PRESETS
from experiments.run_report import PANELS
from experiments.runs import OtherRunError
from experiments.watch import LostSurfaceError
from sdfrepar import files, reports

QUICK = PRESETS["quick"]


def test_idr_is_one_ray_through_the_centre_of_every_pixel():
    config = compare_idr.idr_with_masks(QUICK)
    assert config.fit.masks == "use" and baselines.idr(QUICK).fit.masks == "ignore"
    assert config.render.gradient.method == "interior" and config.render.film.inside == 1
    assert config.render.film.on_edges == 0 and config.render.film.pattern == "regular"
    assert config.fit.levels == 1 and config.fit.candidates == 1
    # As many rays a step, the same networks and steps.
    assert config.fit.pixels == QUICK.fit.pixels * QUICK.render.film.inside
    assert config.network == QUICK.network and config.fit.steps == QUICK.fit.steps


def test_a_subset_is_that_of_the_papers_march():
    config = ablate_subset.with_subset(QUICK, 5)
    gradient, trace = config.render.gradient, config.render.trace
    assert gradient.method == "velocity" and gradient.velocity.top_k == 5
    assert trace.max_steps == ablate_subset.STEPS and trace.relaxation == 0


def test_cells_that_are_there_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "reconstruct", lambda *_: pytest.fail("it is there already"))
    monkeypatch.setattr(cells.runs, "finished", lambda *_: {"psnr": 1.0})
    assert cells.cell(QUICK, tmp_path, tmp_path / "run") == {"psnr": 1.0}


def test_a_cell_that_fails_says_why_and_stays_in_the_table(tmp_path, monkeypatch):
    def lost(*_):
        raise LostSurfaceError("The surface is lost.", 0)

    monkeypatch.setattr(cells, "reconstruct", lost)
    metrics = cells.cell(QUICK, tmp_path, tmp_path / "run")
    assert metrics == {"failure": "The surface is lost."} == files.read_json(tmp_path / "run" / "metrics.json")
    table = {"demo": {"IDR without masks": metrics, "ours without masks": {"psnr": 31.234, "seconds": 120.0}}}
    text = compare_idr.markdown(table)
    assert "| demo | IDR without masks | failed |" in text and "demo, IDR without masks: The surface is lost." in text
    assert "| demo | ours without masks | 31.23 | - |" in text and "| 2 |" in text


def test_another_run_in_a_cell_is_no_failure(tmp_path, monkeypatch):
    def another(*_):
        raise OtherRunError("holds another run")

    monkeypatch.setattr(cells, "reconstruct", another)
    with pytest.raises(OtherRunError):
        cells.cell(QUICK, tmp_path, tmp_path / "run")


def test_the_picture_has_truth_and_columns_for_every_scene(tmp_path):
    panels = [np.full((4, 6, 3), value / 8) for value in range(PANELS)]
    for name in ("IDR_with_masks", "ours_without_masks"):
        files.write_image(tmp_path / "demo" / name / "images" / "view_00.png", reports.side_by_side(*panels))
    picture = compare_idr.picture({"demo": {}}, tmp_path)
    assert picture.shape == (2 * (4 + 2), 4 * 6 + 3 * 2, 3)
    truth, with_masks, without, ours = reports.panels_of(picture[:4], 4)
    np.testing.assert_allclose(truth, 0.0, atol=0.01)
    np.testing.assert_allclose(with_masks, 1 / 8, atol=0.01)
    np.testing.assert_allclose(without, 1.0)
    np.testing.assert_array_equal(ours, with_masks)
    np.testing.assert_allclose(reports.panels_of(picture[6:10], 4)[1], 3 / 8, atol=0.01)


def test_ablation_writes_a_table_and_curves(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    seen = []

    def reconstruct(config, data, workdir):
        seen.append(config.render.gradient.velocity.top_k)
        return {"psnr": 30.0 + seen[-1], "chamfer": 0.01, "step_gigabytes": 0.1}

    monkeypatch.setattr(cells, "reconstruct", reconstruct)
    ablate_subset.ablate(QUICK, tmp_path, tmp_path, [3, 8])
    assert seen == [3, 8]
    assert "| 8 | 38.00 | 0.0100 | 0.100 |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_configs_of_cells_differ_where_they_should():
    """No column is another under a second name."""
    configs = [change(QUICK) for change in compare_idr.COLUMNS.values()]
    assert len(set(configs)) == len(configs)
    assert replace(configs[0], fit=replace(configs[0].fit, masks="ignore")) == configs[1]
