"""Devices that share a batch do what one would: the same pixels, the same gradient, one all-reduce."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sdfrepar import fitting
from sdfrepar.fitting import FitConfig

SCRIPT = Path(__file__).parent / "sharing.py"


def start(
    out: Path,
    devices: int,
    *distributed: str,
    parts: int = 1,
    method: str = "grazing",
    local: int | None = None,
) -> subprocess.Popen[str]:
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(local or devices), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SCRIPT), str(out), str(devices), str(parts), method, *distributed]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(*processes: subprocess.Popen[str]) -> None:
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), "\n".join(said)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "one.npz"
    finish(start(out, 1))
    return dict(np.load(out))


def agree(one, several):
    assert np.abs(one["gradient"]).max() > 1e-3
    scale = np.abs(one["gradient"]).max()
    np.testing.assert_allclose(several["gradient"], one["gradient"], rtol=1e-6, atol=1e-6 * scale)
    for name in ("loss", "loss/photometric", "psnr", "hits", "hit_rate", "band", "queries"):
        np.testing.assert_allclose(several[name], one[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("method", ["interior", pytest.param("grazing", marks=pytest.mark.slow)])
def test_eight_devices_do_what_one_does(method, tmp_path):
    """Loss, gradient and measurements to 1e-6, with exactly one all-reduce in the compiled program."""
    outs = [tmp_path / "one.npz", tmp_path / "eight.npz"]
    for out, devices in zip(outs, (1, 8), strict=True):
        finish(start(out, devices, method=method))
    one, several = (dict(np.load(out)) for out in outs)
    agree(one, several)
    assert several["reductions"] == 1


@pytest.mark.slow
def test_parts_do_what_the_whole_does(alone, tmp_path):
    """Two devices, each doing its share in four parts, one after the other."""
    out = tmp_path / "parts.npz"
    finish(start(out, 2, parts=4))
    several = dict(np.load(out))
    agree(alone, several)
    assert several["reductions"] == 1


@pytest.mark.slow
def test_two_hosts_of_four_devices_do_what_one_does(alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    outs = [tmp_path / f"host_{host}.npz" for host in range(2)]
    finish(*(start(out, 8, str(host), port, local=4) for host, out in enumerate(outs)))
    for out in outs:
        several = dict(np.load(out))
        agree(alone, several)
        assert several["reductions"] == 1


def test_devices_that_cannot_share_evenly_are_refused():
    with pytest.raises(ValueError, match="3 devices cannot share"):
        fitting.shared_gradient(None, None, FitConfig(pixels=64), [None] * 3)
