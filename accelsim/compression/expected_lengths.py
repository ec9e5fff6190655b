"""Lengths of entropy codes for a trace that is shapes alone: those of codes that were chosen on a part of the layer's float weights.

The part is as many outputs as hold `SAMPLE` weights, of the stored weights or of others from the same seed. Disputable assumptions: all
outputs have the statistics of the first ones; and symbols of a codebook that networks share, which no sample draws, are used evenly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from accelsim.compression.encoder import encode
from accelsim.errors import FormatError
from accelsim.formats.entropy_coded import EntropyCodedFormat
from accelsim.formats.weight_format import WeightFormat
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.manifest import SeededSource
from accelsim.trace.seeded import seeded_weights
from accelsim.trace.trace import Trace

SAMPLE = 1 << 17
NOTE = "lengths of entropy codes are estimates, from codes of the float weights of some outputs; compress the trace for exact ones"

Known = dict[tuple[WeightFormat, int, int, str], WeightFormat]


def with_expected_lengths(spec: WeightFormat, trace: Trace, layer: WeightedLayer, known: Known) -> WeightFormat:
    """The format of a layer of a float trace with lengths of codes, if it has any; seeded layers of equal shape share those in `known`.

    Raises
    ------
    FormatError
        No encoder of the format inside, nor weights to encode.
    """
    if not isinstance(spec, EntropyCodedFormat):
        return spec
    key = (spec, layer.weight.k, layer.weight.n, layer.name if trace.has_payload else "")
    if key not in known:
        known[key] = _expected(spec, trace, layer)
    return known[key]


def _expected(spec: EntropyCodedFormat, trace: Trace, layer: WeightedLayer) -> WeightFormat:
    if spec.codebook_scope == "shared":
        return spec.evenly_used(layer.weight.k, layer.weight.n)
    k, n = layer.weight.k, layer.weight.n
    columns = _fitting(lambda count: spec.streams(k, count), n, -(-SAMPLE // k))
    source = trace.manifest.source
    if trace.has_payload:
        weights = trace.weights(layer.name)[:, :columns]
    elif isinstance(source, SeededSource):
        weights = seeded_weights(source.seed, layer.name, k, columns)
    else:
        raise FormatError(f"{spec.kind}: layer {layer.name!r} has no weights, which the lengths of codes follow from")
    arrays = encode(spec, weights, np.random.default_rng(0))
    return spec.fitted(arrays, k, columns).scaled_to(k, n)


def _fitting(streams: Callable[[int], object], n: int, least: int) -> int:
    """The fewest outputs, at least `least`, that a format takes."""
    for count in range(least, n):
        try:
            streams(count)
        except FormatError:
            continue
        return count
    return n
