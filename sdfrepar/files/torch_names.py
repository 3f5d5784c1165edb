"""The dotted names of tensors that lie in dicts and lists."""

from collections.abc import Iterator
from typing import Any

from sdfrepar.files.torch_tensors import Tensor

# No name of a weight is as long; dicts that lie in one another thousands deep would make it so.
_LONGEST_NAME = 256


def named_tensors(value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in dicts, lists and tuples, in order, each with the keys and places on the way joined by dots.

    A tensor that lies in nothing has the empty name.

    Raises:
        ValueError: one dict or list in two places, or a name that is too long. The first could have no end, where a
            dict holds itself, or thousands of millions of names, where a few hold each other twice.
    """
    # Of the dicts and lists seen so far, by id. One without anything in it, such as a tuple of numbers, may come again.
    has_more: dict[int, bool] = {}
    todo = [("", value)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, Tensor):
            yield name, value
        elif has_more.get(id(value)):
            raise ValueError(f"it holds the same dict or list in two places, the second {name!r}; expected each once")
        elif id(value) not in has_more:
            inner = _items(value)
            has_more[id(value)] = bool(inner)
            todo += [(_joined(name, key), item) for key, item in reversed(inner)]


def _items(value: Any) -> list[tuple[str, Any]]:
    """What could be or hold a tensor in a dict or list, with its key or place."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return []
    return [(str(key), item) for key, item in items if isinstance(item, Tensor | dict | list | tuple)]


def _joined(name: str, key: str) -> str:
    if len(name) + len(key) >= _LONGEST_NAME:
        raise ValueError(f"it has names of over {_LONGEST_NAME} letters; expected those of a state dict")
    return f"{name}.{key}" if name else key
