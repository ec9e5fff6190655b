"""A '.pt2' file (torch.export.save) as an exported program.

A program of a transformers model names the class of its result, which PyTorch knows only once the module that defines it was imported;
such a module is imported if transformers is installed, and none from anywhere else. A file may run any code when PyTorch reads it, so
`check_archive` looks through it first, and PyTorch is made to unpickle tensors only.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path

import torch

from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.program_archive import check_archive

_UNKNOWN_RESULT = re.compile(
    r"Deserializing (transformers\.(?:modeling_outputs|models\.\w+\.modeling_\w+))\.\w+ in pytree is not registered"
)
_TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # read by torch.load
_BROKEN = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError)  # of a zip, or one that is encrypted
_MOST_MODULES = 4  # that a program's result may need


def load_program(path: Path) -> torch.export.ExportedProgram:
    """Load a program.

    Raises
    ------
    ImportModelError
        No such file, not a whole program, or one whose result is of a class that is not installed.
    """
    if not zipfile.is_zipfile(path):
        what = "is not a program written by torch.export.save" if path.is_file() else "no such file"
        raise ImportModelError(f"{path}: {what}")
    reasons = _Reasons()
    try:
        for module in sorted(check_archive(path))[:_MOST_MODULES]:
            _was_imported(module)
        with _hearing(reasons), _tensors_only():
            for _ in range(_MOST_MODULES + 1):
                reasons.cause = ""
                try:
                    return torch.export.load(path)
                except MemoryError:
                    raise
                except Exception as error:  # noqa: BLE001  # PyTorch checks little, and trips over anything in a program that is damaged
                    reason = _first_line(reasons.cause or str(error) or type(error).__name__)
                unknown = _UNKNOWN_RESULT.search(reason)
                if unknown is None or not _was_imported(unknown[1]):
                    break
    except (*_BROKEN, OSError, ValueError, RecursionError) as error:  # before PyTorch
        reason = _first_line(str(error) or type(error).__name__)
    raise ImportModelError(f"{path}: is not a program written by torch.export.save: {reason}")


@contextmanager
def _tensors_only() -> Iterator[None]:
    before = os.environ.get(_TENSORS_ONLY)
    os.environ[_TENSORS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TENSORS_ONLY]
        else:
            os.environ[_TENSORS_ONLY] = before


@contextmanager
def _hearing(reasons: _Reasons) -> Iterator[None]:
    """Redirect torch.export's log to `reasons`: the cause is logged with its traceback, and the exception only says there is one."""
    logger = logging.getLogger("torch.export")
    before = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [reasons]
    try:
        yield
    finally:
        logger.propagate, logger.handlers = before


def _first_line(text: str) -> str:
    return text.splitlines()[0]


class _Reasons(logging.Handler):
    """Keeps the message of the last exception that was logged."""

    cause = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.cause = str(record.exc_info[1])


def _was_imported(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
