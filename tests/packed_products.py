"""One product whose weights hold random bits of any format, scales within the range of real files."""

from __future__ import annotations

import numpy as np

from accelsim.formats.catalog import parse_format
from accelsim.formats.gguf import GgufFormat
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import StreamRecord, WeightRecord
from accelsim.trace.layers import GemmLayer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, with_payload
from tests.random_weights import random_arrays

LAYER = "layer0"


def packed_product(text: str, m: int, k: int, n: int, seed: int = 1, row_bits: int = 8, **given: np.ndarray) -> Trace:
    """x[m, k], of `row_bits` bits, by weights [k, n] in the format `text`; `given` arrays in place of random ones."""
    spec = parse_format(text)
    arrays = random_arrays(spec, k, n, np.random.default_rng(seed)) | given
    if isinstance(spec, GgufFormat) and spec.layout.scale_code == "e8m0" and "blocks" not in given:
        arrays["blocks"][..., 0] = 108 + arrays["blocks"][..., 0] % 16  # exponents of weights near 1
    spec = spec.fitted(arrays, k, n)
    table, packed = spec.streams(k, n), spec.pack(arrays, k, n)
    records = {name: StreamRecord.of(f"{LAYER}.{name}", table[name].total_bits, data) for name, data in packed.items()}
    layer = GemmLayer(
        name=LAYER,
        inputs=("x",),
        output=TensorShape(rows=m, width=n),
        bounds=LoopBounds(K=n, C=k, OX=m),
        weight=WeightRecord(format=spec, k=k, n=n, streams=records),
    )
    inputs = (ModelInput(name="x", shape=TensorShape(rows=m, width=k, bits=row_bits)),)
    manifest = Manifest(name="product", source=seeded_source(1), inputs=inputs, outputs=(LAYER,), layers=(layer,))
    return with_payload(manifest, {f"{LAYER}.{name}": data for name, data in packed.items()})
