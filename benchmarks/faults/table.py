"""The table of all faults, and whether the bars are met."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.faults import soak
from benchmarks.faults.ledger import Try
from sdfrepar import reports

HEADER = ("fault", "tries", "survived", "data lost (steps)", "message")

# Least counts of the bars.
KILLS, FAULTS, INPUTS, STOPS, MINUTES = 200, 20, 10_000, 50, 30.0

_LONGEST = 200


class Bar(NamedTuple):
    """What is asked for, and what was found."""

    asked: str
    found: str
    met: bool


def rows(tries: Sequence[Try]) -> list[dict[str, Any]]:
    """A row for each fault."""
    grouped: dict[tuple[str, str], list[Try]] = defaultdict(list)
    for one in tries:
        grouped[one.part, one.fault].append(one)
    return [_row(*name, group) for name, group in grouped.items()]


def _row(part: str, fault: str, group: Sequence[Try]) -> dict[str, Any]:
    lost = [one.lost for one in group if one.lost is not None]
    # A failure says more than a success.
    telling = next((one for one in group if one.survived < one.tries), group[-1])
    return {
        "part": part,
        "fault": fault,
        "tries": sum(one.tries for one in group),
        "survived": sum(one.survived for one in group),
        "lost_most": max(lost, default=None),
        "lost_mean": sum(lost) / len(lost) if lost else None,
        "message": telling.message,
    }


def bars(tries: Sequence[Try]) -> list[Bar]:
    """All of them."""
    parts: dict[str, list[Try]] = defaultdict(list)
    for one in tries:
        parts[one.part].append(one)
    return [
        _kills(parts["kill"]),
        _spoils(parts["spoil"]),
        _fuzz(parts["fuzz"]),
        _stops(parts["stop"]),
        _soak(parts["soak"]),
    ]


def markdown(tries: Sequence[Try]) -> str:
    """Table and bars."""
    found = [
        (f"{row['part']}: {row['fault']}", str(row["tries"]), str(row["survived"]), _lost(row), _cell(row["message"]))
        for row in rows(tries)
    ]
    judged = [(bar.asked, bar.found, "met" if bar.met else "missed") for bar in bars(tries)]
    return f"{reports.table(HEADER, found)}\n\n{reports.table(('bar', 'found', 'met or missed'), judged)}\n"


def _kills(tries: Sequence[Try]) -> Bar:
    unrecoverable, divergent = (
        sum(bool(one.about.get(name)) for one in tries) for name in ("unrecoverable", "divergent")
    )
    # Those that failed otherwise, by a fault of the harness, prove nothing.
    count = sum(one.tries for one in tries if "logged" in one.about)
    in_save = sum(bool(one.about.get("in_save")) for one in tries)
    return Bar(
        f">= {KILLS} kill -9, 0 unrecoverable, 0 silent divergences",
        f"{count} ({in_save} in the middle of a save), {unrecoverable} unrecoverable, {divergent} silent divergences",
        count >= KILLS and not unrecoverable and not divergent,
    )


def _spoils(tries: Sequence[Try]) -> Bar:
    found = [row for row in rows(tries) if row["tries"]]
    good = [row for row in found if row["survived"] == row["tries"]]
    return Bar(
        f">= {FAULTS} faults, all survived or refused with the sentence expected",
        f"{len(good)} of {len(found)}",
        len(good) >= FAULTS and len(good) == len(found),
    )


def _fuzz(tries: Sequence[Try]) -> Bar:
    count = sum(one.tries for one in tries if "tracebacks" in one.about)
    bad = {name: sum(one.about.get(name, 0) for one in tries) for name in ("tracebacks", "hangs", "writes")}
    words = f"{bad['tracebacks']} tracebacks, {bad['hangs']} hangs, {bad['writes']} writes outside"
    return Bar(
        f">= {INPUTS} broken inputs, 0 tracebacks, 0 hangs (> 60 s), 0 writes outside",
        f"{count}, {words}",
        count >= INPUTS and not any(bad.values()),
    )


def _stops(tries: Sequence[Try]) -> Bar:
    good = sum(one.survived for one in tries)
    return Bar(
        f"bit-identical in {STOPS} of {STOPS} stops",
        f"{good} of {len(tries)}",
        good == len(tries) and len(tries) >= STOPS,
    )


def _soak(tries: Sequence[Try]) -> Bar:
    longest = max(tries, key=lambda one: one.about.get("minutes", 0.0), default=None)
    minutes = 0.0 if longest is None else longest.about.get("minutes", 0.0)
    return Bar(
        f"memory flat to {soak.FLAT:.0%} over {MINUTES:g} minutes",
        "not tried" if longest is None else f"{minutes:g} minutes: {longest.message}",
        longest is not None and minutes >= MINUTES and longest.survived == 1,
    )


def _lost(row: dict[str, Any]) -> str:
    return "" if row["lost_most"] is None else f"{row['lost_mean']:.2g} on average, {row['lost_most']} at most"


def _cell(message: str) -> str:
    """In one line of a table."""
    text = " ".join(message.split()).replace("|", "\\|")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
