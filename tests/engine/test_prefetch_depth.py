"""How far ahead weights load: the machine equals a clock-by-clock twin that asks in each cycle which layer computes."""

from __future__ import annotations

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import ConfigError
from accelsim.program import Program
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate
from accelsim.system import run_program
from accelsim.trace.trace import Trace
from tests.naive_dma import NaiveDma
from tests.tiny_machines import gemm_chain, tiny_accelerator, tiny_encoder

CHAIN = gemm_chain(5, [4, 24, 16, 8], ["int8", "ssvq:16,2", "int8"], ["gelu", "", "gelu"])
ENCODER = tiny_encoder(3, 8, 2, 12, "int8")


class DepthDma(NaiveDma):
    """Knows no gates: a transfer may go if its layer, and its last byte, are near enough to the layer whose tiles are being computed."""

    def __init__(self, program: Program, transfer: int, layers: int | None, bytes_: int | None) -> None:
        super().__init__(program, transfer, 2, 8, 4, 1)
        self.layers, self.bytes = layers, bytes_
        self.tiles_before: list[int] = []  # tiles before each layer with weights
        self.end: list[int] = []  # buffered bytes up to the end of each layer's weights
        self.layer_of: dict[int, int] = {}  # transfer -> its layer
        self.byte_of: dict[int, int] = {}  # transfer -> its last buffered byte
        tiles, newest = 0, -1
        for run in self.machine.runs:
            if run["chunk0"] >= 0:
                if run["layer"] != newest:
                    newest = run["layer"]
                    self.tiles_before.append(tiles)
                    self.end.append(0)
                self.end[-1] = run["base_bytes"] + run["stream_bytes"]
                for chunk in range(run["chunk0"], run["chunk0"] + run["chunk_count"]):
                    if chunk not in self.layer_of:
                        self.layer_of[chunk] = len(self.end) - 1
                        self.byte_of[chunk] = run["base_bytes"] + int(program.transfers.end[chunk])
            tiles += run["kt_count"] * run["nt_count"]

    def issue_weight(self) -> bool:
        chunk, transfers = self.next_weight, self.program.transfers
        if chunk == transfers.size.size or transfers.need[chunk] > self.machine.freed or not self.near(chunk):
            return False
        self.serve(chunk, int(transfers.size[chunk]))
        self.next_weight += 1
        return True

    def near(self, chunk: int) -> bool:
        computing = sum(before <= self.machine.tiles_done for before in self.tiles_before) - 1
        ahead = self.layer_of[chunk] - computing
        if self.layers is not None and ahead > self.layers:
            return False
        return self.bytes is None or ahead <= 0 or self.byte_of[chunk] - self.end[computing] <= self.bytes


def machine(prefetch: dict[str, object]) -> Accelerator:
    return tiny_accelerator(
        weight_buffer={"capacity": 512, "word_bits": 32}, array={"rows": 4, "cols": 4, "max_m": 3}, control={"prefetch": prefetch},
        dma={"transfer": 32, "max_transfers": 2, "fabric_latency": "1 ns"},
        dram={"device": "ideal", "latency": "8 ns", "bandwidth": "4 GB/s"},
    )  # fmt: skip


@pytest.mark.parametrize("by_events", [False, True])
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("layers", [None, 0, 1, 2])
@pytest.mark.parametrize("bytes_", [None, 0, 40, 200])
def test_weights_load_as_far_ahead_as_the_twin_lets_them(bytes_: int | None, layers: int | None, frames: int, by_events: bool) -> None:
    program = compile_trace(machine({"layers": layers, "bytes": bytes_}), CHAIN, frames=frames)
    outcome = run_program(machine({}), program, by_events=by_events)
    cycles, _, runs = DepthDma(program, 32, layers, bytes_).simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    assert [{name: n for name, n in zip(CATEGORIES, row, strict=False) if n} for row in outcome.run_results.tolist()] == runs


def cycles_of(prefetch: dict[str, object], trace: Trace = CHAIN) -> int:
    return simulate(machine(prefetch), trace).total_cycles


def test_a_depth_that_nothing_reaches_changes_nothing() -> None:
    assert cycles_of({"layers": 3}) == cycles_of({"bytes": 4096}) == cycles_of({})


def test_no_layer_and_no_byte_ahead_are_the_same_and_slower() -> None:
    assert cycles_of({"layers": 0}) == cycles_of({"bytes": 0}) > cycles_of({"layers": 1}) >= cycles_of({})


def test_a_layer_that_loads_once_it_begins_computes_with_its_first_tile() -> None:
    """With overlap: layer its weights are all there before its first tile is, so it is never faster."""
    chip = tiny_accelerator(placement={"activations": "none"}, control={"overlap": "layer"})
    ahead = tiny_accelerator(placement={"activations": "none"}, control={"prefetch": {"layers": 0}})
    assert simulate(ahead, CHAIN).total_cycles < simulate(chip, CHAIN).total_cycles


def test_parameters_of_a_norm_wait_for_no_layer_behind_them() -> None:
    """The encoder has six layers with weights; its norms' parameters count to the layer before them."""
    assert cycles_of({"layers": 6}, ENCODER) == cycles_of({}, ENCODER)
    assert cycles_of({"layers": 0}, ENCODER) > cycles_of({}, ENCODER)


def test_a_second_inference_counts_its_layers_anew() -> None:
    chip = machine({"layers": 0})
    alone, both = simulate(chip, CHAIN), simulate(chip, CHAIN, frames=2)
    assert both.frames[1].cycles["dram"] >= alone.cycles["dram"] - 8  # no weight of the second came under the first


@pytest.mark.parametrize("overlap", ["layer", "none"])
def test_a_depth_without_prefetching_is_refused(overlap: str) -> None:
    with pytest.raises(ConfigError, match=f"prefetch: a depth is allowed with overlap = 'prefetch' alone, overlap is '{overlap}'"):
        load_accelerator("edge-64x64", [f"control.overlap={overlap}", "control.prefetch.layers=1"])
