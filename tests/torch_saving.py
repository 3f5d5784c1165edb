"""What `torch.save` writes, written without PyTorch, for the tests of reading it.

The pickles are made by Python's own pickler from stand-ins that bear PyTorch's names; they are in the list of modules
only while a file is being written.
"""

import collections
import contextlib
import io
import pickle
import sys
import types
import zipfile
from typing import Any
from unittest import mock

import numpy as np

KINDS = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "BFloat16": "<u2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "<i1",
    "Byte": "<u1",
    "Bool": "?",
}
MAGIC = 0x1950A86A20F9469CFC6C


def _named(thing: Any, module: str, name: str) -> Any:
    thing.__module__, thing.__qualname__, thing.__name__ = module, name, name
    return thing


TORCH = types.ModuleType("torch")
UTILS = types.ModuleType("torch._utils")
for kind in KINDS:
    setattr(TORCH, f"{kind}Storage", _named(type(kind, (), {}), "torch", f"{kind}Storage"))
for function in ("_rebuild_tensor_v2", "_rebuild_parameter"):
    setattr(UTILS, function, _named(lambda: None, "torch._utils", function))
TORCH.Size = _named(type("Size", (), {}), "torch", "Size")
TORCH._utils = UTILS


class Storage:
    """A run of numbers; `claimed` is the size that the pickle states."""

    def __init__(self, array: Any, kind: str = "Float", key: str = "0", claimed: int | None = None):
        self.array, self.kind, self.key = np.asarray(array, KINDS[kind]).ravel(), kind, key
        self.claimed = self.array.size if claimed is None else claimed


class Tensor:
    """A view of a storage; by default all of it, in one axis."""

    def __init__(self, storage: Storage, shape: Any = None, strides: Any = None, offset: Any = 0):
        self.storage = storage
        shape = (storage.array.size,) if shape is None else shape
        strides = tuple(int(n) for n in np.cumprod([1, *shape[:0:-1]])[::-1]) if strides is None else strides
        self.view = (offset, shape, strides[: len(shape)] if shape == () else strides)

    def __reduce__(self):
        return UTILS._rebuild_tensor_v2, (self.storage, *self.view, False, collections.OrderedDict())


class Parameter(Tensor):
    """A tensor as a module has it."""

    def __reduce__(self):
        return UTILS._rebuild_parameter, (Tensor(self.storage), True, collections.OrderedDict())


class Size:
    """A shape that was saved for its own sake."""

    def __reduce__(self):
        return TORCH.Size, ((2, 3),)


def pickled(value: Any, protocol: int = 2, is_legacy: bool = True) -> tuple[bytes, dict[str, Storage]]:
    """The pickle of a value that holds tensors, and their storages by key."""
    storages: dict[str, Storage] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, Storage):
                return None
            storages[obj.key] = obj
            description = ("storage", getattr(TORCH, f"{obj.kind}Storage"), obj.key, "cuda:0", obj.claimed)
            return (*description, None) if is_legacy else description

    file = io.BytesIO()
    with mock.patch.dict(sys.modules, {"torch": TORCH, "torch._utils": UTILS}), contextlib.closing(file):
        Pickler(file, protocol).dump(value)
        return file.getvalue(), storages


def legacy(value: Any, protocol: int = 2, little_endian: bool = True, **replaced: bytes) -> bytes:
    """A file as PyTorch wrote before 1.6; `replaced` pickles, by name, come in place of the right ones."""
    program, storages = pickled(value, protocol)
    keys = sorted(storages)
    pickles = {
        "magic": pickle.dumps(MAGIC, protocol),
        "version": pickle.dumps(1001, protocol),
        "machine": pickle.dumps({"protocol_version": 1001, "little_endian": little_endian}, protocol),
        "content": program,
        "keys": pickle.dumps(keys, protocol),
    }
    raw = [storages[key].array.size.to_bytes(8, "little") + storages[key].array.tobytes() for key in keys]
    return b"".join([*(pickles | replaced).values(), *raw])


def archive(value: Any, compression: int = zipfile.ZIP_STORED, **replaced: bytes | None) -> bytes:
    """A file as PyTorch has written since 1.6; `replaced` entries, by name, come in place of the right ones."""
    program, storages = pickled(value, is_legacy=False)
    entries = {"data.pkl": program, "byteorder": b"little", "version": b"3\n"}
    entries |= {f"data/{key}": storage.array.tobytes() for key, storage in storages.items()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as writer:
        for name, content in (entries | {name.replace("__", "/"): c for name, c in replaced.items()}).items():
            if content is not None:
                writer.writestr(zipfile.ZipInfo(f"archive/{name}"), content, compression)
    return file.getvalue()
