"""What numbers were measured with, to be written beside them."""

import platform

import jax

import sdfrepar


def versions() -> dict[str, str]:
    """Versions of this library, jax and Python, and the device."""
    return {
        "sdfrepar": sdfrepar.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
    }
