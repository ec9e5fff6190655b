"""Settings that all tests share: the same hypothesis examples in every run, and fewer of them where kernels run as plain Python."""

from __future__ import annotations

import numba
from hypothesis import settings

settings.register_profile("compiled", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("plain python", deadline=None, derandomize=True, max_examples=12)
settings.load_profile("plain python" if numba.config.DISABLE_JIT else "compiled")
