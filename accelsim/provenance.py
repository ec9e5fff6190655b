"""Identity of a run: SHA-256 over accelerator, trace, options and the sources of the model."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import accelsim
from accelsim.accelerator import Accelerator
from accelsim.trace.trace import Trace

MODEL_PACKAGES = ("kernels", "hw", "compiler", "dataflows", "formats", "ops", "trace")
MODEL_MODULES = ("accelerator.py", "gathering.py", "program.py", "system.py", "timing.py", "simulation.py", "quantities.py")

LIBRARIES = ("numpy", "numba", "simpy", "pydantic")


@cache
def model_hash() -> str:
    """SHA-256 of every source that a simulated number depends on."""
    root = Path(accelsim.__file__).parent
    files = [root / name for name in MODEL_MODULES]
    for package in MODEL_PACKAGES:
        files += sorted((root / package).rglob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_id(accelerator: Accelerator, traces: Sequence[Trace], options: dict[str, Any]) -> str:
    """Hex SHA-256 that two runs share exactly when nothing that moves a number differs."""
    fields = {
        "accelerator": accelerator.model_dump(mode="json", exclude={"name", "description"}),
        "dram": accelerator.dram.named_files() if accelerator.dram is not None else {},
        "trace": traces_sha256(traces),
        "options": options,
        "model": model_hash(),
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def traces_sha256(traces: Sequence[Trace]) -> str:
    """Identity of the networks of a run, in order: of a single one its own."""
    return joined_sha256([trace.sha256 for trace in traces])


def joined_sha256(each: Sequence[str]) -> str:
    """Identity of what has these identities, in order: of a single one its own."""
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that compute."""
    return {"accelsim": accelsim.__version__, "python": platform.python_version(), **{name: _installed(name) for name in LIBRARIES}}


@cache
def _installed(library: str) -> str:
    return version(library)
