"""What JAX compiles, kept for the next run to start at once."""

import os
from pathlib import Path

import jax


def keep() -> None:
    """Switch the persistent compilation cache on, where the user has not chosen a folder."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sdfrepar"
        jax.config.update("jax_compilation_cache_dir", str(folder))
