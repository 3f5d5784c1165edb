"""Published weights: every layout gives its arrays, and what is hostile or damaged is refused with nothing run."""

import builtins
import collections
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
from torch_saving import KINDS, Parameter, Size, Storage, Tensor, archive, legacy, pickled

from sdfrepar import files

NUMBERS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
# What came, and what to do or what was expected.
SENTENCE = r"weights cannot be read as weights: its? .*[;,] (nothing .*|fetch .*|save .*|expected .*|and \d+ .*)\.$"
WRITERS = {"legacy": legacy, "archive": archive}


def deepsdf():
    """A checkpoint as DeepSDF writes it."""
    weights = collections.OrderedDict(
        {
            "module.lin0.weight_v": Tensor(Storage(NUMBERS, key="11"), (3, 4)),
            "module.lin0.bias": Tensor(Storage([1.0, 2.0, 3.0], key="12")),
        }
    )
    weights._metadata = collections.OrderedDict({"": {"version": 1}})
    return {"epoch": 4000, "model_state_dict": weights}


def expected():
    return {
        "model_state_dict.module.lin0.weight_v": NUMBERS,
        "model_state_dict.module.lin0.bias": np.array([1, 2, 3], np.float32),
    }


def npz(compress: bool = False, **arrays) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **arrays)
    return file.getvalue()


def safetensors_file(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


SAFETENSORS = safetensors_file(
    b'{"a.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},"__metadata__":{"format":"pt"}}',
    NUMBERS.tobytes(),
)


def read(tmp_path, data: bytes) -> dict[str, np.ndarray]:
    path = tmp_path / "weights"
    path.write_bytes(data)
    return files.read_state_dict(path)


def assert_same(actual, desired):
    assert list(actual) == list(desired)
    for name, array in desired.items():
        assert actual[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(actual[name], array)


# ---- What is sound is read.


@pytest.mark.parametrize("writer", WRITERS)
def test_deepsdf_checkpoint_gives_its_tensors_by_dotted_name(tmp_path, writer):
    assert_same(read(tmp_path, WRITERS[writer](deepsdf())), expected())
    assert "torch" not in sys.modules


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_binary_protocol_is_read(tmp_path, protocol):
    assert_same(read(tmp_path, legacy(deepsdf(), protocol)), expected())


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_is_kept_and_halves_are_widened(tmp_path, writer, kind):
    values = np.array([0, 1, 3, 100], np.float32)
    dtype = {"Half": np.float32, "BFloat16": np.float32}.get(kind, np.dtype(KINDS[kind]))
    stored = values.astype(ml_dtypes.bfloat16).view("<u2") if kind == "BFloat16" else values
    assert_same(
        read(tmp_path, WRITERS[writer]({"a": Tensor(Storage(stored, kind))})), {"a": values.astype(kind_of(dtype))}
    )


def kind_of(dtype) -> np.dtype:
    return np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("writer", WRITERS)
def test_strides_and_offsets_are_honoured(tmp_path, writer):
    storage = Storage(np.arange(12))
    value = {
        "transposed": Tensor(storage, (4, 3), (1, 4)),
        "column": Tensor(storage, (3,), (4,), 1),
        "number": Tensor(storage, (), (), 11),
        "one": Tensor(storage, (1, 1), (2**40, 7), 5),
        "empty": Tensor(Storage([], key="1"), (0, 7)),
        "parameter": Parameter(storage),
    }
    x = np.arange(12, dtype=np.float32)
    arrays = read(tmp_path, WRITERS[writer](value))
    desired = {
        "transposed": x.reshape(3, 4).T,
        "column": x[1::4],
        "number": x[11],
        "one": x[5:6, None],
        "empty": np.zeros((0, 7), np.float32),
        "parameter": x,
    }
    assert_same(arrays, desired)
    assert np.shares_memory(arrays["transposed"], arrays["parameter"])


def test_lists_count_and_what_is_no_tensor_is_left_out(tmp_path):
    betas, size = (0.9, 0.999), Size()
    value = {
        "groups": [{"betas": betas, "params": [0, 1]}, {"betas": betas, "params": [2]}],
        "size": size,
        "state": {0: {"step": 3, "average": Tensor(Storage([1.0]))}},
        "codes": [Tensor(Storage([2.0], key="1")), None, Tensor(Storage([3.0], key="2"))],
        "name": "é",
        "flags": [True, False, -5, 70000, 2**40, 1.5],
    }
    arrays = read(tmp_path, legacy(value))
    assert {name: float(array[0]) for name, array in arrays.items()} == {
        "state.0.average": 1.0,
        "codes.0": 2.0,
        "codes.2": 3.0,
    }


@pytest.mark.parametrize("compress", [False, True])
def test_npz_is_read(tmp_path, compress):
    data = npz(compress, **{"lin0.weight": NUMBERS, "half": NUMBERS.astype(np.float16), "big": NUMBERS.astype(">f4")})
    desired = {
        "lin0.weight": NUMBERS,
        "half": NUMBERS.astype(np.float16).astype(np.float32),
        "big": NUMBERS,
    }
    assert_same(read(tmp_path, data), desired)


def test_safetensors_is_read(tmp_path):
    pytest.importorskip("safetensors")
    assert_same(read(tmp_path, SAFETENSORS), {"a.weight": NUMBERS})
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {
        "bf16": np.array([1, -3], ml_dtypes.bfloat16),
        "bool": np.array([True, False]),
        "empty": np.zeros((0, 2), np.int8),
        "f16": np.array([0.5], np.float16),
        "long": np.array(7),
    }
    found = read(tmp_path, numpy.save(arrays))
    widened = {name: array.astype(np.float32) if "f16" in name else array for name, array in arrays.items()}
    assert_same({name: found[name] for name in sorted(found)}, widened)


def test_safetensors_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"not installed; pip install 'sdfrepar\[decoders\]'"):
        read(tmp_path, SAFETENSORS)


@pytest.mark.realdata
def test_published_decoder_equals_its_arrays(realdata):
    folder = realdata / "decoder_bob_and_spot"
    weights = files.read_state_dict(folder / "model_latest.pth")
    codes = files.read_state_dict(folder / "latent_latest.pth")
    desired = files.read_state_dict(folder / "params.npz")
    found = {name.removeprefix("model_state_dict.module."): array for name, array in weights.items()}
    found["latent_codes"] = codes.pop("latent_codes.weight")
    assert not codes
    assert_same(dict(sorted(found.items())), dict(sorted(desired.items())))


# ---- What is hostile is refused, and nothing of it is run.


class Reducing(dict):
    """A dict that would have itself restored by a call."""

    def __init__(self, function, *arguments):
        super().__init__()
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def text(words: str) -> bytes:
    return b"X" + struct.pack("<I", len(words.encode())) + words.encode()


def short_text(words: str) -> bytes:
    return b"\x8c" + bytes([len(words)]) + words.encode()


def payloads(path) -> dict[str, bytes]:
    """Pickles that make a file at `path` when they are run."""
    shell, python = f"touch '{path}'", f"open({str(path)!r}, 'w').close()"
    system = f"c{os.name}\nsystem\n".encode()
    call = text(shell) + b"\x85R."
    touch = b"(" + text("touch") + text(str(path)) + b"e"
    return {
        **{f"system by protocol {p}": pickle.dumps(Reducing(os.system, shell), p) for p in range(6)},
        "eval": pickle.dumps(Reducing(builtins.eval, python), 2),
        "exec": pickle.dumps({"a": [Reducing(builtins.exec, python)]}, 2),
        "open": pickle.dumps(Reducing(builtins.open, str(path), "w"), 4),
        "a process": pickle.dumps(Reducing(subprocess.check_call, ["touch", str(path)]), 2),
        "INST": b"(" + text(shell) + f"i{os.name}\nsystem\n.".encode(),
        "OBJ": b"(" + b"csubprocess\nPopen\n" + text(f"exec touch '{path}'") + b"K\xffNN" + b"o.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n]" + touch + b"\x85\x81.",
        "STACK_GLOBAL": b"\x80\x04" + short_text(os.name) + short_text("system") + b"\x93" + call,
        "an attribute of what is allowed": b"\x80\x04\x8c\x0bcollections\x8c\x0cabc.sys.exit\x93)R.",
        "copyreg": b"ccopyreg\n_reconstructor\n" + b"(" + b"csubprocess\nPopen\n" * 2 + b"]" + touch + b"tR.",
        "an attribute": b"\x80\x02ccollections\nOrderedDict\n)R}" + text("__class__") + system + call[:-1] + b"sb.",
        "state after state": b"\x80\x02ccollections\nOrderedDict\n)R" + system + call[:-1] + b"b.",
        "a storage": b"\x80\x02" + system + call[:-1] + b"Q.",
        "a getattr": b"\x80\x02cbuiltins\ngetattr\n" + system + text("__call__") + b"\x86R" + call,
    }


SURELY_RUN = ["system by protocol 0", "eval", "exec", "open", "INST", "STACK_GLOBAL", "copyreg", "a getattr"]
PLACES = ["alone", "magic", "version", "machine", "content", "keys", "archive"]


@pytest.mark.parametrize("name", SURELY_RUN)
def test_payloads_are_real(tmp_path, name):
    made = pickle.loads(payloads(tmp_path / "pwned")[name])
    if isinstance(made, subprocess.Popen):
        made.wait()
    if isinstance(made, io.IOBase):
        made.close()
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", payloads("x"))
def test_payloads_are_refused_and_not_run(tmp_path, name, place):
    payload = payloads(tmp_path / "pwned")[name]
    if place == "alone":
        data = payload
    elif place == "archive":
        data = archive(deepsdf(), **{"data.pkl": payload})
    else:
        data = legacy(deepsdf(), **{place: payload})
    with pytest.raises(ValueError, match=SENTENCE):
        read(tmp_path, data)
    assert not (tmp_path / "pwned").exists()


def test_payload_beside_sound_weights_is_named_and_not_run(tmp_path):
    shell = f"touch '{tmp_path / 'pwned'}'"
    for writer in WRITERS.values():
        with pytest.raises(
            ValueError, match=rf"asks for '{os.name}\.system', which no dict of tensors needs; nothing .*run"
        ):
            read(tmp_path, writer(deepsdf() | {"extra": Reducing(os.system, shell)}))
    assert not (tmp_path / "pwned").exists()


def test_whole_module_is_refused_with_what_to_do(tmp_path):
    data = legacy({}, content=b"\x80\x02cnetworks.deep_sdf_decoder\nDecoder\n)\x81.")
    with pytest.raises(ValueError, match=r"asks for 'networks\.deep_sdf_decoder\.Decoder'.*save model\.state_dict\(\)"):
        read(tmp_path, data)


def test_state_of_a_dict_is_passed_over(tmp_path):
    program, _ = pickled({"a": Tensor(Storage(NUMBERS))})
    state = b"}(" + text("__class__") + b"N" + text("__setitem__") + b"N" + text("items") + b"Nub."
    assert list(read(tmp_path, legacy({"a": Tensor(Storage(NUMBERS))}, content=program[:-1] + state))) == ["a"]


def test_objects_in_npz_are_refused_and_not_run(tmp_path):
    objects = np.array([Reducing(os.system, f"touch '{tmp_path / 'pwned'}'"), None])
    with pytest.raises(ValueError, match=r"array 'a' cannot be read \(Object arrays .*expected plain numbers"):
        read(tmp_path, npz(a=objects))
    assert not (tmp_path / "pwned").exists()
    for other in (np.array(["a"]), np.array([1j]), np.zeros(2, [("x", "f4")])):
        with pytest.raises(ValueError, match="expected real numbers"):
            read(tmp_path, npz(a=other))


# ---- Sizes are checked before memory is taken, and nothing runs away.


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "view",
    [
        {"shape": (13,)},
        {"shape": (3, 4), "offset": 1},
        {"shape": (3,), "strides": (6,)},
        {"shape": (1000, 1000), "strides": (0, 0)},  # one number a million times
        {"shape": (2**47, 2**47)},
        {"shape": (0, 2**47, 2**47)},
        {"shape": (3, 4), "strides": (4,)},
        {"shape": (-1,)},
        {"shape": (3,), "strides": (-1,), "offset": 5},
        {"shape": (3,), "offset": -1},
        {"shape": (1,), "offset": 12},
        {"shape": (1.5,), "strides": (1,)},
        {"shape": ("a",), "strides": (1,)},
        {"shape": (1,) * 40},
        {"shape": (2**1000,), "strides": (1,)},
    ],
)
def test_tensors_that_do_not_lie_in_their_storage_are_refused(tmp_path, writer, view):
    with pytest.raises(
        ValueError, match=r"(claims a tensor of shape|gives a size, stride or offset|as PyTorch does not)"
    ):
        read(tmp_path, WRITERS[writer]({"a": Tensor(Storage(NUMBERS), **view)}))


@pytest.mark.parametrize("claimed", [11, 13, 2**40, 2**62, -1])
@pytest.mark.parametrize("writer", WRITERS)
def test_storages_of_another_size_than_claimed_are_refused(tmp_path, writer, claimed):
    with pytest.raises(ValueError, match=r"holds \d+ bytes, and \d+ were expected|gives a size|claims a tensor"):
        read(tmp_path, WRITERS[writer]({"a": Tensor(Storage(NUMBERS, claimed=claimed))}))


def test_storages_are_those_that_the_pickle_describes(tmp_path):
    with pytest.raises(ValueError, match="storages are not those that its pickle describes"):
        read(tmp_path, legacy(deepsdf(), keys=pickle.dumps(["11"], 2)))
    with pytest.raises(ValueError, match="storages are not those that its pickle describes"):
        read(tmp_path, legacy(deepsdf(), keys=pickle.dumps(["11", ["12"]], 2)))
    with pytest.raises(ValueError, match=r"entry 'archive/data/12' is missing or damaged .*; fetch the file again"):
        read(tmp_path, archive(deepsdf(), data__12=None))
    with pytest.raises(ValueError, match="describes storage '0' in two ways"):
        read(tmp_path, archive({"a": Tensor(Storage([1.0])), "b": Tensor(Storage([1.0], "Double"))}))


def test_big_endian_files_are_refused(tmp_path):
    for data in (legacy(deepsdf(), little_endian=False), archive(deepsdf(), byteorder=b"big")):
        with pytest.raises(ValueError, match="big-endian machine; save it again"):
            read(tmp_path, data)


def test_archives_larger_than_their_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="entries are compressed or larger than the file"):
        read(tmp_path, archive(deepsdf(), zipfile.ZIP_DEFLATED))
    data = bytearray(archive(deepsdf()))
    # Both sizes of the first entry in the directory.
    start = data.index(b"PK\x01\x02")
    data[start + 20 : start + 28] = struct.pack("<II", 10**9, 10**9)
    with pytest.raises(ValueError, match="entries are compressed or larger than the file"):
        read(tmp_path, bytes(data))
    with pytest.raises(ValueError, match=r"would grow from \d+ to 120000\d+ bytes"):
        read(tmp_path, npz(True, a=np.zeros(120_000_000, np.uint8)))


def knots() -> dict[str, bytes]:
    """Programs of allowed instructions that tie what they make into knots."""
    program, _ = pickled({"a": Tensor(Storage([1.0]))})
    tensor = program[:-1]  # leaves {"a": tensor} on the stack
    twice = b"".join(b"}q\x05(" + text("a") + b"h\x04" + text("b") + b"h\x04uq\x04" for _ in range(40))
    return {
        "a dict in itself": tensor + b"q\x05" + text("a") + b"h\x05s.",
        "a list in itself": b"\x80\x02]q\x05h\x05a.",
        "thousands of millions": tensor + b"q\x04" + twice + b".",
        "dicts 100,000 deep": tensor + b"q\x04" + (b"}q\x05" + text("a") + b"h\x04sq\x04") * 100_000 + b".",
        "tuples 500,000 deep": b"\x80\x02)" + b"\x85" * 500_000 + b".",
        "a key 500,000 deep": b"\x80\x02})" + b"\x85" * 500_000 + b"Ns.",
        "a name 500,000 deep": b"\x80\x04)" + b"\x85" * 500_000 + text("a") + b"\x93.",
        "a name without end": b"\x80\x02}" + text("a" * 1_000_000) + tensor[2:] + b"s.",
        "instructions without end": b"\x80\x02" + b"N" * 1_100_000 + b".",
        "a place far off": b"\x80\x02Nr\xff\xff\xff\xff.",
        "a text of 4 GB": b"\x80\x02X\xff\xff\xff\xffabc.",
        "a number of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
        "bytes of 8 EB": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fabc.",
        "nothing": b"",
        "an empty stack": b"\x80\x02.",
        "no mark": b"\x80\x02}u.",
        "an odd number": b"\x80\x02}(Nu.",
        "a list as a dict": b"\x80\x02]NNs.",
        "a dict as a list": b"\x80\x02}Na.",
        "a number called": b"\x80\x02K\x01)R.",
        "a storage alone": b"\x80\x02" + text("storage") + b"Q.",
        "a type called": b"\x80\x02ctorch\nFloatStorage\n)R.",
        "a dict of arguments": b"\x80\x02ccollections\nOrderedDict\n]\x85R.",
        "a name": b"\x80\x02ccollections\nOrderedDict\n.",
        "a number": b"\x80\x02K\x01.",
        "a dict of nothing": b"\x80\x02}.",
    }


@pytest.mark.parametrize("name", knots())
def test_knots_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"(weights cannot be read as weights: it.*[;,] .*\.$|holds no named tensors)"):
        read(tmp_path, archive({"a": Tensor(Storage([1.0]))}, **{"data.pkl": knots()[name]}))


def test_names_that_meet_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"two tensors of the name 'a\.b'; expected one each"):
        read(tmp_path, legacy({"a.b": Tensor(Storage([1.0])), "a": {"b": Tensor(Storage([1.0], key="1"))}}))


def test_tensor_alone_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no named tensors; expected a state dict"):
        read(tmp_path, legacy(Tensor(Storage([1.0]))))


# ---- What is damaged, or no such file at all, is said.


def test_other_files_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.pth; check the path"):
        files.read_state_dict(tmp_path / "none.pth")
    files.write_image(tmp_path / "a.png", np.zeros((2, 2, 3)))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as writer:
        writer.writestr("readme.txt", "no weights")
    for data, sentence in {
        b"": "it is empty; fetch the file again",
        (tmp_path / "a.png").read_bytes(): "it begins like no file of weights; expected one of torch.save",
        b'{"a": 1, "b": [1, 2]}': "it begins like no file of weights",
        b"version https://git-lfs.github.com/spec/v1\n": "it begins like no file of weights",
        other.getvalue(): "neither one of torch.save nor an .npz",
        b"PK\x03\x04" + bytes(100): "it is a damaged archive",
        pickle.dumps({"a": 1}, 2): "it is a pickle, but not one of torch.save",
        pickle.dumps({"a": NUMBERS}, 2): "asks for 'numpy",
    }.items():
        with pytest.raises(ValueError, match=rf"weights cannot be read as weights: .*({sentence}).*\.$"):
            read(tmp_path, data)


def test_broken_safetensors_are_said(tmp_path):
    pytest.importorskip("safetensors")
    for header in (
        b'{"a":{"dtype":"F8_E4M3","shape":[48],"data_offsets":[0,48]}}',
        b'{"a":{"dtype":"F32","shape":[13],"data_offsets":[0,48]}}',
        b'{"a":{"dtype":"F32","shape":[12],"data_offsets":[0,4800]}}',
        b'{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}',
        b'{"a":' * 1000,
    ):
        with pytest.raises(ValueError, match=r"it is no whole \.safetensors \(.*\); fetch the file again"):
            read(tmp_path, safetensors_file(header, NUMBERS.tobytes()))


def sound_files() -> dict[str, bytes]:
    return {
        "legacy": legacy(deepsdf()),
        "archive": archive(deepsdf()),
        "npz": npz(a=NUMBERS, b=NUMBERS),
        "compressed npz": npz(True, a=NUMBERS, b=NUMBERS),
        "safetensors": SAFETENSORS,
    }


@pytest.mark.parametrize("name", sound_files())
def test_truncated_anywhere_is_refused(tmp_path, name):
    if name == "safetensors":
        pytest.importorskip("safetensors")
    data = sound_files()[name]
    read(tmp_path, data)
    for end in range(len(data)):
        with pytest.raises(ValueError, match=SENTENCE):
            read(tmp_path, data[:end])


@pytest.mark.parametrize("name", sound_files())
def test_flipped_bytes_are_read_or_refused(tmp_path, name):
    if name == "safetensors":
        pytest.importorskip("safetensors")
    data, random = sound_files()[name], np.random.default_rng(1)
    outcomes = collections.Counter()
    for _ in range(300):
        spoiled = bytearray(data)
        for place in random.integers(len(data), size=random.integers(1, 4)):
            spoiled[place] = random.integers(256)
        try:
            read(tmp_path, bytes(spoiled))
            outcomes["read"] += 1
        except ValueError as error:
            assert re.search(SENTENCE, str(error))
            outcomes["refused"] += 1
    assert outcomes["refused"] > 20
