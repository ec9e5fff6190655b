"""Compiled kernels on disk, one sealed file per signature: what is damaged or not this user's is compiled again, never loaded.

Numba keeps an index and pickled code without a check sum, so a damaged file is a traceback or wrong code, and two processes that save
at once can exchange their entries. Here a file holds the key it answers to behind the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

_SEAL_BYTES = hashlib.sha256().digest_size
_OTHERS_MAY_WRITE = 0o022
_told: set[str] = set()


def cached_files(function: Any) -> list[Path]:
    """Files of a compiled function's signatures, of every processor and version of Python."""
    name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
    return sorted(Path(function.stats.cache_path).glob(f"{name}-*.kernel"))


class KernelCache(FunctionCache):  # type: ignore[misc]  # Numba has no types
    """Numba's cache of one function over `SealedFiles`."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = SealedFiles(Path(self.cache_path), self._impl.filename_base, self._impl.locator.get_source_stamp())

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled signature; where that is impossible (a full disk, a folder that cannot be written), one line says so.

        Its annotation of types, which only `inspect_types` reads, is given up: it holds the whole intermediate representation of each
        kernel until the process ends, and would be written out as text.
        """
        vars(data.type_annotation).clear()
        try:
            super().save_overload(sig, data._replace(type_annotation=""))
        except OSError as error:
            _tell(f"compiled kernels cannot be kept in {self.cache_path} ({error.strerror or error}): each process compiles its own")


class SealedFiles:
    """Numba's `IndexDataCacheFile` without an index.

    Parameters
    ----------
    folder : of the function's source file
    name : of the function, with its line and the version of Python
    stamp : of the source: a file of another one is not used
    """

    def __init__(self, folder: Path, name: str, stamp: object) -> None:
        self._folder, self._name, self._stamp = folder, name, stamp

    def load(self, key: Any) -> Any:
        """The value saved under `key`; None if there is none, or if it cannot be trusted."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                status, content = os.fstat(file.fileno()), file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            _tell(f"compiled kernels in {self._folder} cannot be read ({error.strerror}): each process compiles its own")
            return None
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & _OTHERS_MAY_WRITE):
            _tell(f"compiled kernels in {self._folder} belong to another user, or others may write them: they are compiled again")
            return None
        seal, body = content[:_SEAL_BYTES], content[_SEAL_BYTES:]
        if hashlib.sha256(body).digest() != seal:
            _tell(f"compiled kernels in {self._folder} are damaged: they are compiled again")
            return None
        made_for, data = pickle.loads(body)
        return data if made_for == self._made_for(key) else None

    def save(self, key: Any, data: Any) -> None:
        """Keep `data` for `key`, all or nothing; OSError where that is impossible."""
        body = dumps((self._made_for(key), data))
        path = self._path(key)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=f".{path.name}.")  # only this user may read or write it
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(body).digest() + body)
            os.replace(temporary, path)
        except BaseException:  # also an interrupt leaves no half-written file; it is raised again
            os.unlink(temporary)
            raise

    def flush(self) -> None:
        """Remove every signature's file."""
        for path in self._folder.glob(f"{self._name}.*.kernel"):
            path.unlink(missing_ok=True)

    def _path(self, key: Any) -> Path:
        return self._folder / f"{self._name}.{hashlib.sha256(str(key).encode()).hexdigest()[:16]}.kernel"

    def _made_for(self, key: Any) -> tuple[Any, ...]:
        return numba.__version__, self._stamp, key


def _tell(line: str) -> None:
    """One line on stderr, once per process and folder: a run goes on without the cache."""
    if line not in _told:
        _told.add(line)
        print(f"accelsim: {line}", file=sys.stderr)
