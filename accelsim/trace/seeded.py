"""Float weights from a seed, equal to the bit on every platform and NumPy version.

Each weight is a sum of 16 uniform 16-bit integers (near-Gaussian: excess kurtosis -0.075) out of PCG64's raw stream, whose
values NumPy guarantees, times 1/sqrt(K): no library's logarithm takes part. Nothing is trained, so no accuracy follows.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from accelsim.errors import TraceError
from accelsim.trace.manifest import SeededSource
from accelsim.trace.trace import Trace

DISTRIBUTION = "near-Gaussian (sum of 16 uniform 16-bit integers), mean 0, standard deviation 1/sqrt(K) in each layer"
STATEMENT = "weights are random, not trained: shapes, sizes and timing are the model's, accuracy is not"
_UNIFORMS = 16
_LEVELS = 1 << 16


def seeded_source(seed: int) -> SeededSource:
    """The manifest's record of weights drawn from `seed`."""
    return SeededSource(seed=seed, distribution=DISTRIBUTION, statement=STATEMENT)


def seeded_weights(seed: int, layer: str, k: int, n: int) -> npt.NDArray[np.float32]:
    """Wt[K,N] of a layer, float32, drawn from the seed and the layer's name alone (not from its position in the model)."""
    bits = np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(layer.encode())]))
    words = _UNIFORMS // 4  # of 64 bits per weight
    variance = _UNIFORMS * (_LEVELS**2 - 1) / 12
    factor = 1.0 / np.sqrt(variance * k)
    weights = np.empty(k * n, dtype=np.float32)
    chunk = 1 << 18
    for start in range(0, weights.size, chunk):
        count = min(chunk, weights.size - start)
        uniforms = bits.random_raw(words * count).astype("<u8").view("<u2").reshape(count, _UNIFORMS)
        centred = 2 * uniforms.sum(axis=1, dtype=np.int64) - _UNIFORMS * (_LEVELS - 1)
        weights[start : start + count] = centred * (factor / 2)
    return weights.reshape(k, n)


def float_weights(trace: Trace, layer: str) -> npt.NDArray[np.float32]:
    """Float weights Wt[K,N] of a layer of a float trace: from the payload if there is one, else from the seed.

    Raises
    ------
    TraceError
        The trace holds packed weights, or neither payload nor seed.
    """
    record = next((candidate.weight for candidate in trace.weighted_layers() if candidate.name == layer), None)
    if record is None:
        raise TraceError(f"trace {trace.name!r} has no layer {layer!r} with weights")
    if record.format.packed:
        raise TraceError(f"trace {trace.name!r}, layer {layer!r}: weights are {record.format.kind!r}; allowed: a float trace (float32)")
    if trace.has_payload:
        weights: npt.NDArray[np.float32] = trace.weights(layer)
        return weights
    source = trace.manifest.source
    if not isinstance(source, SeededSource):
        raise TraceError(f"trace {trace.name!r} has no payload, and its weights come from {source.file!r}: they cannot be regenerated")
    return seeded_weights(source.seed, layer, record.k, record.n)
