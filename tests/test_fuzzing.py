"""Broken inputs of every format: each is read or refused in a sentence, and nothing else happens."""

import collections
import json
import subprocess

import pytest

from benchmarks.fuzzing import outcomes, spoiling
from benchmarks.fuzzing.spoiling import Spoilt
from benchmarks.fuzzing.subjects import SUBJECTS, FileSet

# Few of each format, so that it takes seconds; `python -m benchmarks.fuzzing` tries thousands.
COUNT = 20


@pytest.mark.parametrize("subject", SUBJECTS)
def test_broken_files_are_refused_in_a_sentence(subject, tmp_path):
    whole = SUBJECTS[subject].make()
    whole.write(tmp_path / "outside")
    whole.write(tmp_path / "sound")
    SUBJECTS[subject].read(tmp_path / "sound")
    defects, counts = [], collections.Counter()
    for number in range(COUNT):
        case = outcomes.case(subject, number, whole, tmp_path / "outside")
        outcome = outcomes.attempt(subject, case, tmp_path / f"set {number}")
        counts[outcome.kind] += 1
        if outcome.kind == "defect":
            defects.append(f"{number}, {case.kind} of {case.where}: {outcome.words}")
    assert defects == []
    assert counts["refused"] >= COUNT // 10


def test_there_are_ways_enough_and_every_way_is_tried():
    assert len(spoiling.KINDS) >= 40
    tried = collections.Counter()
    for subject in ("transforms.json, lenses", "IDR", "points", "Middlebury", "pictures"):
        whole = SUBJECTS[subject].make()
        tried += collections.Counter(outcomes.case(subject, n, whole, "/nowhere").kind for n in range(300))
    assert set(tried) == set(spoiling.KINDS)


def test_a_case_is_a_function_of_its_format_and_number(tmp_path):
    whole = SUBJECTS["IDR"].make()
    for number in range(20):
        assert outcomes.case("IDR", number, whole, tmp_path) == outcomes.case("IDR", number, whole, tmp_path)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("raise KeyError('frames')", "it is a KeyError"),
        ("import numpy; numpy.zeros(3).reshape(2, 2)", "it is of another library"),
        ("(folder / '..' / 'written').write_text('')", "it did open"),
        ("(folder / 'a').rename(folder.parent / 'b')", "it did os.rename"),
        ("import os; os.system('true')", "it did os.system"),
        ("import pickle; pickle.loads(b'cos\\nsystem\\n.')", "it did pickle.find_class"),
    ],
)
def test_planted_defects_are_caught(body, complaint, tmp_path, monkeypatch):
    """A reader that does one of these is found out."""

    def reader(folder):
        exec(body, {"folder": folder})

    monkeypatch.setitem(SUBJECTS, "planted", SUBJECTS["IDR"]._replace(read=reader))
    outcome = outcomes.attempt("planted", Spoilt("none", "a", FileSet({"a": b""})), tmp_path / "set")
    assert outcome.kind == "defect"
    assert complaint in outcome.words


def test_a_process_that_dies_is_a_defect(monkeypatch):
    """As a library may end it: the inputs after that one are tried all the same."""
    from benchmarks.fuzzing import __main__ as program

    lines = [[0, "truncated", "a"], ["read", "", 0.1], [1, "empty", "a"]]
    rest = [[2, "empty", "a"], ["refused", "No.", 0.1]]
    answers = iter([(lines, -11), (rest, 0)])

    def run(command, **_):
        said, code = next(answers)
        return subprocess.CompletedProcess(command, code, "\n".join(map(json.dumps, said)), "")

    monkeypatch.setattr(program.subprocess, "run", run)
    rows = program.in_process("IDR", 3, 0)
    assert [row[3] for row in rows] == ["read", "defect", "refused"]
    assert "ended with -11" in rows[1][4]
