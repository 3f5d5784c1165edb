"""The report of a run makes sense whatever the run has come to; runs are compared, and swept over grids."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import written

from experiments import cells, compare, run_report, runs, sweep
from experiments.flags import ConfigError
from experiments.scores import duration, score_lines
from sdfrepar import files, reports

NASTY = "<script>alert(1)</script>"


def text_of(path):
    """What a reader sees, without markup."""
    page = re.sub(r"<(style|script).*?</\1>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_a_finished_run_is_told_whole(tmp_path):
    path = run_report.write(written.run_folder(tmp_path / "mine"), written.rig())
    assert path == tmp_path / "mine" / "report.html"
    page, text = path.read_text(), text_of(path)
    assert "Finished: 200 steps in 1 min 3 s, on cpu." in text and "30.12 dB" in text
    assert page.count('<figure class="wipe">') == 2 and page.count("<canvas") == 1 and page.count("<svg") == 3
    assert "python run --data=&#x27;data&#x27;" in text and "fit.shape_rate" in text and "1,280 triangles" in text
    assert "test_000" in text and "step 50" in text
    # Nothing is fetched: every address is data.
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', page))


def test_an_unfinished_run_says_how_far_it_is(tmp_path):
    folder = written.run_folder(tmp_path / "run", step=75)
    # What another run in the folder has left at its end is not this one's.
    written.run_folder(tmp_path / "other")
    (folder / "mesh.ply").write_bytes((tmp_path / "other" / "mesh.ply").read_bytes())
    text = text_of(run_report.write(folder, written.rig()))
    assert "Not finished: 75 of 200 steps are done." in text and "There is no mesh yet." in text
    assert "They come at the end of the run." in text and "step 50" in text
    assert "cameras alone" in text


def test_a_run_that_failed_says_why(tmp_path):
    folder = written.run_folder(tmp_path / "run", step=75)
    text = text_of(run_report.write(folder, written.rig(), trouble="The surface is <lost>."))
    assert "It failed. The surface is &lt;lost&gt;." in text
    files.write_json(folder / "metrics.json", {"failure": "The surface is lost."})
    assert "It failed. The surface is lost." in text_of(run_report.write(folder, []))


def test_a_run_without_a_mesh_or_held_out_views_says_so(tmp_path):
    folder = written.run_folder(tmp_path / "run", views=(), has_mesh=False)
    text = text_of(run_report.write(folder, written.rig()))
    assert "There is no mesh: the field has no surface." in text and "Held-out views There are none." in text


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    folder = written.run_folder(tmp_path / "run", step=0)
    (folder / "metrics.jsonl").unlink()
    assert "0 of 200 steps are done" in text_of(run_report.write(folder, []))


def test_names_are_only_names(tmp_path):
    folder = written.run_folder(tmp_path / "<script>alert(1)<", data=NASTY, views=("<img src=x onerror=alert(1)>",))
    page = run_report.write(folder, written.rig()).read_text()
    assert "<script>alert" not in page and "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;" in page


@pytest.mark.slow
def test_a_page_of_many_large_views_stays_small(tmp_path):
    names = tuple(f"view_{k:02}" for k in range(20))
    path = run_report.write(written.run_folder(tmp_path / "run", views=names, size=(480, 640)), written.rig())
    assert path.stat().st_size < 8e6
    assert re.search(r"\d+ of 20 are shown; all are in images/", text_of(path))


def test_scores_are_said_in_words():
    lines = score_lines({"psnr": 30.125, "chamfer": None, "normal_error": 3.21, "seconds": 7500.0, "unknown": 1})
    assert lines == [("PSNR", "30.12 dB"), ("error of normals", "3.2°"), ("time", "2 h 5 min")]
    assert [duration(seconds) for seconds in (0.4, 59.6, 61.0)] == ["0 s", "1 min 0 s", "1 min 1 s"]


@pytest.fixture
def three(tmp_path):
    """A finished run, another with another gradient and rate, and one on the way."""
    gradient = replace(written.CONFIG.render.gradient, method="interior")
    other = replace(
        written.CONFIG,
        render=replace(written.CONFIG.render, gradient=gradient),
        fit=replace(written.CONFIG.fit, shape_rate=0.5),
    )
    folders = [tmp_path / name for name in ("a", "b", "c")]
    written.run_folder(folders[0])
    written.run_folder(folders[1], config=other, views=("test_001",))
    written.run_folder(folders[2], step=100)
    return folders


def test_what_differs_between_runs_is_a_column_each(three):
    found = compare.compared(three)
    header, rows = found.table()
    assert header[:5] == ["run", "method", "shape_rate", "state", "PSNR"]
    by_name = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["method"] for row in by_name] == ["grazing", "interior", "grazing"]
    assert [row["shape_rate"] for row in by_name] == ["0.01", "0.5", "0.01"]
    assert [row["state"] for row in by_name] == ["finished", "finished", "step 100 of 200"]
    assert [row["PSNR"] for row in by_name] == ["30.12 dB", "30.12 dB", "-"]
    assert found.views == ["test_001"]


def test_a_comparison_is_a_picture_a_table_and_a_page(three, tmp_path):
    run_report.write(three[0], [])
    output = tmp_path / "out" / "all.png"
    compare.write(compare.compared(three), output, views=2)
    assert files.read_image(output).shape == (2 * 24, 5 * 32 + 4 * 2, 3)
    assert output.with_suffix(".md").read_text().startswith("| run | ")
    assert files.read_json(output.with_suffix(".json"))["b"]["config"]["fit.shape_rate"] == "0.5"
    page = output.with_suffix(".html").read_text()
    assert '<a href="../a/report.html">a</a>' in page and page.count('<figure class="wipe">') == 2


def test_runs_without_pictures_are_compared_by_their_numbers(three, tmp_path):
    compare.write(compare.compared([three[2]]), tmp_path / "one.png", views=2)
    assert not (tmp_path / "one.png").exists() and "<table>" in (tmp_path / "one.html").read_text()
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json, so no run; name work directories"):
        compare.compared([tmp_path / "nowhere"])


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path):
    folders = [written.run_folder(tmp_path / name / "run") for name in ("a", "b")]
    assert list(compare.compared(folders).runs) == [str(folder) for folder in folders]


def test_a_grid_is_read():
    assert sweep.parsed("fit.shape_rate=1e-3,3e-3; --data.centre=[0,0,0],[0,0,1]") == {
        "fit.shape_rate": ["1e-3", "3e-3"],
        "data.centre": ["0,0,0", "0,0,1"],
    }


@pytest.mark.parametrize(
    ("grid", "words"),
    [("", "--grid is empty"), ("fit.steps", "has 'fit.steps'"), ("a=1;a=2", "comes once"), ("=1", "has '=1'")],
)
def test_a_grid_that_is_none_is_refused(grid, words):
    with pytest.raises(ConfigError, match=words):
        sweep.parsed(grid)


def test_words_change_a_config_and_others_are_refused():
    config = sweep.changed(written.QUICK, ["--gradient=interior", "--fit.steps=7"])
    assert config.render.gradient.method == "interior" and config.fit.steps == 7
    assert config.network == written.QUICK.network
    for words, message in ((["--fit.stpes=3"], r"Did you mean: fit\.steps"), (["--fit.steps=x"], "fit.steps=x")):
        with pytest.raises(ConfigError, match=message):
            sweep.changed(written.QUICK, words)
    with pytest.raises(ConfigError, match="'here' is no flag"):
        sweep.changed(written.QUICK, ["here"])


def test_a_sweep_does_what_is_left_and_tables_all(tmp_path, monkeypatch, capsys):
    """The first run is finished, the second is done, the third fails: all are in the table."""
    done = []

    def reconstruct(config, data, workdir):
        done.append(workdir.name)
        stopped = config.fit.shape_rate == 4.0
        written.run_folder(workdir, config=config, data=str(data), step=100 if stopped else 200)
        if stopped:
            raise cells.RunError("The surface is lost.")
        return files.read_json(workdir / runs.METRICS)

    monkeypatch.setattr(cells, "reconstruct", reconstruct)
    first = sweep.changed(written.CONFIG, ["--fit.shape_rate=1"])
    written.run_folder(tmp_path / "sweep" / "shape_rate=1", config=first)
    found = sweep.sweep(written.CONFIG, {"fit.shape_rate": ["1", "2", "4.0"]}, Path("data"), tmp_path / "sweep")
    assert done == ["shape_rate=2", "shape_rate=4.0"]
    header, rows = found.table()
    assert header[:4] == ["run", "shape_rate", "state", "PSNR"]
    assert [row[1:4] for row in rows] == [
        ["1.0", "finished", "30.12 dB"],
        ["2.0", "finished", "30.12 dB"],
        ["4.0", "failed", "-"],
    ]
    assert (tmp_path / "sweep" / "table.md").read_text() == reports.table(header, rows) + "\n"
    assert set(files.read_json(tmp_path / "sweep" / "table.json")) == set(found.runs)
    assert "shape_rate=4.0" in capsys.readouterr().out


def test_a_point_of_the_grid_is_a_folder():
    assert sweep.name_of({"fit.shape_rate": "1e-3", "data.centre": "0,0,1"}) == "shape_rate=1e-3_centre=0,0,1"
    assert sweep.name_of({"data.holdout": "../a b"}) == "holdout=..-a-b"


def test_config_values_are_text_by_their_flags():
    assert runs.flat({"a": {"b": [1, 2], "c": None}, "d": True}) == {"a.b": "1,2", "a.c": "none", "d": "true"}
