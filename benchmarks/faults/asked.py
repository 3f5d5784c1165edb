"""What the user asks for: signals, and flags that do not go with what is there."""

import signal
import time

from benchmarks.faults.command import DONE, MISUSED, REFUSED, STEPS, STOPPED
from benchmarks.faults.spoils import Place, Spoil, UnexpectedError
from benchmarks.faults.stops import SENTENCE

_OTHER = ("--fit.colour_rate=0.005", "--seed=7")


def spoils() -> list[Spoil]:
    """All of them."""
    return [
        Spoil("SIGINT", lambda at: signalled(at, signal.SIGINT)),
        Spoil("SIGTERM before the first step", early),
        Spoil("SIGTERM twice", twice),
        Spoil("SIGHUP", lambda at: signalled(at, signal.SIGHUP)),
        Spoil("--resume=never on a run", never),
        Spoil("a changed config", changed),
        Spoil("a changed config, --resume=force", forced),
        Spoil("the same command after the end", after_the_end),
        Spoil("a flag out of range", out_of_range),
        Spoil("two commands in one work folder", two_at_a_time),
    ]


def signalled(at: Place, which: signal.Signals) -> str:
    """The run saves, says so, and goes on."""
    with at.bench.start(at.workdir) as running:
        running.until(lambda: at.logged() >= STEPS // 3)
        running.signal(which)
        said = running.ended()
    words = at.says(said, SENTENCE.pattern, STOPPED)
    at.goes_on()
    return words


def early(at: Place) -> str:
    """While the libraries are loaded or the step is compiled: nothing is there to be saved, and nothing is broken."""
    with at.bench.start(at.workdir) as running:
        running.until(lambda: (at.workdir / "config.json").is_file())
        running.signal(signal.SIGTERM)
        said = running.ended()
    words = at.says(said, None, STOPPED)
    at.goes_on()
    return words


def twice(at: Place) -> str:
    """The second is impatience: the run may end at once, but not break."""
    with at.bench.start(at.workdir) as running:
        running.until(lambda: at.logged() >= STEPS // 3)
        running.signal(signal.SIGTERM)
        time.sleep(0.01)
        running.signal(signal.SIGTERM)
        said = running.ended()
    words = at.says(said, None, said.code if said.code in (STOPPED, -signal.SIGTERM, 128 + signal.SIGTERM) else STOPPED)
    at.goes_on()
    return words


def never(at: Place) -> str:
    """Refused, and the run untouched."""
    at.half()
    before = sorted((path, path.stat().st_mtime_ns) for path in at.workdir.rglob("*") if path.is_file())
    words = at.refused("--resume=never", because="holds|--resume")
    if before != sorted((path, path.stat().st_mtime_ns) for path in at.workdir.rglob("*") if path.is_file()):
        raise UnexpectedError("the run was touched")
    at.goes_on()
    return words


def changed(at: Place) -> str:
    """Refused; all fields that differ are named."""
    at.half()
    words = at.refused(*_OTHER, because="fit.colour_rate.*seed")
    at.goes_on()
    return words


def forced(at: Place) -> str:
    """It goes on with the new config."""
    at.half()
    return at.says(at.go(*_OTHER, "--resume=force"), "goes on", DONE)


def after_the_end(at: Place) -> str:
    """Nothing changes."""
    at.goes_on()
    return at.goes_on()


def out_of_range(at: Place) -> str:
    """A code of its own."""
    return at.refused("--fit.steps=0", because="fit.steps", code=MISUSED)


def two_at_a_time(at: Place) -> str:
    """The second is refused, or both come to the end: never a mixture."""
    with at.bench.start(at.workdir) as first:
        first.until(lambda: at.logged() >= STEPS // 4)
        second = at.go()
        said = first.ended()
    at.says(said, None, DONE)
    words = at.says(second, None, second.code if second.code in (DONE, REFUSED) else DONE)
    at.goes_on()
    return words
