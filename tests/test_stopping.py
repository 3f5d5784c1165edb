"""Signals: the first is heard, the second ends the program."""

import signal
import subprocess
import sys
import threading

import pytest

from experiments import flags, stopping


@pytest.fixture(autouse=True)
def _interrupts_are_heard():
    """As from a terminal; a shell starts what it puts into the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_is_stopped_where_it_is(number, capsys):
    before = signal.getsignal(number)

    def main(arguments):
        signal.raise_signal(number)
        pytest.fail("it went on")

    with pytest.raises(SystemExit) as caught:
        flags.run(main, ["program"])
    assert caught.value.code == 75
    assert capsys.readouterr().err == (
        f"Stopped by {number.name} with nothing new to save; the same command goes on.\n"
    )
    assert signal.getsignal(number) is before


def test_a_loop_hears_of_it_when_it_suits():
    with stopping.at_once(), pytest.raises(stopping.Stopped):
        with stopping.when_it_suits() as asked:
            assert asked.by is None
            signal.raise_signal(signal.SIGTERM)
            assert asked.by == "SIGTERM"
            assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        signal.raise_signal(signal.SIGTERM)


def test_a_second_signal_ends_the_program():
    program = (
        "import signal\nfrom experiments import stopping\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with stopping.when_it_suits():\n"
        "    signal.raise_signal(signal.SIGINT)\n    print('on', flush=True)\n    signal.raise_signal(signal.SIGINT)\n"
        "print('never')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "on\n")


def test_signals_that_are_ignored_stay_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping.when_it_suits() as asked:
            signal.raise_signal(signal.SIGINT)
        assert asked.by is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_listen_to_none():
    heard = []

    def work():
        with stopping.when_it_suits() as asked:
            heard.append(asked.by)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [None]
