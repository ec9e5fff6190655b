"""Checks of a '.pt2' archive before PyTorch opens it: PyTorch's reader runs compiled models and unpickles whatever it finds.

Each entry must be one that torch.export.save writes, constants must be tensors, and no tensor may be far larger than its bytes. An
archive can show different entries to Python's zipfile and to PyTorch, so both are asked. `program_text` judges the text of the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch

from accelsim.archives import open_archive
from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.program_text import problems_of_text
from accelsim.reading import parse_json
from accelsim.wording import shown

# Of today's archives, whose entries lie in a folder or not as their reader shows them, and of those before PyTorch 2.8.
_ENTRY = re.compile(
    r"(?:[^/]+/)?(?:models/[^/]+\.json|data/(?:weights|constants|sample_inputs)/[^/]+|archive_format|archive_version|byteorder|\.data/\w+"
    r"|extra/.*|version|serialized_\w+\.(?:json|pt)|extra_files/.*)"
)
_PROGRAM = re.compile(r"(?:.*/)?(?:models/[^/]+|serialized_exported_program)\.json")
_LIST = re.compile(r"(?:.*/)?data/(?:weights|constants)/[^/]+_config\.json")
_CONSTANTS = "_constants_config.json"
_TENSOR = "tensor_"
_LARGEST_TEXT = 256 << 20  # bytes of a program
# the class of a result, in a text within the JSON
_RESULT = re.compile(rb'type\\+": *\\+"(transformers\.(?:modeling_outputs|models\.\w{1,64}\.modeling_\w{1,64}))\.\w')
_MOST_REPEATED = 1 << 24  # elements of a tensor that is stored in fewer bytes


def check_archive(path: Path) -> frozenset[str]:
    """Look through an archive; the modules of transformers whose classes its results have, before PyTorch trips over each.

    Raises
    ------
    ImportModelError
        A text that could run code, or a tensor far larger than its bytes: names the entry and the text.
    OSError, ValueError, zipfile.BadZipFile
        It cannot be read, is no archive of a program, which has entries of its own kinds only, or a text is no JSON.
    """
    with open_archive(path, ImportModelError) as archive:
        modules = _check_entries(path, {entry.filename: entry.file_size for entry in archive.infolist()}, archive.read)
    try:
        reader = torch._C.PyTorchFileReader(str(path))
    except RuntimeError:
        return modules  # PyTorch then reads nothing of it, or reads it as zipfile does
    return _check_entries(path, {name: reader.get_record_size(name) for name in reader.get_all_records()}, reader.get_record)


def _check_entries(path: Path, sizes: Mapping[str, int], read: Callable[[str], bytes]) -> frozenset[str]:
    modules: set[str] = set()
    for name, size in sizes.items():
        if not _ENTRY.fullmatch(name):
            raise ValueError(f"it holds {shown(name)}, which could run code")
        of_program, of_tensors = _PROGRAM.fullmatch(name), _LIST.fullmatch(name)
        if not of_program and not of_tensors:
            continue
        if size > _LARGEST_TEXT:
            raise ImportModelError(f"{path}: {name} has {size} bytes; allowed: at most {_LARGEST_TEXT}")
        text = read(name)
        modules.update(found.decode() for found in _RESULT.findall(text) if of_program)
        content = parse_json(text)
        for problem in problems_of_text(content) if of_program else _problems_of_tensors(content, name, sizes):
            raise ImportModelError(f"{path}: {name}: {problem}")
    return frozenset(modules)


def _problems_of_tensors(content: Any, entry: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """Constants that are no tensors; tensors that fill the memory, as zeros where an entry is empty, or by strides of 0.

    A tensor of the meta device without bytes takes none.
    """
    config = content.get("config") if isinstance(content, dict) else None
    folder = entry.rpartition("/")[0]
    for name, payload in config.items() if isinstance(config, dict) else ():
        stored = str(payload.get("path_name")) if isinstance(payload, dict) else ""
        if entry.endswith(_CONSTANTS) and not stored.startswith(_TENSOR):
            yield f"constant {shown(name)} is a pickled object, which could run any code; allowed: tensors"
        elements, held = _elements(payload), sizes.get(f"{folder}/{stored}", 0)
        if elements > max(_MOST_REPEATED, held) and (held or not _is_meta(payload)):
            yield f"tensor {shown(name)} has {elements:,} elements, more than its bytes"


def _is_meta(payload: Any) -> bool:
    meta = payload.get("tensor_meta") if isinstance(payload, dict) else None
    device = meta.get("device") if isinstance(meta, dict) else None
    return isinstance(device, dict) and device.get("type") == "meta"


def _elements(payload: Any) -> int:
    meta = payload.get("tensor_meta") if isinstance(payload, dict) else None
    sizes = meta.get("sizes") if isinstance(meta, dict) else None
    stated = [size.get("as_int") for size in sizes if isinstance(size, dict)] if isinstance(sizes, list) else []
    return prod(size for size in stated if isinstance(size, int))
