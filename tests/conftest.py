"""Settings and fixtures that every test shares."""

import os
from pathlib import Path

import jax
import pytest

_ROOT = Path(__file__).parents[1]

# A second run of the suite spends its time on the tests rather than on compiling; half a second keeps the folder small.
jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR", str(_ROOT / ".cache/jax")))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)

# A missing axis is a mistake in code that is written for one ray; it should not broadcast.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision within the test, for finite differences."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def realdata() -> Path:
    """The folder of photographs beside the project; a test that needs it is skipped where it is missing."""
    folder = _ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the photographs are not here")
    return folder
