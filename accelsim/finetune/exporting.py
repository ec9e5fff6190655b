"""From a fine-tuned model to a packed trace whose weights are the model's, to the bit.

The graph goes through the importer of PyTorch like any model's; the bits are the quantizers' own. A layer whose weights the importer
changes (a batch norm folded into a convolution) would stand for other weights, and is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from accelsim.api.models import import_model
from accelsim.api.trace import Trace
from accelsim.compression.compress_trace import compress_trace
from accelsim.errors import TraceError
from accelsim.execution.calibration import Method
from accelsim.finetune.prepared import PreparedLayer, prepared_layers
from accelsim.trace.seeded import float_weights
from accelsim.trace.trace import Trace as TraceRecord
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
        As `prepare` returned it, trained or not; it is not changed.
    example
        One input, batch 1: its shape is the trace's.
    out
        Directory to write; None keeps the trace in memory.
    name
        Of the trace; by default the directory's, or 'finetuned'.
    metrics
        Measured figures to keep in the manifest, such as {'top1_accuracy': 0.95}.
    calibration
        Inputs on which the scales of the activations are measured, [samples, ...]; None leaves the trace without.
    method
        Criterion of a scale: 'max', the largest magnitude; 'percentile', 99.99 % of them; 'mse', the least squared error.

    Raises
    ------
    ConfigError
        The model is not prepared; an unknown method.
    ImportModelError
        The importer does not understand the model.
    TraceError
        A layer of the trace is no prepared module, or has other weights than its module; a metric's name or value is wrong; calibration
        inputs of another shape.
    """
    layers = {item.name: item for item in prepared_layers(model)}
    if out is not None:
        check_replaceable_trace(Path(out))
    name = name or (Path(out).name if out is not None else "finetuned")
    program = torch.export.export(_plain(model), (example.detach().cpu(),))
    source = import_model(program, name=f"{name}_float").record
    arrays = {}
    for layer in source.weighted_layers():
        if layer.name not in layers:
            raise TraceError(
                f"layer {layer.name!r} of the trace is no prepared module; allowed: nn.Linear and nn.Conv2d; known: {list(layers)}"
            )
        arrays[layer.name] = layers[layer.name].arrays()
        _check_same(source, layers[layer.name])
    recipe = next(iter(layers.values())).quantizer.recipe
    packed, _ = compress_trace(source, recipe, name=name, given=arrays)
    # The encoding errors in the metrics are against the trained weights themselves, so they would be 0.
    manifest = packed.manifest.with_fields(metrics={}, notes=(*packed.manifest.notes, _NOTE))
    tuned = Trace(with_metrics(replace(packed, manifest=manifest), metrics or {}))
    if calibration is not None:
        tuned = tuned.calibrate(calibration.detach().cpu().numpy(), method)
    if out is not None:
        tuned.save(out)
    return tuned


def _plain(model: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU, in inference mode, with ordinary weights."""
    plain = copy.deepcopy(model).cpu().eval()
    for layer in prepared_layers(plain):
        weight = layer.quantizer(*layer.parts).detach().contiguous()
        # PyTorch's remove_parametrizations would change the class, which the copy shares with the model.
        layer.module.__class__ = type(layer.module).__bases__[0]
        del layer.module.parametrizations
        layer.module.weight = torch.nn.Parameter(weight)
    return plain


def _check_same(source: TraceRecord, layer: PreparedLayer) -> None:
    """TraceError if a layer's weights in the imported graph differ from what the module's arrays stand for."""
    quantizer = layer.quantizer
    meant = quantizer.spec.reconstruct(layer.arrays(), quantizer.k, quantizer.n).astype(np.float32)
    if not np.array_equal(float_weights(source, layer.name), meant):
        raise TraceError(
            f"layer {layer.name!r}: the importer changes its weights, as when it folds a batch norm; "
            "allowed: a model whose norms are folded before `prepare`"
        )
