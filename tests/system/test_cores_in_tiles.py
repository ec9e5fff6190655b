"""Several cores with buffers that are too small: what runs on one core in tiles runs on all of them, each with its share of the tiles."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError
from accelsim.program import Program
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.system.test_cores import chips, written
from tests.tiny_convnets import convnets, every_layer
from tests.tiny_machines import gemm_chain, nets, tiny_accelerator, tiny_encoder

CAPACITIES = st.sampled_from([192, 256, 384, 512, 768, 1024, 1536, 2048])


def with_buffer(chip: Accelerator, cores: int, capacity: int) -> Accelerator:
    return chip.with_fields(cores=cores, activation_buffer=chip.activation_buffer.with_fields(capacity=capacity))


def moved(result: Result, *operands: str) -> int:
    """Bytes of these operands."""
    return sum(bits for key, bits in result.traffic.items() if key.operand in operands) // 8


@settings(max_examples=120)
@given(chips(), st.one_of(nets, convnets(), st.just(every_layer().trace())), CAPACITIES, st.integers(2, 4), st.integers(1, 2))
def test_networks_that_fit_one_core_in_tiles_fit_several(chip: Accelerator, trace: Trace, capacity: int, cores: int, batch: int) -> None:
    try:
        compile_trace(with_buffer(chip, 1, capacity), trace, batch=batch)
    except CompileError:
        return
    several = with_buffer(chip, cores, capacity)
    program = compile_trace(several, trace, batch=batch)
    assert all(core.peak_activation_bytes <= capacity for core in program.cores)
    for pieces in written(program).values():
        assert all(end == start for (_, end), (start, _) in pairwise(sorted(pieces)))  # each byte is written once
    result = simulate(several, trace, batch=batch)  # which checks cycles, rows, MACs, streams and bytes of every core
    assert result.macs == batch * trace.macs
    assert sum(core.macs for core in result.cores) == result.macs


def jobs_of(program: Program, write: bool) -> Counter[str]:
    """Bytes by operand of all cores' jobs."""
    found: Counter[str] = Counter()
    for job in (job for core in program.cores for job in core.jobs if job.write == write):
        found[job.operand] += job.size
    return found


@pytest.mark.parametrize("cores", [2, 4])
def test_tiles_that_no_share_cuts_move_the_bytes_of_one_core(cores: int) -> None:
    """Three products of 64 rows, of which the buffer holds few: tiles of four rows, sixteen of them on one core."""
    trace = gemm_chain(64, [64, 64, 64, 64], ["int8"] * 3, ["", "", ""])
    fields = {"activation_buffer__capacity": 1024, "weight_buffer": {"capacity": 8192, "word_bits": 32}}
    one, several = (compile_trace(tiny_accelerator(cores=n, control={"core_split": "rows"}, **fields), trace) for n in (1, cores))
    assert one.choices["row_tiles"] == several.choices["row_tiles"] == "3 layers run in row tiles"
    for write in (True, False):
        assert jobs_of(several, write) == jobs_of(one, write)
    tiles = [(layer.name, layer.lowering) for layer in several.layers]
    assert all(text.startswith(f"rows over {cores} cores") and "row tiles, weights kept over them" in text for _, text in tiles)


def test_each_core_has_the_tiles_of_its_rows() -> None:
    """20 rows of 64 in tiles of four: a core's ten rows are two tiles, and half of the one that the border cuts."""
    trace = gemm_chain(20, [64, 64], ["int8"], [""])
    fields = {"activation_buffer__capacity": 1024, "weight_buffer": {"capacity": 8192, "word_bits": 32}}
    program = compile_trace(tiny_accelerator(cores=2, control={"core_split": "rows"}, **fields), trace)
    assert [[job.rows for job in core.jobs if not job.write] for core in program.cores] == [[4, 4, 2], [2, 4, 4]]


def test_row_bands_of_an_attention_run_on_the_core_of_their_head() -> None:
    """Scores of 24 x 24 exceed the buffer's half kibibyte beside keys and values."""
    trace = tiny_encoder(24, 16, 4, 16, "int8")
    one, two = (compile_trace(tiny_accelerator(cores=n, activation_buffer__capacity=700), trace) for n in (1, 2))
    scores = [core for core in two.cores if any(layer.op == "softmax" and layer.vector_cycles for layer in core.layers)]
    assert len(scores) == 2
    for core in two.cores:
        softmax = next(index for index, layer in enumerate(core.layers) if layer.op == "softmax")
        tasks = [task for task in core.tasks.tolist() if task[core.tasks.dtype.names.index("layer")] == softmax]
        assert len(tasks) > 2  # two heads, each in several bands
    assert sum(core.layers[4].macs for core in two.cores) == one.layers[4].macs


def test_column_tiles_are_those_of_the_cores_stripes() -> None:
    """256 outputs, whose scales and biases exceed the weight buffer: two column tiles on one core, each core has one of them."""
    trace = gemm_chain(4, [16, 256], ["int8"], [""])
    fields = {"weight_buffer": {"capacity": 1536, "word_bits": 32}}
    one, two = (compile_trace(tiny_accelerator(cores=n, control={"core_split": "stripes"}, **fields), trace) for n in (1, 2))
    assert "column_tiles" in one.choices
    header = [sum(bits for layer in core.layers for key, bits in layer.bits.items() if key[0] == "scales_bias") for core in two.cores]
    whole = sum(bits for layer in one.layers for key, bits in layer.bits.items() if key[0] == "scales_bias")
    assert sum(header) == whole == 8 * 8 * 256
    assert header[0] == header[1]


@pytest.mark.parametrize("cores", [2, 3])
def test_every_tensor_passes_the_memory_where_the_chip_says_so(cores: int) -> None:
    trace = tiny_encoder(9, 16, 4, 24, "int8")
    one, several = (simulate(tiny_accelerator(cores=n, activation_buffer__residency="dram"), trace) for n in (1, cores))
    assert moved(several, "spill_out", "activations_out") == moved(one, "spill_out", "activations_out")
    assert moved(several, "spill_in") > 0


def test_mobilenet_runs_on_two_cores_of_half_a_mebibyte() -> None:
    program = compile_trace(load_accelerator("edge-64x64", ["cores=2"]), open_trace("mobilenet_v2_float@uniform:bits=8"))
    assert program.choices["row_tiles"] == "10 layers run in row tiles"
    assert all(core.peak_activation_bytes <= 512 << 10 for core in program.cores)
