"""The fault matrix itself: that a failure is seen, that its ledger goes on, and that its table counts."""

import os
import signal
import sys

import numpy as np
import pytest

from benchmarks.faults import __main__ as matrix
from benchmarks.faults import asked, command, kills, ledger, pictured, soak, spoils, stops, stored, table
from benchmarks.faults.command import Bench, Running, Said
from benchmarks.faults.ledger import Job, Ledger, Try
from benchmarks.faults.spoils import Place, Spoil, UnexpectedError


def tries_of(part, fault, count, **what):
    return [Try(part, fault, number, 1, "well", **what) for number in range(count)]


def python(tmp_path, source):
    return Running([sys.executable, "-c", source], tmp_path / "said", os.environ)


def test_a_ledger_goes_on_where_it_was_torn(tmp_path):
    path = tmp_path / "tries.jsonl"
    Ledger(path).add([*tries_of("kill", "any", 3), Try("stop", "term", 0, 0, "differs")])
    with path.open("ab") as file:
        file.write(b'{"part": "kil')
    jobs = [Job("kill", "any", 0, 3, list), Job("kill", "any", 3, 3, list), Job("stop", "term", 0, 1, list)]
    again = Ledger(path)
    assert again.left(jobs, again=False) == [jobs[1]]
    assert again.left(jobs, again=True) == jobs[1:]
    again.add([Try("stop", "term", 0, 1, "the same")])
    assert Ledger(path).left(jobs, again=True) == [jobs[1]]
    assert len(Ledger(path).tries) == 4


def test_work_is_done_once_and_a_fault_of_the_harness_is_a_failure(tmp_path, capsys):
    def broken():
        raise OSError("no such mount")

    book = Ledger(tmp_path / "tries.jsonl")
    sound = Job("spoil", "a", 0, 1, lambda: tries_of("spoil", "a", 1))
    ledger.work([sound, Job("spoil", "b", 0, 1, broken)], book, at_a_time=2, give_up=list)
    assert {one.fault: one.survived for one in book.tries} == {"a": 1, "b": 0}
    assert "the harness itself: OSError: no such mount" in capsys.readouterr().out
    assert all(one.about["seconds"] >= 0 for one in book.tries)


def test_kills_come_in_chains_and_no_number_twice(tmp_path):
    jobs = kills.jobs(Bench(tmp_path), 33)
    numbers = [(job.fault, job.number + i) for job in jobs for i in range(job.tries)]
    assert len(numbers) == len(set(numbers)) == 33
    assert sum(fault == kills.IN_A_SAVE for fault, _ in numbers) == 16


def test_single_faults_have_names_of_their_own():
    names = [one.name for one in matrix.catalogue()]
    assert len(set(names)) == len(names) >= table.FAULTS


def test_a_killed_command_is_seen_to_have_ended(tmp_path):
    with python(tmp_path, "print('begun', flush=True); import time; time.sleep(60)") as running:
        assert running.until(lambda: "begun" in (tmp_path / "said.out").read_text())
        assert running.worked > 0 and soak.resident(running.process.pid) > 1
        assert running.signal(signal.SIGKILL)
        assert running.ended().code == -signal.SIGKILL
        assert not running.signal(signal.SIGKILL) and not running.until(lambda: True)


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "LONGEST", 0.2)
    with python(tmp_path, "import time; time.sleep(60)") as running:
        said = running.ended()
    assert said.code is None and "hung" in str(said.trouble)


def test_a_traceback_is_always_trouble(tmp_path):
    with python(tmp_path, "raise OSError('no room')") as running:
        said = running.ended()
    assert said.code == 1 and "OSError: no room" in str(said.trouble)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (Said(0, "all is well", ""), "exit 0, expected 1"),
        (Said(1, "", "error: The cat is on the keyboard."), "without"),
        (Said(1, "", "Traceback (most recent call last):\nerror: The disk is full."), "traceback"),
        (Said(None, "", "error: The disk is full."), "hung"),
    ],
)
def test_what_is_not_the_expected_sentence_is_refused(tmp_path, said, wrong):
    place = Place(Bench(tmp_path / "bench"), tmp_path / "place")
    assert (
        place.says(Said(1, "", "a warning\nerror: The DISK is full."), "error: .*disk", 1) == "error: The DISK is full."
    )
    with pytest.raises(UnexpectedError, match=wrong):
        place.says(said, "error: .*disk", 1)


def test_what_a_command_says_of_going_on_is_read():
    assert Said(0, "runs/x holds a checkpoint of this run; it goes on at step 17.\n", "").went_on_at == 17
    assert Said(0, "step 1/40", "").went_on_at is None
    assert Said(1, "step 1/40", "a warning\nerror: No room.\nbye").last_words == "error: No room."


def test_memory_that_grows_is_not_flat():
    seconds = np.linspace(0.0, 1800.0, 360)
    warm = 500.0 - 400.0 * np.exp(-seconds / 20.0)
    assert abs(soak.drift(np.stack([seconds, warm], axis=1))) < 1e-3
    leaking = np.stack([seconds, warm + 0.1 * seconds], axis=1)
    assert soak.drift(leaking) > soak.FLAT
    assert np.isnan(soak.drift(leaking[:5]))


def test_bars_are_met_by_enough_and_missed_by_one_failure():
    good = [
        *tries_of("kill", "any", 200, lost=1, about={"logged": 3}),
        *(Try("spoil", f"fault {i}", 0, 1, "error: So it is.") for i in range(20)),
        *tries_of("stop", stops.FAULT, 50),
        *tries_of("fuzz", "nerf", 1, tries=10_000, about={"tracebacks": 0, "hangs": 0, "writes": 0}),
        *tries_of("soak", "30", 1, about={"minutes": 30.0}),
    ]
    good[-2].survived = 10_000
    assert [bar.met for bar in table.bars(good)] == [True] * 5
    assert [bar.met for bar in table.bars(good[1:-1])] == [False, True, True, True, False]
    bad = [
        Try("kill", "any", 200, 0, "differs", about={"logged": 3, "divergent": True}),
        Try("spoil", "one more", 0, 0, "a traceback"),
        Try("stop", stops.FAULT, 50, 0, "differs"),
        Try("fuzz", "idr", 0, 499, "it did open", tries=500, about={"tracebacks": 0, "hangs": 0, "writes": 1}),
    ]
    assert [bar.met for bar in table.bars([*good, *bad])] == [False, False, False, False, True]
    untried = Try("spoil", "needs root", 0, 0, "not tried: needs root", tries=0)
    assert table.bars([*good, untried])[1].met


def test_the_table_counts_and_shows_a_failure_first():
    text = table.markdown([*tries_of("kill", "any", 2, lost=1), Try("kill", "any", 2, 0, "a | b\nc", lost=4)])
    assert "| kill: any | 3 | 2 | 2 on average, 4 at most | a \\| b c |" in text


def one_of(catalogue: list[Spoil], name: str) -> Spoil:
    (found,) = [one for one in catalogue if one.name == name]
    return found


def test_real_commands_are_refused_with_the_sentence_expected(tmp_path):
    bench = Bench(tmp_path)
    for catalogue, name in ((asked, "a flag out of range"), (pictured, "an empty folder of pictures")):
        one = spoils.spoilt(bench, one_of(catalogue.spoils(), name), 0)
        assert one.survived == one.tries == 1, one.message
        assert one.message.startswith("error: ")


@pytest.mark.slow
def test_a_killed_run_and_a_spoilt_checkpoint_come_to_the_same_bits(tmp_path):
    bench = Bench(tmp_path)
    bench.prepare()
    tries = kills.chain(bench, kills.ANY_MOMENT, 0, 2)
    assert [one.survived for one in tries] == [1, 1]
    one = spoils.spoilt(bench, one_of(stored.spoils(), "log with half a line"), 0)
    assert one.survived == 1, one.message
    # And a difference is seen.
    assert bench.difference(bench.reference) is None
    (bench.reference / "mesh.ply").write_bytes(b"another")
    assert "mesh.ply" in str(bench.difference(bench.reference))
