"""A '.pt2' file (torch.export.save) as an exported program.

A program of a transformers model names the class of its result, which PyTorch knows only once the module that defines it was imported;
such a module is imported if transformers is installed, and none from anywhere else. A file may hold pickled objects, which can run any
code when they are read: PyTorch is made to read tensors only, and constants of other kinds are refused before it opens the file.
"""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path

import torch

from accelsim.archives import open_archive
from accelsim.errors import ImportModelError
from accelsim.reading import parse_json

_UNKNOWN_RESULT = re.compile(
    r"Deserializing (transformers\.(?:modeling_outputs|models\.\w+\.modeling_\w+))\.\w+ in pytree is not registered"
)
_CONSTANTS = "_constants_config.json"  # the archive's list of constants: a kind and a file each
_TENSOR = "tensor_"
_LARGEST_LIST = 64 << 20  # bytes
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
        _refuse_objects(path)
        with _hearing(reasons), _tensors_only():
            for _ in range(_MOST_MODULES + 1):
                reasons.cause = ""
                try:
                    return torch.export.load(path)
                except _FAILURES as error:
                    reason = _first_line(reasons.cause or str(error) or type(error).__name__)
                unknown = _UNKNOWN_RESULT.search(reason)
                if unknown is None or not _was_imported(unknown[1]):
                    break
    except (*_BROKEN, OSError, ValueError, RecursionError) as error:  # before PyTorch
        reason = _first_line(str(error) or type(error).__name__)
    raise ImportModelError(f"{path}: is not a program written by torch.export.save: {reason}")


# What PyTorch's reader raises for an archive that is damaged or of another version: it checks little, and trips over what is missing.
# Each becomes the message above with its first line; an interruption, a lack of memory and our own errors pass.
_FAILURES = (
    *(RuntimeError, ValueError, LookupError, OSError, EOFError, TypeError, AttributeError, AssertionError),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)


def _refuse_objects(path: Path) -> None:
    """ImportModelError if a constant is anything but a tensor; ValueError and zipfile's errors for an archive that is broken."""
    with open_archive(path, ImportModelError) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(_CONSTANTS):
                continue
            if entry.file_size > _LARGEST_LIST:
                raise ImportModelError(f"{path}: {entry.filename} has {entry.file_size} bytes; allowed: at most {_LARGEST_LIST}")
            listed = parse_json(archive.read(entry))
            constants = listed.get("config") if isinstance(listed, dict) else None
            for name, constant in constants.items() if isinstance(constants, dict) else ():
                if not isinstance(constant, dict) or not str(constant.get("path_name")).startswith(_TENSOR):
                    raise ImportModelError(f"{path}: constant {name!r} is a pickled object, which could run any code; allowed: tensors")


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
