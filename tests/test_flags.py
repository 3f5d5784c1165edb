"""Flags, JSON and errors of nested configs."""

import dataclasses
import enum
import errno
import json
import logging
from typing import Literal

import jax
import pytest
from absl import flags as absl_flags

from experiments import flags


class Filter(enum.Enum):
    """A choice."""

    BOX = "box"
    GAUSSIAN = "gaussian"


@dataclasses.dataclass(frozen=True)
class Trace:
    """An inner config that checks itself."""

    max_steps: int = 128
    """Steps before a ray is given up."""
    tolerance: float = 1e-4
    relax: bool = False

    def __post_init__(self):
        if self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps}, expected at least 1; leave it out for 128.")


@dataclasses.dataclass(frozen=True)
class Config:
    """An outer config with every type of field."""

    trace: Trace = Trace()
    name: str = "torus"
    size: tuple[int, int] = (32, 48)
    levels: tuple[float, ...] = ()
    limit: int | None = None
    mode: Literal["warp", "idr"] = "warp"
    filter: Filter = Filter.BOX


def parsed(*arguments, prefix=""):
    values = absl_flags.FlagValues()
    flags.define(Config(), prefix, flag_values=values)
    assert values(["program", *arguments]) == ["program"]
    return values


EVERYTHING = (
    "--trace.max_steps=64",
    "--trace.tolerance=1e-3",
    "--trace.relax",
    "--name=cow",
    "--size=8,16",
    "--levels=0.5,1,2",
    "--limit=7",
    "--mode=idr",
    "--filter=gaussian",
)
CHANGED = Config(Trace(64, 1e-3, True), "cow", (8, 16), (0.5, 1.0, 2.0), 7, "idr", Filter.GAUSSIAN)


def test_every_type_of_flag_is_read():
    assert flags.read(Config(), parsed(*EVERYTHING)) == CHANGED


def test_unset_flags_leave_the_preset_alone():
    assert flags.read(CHANGED, parsed()) is CHANGED
    config = flags.read(CHANGED, parsed("--trace.tolerance=0.5", "--notrace.relax", "--limit=none", "--levels="))
    assert config == dataclasses.replace(CHANGED, trace=Trace(64, 0.5, False), limit=None, levels=())


def test_a_flag_set_to_the_usual_value_still_wins_over_the_preset():
    assert flags.read(CHANGED, parsed("--trace.max_steps=128")).trace.max_steps == 128


def test_prefix_goes_before_the_names():
    assert flags.read(Config(), parsed("--fit.trace.max_steps=3", prefix="fit"), "fit").trace.max_steps == 3


def test_flag_file_brings_the_config_back(tmp_path):
    values = parsed(*EVERYTHING[:-3], "--limit=none")
    path = tmp_path / "flags.txt"
    path.write_text(values.flags_into_string())
    again = absl_flags.FlagValues()
    flags.define(Config(), flag_values=again)
    again(["program", f"--flagfile={path}"])
    assert flags.read(CHANGED, again) == flags.read(CHANGED, values)
    assert flags.read(CHANGED, again).limit is None


def test_lines_for_a_flag_file_bring_the_config_back():
    lines = flags.to_lines(CHANGED)
    assert "--trace.max_steps" in {line.partition("=")[0] for line in lines}
    assert flags.read(Config(), parsed(*lines)) == CHANGED


def test_help_shows_description_and_preset(monkeypatch):
    monkeypatch.setattr("sys.argv", ["program"])
    values = absl_flags.FlagValues()
    flags.define(Config(), flag_values=values)
    words = " ".join(values.main_module_help().split())
    assert "--trace.max_steps: Steps before a ray is given up. (default: preset, usually 128) (an integer)" in words
    assert "--[no]trace.relax: relax (default: preset, usually false)" in words
    assert "(default: preset, usually 32,48)" in words and "(one of box, gaussian)" in words


def test_typo_is_answered_with_the_right_name():
    with pytest.raises(absl_flags.UnrecognizedFlagError, match=r"Did you mean: trace\.max_steps"):
        parsed("--trace.max_stepz=3")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--trace.max_steps=many", "'many' came, expected an integer"),
        ("--size=1,2,3", "3 items came, expected an integer,an integer"),
        ("--size=1,x", "'x' came, expected an integer"),
        ("--mode=slow", "'slow' came, expected one of warp, idr"),
        ("--filter=BOX", "'BOX' came, expected one of box, gaussian"),
        ("--limit=few", "'few' came, expected an integer, or none"),
    ],
)
def test_wrong_value_is_named(argument, message):
    with pytest.raises(absl_flags.IllegalFlagValueError, match=message):
        parsed(argument)


def test_value_refused_by_the_config_names_the_flag():
    with pytest.raises(flags.ConfigError, match=r"With --trace\.max_steps=0: max_steps is 0, expected at least 1"):
        flags.read(Config(), parsed("--trace.max_steps=0", "--name=cow"))


def test_field_without_a_flag_type_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Odd:
        table: dict = dataclasses.field(default_factory=dict)

    with pytest.raises(ValueError, match="Field table cannot be a flag"):
        flags.define(Odd(), flag_values=absl_flags.FlagValues())
    with pytest.raises(ValueError, match="call define"):
        flags.read(Config(), absl_flags.FlagValues())


@pytest.mark.parametrize("config", [Config(), CHANGED, Config(trace=Trace(tolerance=float("inf")))])
def test_json_round_trip_is_exact(config):
    assert flags.from_json(Config(), json.loads(json.dumps(flags.to_json(config), allow_nan=False))) == config
    assert isinstance(flags.from_json(Config(), {"levels": [1]}).levels[0], float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trace": {"steps": 1}}, r"unknown keys trace\.steps, expected among max_steps"),
        ({"trace": 3}, "Config 'trace' is 3, expected a dict"),
        ({"trace": {"max_steps": True}}, r"Config key trace\.max_steps is True, expected an integer"),
        ({"size": [1]}, "Config key size: 1 items came"),
        ({"mode": "slow"}, "Config key mode is 'slow', expected one of warp, idr"),
        ({"filter": 1}, "Config key filter is 1"),
        ({"name": None}, "Config key name is None, expected text"),
    ],
)
def test_json_of_another_config_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        flags.from_json(Config(), values)


@pytest.fixture(autouse=True)
def own_log_handlers(monkeypatch):
    """A launch installs absl's log handler; other tests must not inherit it."""
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))


def launch(error):
    def main(arguments):
        raise error

    with pytest.raises(SystemExit) as caught:
        flags.run(main, ["program"])
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("one"), 1), (FileNotFoundError("one"), 1), (flags.RunError("one"), 1), (flags.ConfigError("one"), 2)],
)
def test_user_errors_are_one_sentence(monkeypatch, capsys, error, code):
    monkeypatch.delenv("SDFREPAR_TRACEBACK", raising=False)
    assert launch(error) == code
    assert capsys.readouterr().err == "error: one\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/a/b"),
            "/a/b: No space left on device; make room, and give",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "/a: Permission denied; choose another place"),
        (OSError("said kindly"), "said kindly"),
        (MemoryError(), "There is too little memory (the host's is full); state a smaller --memory_gb"),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nMore."),
            "There is too little memory (RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes); state a",
        ),
    ],
)
def test_errors_of_the_machine_are_one_sentence(monkeypatch, capsys, error, sentence):
    monkeypatch.delenv("SDFREPAR_TRACEBACK", raising=False)
    assert launch(error) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {sentence}") and said.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("a bug"), jax.errors.JaxRuntimeError("INTERNAL: a bug")])
def test_other_runtime_errors_pass_through(error):
    with pytest.raises(RuntimeError, match="a bug"):
        launch(error)


def test_other_errors_and_traced_errors_pass_through(monkeypatch):
    with pytest.raises(TypeError):
        launch(TypeError("a bug"))
    monkeypatch.setenv("SDFREPAR_TRACEBACK", "1")
    with pytest.raises(ValueError, match="one"):
        launch(ValueError("one"))


def test_exit_code_of_the_program_is_kept():
    with pytest.raises(SystemExit) as caught:
        flags.run(lambda arguments: 3, ["program"])
    assert caught.value.code == 3
