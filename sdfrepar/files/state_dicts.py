"""Weights that others published: PyTorch's files, `.npz` and `.safetensors`, as named arrays.

Nothing in such a file is executed, and PyTorch is not needed. Its first bytes tell of what kind it is.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar.files.arrays import arrays_of
from sdfrepar.files.numbers import numbers, widened
from sdfrepar.files.raw import reason, require_file
from sdfrepar.files.torch_files import TorchFile, read_archive, read_legacy
from sdfrepar.files.torch_names import named_tensors

_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file of weights, by dotted name, as the file has them.

    Names of dicts that lie in one another, and places in lists, are joined by dots: DeepSDF's file gives
    `model_state_dict.module.lin0.weight_g` and so on. What is no array, such as its `epoch`, is left out. Shapes and
    strides are the file's; tensors that share numbers there share them here. Both halves (float16 and bfloat16) become
    float32, other dtypes are kept.

    Args:
        path: a file of `torch.save` (either kind), an `.npz` or a `.safetensors`, whatever its name.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: a `.safetensors` without the library.
        ValueError: another file, a damaged one, one without arrays, or one that asks for more than a dict of
            tensors takes; nothing of it was run.
    """
    path = require_file(path)
    try:
        arrays = _read(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as weights: {error}.") from error
    # A tensor alone has the empty name.
    if not any(arrays):
        raise ValueError(f"{path} holds no named tensors; expected a state dict, so save model.state_dict().")
    return arrays


def _read(data: bytes) -> dict[str, np.ndarray]:
    if not data:
        raise ValueError("it is empty; fetch the file again")
    if data.startswith(b"PK\x03\x04"):
        return _read_zip(data)
    if data.startswith(b"\x80"):
        return _named_arrays(read_legacy(data))
    # Eight bytes of length, then JSON.
    if data[8:9] == b"{":
        return _read_safetensors(data)
    raise ValueError("it begins like no file of weights; expected one of torch.save, an .npz or a .safetensors")


def _read_zip(data: bytes) -> dict[str, np.ndarray]:
    with _opened(data) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) == 1:
            return _named_arrays(read_archive(archive, pickles[0], len(data)))
        if names and all(name.endswith(".npy") for name in names):
            return _read_npz(data)
    raise ValueError("it is an archive, but neither one of torch.save nor an .npz; expected one of the two")


def _opened(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:
        raise ValueError(f"it is a damaged archive ({reason(error)}); fetch the file again") from error


def _read_npz(data: bytes) -> dict[str, np.ndarray]:
    arrays = arrays_of(data)
    if texts := [name for name, array in arrays.items() if array.dtype.kind == "U"]:
        raise ValueError(f"its array {texts[0]!r} is of {arrays[texts[0]].dtype}; expected real numbers")
    return {name: widened(array) for name, array in arrays.items()}


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "A .safetensors file needs safetensors, which is not installed; pip install 'sdfrepar[decoders]'."
        ) from error
    try:
        # The library compares every size with the file's.
        entries = safetensors.deserialize(data)
        return {name: _numbers(entry).reshape(entry["shape"]) for name, entry in entries}
    except Exception as error:
        raise ValueError(f"it is no whole .safetensors ({reason(error)}); fetch the file again") from error


def _numbers(entry: dict[str, Any]) -> np.ndarray:
    if entry["dtype"] not in _SAFETENSORS:
        raise ValueError(f"a tensor is of {entry['dtype']}; expected one of {', '.join(_SAFETENSORS)}")
    return numbers(entry["data"], _SAFETENSORS[entry["dtype"]])


def _named_arrays(file: TorchFile) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in named_tensors(file.value):
        if name in arrays:
            raise ValueError(f"it has two tensors of the name {name!r}; expected one each")
        arrays[name] = file.array(tensor)
    return arrays
