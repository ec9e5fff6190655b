"""Settings that all tests share: the same hypothesis examples in every run, fewer of them where kernels run as plain Python, no
folder of presets but the built-in ones, and no import of PyTorch's tests where they are left out."""

from __future__ import annotations

import os
from pathlib import Path

import numba
import pytest
from hypothesis import settings

os.environ.pop("ACCELSIM_PATH", None)
settings.register_profile("compiled", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("plain python", deadline=None, derandomize=True, max_examples=12)
settings.load_profile("plain python" if numba.config.DISABLE_JIT else "compiled")

TORCH_FILE = b"\npytestmark = pytest.mark.torch\n"  # all tests of the file need PyTorch


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "not torch"` such a file is not imported: it would count as skipped, where it is left to `make test-extras`."""
    left_out = "not torch" in config.option.markexpr and collection_path.suffix == ".py" and TORCH_FILE in collection_path.read_bytes()
    return left_out or None
