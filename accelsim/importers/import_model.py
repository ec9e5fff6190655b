"""From a MODEL argument to a trace: 'vit:...' (a transformers ViT), a '.pt2', '.onnx', '.gguf' or '.csv' file, or a folder.

A described model or a table has no trained weights, so it needs a seed; those of a file are stored unless a seed replaces them.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from accelsim.errors import ImportModelError, TraceError
from accelsim.importers.obstacle import Obstacle
from accelsim.importers.topology import import_topology
from accelsim.ops.weight_record import StreamRecord
from accelsim.problems import one_problem
from accelsim.registry import suggest
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import CheckpointSource, Manifest
from accelsim.trace.payload import file_sha256
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, save_trace, with_payload

if TYPE_CHECKING:
    import torch

    from accelsim.importers.from_onnx.layer_nodes import LayerNodes
    from accelsim.importers.graph.imported_graph import ImportedGraph

_VIT_DEFAULTS: dict[str, int] = {  # DeiT-tiny
    "hidden_size": 192,
    "num_hidden_layers": 12,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "num_labels": 1000,
}
_LARGEST_OPTION = 1 << 20
_LONGEST_NOTE = 4096  # characters that a manifest takes


def import_model(
    model: str,
    out: Path | str | None = None,
    *,
    seed: int | None = None,
    name: str | None = None,
    activation_bits: Literal[8, 16, 32] = 8,
    residual_bits: Literal[8, 16, 32] = 8,
    bind: Mapping[str, int] | None = None,
    fill: Mapping[str, int] | None = None,
    weights: Path | None = None,
) -> Trace:
    """Import a model as a float trace; weights that a '.gguf' file holds quantized stay as they are stored.

    Parameters
    ----------
    model
        'vit' or 'vit:option=value,...' with options of transformers' ViTConfig (DeiT-tiny's values where none is given), or the path
        of a '.pt2' file (torch.export.save), an '.onnx' file, a '.gguf' file, a '.csv' file (SCALE-Sim's topology tables:
        accelsim.importers.topology), or a folder with config.json and safetensors files.
    out
        Directory to write; None returns the trace only.
    seed
        Weights are drawn from this seed (and the manifest says so); None keeps the file's weights.
    name
        Name of the trace; by default the directory's, or the model's.
    activation_bits, residual_bits
        Bits of activations, and of the sums of residual connections.
    bind
        Sizes of an '.onnx' file's symbolic dimensions, by name; of a '.gguf' file or a folder `tokens`, the length of the prompt.
    fill
        The value of every element of an input of an '.onnx' or '.pt2' file, by name: 1 for an attention mask that hides nothing.
    weights
        A '.safetensors' file whose tensors take the place of the model's (accelsim.importers.weights_file).

    Raises
    ------
    ImportModelError
        The model is not understood, the extra is not installed, or a described model has no seed.
    TraceError
        `out` cannot be written.
    """
    kind, _, options = model.partition(":")
    table = kind != "vit" and model.lower().endswith(".csv")
    is_onnx = kind != "vit" and model.lower().endswith(".onnx")
    is_folder = kind != "vit" and model != "" and Path(model).is_dir()
    is_gguf = kind != "vit" and not is_folder and model.lower().endswith(".gguf")
    decoder = is_folder or is_gguf
    if kind != "vit" and not table and not is_onnx and not decoder and not model.endswith(".pt2"):
        raise ImportModelError(
            f"model {model!r} is not understood; allowed: vit:option=value,..., a file named *.pt2, *.onnx, *.gguf or *.csv, or a folder"
        )
    if bind and not is_onnx and not decoder:
        raise ImportModelError(f"model {model!r}: dimensions can be bound in a file named *.onnx or *.gguf, or in a folder, only")
    if fill and (table or decoder or kind == "vit"):
        raise ImportModelError(f"model {model!r}: inputs can be filled in a file named *.onnx or *.pt2 only")
    if weights is not None and (table or decoder or seed is not None):
        raise ImportModelError(f"--weights {weights}: allowed with a model that has trained weights, and without a seed")
    if (kind == "vit" or table) and seed is None and weights is None:
        raise ImportModelError(f"model {model!r} is a description without weights: give a seed, or a file of weights (--weights)")
    name = name or (Path(out).resolve().name if out is not None else "") or Path(model).stem
    if table:
        trace = import_topology(Path(model), name, seed=seed or 0, activation_bits=activation_bits)
        return _saved(trace, out)
    if is_gguf:
        _require("gguf", "a GGUF file")
        from accelsim.importers.from_gguf.walk import import_gguf

        return _saved(import_gguf(Path(model), name, bind or {}, seed, activation_bits, residual_bits), out)
    if is_folder:
        from accelsim.importers.from_huggingface.folder import import_folder

        return _saved(import_folder(Path(model), name, bind or {}, seed, activation_bits, residual_bits), out)
    if is_onnx:
        _require("onnx", "an ONNX file")
        from accelsim.importers.from_onnx.file import load_onnx
        from accelsim.importers.from_onnx.walk import walk_onnx
        from accelsim.importers.from_onnx.weights import with_weights
        from accelsim.importers.graph.builder import GraphBuilder

        stored = load_onnx(Path(model), bind or {}, fill or {})
        loaded = replace(stored, shapes_only=seed is not None) if weights is None else with_weights(stored, weights)
        builder = GraphBuilder(activation_bits, residual_bits)
        trace = _trace_of(lambda: walk_onnx(loaded, builder, keep_values=seed is None), model, name, seed, weights or Path(model))
        return _saved(trace, out)
    if importlib.util.find_spec("torch") is None:
        raise ImportModelError("importing a model needs PyTorch; install accelsim with its extra: pip install 'accelsim[torch]'")
    from accelsim.importers.from_torch.file import load_program

    program = _export_vit(options) if kind == "vit" else load_program(Path(model))
    file = Path(model) if kind != "vit" else None
    if weights is not None:
        from accelsim.importers.from_torch.weights import put_weights

        put_weights(program, weights, model)
        file = weights
    trace = import_program(program, name, seed=seed, file=file, fill=fill, activation_bits=activation_bits, residual_bits=residual_bits)
    return _saved(trace, out)


def explain_model(model: str, bind: Mapping[str, int] | None = None, fill: Mapping[str, int] | None = None) -> tuple[Obstacle, ...]:
    """All obstacles that an import of an '.onnx' file by its shapes would meet, in the order of its nodes.

    Raises
    ------
    ImportModelError
        Another kind of model, or a file that cannot be read or lacks sizes (`bind`).
    """
    if not model.lower().endswith(".onnx"):
        raise ImportModelError(f"--explain of {model!r}: allowed: a file named *.onnx")
    _require("onnx", "an ONNX file")
    from accelsim.importers.from_onnx.explain import explain_onnx
    from accelsim.importers.from_onnx.file import load_onnx

    with _named(model):
        return explain_onnx(replace(load_onnx(Path(model), bind or {}, fill or {}), shapes_only=True))


def model_nodes(model: str, bind: Mapping[str, int] | None = None, fill: Mapping[str, int] | None = None) -> LayerNodes:
    """The node that each layer of an '.onnx' file comes from; its weights are not read.

    Raises
    ------
    ImportModelError
        Another kind of model, or one that does not import.
    """
    if not model.lower().endswith(".onnx"):
        raise ImportModelError(f"nodes of {model!r}: allowed: a file named *.onnx")
    _require("onnx", "an ONNX file")
    from accelsim.importers.from_onnx.file import load_onnx
    from accelsim.importers.from_onnx.layer_nodes import layer_nodes

    with _named(model):
        return layer_nodes(replace(load_onnx(Path(model), bind or {}, fill or {}), shapes_only=True))


def parse_numbers(texts: Iterable[str], option: str, least: int) -> dict[str, int]:
    """{'N': 1} of 'N=1', given with an option of the command line; ImportModelError for anything else, or a name given twice."""
    numbers: dict[str, int] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if not name or name in numbers or not number.isdecimal() or len(number) > 7 or not least <= int(number) <= _LARGEST_OPTION:
            allowed = f"NAME=NUMBER with a number from {least} to {_LARGEST_OPTION}, each name once"
            raise ImportModelError(f"{option} {text!r}; allowed: {allowed}")
        numbers[name] = int(number)
    return numbers


def _saved(trace: Trace, out: Path | str | None) -> Trace:
    """The trace, written to `out` if that is given."""
    if out is not None:
        save_trace(trace, out)
    return trace


def import_program(
    program: torch.export.ExportedProgram,
    name: str,
    *,
    seed: int | None = None,
    file: Path | None = None,
    fill: Mapping[str, int] | None = None,
    activation_bits: Literal[8, 16, 32] = 8,
    residual_bits: Literal[8, 16, 32] = 8,
) -> Trace:
    """Import an exported program: with `seed` the weights are drawn from it, else they are the program's, and `file` says whose.

    Raises
    ------
    ImportModelError
        The program is not understood, or neither a seed nor a file is given.
    """
    from accelsim.importers.from_torch import export
    from accelsim.importers.graph.builder import GraphBuilder

    if seed is None and file is None:
        raise ImportModelError(f"program {name!r}: weights need a seed, or the file that they come from")
    return _trace_of(
        lambda: export.walk(program, GraphBuilder(activation_bits, residual_bits), keep_values=seed is None, fill=fill),
        f"program {name!r}" if file is None else str(file), name, seed, file,
    )  # fmt: skip


def _require(package: str, what: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ImportModelError(
            f"importing {what} needs the {package} package; install accelsim with its extra: pip install 'accelsim[import]'"
        )


def _trace_of(walk: Callable[[], ImportedGraph], what: str, name: str, seed: int | None, file: Path | None) -> Trace:
    """The trace of a graph."""
    with _named(what):
        return _to_trace(walk(), name, seed, file)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Violations of a layer's limits are one message that starts with `what`."""
    try:
        yield
    except ValidationError as error:  # a size or a name
        raise ImportModelError(f"{what}: {one_problem(error)}") from None
    except (ImportModelError, TraceError) as error:
        message = str(error)
        raise ImportModelError(message if message.startswith(what) else f"{what}: {message}") from None


def _to_trace(graph: ImportedGraph, name: str, seed: int | None, source: Path | None) -> Trace:
    """The float trace of an imported graph: seeded without payload, or with the model's weights."""
    if not graph.builder.layers:
        raise ImportModelError("its operations only change how the input is seen, and make no layer; allowed: a model that computes")
    outputs = tuple(dict.fromkeys(output.layer for output in graph.interface.outputs))
    fields: dict[str, Any] = {"name": name, "inputs": tuple(graph.builder.inputs), "outputs": outputs, "notes": _notes(graph)}
    fields["interface"] = graph.interface
    if seed is not None or source is None:
        return Trace(Manifest(**fields, source=seeded_source(seed or 0), layers=graph.builder.layers))
    tensors: dict[str, npt.NDArray[np.uint8]] = {}
    layers = tuple(_with_values(layer, graph, tensors) for layer in graph.builder.layers)
    origin = CheckpointSource(file=source.name, sha256=file_sha256(source))
    return with_payload(Manifest(**fields, source=origin, layers=layers), tensors)


def _notes(graph: ImportedGraph) -> tuple[str, ...]:
    """The manifest's note on parameters that no layer reads."""
    unread = f"parameters that no layer reads: {', '.join(graph.unused)}"
    return (
        *graph.notes,
        *((unread if len(unread) <= _LONGEST_NOTE else unread[: _LONGEST_NOTE - 3] + "...",) if graph.unused else ()),
    )


def _with_values(layer: Layer, graph: ImportedGraph, tensors: dict[str, npt.NDArray[np.uint8]]) -> Layer:
    """The layer with records of its trained values, whose streams are added to `tensors`."""

    def stored(name: str, values: npt.NDArray[np.float32]) -> StreamRecord:
        data = np.frombuffer(values.astype("<f4").tobytes(), dtype=np.uint8)
        record = StreamRecord.of(f"{layer.name}.{name}", 8 * data.size, data)
        tensors[record.tensor] = data
        return record

    fields: dict[str, Any] = {"constants": {name: stored(name, values) for name, values in graph.constants.get(layer.name, {}).items()}}
    if layer.weights is not None:
        streams = {"weights": stored("weights", graph.weights[layer.name])}
        fields["weight"] = layer.weights.with_fields(streams=streams)
    return layer.with_fields(**fields)


def _export_vit(options: str) -> torch.export.ExportedProgram:
    """Export transformers' ViTForImageClassification of the described size, with eager attention and no real weights."""
    import torch

    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError:
        raise ImportModelError(
            "a 'vit:' model needs transformers; install accelsim with its extra: pip install 'accelsim[torch]'"
        ) from None
    sizes = _VIT_DEFAULTS | _parse_options(options)
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        raise ImportModelError(
            f"vit: hidden_size={sizes['hidden_size']} is not a multiple of num_attention_heads={sizes['num_attention_heads']}"
        )
    if sizes["image_size"] % sizes["patch_size"]:
        raise ImportModelError(f"vit: image_size={sizes['image_size']} is not a multiple of patch_size={sizes['patch_size']}")
    with torch.device("meta"):
        config = transformers.ViTConfig(**sizes, attn_implementation="eager")
        network = transformers.ViTForImageClassification(config).eval()
        image = torch.zeros(1, sizes["num_channels"], sizes["image_size"], sizes["image_size"])
        return torch.export.export(network, (image,))


def _parse_options(options: str) -> dict[str, int]:
    parsed: dict[str, int] = {}
    for item in options.split(",") if options else ():
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in _VIT_DEFAULTS:
            raise ImportModelError(f"vit: unknown option {name!r}; known: {', '.join(sorted(_VIT_DEFAULTS))}{suggest(name, _VIT_DEFAULTS)}")
        if not equals or not value.isdecimal() or len(value) > 7 or not 1 <= int(value) <= _LARGEST_OPTION:
            raise ImportModelError(f"vit: option {name!r} has value {value!r}; allowed: a whole number from 1 to {_LARGEST_OPTION}")
        parsed[name] = int(value)
    return parsed
