"""Whether a model can leave as a trace, found before it is trained: its graph is imported, and every matrix has to be a layer's own.

The sentences are those of `export`, which goes the same way with the trained weights.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from accelsim.api.models import import_model
from accelsim.compression.encoder import Arrays, Floats
from accelsim.errors import ConfigError, FormatError, ImportModelError, TraceError
from accelsim.finetune.checks import check_samples, first_line
from accelsim.finetune.weight_layout import ALLOWED
from accelsim.formats.weight_format import WeightFormat
from accelsim.trace.seeded import float_weights
from accelsim.trace.trace import Trace

_PART = re.compile(r"(.+)\[(\d+):(\d+)\]")  # as the importer names the columns of a merged projection
_SHOWN = 6


@dataclass(frozen=True)
class Columns:
    """The outputs `first` to `stop`, without the last, of the matrix of a `layer`: all of them, or a part that runs by itself."""

    layer: str
    first: int
    stop: int

    def matrix(self, whole: Floats) -> Floats:
        """These columns of a matrix [K,N]."""
        return whole[:, self.first : self.stop]

    def arrays(self, whole: Arrays, spec: WeightFormat, k: int, n: int) -> Arrays:
        """The arrays of a format for these columns alone; a codebook is that of the whole matrix. FormatError as of `places`."""
        places = self.places(spec, k, n)
        return {name: np.ascontiguousarray(array[places[name]]) for name, array in whole.items()}

    def places(self, spec: WeightFormat, k: int, n: int) -> dict[str, tuple[slice, ...]]:
        """Where the arrays of these columns lie in those of the whole matrix [K,N].

        Raises
        ------
        FormatError
            The columns are no whole number of codewords or groups.
        """
        whole, part = spec.streams(k, n), spec.streams(k, self.stop - self.first)
        out = {}
        for name, stream in whole.items():
            slices = []
            for size, kept in zip(stream.shape, part[name].shape, strict=True):
                begin, rest = divmod(self.first * size, n) if size != kept else (0, 0)
                if rest:
                    raise FormatError(f"{spec.kind}: the columns {self.first} to {self.stop} of {n} begin within a codeword or group")
                slices.append(slice(begin, begin + kept))
            out[name] = tuple(slices)
        return out


def exported(model: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """The program of a model on the CPU; ImportModelError if PyTorch cannot export it, ConfigError for an example of another kind."""
    check_samples("example", example)
    if len(example) != 1:
        raise ConfigError(f"example has {len(example)} samples; allowed: 1, as `inputs[:1]` has")
    try:
        with torch.no_grad():
            return torch.export.export(model, (example.detach().cpu(),))
    except Exception as error:  # noqa: BLE001 (the model's own code runs here, and raises whatever it does)
        raise ImportModelError(
            f"torch.export cannot export {type(model).__name__} on an example of {example.dtype} {list(example.shape)}: {first_line(error)}"
        ) from None


def imported(program: torch.export.ExportedProgram, name: str) -> Trace:
    """The float trace of a program."""
    return import_model(program, name=f"{name}_float").record


def columns_of(source: Trace, layers: Mapping[str, Floats]) -> dict[str, Columns]:
    """By the names of a trace's layers, the columns of the modules' matrices [K,N] that they are.

    Raises
    ------
    TraceError
        A layer of the trace is no prepared module, or has other weights than its module.
    """
    found = {}
    for layer in source.weighted_layers():
        part = _PART.fullmatch(layer.name)
        if layer.name in layers:
            place = Columns(layer.name, 0, layers[layer.name].shape[1])
        elif part is not None and part[1] in layers:
            place = Columns(part[1], int(part[2]), int(part[3]))
        else:
            known = ", ".join([repr(name) for name in layers][:_SHOWN]) + (", ..." if len(layers) > _SHOWN else "")
            raise TraceError(
                f"layer {layer.name!r} of the trace is no prepared module; allowed: {ALLOWED}, each used once; prepared: {known}"
            )
        if not np.array_equal(float_weights(source, layer.name), place.matrix(layers[place.layer])):
            raise TraceError(
                f"layer {layer.name!r}: the importer changes its weights, as when it folds a scale or a norm into them; "
                "allowed: a model in which these are part of the weights before `prepare`"
            )
        found[layer.name] = place
    return found


def plain_copy(model: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU in inference mode, without a cache of keys and values among its outputs."""
    plain = copy.deepcopy(model).cpu().eval()
    config: Any = getattr(plain, "config", None)
    if getattr(config, "use_cache", False):
        config.use_cache = False
    return plain


def disturb(model: torch.nn.Module, weights: Iterable[torch.Tensor]) -> None:
    """Move every parameter but the weights of layers, so that one which the importer folds into these shows, even if it starts at 1."""
    known = {id(weight) for weight in weights}
    with torch.no_grad():
        for parameter in model.parameters():
            if id(parameter) not in known and parameter.is_floating_point():
                parameter.add_(0.5)
