"""From a model to a trace, and from a float trace to a compressed one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.api.checks import check_flags, check_text, count_of, wrong_type
from accelsim.api.display import watched
from accelsim.api.paths import path_of
from accelsim.api.trace import Trace, TraceLike, float_trace_of
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.given_arrays import read_arrays
from accelsim.compression.recipe import EVERYTHING, REST, Recipe, Rule, load_recipe, make_recipe, recipe_of_layers
from accelsim.errors import ConfigError, FormatError
from accelsim.formats.catalog import parse_format
from accelsim.importers.import_model import import_model as import_file
from accelsim.progress import Progress

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Bits = Literal[8, 16, 32]


def import_model(
    model: str | Path | ExportedProgram,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    name: str | None = None,
    activation_bits: Bits = 8,
    residual_bits: Bits = 8,
    bind: Mapping[str, int] | None = None,
    fill: Mapping[str, int] | None = None,
    weights: str | Path | None = None,
) -> Trace:
    """Turn a model into a float trace.

    Parameters
    ----------
    model : a '.onnx', '.pt2', '.gguf' or '.csv' (SCALE-Sim topology) file, a folder of config.json and safetensors files,
        'vit:hidden_size=192,...', or a program of `torch.export.export`
    out : directory to write; None keeps the trace in memory
    seed : draw the weights from it in place of the model's; needed for models that have none
    name : of the trace; by default the directory's, or the model's
    activation_bits, residual_bits : bits of activations, and of the sums of residual connections
    bind : sizes of symbolic dimensions of an ONNX file, by name; of a GGUF file or a folder {'tokens': length of the prompt}
    fill : the value of every element of an input, by name: {'attention_mask': 1}
    weights : a '.safetensors' file whose tensors take the place of the model's

    Raises
    ------
    AccelsimError
        The model is not understood, an extra is not installed, or a model without weights has no seed.
    """
    if seed is not None:
        seed = count_of("seed", seed, 0)
    with tempfile.TemporaryDirectory() as scratch:
        if not isinstance(model, str | Path):
            model = _saved_program(model, Path(scratch) / f"{name or 'program'}.pt2")
        return Trace(
            import_file(
                str(path_of("model", model)) if isinstance(model, Path) else model,
                None if out is None else path_of("out", out),
                seed=seed,
                name=name,
                activation_bits=activation_bits,
                residual_bits=residual_bits,
                bind=bind,
                fill=fill,
                weights=None if weights is None else path_of("weights", weights),
            )
        )


def _saved_program(model: object, file: Path) -> Path:
    """An exported program as the file that the importer reads; ConfigError for an object of any other type."""
    torch = sys.modules.get("torch")  # who has a program has imported it
    if torch is None or not isinstance(model, torch.export.ExportedProgram):
        raise wrong_type("model", model, "the path of a .onnx, .pt2, .gguf or .csv file, a text such as 'vit:...', or an ExportedProgram")
    torch.export.save(model, file)
    return file


def compress(
    trace: TraceLike,
    format: str | Mapping[str, str] | Path,
    *,
    out: str | Path | None = None,
    layers: str | None = None,
    arrays: str | Path | Mapping[str, Mapping[str, npt.NDArray[Any]]] | None = None,
    companions: Sequence[TraceLike] = (),
    payload: bool = True,
    name: str | None = None,
    seed: int = 0,
    progress: bool | Progress = False,
) -> Trace:
    """Encode the weights of a float trace.

    Parameters
    ----------
    trace : a float trace, with stored weights or seeded
    format : 'ssvq:k=16,d=8' for the usual layers (those inside numbered blocks, or all but the first and the last, as far as it fits
        them; the others get int8); a mapping from patterns of layers' names to formats, of which the first that matches holds
        ({'*.fc1': 'vecq:bits=3', '*': 'uniform:bits=8'}); or a recipe's YAML file
    out : directory to write; None keeps the trace in memory
    layers : pattern of the layers that take a single format
    arrays : weights that are encoded already: layer -> stream of its format -> values ({'fc1': {'indices': ..., 'signs': ..., 'codebook':
        ...}}), or a '.npz' or '.safetensors' file of arrays named LAYER/STREAM. Integers are packed bit for bit; a codebook of floats
        becomes integers with one scale. A single format without `layers` is that of these layers, and the others get int8
    companions : other float traces on which a codebook that networks share is drawn too
    payload : False writes the manifest alone
    name : of the result; by default the directory's
    seed : of the encoders

    Returns
    -------
    The compressed trace; `Trace.compression()` has its bits per weight and errors.

    Raises
    ------
    AccelsimError
        Not a float trace, an unknown format or one that does not fit a layer, a pattern that matches nothing, or `out` cannot be written.
    """
    seed = count_of("seed", seed, 0)
    check_flags(payload=payload)
    out = None if out is None else path_of("out", out)
    given = _given(arrays)
    recipe = (
        _recipe(format, layers, seed) if layers or not given or not isinstance(format, str) else recipe_of_layers(format, list(given), seed)
    )
    source, others = float_trace_of(trace), [float_trace_of(item) for item in companions]
    with watched(progress) as update:
        return Trace(*compress_trace(source, recipe, out, payload=payload, name=name, companions=others, given=given, progress=update))


def _given(arrays: object) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Arrays as they are given, or of a file; ConfigError for an object of any other type."""
    if arrays is None:
        return {}
    if isinstance(arrays, str | Path):
        return read_arrays(path_of("arrays", arrays))
    if not isinstance(arrays, Mapping) or not all(isinstance(streams, Mapping) for streams in arrays.values()):
        raise wrong_type(
            "arrays", arrays, "a mapping of layers to mappings of streams to arrays, or the path of a .npz or .safetensors file"
        )
    for layer, streams in arrays.items():
        for stream, array in streams.items():
            if not isinstance(array, np.ndarray):
                raise wrong_type(f"arrays[{layer!r}][{stream!r}]", array, "a NumPy array")
    return {layer: dict(streams) for layer, streams in arrays.items()}


def _recipe(format: str | Mapping[str, str] | Path, layers: str | None, seed: int) -> Recipe:
    if isinstance(format, str):
        return make_recipe(format, layers, seed)
    if layers is not None:
        raise ConfigError("`layers` belongs to a single format; a recipe's own patterns say which layers it is of")
    if isinstance(format, Path):
        return load_recipe(path_of("format", format), seed)
    if not isinstance(format, Mapping):
        raise wrong_type("format", format, "a text such as 'ssvq:k=16,d=8', a mapping of patterns to formats, or a recipe's Path")
    if not format:
        raise FormatError(f"`format` has no rule; allowed: patterns of layers' names with a format each, such as {{'*': '{REST}'}}")
    for pattern, text in format.items():
        check_text("a pattern of `format`", pattern, "a shell pattern over layers' names")
        check_text(f"format[{pattern!r}]", text, "a format's text such as 'uniform:bits=8'")
    rules = [Rule(pattern, parse_format(text)) for pattern, text in format.items()]
    if EVERYTHING not in format:
        rules.append(Rule(EVERYTHING, parse_format(REST)))
    return Recipe(tuple(rules), seed)
