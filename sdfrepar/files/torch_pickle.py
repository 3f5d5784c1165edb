"""What a pickle of PyTorch says, read without running it.

A pickle is a program for a small stack machine, and the standard library's machine calls whatever the program names.
The machine below is another: it knows only the instructions that PyTorch writes for a dict of tensors. A name in the
program becomes a `_Name`, which does nothing; the few that a state dict needs have a meaning here, and every other is
refused. The stack never holds a function or a class, so there is nothing that a hostile program could call.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from sdfrepar.files.raw import reason
from sdfrepar.files.torch_tensors import Storage, Tensor, storage_of, tensor_of

_STORAGES = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
_CALLS = {
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SILENT = {"PROTO", "FRAME"}
_REST = (
    "MARK TUPLE SETITEM SETITEMS APPEND APPENDS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET "
    "GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID STOP"
)
_KNOWN = _LITERALS | _SILENT | _CONSTANTS.keys() | _EMPTY.keys() | _TUPLES.keys() | set(_REST.split())
_INSTRUCTIONS = {instruction.code.encode("latin-1"): instruction for instruction in pickletools.opcodes}

# About 35 instructions make a tensor. The bound keeps a hostile file from taking minutes.
_MOST_INSTRUCTIONS = 1_000_000


class Pickled(NamedTuple):
    """What one pickle held."""

    value: Any  # None, bool, int, float, str, Tensor, Storage, and dicts, lists and tuples of these
    storages: dict[str, Storage]  # by key


def read_pickle(file: BinaryIO) -> Pickled:
    """The one pickle that starts at the position of `file`, which is left just behind it.

    Raises:
        ValueError: a pickle that is damaged, or asks for more than a dict of tensors takes; nothing of it was run.
    """
    machine = _Machine()
    try:
        for name, argument in _instructions(file):
            machine.do(name, argument)
        return Pickled(machine.stack[-1], machine.storages)
    except (IndexError, KeyError) as error:
        raise ValueError("its pickle takes what it never put down, so it is damaged; fetch the file again") from error


def _instructions(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Names and arguments, up to and without STOP; an unknown one is refused before its argument is read."""
    for _ in range(_MOST_INSTRUCTIONS):
        code = file.read(1)
        instruction = _INSTRUCTIONS.get(code)
        if not code:
            raise ValueError("its pickle breaks off; fetch the file again")
        if instruction is None or instruction.name not in _KNOWN:
            raise ValueError(
                f"its pickle holds the instruction {instruction.name if instruction else code}, which no dict of "
                "tensors needs; nothing of it was run, so save model.state_dict() alone or fetch the file again"
            )
        if instruction.name == "STOP":
            return
        yield instruction.name, _argument(file, instruction)
    raise ValueError(f"its pickle has over {_MOST_INSTRUCTIONS} instructions; expected about 35 for each tensor")


def _argument(file: BinaryIO, instruction: pickletools.OpcodeInfo) -> Any:
    if instruction.name == "GLOBAL":
        # The library's reader resolves escapes in these two lines, which pickles do not have.
        return [file.readline().decode("latin-1").removesuffix("\n") for _ in range(2)]
    try:
        return instruction.arg.reader(file) if instruction.arg else None
    except ValueError as error:
        raise ValueError(f"its pickle is damaged ({reason(error)}); fetch the file again") from error


@dataclass(frozen=True)
class _Name:
    """A dotted name that the program mentions: a word, not the thing."""

    name: str


@dataclass
class _Machine:
    """The stack machine, with the instructions of `_KNOWN` alone."""

    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)  # the stacks under each open mark
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)

    def do(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction. Raises IndexError or KeyError for what is not there, ValueError for the rest."""
        if instruction in _LITERALS:
            self.stack.append(argument)
        elif instruction in _CONSTANTS:
            self.stack.append(_CONSTANTS[instruction])
        elif instruction in _EMPTY:
            self.stack.append(_EMPTY[instruction]())
        elif instruction in _TUPLES:
            self.stack.append(tuple(self._take(_TUPLES[instruction])))
        elif instruction not in _SILENT:
            self._do_the_rest(instruction, argument)

    def _do_the_rest(self, instruction: str, argument: Any) -> None:
        match instruction:
            case "MARK":
                self.below.append(self.stack)
                self.stack = []
            case "TUPLE":
                items = self._take_to_mark()
                self.stack.append(tuple(items))
            case "SETITEM":
                self._set_items(self._take(2))
            case "SETITEMS":
                self._set_items(self._take_to_mark())
            case "APPEND":
                self._append(self._take(1))
            case "APPENDS":
                self._append(self._take_to_mark())
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[argument])
            case "GLOBAL":
                self.stack.append(_known_name(*argument))
            case "STACK_GLOBAL":
                self.stack.append(_known_name(*self._take(2)))
            case "REDUCE":
                self.stack.append(_called(*self._take(2)))
            case "BUILD":
                # The state of an OrderedDict (its `_metadata`) is attributes, of which nothing here has any.
                self._take(1)
            case "BINPERSID":
                self._put_storage(*self._take(1))

    def _take(self, count: int) -> list[Any]:
        """The last `count` values, off the stack."""
        if len(self.stack) < count:
            raise IndexError("the stack is too short")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _take_to_mark(self) -> list[Any]:
        """All values since the last mark, off the stack, with the mark."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        keys, values = items[::2], items[1::2]
        # Other keys could be nested so deep that hashing them overflows the stack of the interpreter.
        if not isinstance(target, dict) or len(keys) != len(values) or not all(isinstance(k, str | int) for k in keys):
            raise ValueError("its pickle fills a dict with something else than values under names; fetch it again")
        target.update(zip(keys, values, strict=True))

    def _append(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("its pickle appends to what is no list; fetch the file again")
        self.stack[-1].extend(items)

    def _put_storage(self, persistent: Any) -> None:
        """The storage that a persistent id describes: ("storage", type, key, device, size)."""
        # Old files add the part of the storage that is meant: None for all of it.
        if isinstance(persistent, tuple) and persistent[5:] == (None,):
            persistent = persistent[:5]
        match persistent:
            case ("storage", _Name(name), str(key), _, int(size)) if name in _STORAGES:
                storage = storage_of(key, _STORAGES[name], size)
            case _:
                raise ValueError("its pickle describes a storage in an unknown way; save it again by a current PyTorch")
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"its pickle describes storage {key[:100]!r} in two ways; fetch the file again")
        self.stack.append(storage)


def _known_name(module: Any, name: Any) -> _Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("its pickle asks for something that has no name; fetch the file again")
    dotted = f"{module}.{name}"
    if dotted not in _CALLS and dotted not in _STORAGES:
        raise ValueError(
            f"its pickle asks for {dotted[:100]!r}, which no dict of tensors needs; nothing of it was run, so save "
            "model.state_dict() alone, or the arrays as .npz or .safetensors"
        )
    return _Name(dotted)


def _called(function: Any, arguments: Any) -> Any:
    """What the function of a known name would have made, as plain data."""
    match function, arguments:
        case _Name("collections.OrderedDict"), ():
            return {}
        case _Name("torch.Size"), (tuple(sizes),):
            return sizes
        case _Name("torch._utils._rebuild_parameter"), (Tensor() as tensor, *_):
            return tensor
        case (
            _Name("torch._utils._rebuild_tensor_v2"),
            (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_),
        ):
            return tensor_of(storage, offset, shape, strides)
    called = function.name if isinstance(function, _Name) else f"a {type(function).__name__}"
    raise ValueError(f"its pickle calls {called} as PyTorch does not; nothing of it was run, so fetch the file again")
