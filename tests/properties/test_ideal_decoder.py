"""An ideal decoder never slows a run whose weights have scales per group: tiles end with groups, scales are popped ahead, rows are few.

The ports of the activation buffer keep up, as with the other claims of this folder: weights that leave the decoder at once meet all their
activations at once, which narrow ports would have read while the bits came.
"""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.errors import CompileError
from accelsim.formats.catalog import parse_format
from accelsim.simulation import simulate
from accelsim.trace.layers import WeightRecord
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace
from accelsim.what_if import IDEALS, with_overrides
from tests.tiny_machines import REAL_DRAM, Net, tiny_accelerator


def grouped_chain(m: int, widths: list[int], texts: list[str]) -> Trace:
    """x[m, widths[0]] through gemms of widths[1:], each in its format."""
    net = Net(m, widths[0])
    at = "x"
    for width in widths[1:]:
        at = net.gemm(at, width)
    plain = net.trace().manifest
    records = [WeightRecord(format=parse_format(text), k=k, n=n) for text, k, n in zip(texts, widths, widths[1:], strict=False)]
    layers = tuple(layer.with_fields(weight=record) for layer, record in zip(plain.layers, records, strict=True))
    return Trace(Manifest(**{**{name: getattr(plain, name) for name in Manifest.model_fields}, "layers": layers}))


@st.composite
def grouped_chains(draw: st.DrawFn) -> Trace:
    """One to three products of one to three rows; inputs of whole groups, of which the array's rows are no multiple, or no divisor."""
    texts, widths = [], []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["int_group", "int_group", "IQ2_XXS", "MXFP4"]))
        if kind == "int_group":
            group = draw(st.sampled_from([8, 12, 16, 24, 32]))
            texts.append(f"int_group:bits={draw(st.integers(2, 5))},group={group},zero={draw(st.integers(0, 1))}")
            widths.append(group * draw(st.integers(1, 6)))
        else:
            texts.append(f"gguf:type={kind}")
            widths.append({"IQ2_XXS": 256, "MXFP4": 32}[kind] * draw(st.integers(1, 2)))
    return grouped_chain(draw(st.integers(1, 3)), [*widths, draw(st.integers(3, 80))], texts)


@st.composite
def chips(draw: st.DrawFn) -> Accelerator:
    """Small chips for them: with tiles alone, or products of few rows beside the array."""
    rows, cols = draw(st.sampled_from([(4, 4), (8, 8), (16, 16), (8, 16), (32, 8), (64, 8)]))
    mapping = draw(st.sampled_from(["tiles", "gemv", "cheapest"]))
    few = {"mapping": mapping, "gemv_max_m": draw(st.sampled_from([1, 3, 4]))} if mapping != "tiles" else {}
    length = draw(st.sampled_from([2, 4, 8]))
    assume(length <= cols)
    return tiny_accelerator(
        array={
            "rows": rows,
            "cols": cols,
            "max_m": draw(st.sampled_from([4, 32])),
            "shadow_sets": draw(st.sampled_from([1, 2])),
            "accumulator_banks": draw(st.sampled_from([1, 2])),
            "scale_taps": draw(st.sampled_from([None, 1, 2, 4])),
            "raw_weights_per_cycle": draw(st.sampled_from([None, 8, 16, 32])),
            **few,
        },
        codebook={
            "ports": draw(st.integers(1, 4)),
            "codeword_length": length,
            "codewords": 256,
            "store": "rom",
            "latency": draw(st.sampled_from([1, 2])),
        },
        weight_buffer={"capacity": 65536, "word_bits": draw(st.sampled_from([16, 32, 128]))},
        activation_buffer={"capacity": "64 KiB", "banks": 2, "width_bits": 1024, "loader_bits": 32},
        vector_unit={"lanes": draw(st.sampled_from([0, 4, 16])), "latency": 3},
        dram=draw(st.sampled_from([{"device": "ideal"}, {"device": "ideal", "latency": "20 ns", "bandwidth": "4 GB/s"}, REAL_DRAM])),
    )


CUT = tiny_accelerator(  # 32 rows, tiles of 16: 1,213 for 1,182 cycles where the one pop of a tile waited for the wave in all rows
    array={"rows": 32, "cols": 16, "max_m": 32, "mapping": "gemv", "gemv_max_m": 4},
    codebook={"ports": 2, "codeword_length": 4, "codewords": 256},
    weight_buffer={"capacity": 65536, "word_bits": 128},
    activation_buffer={"capacity": "64 KiB", "banks": 2, "width_bits": 1024, "loader_bits": 32},
)


@given(chips(), grouped_chains())
@example(CUT, grouped_chain(5, [64, 64], ["int_group:bits=4,group=16"]))
def test_an_ideal_decoder_never_hurts(accelerator: Accelerator, trace: Trace) -> None:
    (decoder,) = (ideal for ideal in IDEALS if ideal.name == "decoder")
    ideal = with_overrides(accelerator, decoder.overrides(accelerator, [trace]))
    try:
        baseline = simulate(accelerator, trace)
    except CompileError:  # a format that this chip does not take
        assume(False)
        raise
    result = simulate(ideal, trace, planned_for=accelerator)
    assert result.total_cycles <= baseline.total_cycles
    assert result.macs == baseline.macs
    assert [layer.traffic for layer in result.layers] == [layer.traffic for layer in baseline.layers]
