"""Settings that all tests share: the same hypothesis examples in every run, fewer of them where kernels run as plain Python, and no
folder of presets but the built-in ones."""

from __future__ import annotations

import os

import numba
from hypothesis import settings

os.environ.pop("ACCELSIM_PATH", None)
settings.register_profile("compiled", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("plain python", deadline=None, derandomize=True, max_examples=12)
settings.load_profile("plain python" if numba.config.DISABLE_JIT else "compiled")
