"""DMA, buffer credits and compute side in a closed loop equal their clock-by-clock twins: nothing is taken from a recorded run."""

from __future__ import annotations

import pytest

from accelsim.compiler.compile import compile_trace
from accelsim.result import CATEGORIES
from accelsim.system import run_program
from tests.naive_dma import NaiveDma
from tests.tiny_machines import gemm_chain, tiny_accelerator


@pytest.mark.parametrize(("places", "latency"), [(2, 8), (2, 1), (1, 1)])
@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize("after", ["", "add", "gelu", "layernorm"])
@pytest.mark.parametrize("residency", ["buffer", "dram"])
@pytest.mark.parametrize("by_events", [False, True])
def test_buffers_and_compute_side_equal_their_twins(
    by_events: bool, residency: str, after: str, overlap: str, places: int, latency: int
) -> None:
    accelerator = tiny_accelerator(
        codebook={"ports": 2, "codeword_length": 4, "codewords": 64, "sets": 1}, weight_buffer={"capacity": 352, "word_bits": 32},
        array={"rows": 4, "cols": 4, "max_m": 3}, control={"overlap": overlap},
        activation_buffer={"capacity": "16 KiB", "banks": 2, "width_bits": 32, "loader_bits": 32, "residency": residency},
        dma={"transfer": 32, "max_transfers": places, "fabric_latency": "1 ns"},
        dram={"device": "ideal", "latency": f"{latency} ns", "bandwidth": "4 GB/s"},
    )  # fmt: skip
    program = compile_trace(accelerator, gemm_chain(2, [4, 24, 8, 4], ["int8", "ssvq:16,4", "int8"], [after, "", after]))
    outcome = run_program(accelerator, program, by_events=by_events)
    cycles, last, runs = NaiveDma(program, 32, places, latency, 4, 1).simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    assert max(cycles, last) == outcome.cycles
    ours = [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in outcome.run_results.tolist()]
    assert ours == runs
