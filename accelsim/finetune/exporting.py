"""From a fine-tuned model to a packed trace whose weights are the model's, to the bit.

The graph goes through the importer of PyTorch like any model's; the bits are the quantizers' own. A layer whose weights the importer
changes (a norm or a scale folded into them) would stand for other weights, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from glob import escape
from pathlib import Path

import numpy as np
import torch

from accelsim.api.checks import check_text, wrong_type
from accelsim.api.paths import path_of
from accelsim.api.trace import Trace
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.encoder import Floats
from accelsim.compression.recipe import Recipe, Rule
from accelsim.execution.calibration import Method
from accelsim.finetune.checks import check_samples
from accelsim.finetune.dry_run import Columns, columns_of, disturb, exported, imported
from accelsim.finetune.plain_weights import with_plain_weights
from accelsim.finetune.prepared import PreparedLayer, prepared_layers
from accelsim.finetune.token_rows import rows_of
from accelsim.trace.trace import check_replaceable_trace, with_metrics

_NOTE = "fine-tuned in its formats; weights are those of the model, bit for bit"


def export(
    model: torch.nn.Module,
    example: torch.Tensor,
    *,
    out: str | Path | None = None,
    name: str | None = None,
    metrics: Mapping[str, float] | None = None,
    calibration: torch.Tensor | None = None,
    method: Method = "mse",
) -> Trace:
    """The packed trace of a prepared model.

    Parameters
    ----------
    model
        As `prepare` returned it, trained or not; it is not changed. A model of transformers is taken without its cache of keys and values.
    example
        One input, batch 1: its shape is the trace's.
    out
        Directory to write; None keeps the trace in memory.
    name
        Of the trace; by default the directory's, or 'finetuned'.
    metrics
        Measured figures to keep in the manifest, such as {'top1_accuracy': 0.95}.
    calibration
        Inputs on which the scales of the activations are measured, [samples, ...], as the model takes them; None leaves the trace without.
    method
        Criterion of a scale: 'max', the largest magnitude; 'percentile', 99.99 % of them; 'mse', the least squared error.

    Raises
    ------
    ConfigError
        The model is not prepared; an unknown method; an argument of another type.
    ImportModelError
        PyTorch cannot export the model, or the importer does not understand it.
    TraceError
        A layer of the trace is no prepared module, or has other weights than its module; a metric's name or value is wrong; calibration
        inputs of another shape.
    """
    layers = {item.name: item for item in prepared_layers(model)}
    if out is not None:
        out = path_of("out", out)
        check_replaceable_trace(out)
    if name is not None:
        check_text("name", name, "a text, or None")
    if metrics is not None and not isinstance(metrics, Mapping):
        raise wrong_type("metrics", metrics, "a mapping of names to numbers, or None")
    if calibration is not None:
        check_samples("calibration", calibration)
    name = name or (out.name if out is not None else "finetuned")
    own = {item.name: item.arrays() for item in layers.values()}
    source = imported(exported(with_plain_weights(model), example), name)
    columns = columns_of(source, {item.name: _represented(item) for item in layers.values()})
    arrays = {}
    for layer, place in columns.items():
        quantizer = layers[place.layer].quantizer
        arrays[layer] = place.arrays(own[place.layer], quantizer.spec, quantizer.k, quantizer.n)
    packed, _ = compress_trace(source, _recipe(columns, layers), name=name, given=arrays)
    # The encoding errors in the metrics are against the trained weights themselves, so they would be 0.
    manifest = packed.manifest.with_fields(metrics={}, notes=(*packed.manifest.notes, _NOTE))
    tuned = Trace(with_metrics(replace(packed, manifest=manifest), metrics or {}))
    if calibration is not None:
        tuned = tuned.calibrate(rows_of(model, tuned, calibration), method)
    if out is not None:
        tuned.save(out)
    return tuned


def check_exportable(model: torch.nn.Module, example: torch.Tensor) -> None:
    """Raise what `export` would of a prepared model and one input, batch 1, whatever values training gives its parameters."""
    plain, layers = with_plain_weights(model), prepared_layers(model)
    disturb(plain, [plain.get_parameter(f"{item.name}.weight") for item in layers])
    columns = columns_of(imported(exported(plain, example), "finetuned"), {item.name: _represented(item) for item in layers})
    by_name = {item.name: item.quantizer for item in layers}
    for place in columns.values():
        quantizer = by_name[place.layer]
        place.places(quantizer.spec, quantizer.k, quantizer.n)


def _recipe(columns: Mapping[str, Columns], layers: Mapping[str, PreparedLayer]) -> Recipe:
    """The recipe of the model; where parts of a matrix run by themselves, one with a rule for each layer of the trace."""
    recipe = next(iter(layers.values())).quantizer.recipe
    if all(name in layers for name in columns):
        return recipe
    rules = tuple(Rule(escape(name), layers[place.layer].quantizer.spec) for name, place in columns.items())
    return Recipe(rules, recipe.seed, notes=recipe.notes)


def _represented(layer: PreparedLayer) -> Floats:
    """The weights Wt[K,N] for which a layer's arrays stand, float32."""
    quantizer = layer.quantizer
    found: Floats = quantizer.spec.reconstruct(layer.arrays(), quantizer.k, quantizer.n).astype(np.float32)
    return found
