"""Dotted command-line flags from nested frozen config dataclasses, their JSON, and errors in one sentence.

    define(Config())                     # --trace.max_steps, --seed, ...
    config = read(presets[name])         # flags given by the user win over the preset

A field may be a bool, int, float, str, Literal or Enum, a tuple of these, or any of them `| None`. A field that holds a
dataclass contributes its own fields, with its name before the dot. On the command line a tuple is written with commas,
an Enum by its value, and None as `none`.
"""

import ast
import dataclasses
import inspect
import itertools
import math
import os
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from absl import app, flags, logging

from experiments import compiled, stopping
from experiments.flag_files import parsed
from experiments.sentences import is_out_of_memory, sentence_of
from sdfrepar import files


class RunError(RuntimeError):
    """The run cannot go on, for a reason the user can mend; shown as one sentence, without a traceback."""


class ConfigError(ValueError):
    """Flags that do not make a valid config; the sentence names them."""


def define(config_instance: Any, prefix: str = "", *, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Define one flag for each leaf field of a config, unset by default; `--help` shows the instance's values.

    Args:
        config_instance: a frozen dataclass, possibly of dataclasses; the string under a field is its help text.
        prefix: put before every name, with a dot.
        flag_values: where to define them.

    Raises:
        ValueError: a field of a type that no flag can hold.
    """
    for name, words, kind, value in _leaves(config_instance, prefix):
        shown = f"{words} (default: preset, usually {_text(value) or 'empty'})"
        if kind is bool:
            flags.DEFINE_boolean(name, None, shown, flag_values=flag_values)
        else:
            flags.DEFINE(_Parser(kind), name, None, shown, flag_values, _Serializer())
        # Otherwise --help would list only the flags of the file that was started.
        flag_values.register_key_flag_for_module(sys.argv[0], flag_values[name])


def define_aliases(names: Mapping[str, str], *, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Define short names, each for a flag that is defined."""
    for short, name in names.items():
        flags.DEFINE_alias(short, name, flag_values=flag_values)


def read(config_instance: Any, flag_values: flags.FlagValues = flags.FLAGS, prefix: str = "") -> Any:
    """The config with the flags that the user set; the others keep the instance's values.

    Args:
        config_instance: of the type given to `define`; usually a preset.
        flag_values: parsed.
        prefix: as given to `define`.

    Raises:
        ConfigError: the config itself refuses the values (a ValueError of its `__post_init__`).
        ValueError: the flags were not defined for this config.
    """
    changes = {}
    for field in _fields(config_instance):
        name, value = _join(prefix, field.name), getattr(config_instance, field.name)
        if _is_config(value):
            changed = read(value, flag_values, name)
            if changed is not value:
                changes[field.name] = changed
        elif name not in flag_values:
            raise ValueError(f"There is no flag --{name}, expected one for each field; call define() on this config.")
        elif flag_values[name].present:
            given = flag_values[name].value
            changes[field.name] = None if given is _NOTHING else given
    if not changes:
        return config_instance
    try:
        return dataclasses.replace(config_instance, **changes)
    except ValueError as error:
        given = " ".join(flag.serialize() for flag in _present(flag_values, prefix, changes))
        raise ConfigError(f"With {given}: {error}") from error


def to_json(config: Any) -> dict[str, Any]:
    """The config as nested dicts of JSON values; `from_json` gives it back exactly."""
    values = {field.name: getattr(config, field.name) for field in _fields(config)}
    return {name: to_json(value) if _is_config(value) else _plain(value) for name, value in values.items()}


def to_lines(config: Any) -> list[str]:
    """The config as flags, `--name=value` each: what a file for `--flagfile` holds."""
    return [f"--{name}={_text(value)}" for name, _, _, value in _leaves(config, "")]


def from_json(config_instance: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """The config that `to_json` wrote; a missing key keeps the instance's value.

    Args:
        config_instance: of the type that was written.
        values: nested dicts.
        prefix: where in the config this is, for messages.

    Raises:
        ValueError: an unknown key, or a value of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"Config {prefix!r} is {files.shown(values)}, expected a dict of its fields; check the file.")
    kinds = typing.get_type_hints(type(config_instance))
    fields = {field.name: getattr(config_instance, field.name) for field in _fields(config_instance)}
    unknown = [_join(prefix, files.shown(key)[1:-1]) for key in values if key not in fields]
    if unknown:
        raise ValueError(
            f"The config has unknown keys {', '.join(unknown)}, expected among {', '.join(fields)}; "
            "remove them, or use the version that wrote them."
        )
    changes = {}
    for key, plain in values.items():
        nested = _is_config(fields[key])
        convert, target = (from_json, fields[key]) if nested else (_from_plain, kinds[key])
        changes[key] = convert(target, plain, _join(prefix, key))
    return dataclasses.replace(config_instance, **changes)


def run(main: Callable[[Sequence[str]], Any], argv: Sequence[str] | None = None) -> None:
    """Run a program as `absl.app.run` does, with the user's errors in one sentence on standard error.

    What JAX compiles is kept in ~/.cache/sdfrepar, or where JAX_COMPILATION_CACHE_DIR says. The exit code is 2 for a
    `ConfigError`, 1 for other errors (SDFREPAR_TRACEBACK=1 lets them through), and 75 after SIGTERM or SIGINT.

    Args:
        main: takes the arguments that are not flags; what it returns is the exit code.
        argv: the command line, with the program's name first; `sys.argv` by default.
    """

    def guarded(arguments: Sequence[str]) -> Any:
        logging.set_verbosity(logging.WARNING)  # JAX informs of every accelerator that is not there
        compiled.keep()
        try:
            with stopping.at_once():
                return main(arguments)
        except stopping.Stopped as stopped:
            print(stopped, file=sys.stderr)
            return stopping.EXIT_CODE
        except (ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
            is_ours = not isinstance(error, RuntimeError) or isinstance(error, RunError) or is_out_of_memory(error)
            if not is_ours or os.environ.get("SDFREPAR_TRACEBACK") == "1":
                raise
            print(f"error: {sentence_of(error)}", file=sys.stderr)
            return 2 if isinstance(error, ConfigError) else 1

    app.run(guarded, argv=None if argv is None else list(argv), flags_parser=parsed)


class _Parser(flags.ArgumentParser):
    def __init__(self, kind: Any):
        self._kind = kind
        self.syntactic_help = _expected(kind)

    def parse(self, argument: Any) -> Any:
        value = _parse(self._kind, argument) if isinstance(argument, str) else argument
        return _NOTHING if value is None else value


class _Serializer(flags.ArgumentSerializer):
    def serialize(self, value: Any) -> str:
        return _text(value)


# The value of a flag set to None, which absl could not tell from a flag that is not set.
_NOTHING = object()


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _is_config(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _fields(config: Any) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(config) if field.init]


def _leaves(config: Any, prefix: str) -> Iterator[tuple[str, str, Any, Any]]:
    """Dotted name, help text, type and value of every leaf."""
    kinds, words = typing.get_type_hints(type(config)), _field_strings(type(config))
    for field in _fields(config):
        name, value = _join(prefix, field.name), getattr(config, field.name)
        if _is_config(value):
            yield from _leaves(value, name)
            continue
        try:
            _expected(kinds[field.name])
        except ValueError as error:
            raise ValueError(f"Field {name} cannot be a flag: {error}") from error
        yield name, words.get(field.name, field.name), kinds[field.name], value


def _field_strings(config_type: type) -> dict[str, str]:
    """The string literal under each field of a class, where there is one; Python itself drops it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config_type))).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _present(flag_values: flags.FlagValues, prefix: str, fields: Mapping[str, Any]) -> list[flags.Flag]:
    """The flags that the user set for these fields, or below them."""
    roots = tuple(f"{_join(prefix, field)}." for field in fields)
    return [flag_values[name] for name in flag_values if f"{name}.".startswith(roots) and flag_values[name].present]


def _without_none(kind: Any) -> tuple[Any, bool]:
    """The type proper, and whether None is allowed beside it."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind, False
    proper = [argument for argument in typing.get_args(kind) if argument is not types.NoneType]
    if len(proper) != 1:
        raise ValueError(f"the type {kind} is ambiguous, expected one type or one type | None; name a single type.")
    return proper[0], True


def _choices(kind: Any) -> dict[str, Any]:
    """Values by their text, for a Literal or an Enum; empty for other types."""
    if typing.get_origin(kind) is typing.Literal:
        return {str(value): value for value in typing.get_args(kind)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {str(member.value): member for member in kind}
    return {}


def _items(kind: Any, count: int | None) -> list[Any]:
    """The types of `count` items of a tuple; of the items as declared, when `count` is None."""
    arguments = list(typing.get_args(kind))
    if arguments[-1:] == [Ellipsis]:
        return arguments[:1] * (1 if count is None else count)
    if count is not None and count != len(arguments):
        raise ValueError(f"{count} items came, expected {_expected(kind)}")
    return arguments


_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
_NOT_FINITE = ("inf", "-inf", "nan")
_BOOLEANS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}


def _expected(kind: Any) -> str:
    """What may be written for a type, in words."""
    proper, optional = _without_none(kind)
    if choices := _choices(proper):
        words = "one of " + ", ".join(choices)
    elif proper in _WORDS:
        words = _WORDS[proper]
    elif typing.get_origin(proper) is tuple and typing.get_args(proper):
        inner = [_expected(item) for item in _items(proper, None)]
        variable = typing.get_args(proper)[-1] is Ellipsis
        words = f"any number of items with commas between, each {inner[0]}" if variable else ",".join(inner)
    else:
        raise ValueError(f"its type is {proper}, expected bool, int, float, str, Literal, Enum or a tuple; change it.")
    return f"{words}, or none" if optional else words


def _parse(kind: Any, text: str) -> Any:
    proper, optional = _without_none(kind)
    if optional and text.lower() == "none":
        return None
    if typing.get_origin(proper) is tuple:
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        return tuple(_parse(item, part) for item, part in zip(_items(proper, len(parts)), parts, strict=True))
    if proper is str:
        return text
    try:
        if choices := _choices(proper):
            return choices[text]
        return _BOOLEANS[text.lower()] if proper is bool else proper(text)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{text!r} came, expected {_expected(kind)}") from error


def _text(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(_text(item) for item in value)
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or value is _NOTHING:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """A leaf as JSON holds it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no number for it.
        return str(value)
    return value.value if isinstance(value, Enum) else value


def _from_plain(kind: Any, plain: Any, name: str) -> Any:
    """A leaf from JSON, checked against its type."""
    proper, optional = _without_none(kind)
    if plain is None and optional:
        return None
    if typing.get_origin(proper) is tuple and isinstance(plain, list | tuple):
        try:
            items = _items(proper, len(plain))
        except ValueError as error:
            raise ValueError(f"Config key {name}: {error}; correct the file.") from error
        return tuple(_from_plain(item, value, name) for item, value in zip(items, plain, strict=True))
    for choice in _choices(proper).values():
        if plain == _plain(choice) and type(plain) is type(_plain(choice)):
            return choice
    # JSON has larger whole numbers than a float can be.
    if proper is float and (plain in _NOT_FINITE or (type(plain) is int and abs(plain) < sys.float_info.max)):
        return float(plain)  # pyright: ignore[reportArgumentType]
    if proper in _WORDS and type(plain) is proper:
        return plain
    raise ValueError(f"Config key {name} is {files.shown(plain)}, expected {_expected(kind)}; correct the file.")
