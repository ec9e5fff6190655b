"""A '.safetensors' file of trained weights, matched by name to a model's tensors.

All or nothing: a tensor that is missing, unexpected or of another shape is an error that lists them, never a layer with old weights.
Counters of a batch norm's training steps are the one thing that is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from accelsim.errors import ImportModelError
from accelsim.importers.file_bytes import read_bytes
from accelsim.reading import parse_json
from accelsim.tensor_header import check_header
from accelsim.wording import first_names

Floats = npt.NDArray[np.float32]

_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
_INTEGERS: dict[str, np.dtype[Any]] = {
    "I8": np.dtype("i1"), "U8": np.dtype("u1"), "I16": np.dtype("<i2"), "U16": np.dtype("<u2"), "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"), "I64": np.dtype("<i8"),
}  # fmt: skip
_PASSED_OVER = ".num_batches_tracked"
_LISTED = 5
_HUB_NAMES = (  # of ViTForImageClassification: transformers from version 5 on, and before (as the files on its hub still have them)
    ("vit.layers.", "vit.encoder.layer."),
    (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."),
    (".attention.v_proj.", ".attention.attention.value."),
    (".attention.o_proj.", ".attention.output.dense."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
)


@dataclass(frozen=True)
class WeightsFile:
    """Names, types, shapes and places of the tensors of a file that safetensors has checked."""

    path: Path
    tensors: Mapping[str, Any]
    start: int

    @property
    def names(self) -> frozenset[str]:
        """Tensors that count."""
        return frozenset(name for name in self.tensors if not name.endswith(_PASSED_OVER))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self.tensors[name]["shape"])

    def read(self, name: str) -> Floats:
        """The values of a tensor as float32."""
        values = self._values(name, _TYPES)
        if self.tensors[name]["dtype"] == "BF16":  # the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(values, dtype=np.float32)

    def read_integers(self, name: str) -> npt.NDArray[np.int64]:
        """The values of a tensor of integers."""
        return self._values(name, _INTEGERS).astype(np.int64)

    def _values(self, name: str, kinds: Mapping[str, np.dtype[Any]]) -> npt.NDArray[Any]:
        entry = self.tensors[name]
        kind = kinds.get(entry["dtype"])
        if kind is None:
            raise ImportModelError(f"{self.path}: tensor {name!r} has type {entry['dtype']}; allowed: {', '.join(kinds)}")
        first, stop = entry["data_offsets"]
        content = read_bytes(self.path, self.start + first, stop - first, f"tensor {name!r}")
        return np.frombuffer(content, dtype=kind).reshape(self.shape(name))


def open_weights(path: Path) -> WeightsFile:
    """Open a file.

    Raises
    ------
    ImportModelError
        No such file, not a whole safetensors file, or one of too large a header.
    """
    if not path.is_file():
        raise ImportModelError(f"{path}: no such file")
    try:
        check_header(path, ImportModelError)
        with safe_open(path, framework="numpy"):  # checks the header's size, each tensor's place and bytes, and that none overlap
            pass
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = parse_json(file.read(size))
    except (SafetensorError, OSError, ValueError) as error:
        raise ImportModelError(f"{path}: is not a complete safetensors file: {str(error).splitlines()[0]}") from None
    except MemoryError:  # safetensors maps the whole file to check it
        raise ImportModelError(f"{path}: its {path.stat().st_size} bytes do not fit in memory") from None
    header.pop("__metadata__", None)
    return WeightsFile(path, header, 8 + size)


def match(file: WeightsFile, wanted: Mapping[str, tuple[int, ...]], model: str) -> dict[str, str]:
    """The file's tensor for each tensor that a model wants, by the model's name.

    Parameters
    ----------
    file
        The weights.
    wanted
        Shapes by name; batch norms' step counters are passed over.
    model
        The model's name, for a message.

    Raises
    ------
    ImportModelError
        Tensors that are missing, unexpected, or of another shape.
    """
    found: dict[str, str] = {}
    for name in wanted:
        spelling = next((spelling for spelling in _spellings(name) if spelling in file.tensors), None)
        if spelling is not None and not name.endswith(_PASSED_OVER):
            found[name] = spelling
    missing = sorted(name for name in wanted if name not in found and not name.endswith(_PASSED_OVER))
    unexpected = file.names - set(found.values())
    differing = [
        f"{name} {file.shape(spelling)} for {wanted[name]}" for name, spelling in found.items() if file.shape(spelling) != wanted[name]
    ]
    problems = (("missing", missing), ("unexpected", sorted(unexpected)), ("of another shape", sorted(differing)))
    if any(names for _, names in problems):
        raise ImportModelError(f"{file.path} does not fit {model}: " + "; ".join(_listed(what, names) for what, names in problems if names))
    return found


def _spellings(name: str) -> tuple[str, str]:
    """A tensor's name, and its name in files from the hub."""
    hub = name
    for new, old in _HUB_NAMES:
        hub = hub.replace(new, old)
    return name, hub


def _listed(what: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"{len(names)} {what} ({first_names(names, _LISTED)})"
