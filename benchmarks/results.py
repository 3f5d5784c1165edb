"""What the benchmarks have in common: a JSON that says where and when it was measured."""

import datetime
from pathlib import Path
from typing import Any

import jax

from sdfrepar import files

FOLDER = Path("runs/benchmarks")


def write(name: str, device: jax.Device, rows: list[dict[str, Any]], **about: Any) -> None:
    """Leave the rows in FOLDER/name.json, and say so."""
    about = {"date": datetime.date.today().isoformat(), "device": device.device_kind, "jax": jax.__version__, **about}
    files.write_json(FOLDER / f"{name}.json", {**about, "rows": rows})
    print(", ".join(f"{key} {value}" for key, value in about.items()) + f"; {FOLDER / name}.json\n")
