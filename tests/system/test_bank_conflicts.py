"""Codebook banks under the real indices of a trace: the cycles that a run counts, and what each layer says of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.formats.catalog import parse_format
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import StreamRecord, WeightRecord
from accelsim.result import LayerResult
from accelsim.simulation import simulate
from accelsim.trace.layers import GemmLayer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, with_payload

K, N, D, CODEWORDS, PORTS, BANKS = 16, 16, 2, 16, 4, 4
COUNT = K * N // D  # records; on 8 x 8 PEs, 2 x 2 tiles of 32 records: 8 groups of 4 each


def trace_of(index: Callable[[np.ndarray], np.ndarray]) -> Trace:
    """One product whose record number i, counted along its rows, has index(i)."""
    spec = parse_format(f"vq:k={CODEWORDS},d={D}")
    arrays = {
        "indices": index(np.arange(COUNT)).reshape(K, N // D).astype(np.uint16),
        "codebook": np.ones((CODEWORDS, D), np.int8),
        "scales": np.ones(1, np.float32),
    }
    packed, table = spec.pack(arrays, K, N), spec.streams(K, N)
    records = {name: StreamRecord.of(name, table[name].total_bits, data) for name, data in packed.items()}
    layer = GemmLayer(
        name="layer",
        inputs=("x",),
        output=TensorShape(rows=3, width=N),
        bounds=LoopBounds(K=N, C=K, OX=3),
        weight=WeightRecord(format=spec, k=K, n=N, streams=records),
    )
    source = ModelInput(name="x", shape=TensorShape(rows=3, width=K))
    return with_payload(Manifest(name="net", source=seeded_source(1), inputs=(source,), outputs=("layer",), layers=(layer,)), packed)


def chip(banks: int | None) -> Accelerator:
    sizes = ["array.rows=8", "array.cols=8", f"codebook.ports={PORTS}", f"codebook.banks={'null' if banks is None else banks}"]
    return load_accelerator("mcu-16x16", [*sizes, "codebook.sets=1"])


def layer_of(trace: Trace, banks: int | None = BANKS) -> LayerResult:
    return simulate(chip(banks), trace).layers[0]


# A group is the four records of one row of a stripe: four neighbours i, i + 1, i + 2, i + 3 with i a multiple of four.
@pytest.mark.parametrize(
    ("index", "cycles"),
    [
        (lambda i: i % 4, 1),  # each in a bank of its own
        (lambda i: 0 * i + 5, 1),  # one codeword: read once
        (lambda i: i % 4 * 4, 4),  # four codewords of one bank
        (lambda i: i % 2 * 4 + i % 4 // 2, 2),  # two pairs
    ],
)
def test_a_group_takes_the_cycles_of_its_most_loaded_bank(index: Callable[[np.ndarray], np.ndarray], cycles: int) -> None:
    layer = layer_of(trace_of(index))
    said = f"4 banks: {cycles}.00 cycles per group of 4, at most {cycles}, with the trace's indices (evenly drawn ones: "
    assert layer.lowering.startswith(said)
    # A tile's 8 groups take 8 x cycles, against 3 rows: the array waits for each of the 3 tiles after the first, and for the first.
    assert layer.cycles["bank_conflict"] <= 4 * 8 * (cycles - 1)
    assert (layer.cycles["bank_conflict"] > 0) is (cycles > 1)
    assert layer.total_cycles - layer_of(trace_of(index), None).total_cycles == 4 * 8 * (cycles - 1)


def test_evenly_drawn_indices_are_named_and_ports_say_nothing() -> None:
    trace = trace_of(lambda i: i % 4)
    assert layer_of(trace, None).lowering == ""
    records = {name: getattr(trace.manifest, name) for name in type(trace.manifest).model_fields}
    shapes = Trace(Manifest(**{**records, "payload": None}))
    assert layer_of(shapes).lowering.endswith("with evenly drawn indices")
    # Four balls in four bins: 24, 180, 48 and 4 of 256 ways leave 1 to 4 in the fullest, 2.125 on average; equal indices merge, so a bit
    # less; 32 groups are off by 0.1.
    assert 1.7 < float(layer_of(shapes).lowering.split()[2]) < 2.3
