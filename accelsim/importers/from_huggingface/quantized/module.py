"""A quantized module of a folder: the tensors that take the place of its weight, and the scheme's settings for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError, ImportModelError
from accelsim.formats.catalog import parse_format
from accelsim.formats.int_group import IntGroupFormat
from accelsim.formats.weight_format import WeightFormat
from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.weights_file import Floats, WeightsFile

Integers = npt.NDArray[np.int64]
_WIDEST_GROUP = 4096  # of `int_group`


@dataclass(frozen=True)
class QuantizedModule:
    """The tensors of a module by the last part of their names.

    Attributes
    ----------
    name : of the module, as the files spell it
    """

    name: str
    places: Mapping[str, tuple[WeightsFile, str]]

    @property
    def where(self) -> str:
        """The file of its first tensor and its name, for messages."""
        file, _ = next(iter(self.places.values()))
        return f"{file.path}: module {self.name!r}"

    def shape(self, part: str, rank: int) -> tuple[int, ...]:
        """Shape of a tensor of `rank` dimensions.

        Raises
        ------
        ImportModelError
            The tensor is missing, or has another number of dimensions.
        """
        if part not in self.places:
            raise self.refuse(f"has no tensor {part!r} beside {', '.join(sorted(self.places))}")
        file, stored = self.places[part]
        found = file.shape(stored)
        if len(found) != rank:
            raise ImportModelError(f"{file.path}: tensor {stored!r} has the shape {found}; allowed: {rank} dimensions")
        return found

    def expect(self, part: str, shape: tuple[int, ...]) -> None:
        """ImportModelError unless a tensor has this shape."""
        found = self.shape(part, len(shape))
        if found != shape:
            file, stored = self.places[part]
            raise ImportModelError(f"{file.path}: tensor {stored!r} has the shape {found}; allowed: {shape}")

    def integers(self, part: str) -> Integers:
        """Values of a tensor of integers; those of 32 bits and less keep their bits when read as unsigned."""
        file, stored = self.places[part]
        return file.read_integers(stored)

    def floats(self, part: str) -> Floats:
        """Values of a tensor of floats."""
        file, stored = self.places[part]
        return file.read(stored)

    def finite(self, part: str) -> Floats:
        """Values of a tensor of floats.

        Raises
        ------
        ImportModelError
            NaN or an infinity.
        """
        values = self.floats(part)
        if not np.isfinite(values).all():
            raise self.refuse(f"{part!r} holds NaN or an infinity; allowed: finite numbers")
        return values

    def refuse(self, what: str) -> ImportModelError:
        """A message on this module."""
        return ImportModelError(f"{self.where}: {what}")


def group_format(module: QuantizedModule, bits: int, group: int, k: int, offset: str = "") -> WeightFormat:
    """`int_group` with `offset` ("zero=1", "minimum=1" or none), or `uniform` where one scale serves all K inputs of an output.

    Raises
    ------
    ImportModelError
        Bits or a group that no format has.
    """
    if not offset and group >= k:
        text = f"uniform:bits={bits}"
    else:
        text = f"int_group:bits={bits},group={min(group, k)}{offset and ','}{offset}"
    try:
        return parse_format(text)
    except FormatError as error:
        raise module.refuse(str(error)) from None


def scales_of(module: QuantizedModule, spec: WeightFormat, scales: Floats, what: str = "scale") -> npt.NDArray[Any]:
    """Scales (groups, N) as the format stores them: binary16 of groups where that is exact, else float32 of channels.

    Raises
    ------
    ImportModelError
        A scale (bfloat16 or float32) that binary16 does not hold exactly.
    """
    if not isinstance(spec, IntGroupFormat):
        return scales.reshape(-1)
    with np.errstate(over="ignore"):
        stored = scales.astype(np.float16)
    wrong = np.argwhere(stored.astype(np.float32) != scales)
    if wrong.size:
        value = float(scales[tuple(wrong[0])])
        raise module.refuse(
            f"the {what} {value:g} of group {wrong[0][0]}, output {wrong[0][1]}; allowed: numbers that binary16 holds exactly"
        )
    return stored


def in_8_bits(weights: Floats) -> dict[str, npt.NDArray[Any]]:
    """Levels -127 to 127 of (K, N) weights, the largest magnitude of each output at the end."""
    scales = np.maximum(np.abs(weights).max(axis=0), np.finfo(np.float32).tiny) / np.float32(127)
    return {"weights": np.rint(weights / scales).astype(np.int8), "scales": scales.astype(np.float32)}


def choice(settings: Config, name: str, allowed: tuple[Any, ...], default: Any = None) -> Any:
    """A setting that has one of a few values; an allowed None stands for an absent one.

    Raises
    ------
    ImportModelError
        Any other value.
    """
    value = settings.fields.get(name, default)
    for item in allowed:
        if type(item) is type(value) and item == value:
            return value
    raise settings.refuse(name, " or ".join("null" if item is None else repr(item) for item in allowed))
