"""The one decorator for compiled loops, with a disk cache that cannot serve a stale build.

Numba's cache key knows neither a callee's source in another file nor the flags that change code generation, so the cache
folder itself is named by a hash of every kernel source and of those flags.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np

from accelsim.kernels.kernel_cache import KernelCache, cached_files

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _sources_hash() -> str:
    """First 16 hex digits of the SHA-256 of all kernel sources, the versions and the code-generation flags."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    flags = (numba.__version__, np.__version__, numba.config.BOUNDSCHECK, numba.config.OPT, numba.config.DEBUG)
    digest.update(repr(flags).encode())
    return digest.hexdigest()[:16]


def _cache_dir() -> str:
    """Folder for compiled kernels: ACCELSIM_CACHE_DIR, else the user's cache, else a private temporary folder."""
    base = os.environ.get("ACCELSIM_CACHE_DIR")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accelsim"
    folder = root / f"kernels-{_sources_hash()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return tempfile.mkdtemp(prefix="accelsim-kernels-")
    return str(folder)


CACHE_DIR = "" if numba.config.DISABLE_JIT else _cache_dir()


def is_cached(function: Callable[..., object]) -> bool:
    """Whether a kernel need not be compiled: the disk cache has it for this place of installation, or kernels run as plain Python."""
    return not hasattr(function, "stats") or bool(cached_files(function))


def uncompiled(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """`function` as plain Python; Numba reads `array[i].field`, for which NumPy needs a structured array to be a record array."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        seen = [arg.view(np.recarray) if type(arg) is np.ndarray and arg.dtype.names else arg for arg in args]
        return cast(Callable[..., _T], function)(*seen, **kwargs)

    return call


def kernel(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Compile `function` in nopython mode with the keyed disk cache; no fastmath, no parallel."""
    return _compile(function)


def borrowing_kernel(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """`kernel` for a function that allocates nothing: its arrays are borrowed, so it counts no references (25 times faster where many
    arrays pass through small steps)."""
    return _compile(function, _nrt=False)


def inlined_kernel(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """`borrowing_kernel` for a step that another kernel calls once per cycle: LLVM inlines it whatever its size.

    A step that only some machines need stays a call: each inlined copy is compiled again with its caller.
    """
    return _compile(function, _nrt=False, forceinline=True)


def merged_kernel(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """`borrowing_kernel` for a large loop that another kernel calls: it is compiled as a part of that one, not once more by itself."""
    return _compile(function, _nrt=False, inline="always")


def _compile(function: Callable[_P, _T], **flags: bool | str) -> Callable[_P, _T]:
    if numba.config.DISABLE_JIT:
        return uncompiled(function)
    saved = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = CACHE_DIR
    try:
        dispatcher = numba.njit(no_cfunc_wrapper=True, **flags)(function)  # nothing calls a kernel as a C function
        dispatcher._cache = KernelCache(function)  # in the place of Numba's own, which `cache=True` sets
        return cast(Callable[_P, _T], _without_literals(dispatcher))
    finally:
        numba.config.CACHE_DIR = saved


def _without_literals(dispatcher: Any) -> Any:
    """Make one build serve all constants that kernels pass to it: Numba would compile it once for each, and LLVM inlines it anyway."""
    call_template = dispatcher.get_call_template

    def get_call_template(args: tuple[Any, ...], kws: Mapping[str, Any]) -> Any:
        return call_template(tuple(numba.types.unliteral(arg) for arg in args), kws)

    dispatcher.get_call_template = get_call_template
    return dispatcher
