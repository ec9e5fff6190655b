"""A packed trace whose layers hold other indices, signs or codewords in the same formats, as after fine-tuning.

Formats and shapes are unchanged, and so are cycles and traffic; the metrics that were measured on the old weights are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from accelsim.errors import FormatError, TraceError
from accelsim.ops.weight_record import StreamRecord
from accelsim.trace.layers import Layer
from accelsim.trace.trace import Trace, with_payload

Arrays = Mapping[str, npt.NDArray[Any]]


def repack(trace: Trace, arrays: Mapping[str, Arrays], note: str) -> Trace:
    """The trace with the arrays of some layers replaced.

    Parameters
    ----------
    arrays
        By layer, the arrays that its format names (`trace.arrays(layer)` gives the old ones): all of them, in the same shapes.
    note
        Where they come from; it is added to the manifest's notes.

    Raises
    ------
    TraceError, FormatError
        The trace has no payload or no such layer; an array is missing, has another shape or a value that the format does not allow; a
        codebook that layers share is changed for one of them alone.
    """
    tensors = {
        record.tensor: trace.required_payload(layer.name).read(record.tensor) for layer in trace.layers for record in _records(layer)
    }
    done: dict[str, Layer] = {}
    for name, replaced in arrays.items():
        layer = trace.layer(name)
        weight = layer.weights
        if weight is None:
            raise TraceError(f"layer {name!r} ({layer.op}): it has no weights to replace")
        try:
            spec = weight.format.fitted(replaced, weight.k, weight.n)
            packed = spec.pack(replaced, weight.k, weight.n)
        except FormatError as error:
            raise FormatError(f"trace {trace.name!r}, layer {name!r}: {error}") from None
        table = spec.streams(weight.k, weight.n)
        records = {
            stream: StreamRecord.of(weight.streams[stream].tensor, table[stream].total_bits, data) for stream, data in packed.items()
        }
        tensors.update({records[stream].tensor: data for stream, data in packed.items()})
        done[name] = layer.with_fields(weight=weight.with_fields(format=spec, streams=records))
    layers = tuple(done.get(layer.name, layer) for layer in trace.layers)
    manifest = trace.manifest.with_fields(layers=layers, metrics={}, notes=(*trace.manifest.notes, note), payload=None)
    manifest.stream_records()  # refuses a shared tensor that is described in two ways
    return with_payload(manifest, tensors)


def _records(layer: Any) -> list[StreamRecord]:
    weights = layer.weights.streams if layer.weights is not None else {}
    return [*weights.values(), *layer.constants.values()]
