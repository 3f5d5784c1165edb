"""Files that `torch.save` wrote, of both kinds: a run of pickles with raw storages, and a zip archive.

Either way one pickle tells what there is (`torch_pickle`), and the numbers of each storage lie outside of it. All sizes
are compared with the file's before memory is taken.
"""

import io
import zipfile
from typing import Any, NamedTuple

import numpy as np

from sdfrepar.files.numbers import itemsize, numbers
from sdfrepar.files.raw import reason
from sdfrepar.files.torch_pickle import read_pickle
from sdfrepar.files.torch_tensors import Storage, Tensor

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class TorchFile(NamedTuple):
    """What a file of PyTorch holds."""

    value: Any  # dicts, lists and tuples of `Tensor` and of what is no array
    storages: dict[str, np.ndarray]  # by key, each (N,)

    def array(self, tensor: Tensor) -> np.ndarray:
        """The elements (...) of a tensor, in its shape: a view of its storage, shared with other tensors there."""
        storage = self.storages[tensor.storage.key]
        if 0 in tensor.shape:
            return np.zeros(tensor.shape, storage.dtype)
        # The stride of an axis of one element is arbitrary, and can be too large for NumPy.
        strides = [stride if n > 1 else 0 for n, stride in zip(tensor.shape, tensor.strides, strict=True)]
        size = storage.itemsize
        return np.ndarray(tensor.shape, storage.dtype, storage, tensor.offset * size, [size * n for n in strides])


def read_legacy(data: bytes) -> TorchFile:
    """The content of a file of the kind that PyTorch wrote before 1.6.

    Pickles of a magic number, a version, the writing machine, the value and the storages' keys; then for each key its
    number of elements (8 bytes) and the elements.

    Raises:
        ValueError: another file, or a damaged or hostile one.
    """
    file = io.BytesIO(data)
    if read_pickle(file).value != _MAGIC or read_pickle(file).value != _PROTOCOL:
        raise ValueError("it is a pickle, but not one of torch.save; save the arrays as .npz or .safetensors")
    machine = read_pickle(file).value
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("it was written on a big-endian machine; save it again on a usual one")
    value, storages = read_pickle(file)
    keys = read_pickle(file).value
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != set(storages):
        raise ValueError("its storages are not those that its pickle describes; fetch the file again")
    return TorchFile(value, {key: _next_storage(file, data, storages[key]) for key in keys})


def read_archive(archive: zipfile.ZipFile, pickle: str, most: int) -> TorchFile:
    """The content of a file of the kind that PyTorch has written since 1.6.

    A zip archive of one folder: `data.pkl` holds the value, `data/KEY` the storages, stored as they are.

    Args:
        archive: the open archive.
        pickle: the name of its `data.pkl`, with the folder.
        most: the size of the archive's file, which the content of uncompressed entries cannot exceed.

    Raises:
        ValueError: a damaged or hostile archive.
    """
    # The sum, since entries of a hostile archive may lie on top of each other.
    if any(i.compress_type != zipfile.ZIP_STORED for i in archive.infolist()) or content_size(archive) > most:
        raise ValueError("its entries are compressed or larger than the file; expected those of torch.save as they are")
    folder = pickle.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and _content(archive, f"{folder}byteorder") != b"little":
        raise ValueError("it was written on a big-endian machine; save it again on a usual one")
    value, storages = read_pickle(io.BytesIO(_content(archive, pickle)))
    arrays = {key: _numbers(_content(archive, f"{folder}data/{key}"), storage) for key, storage in storages.items()}
    return TorchFile(value, arrays)


def content_size(archive: zipfile.ZipFile) -> int:
    """How many bytes the entries claim to hold in all."""
    return sum(entry.file_size for entry in archive.infolist())


def _next_storage(file: io.BytesIO, data: bytes, storage: Storage) -> np.ndarray:
    size = int.from_bytes(file.read(8), "little")
    start = file.tell()
    raw = memoryview(data)[start : start + size * itemsize(storage.dtype)]
    file.seek(len(raw), io.SEEK_CUR)
    return _numbers(raw, storage)


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except Exception as error:
        raise ValueError(
            f"its entry {name[:100]!r} is missing or damaged ({reason(error)}); fetch the file again"
        ) from error


def _numbers(raw: bytes | memoryview, storage: Storage) -> np.ndarray:
    expected = storage.size * itemsize(storage.dtype)
    if len(raw) != expected:
        raise ValueError(
            f"its storage {storage.key[:100]!r} holds {len(raw)} bytes, and {expected} were expected; fetch it again"
        )
    return numbers(raw, storage.dtype)
