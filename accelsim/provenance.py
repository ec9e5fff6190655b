"""What identifies a run: SHA-256 over accelerator, trace, options and the sources of the model."""

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
from accelsim.hw.dram.controller import load_policy
from accelsim.hw.dram.device import load_device
from accelsim.hw.memory import IDEAL, MemorySpec
from accelsim.trace.trace import Trace

MODEL_PACKAGES = ("kernels", "hw", "compiler", "dataflows", "formats", "trace")
MODEL_MODULES = ("accelerator.py", "program.py", "system.py", "simulate.py", "quantities.py")


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


def run_id(accelerator: Accelerator, traces: Sequence[Trace], options: dict[str, int]) -> str:
    """Hex SHA-256 that two runs share exactly when nothing that moves a number differs."""
    fields = {
        "accelerator": accelerator.model_dump(mode="json", exclude={"name", "description"}),
        "dram": _named_files(accelerator.dram),
        "trace": traces_sha256(traces),
        "options": options,
        "model": model_hash(),
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _named_files(dram: MemorySpec | None) -> list[Any]:
    """What the files say that a memory names: a device whose table was edited is another device."""
    if dram is None or dram.device == IDEAL:
        return []
    return [load_device(dram.device).model_dump(mode="json"), load_policy(dram.policy).model_dump(mode="json")]


def traces_sha256(traces: Sequence[Trace]) -> str:
    """Identity of the networks of a run, in order: of a single one its own."""
    if len(traces) == 1:
        return traces[0].sha256
    return hashlib.sha256("".join(trace.sha256 for trace in traces).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that compute."""
    names = ("numpy", "numba", "simpy", "pydantic")
    return {"accelsim": accelsim.__version__, "python": platform.python_version(), **{name: version(name) for name in names}}
