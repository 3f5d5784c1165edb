"""Decoders that others have trained, with the codes of their shapes, as priors."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.priors.store import Prior, PriorConfig
from sdfrepar import files, networks


def load(decoder: Path, codes: Path, octaves: int = 0) -> Prior:
    """A published decoder as a prior, whose shapes are called 0, 1, ... as their codes come.

    Args:
        decoder: file of its weights, see `files.read_state_dict`.
        codes: file of weights with one table of codes in it; the decoder's own, where that has one.
        octaves: of Fourier features in the point's place, which files do not tell; 0 for none.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: no decoder of DeepSDF's layout, or no single table of codes of its length.
    """
    weights = files.read_state_dict(decoder)
    try:
        network, params = networks.from_state_dict(weights, octaves=octaves)
    except ValueError as error:
        raise ValueError(f"{decoder} holds another decoder: {error}") from error
    table = _table(files.read_state_dict(codes), network.latent, codes)
    names = tuple(str(number) for number in range(len(table)))
    return Prior(PriorConfig(families=(), network=network), names, params["network"], table, step=0)


def _table(arrays: Mapping[str, np.ndarray], latent: int, path: Path) -> np.ndarray:
    """The one array of codes, (S, latent)."""
    found = [
        array
        for name, array in arrays.items()
        if array.ndim >= 2 and array.shape[-1] == latent and ".lin" not in f".{name}"
    ]
    if len(found) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:4])
        raise ValueError(
            f"{path} holds {shapes}, expected one table of codes of {latent} numbers each, as the decoder takes them; "
            "name the file of the same training with --shape.codes."
        )
    return found[0].reshape(-1, latent)
