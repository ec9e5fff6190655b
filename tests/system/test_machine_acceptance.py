"""Requirements on the whole machine: the core's own cycles when all else is ideal, the DRAM reference's time on a stream, and sums."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from accelsim.hw.dram.device import load_device
from accelsim.presets import preset_names
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate
from accelsim.system import run_program
from accelsim.trace.layers import MatmulLayer, WeightedLayer
from accelsim.trace.trace import Trace, load_trace
from tests.tiny_machines import gemm_chain, tiny_accelerator

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "validation" / "data" / "dram" / "dram.csv"

IDEAL = (
    "dram={device: ideal}", "dma={transfer: 64 KiB, max_transfers: 64, fabric_latency: 0 ns}", "vector_unit.lanes=0",
    "control.runs=isolated", "codebook.store=rom", "weight_buffer.capacity=64 MiB",
    "activation_buffer={capacity: 64 MiB, banks: 64, width_bits: 128, loader_bits: 128, ports: 8}",
)  # fmt: skip


@cache
def committed(name: str) -> Trace:
    return load_trace(ROOT / "traces" / name)


@pytest.mark.parametrize("preset", ["edge-32x32", "edge-64x64"])
@pytest.mark.parametrize("name", ["deit_tiny_int8", "deit_tiny_ssvq_k16d8", "tiny_vit_ssvq"])
def test_ideal_memory_and_vector_unit_and_isolated_runs_give_the_sum_of_the_stand_alone_cycles(preset: str, name: str) -> None:
    accelerator, trace = load_accelerator(preset, IDEAL), committed(name)
    array, book, weights = accelerator.array, accelerator.codebook, accelerator.weight_buffer
    wanted = 0
    for layer in trace.layers:
        if isinstance(layer, WeightedLayer):
            path = layer.weight.format.decode_path()
            d, words = (path.d, path.codewords) if path.decode else (book.codeword_length, 1)
            ports = book.ports if path.decode else array.cols // d  # raw weights come a row of the array per cycle
            core = CoreGeometry(array.rows, array.cols, d, words, ports, weights.word_bits, path.decode, path.sign, path.axis, array.max_m)
            wanted += run_stand_alone(core, layer.m, layer.k, layer.n).cycles
        elif isinstance(layer, MatmulLayer):
            word = accelerator.activation_buffer.loader_bits
            core = CoreGeometry(
                array.rows, array.cols, book.codeword_length, 1, word // (8 * book.codeword_length), word, False, False,
                int(layer.transposed_b), array.max_m,
            )  # fmt: skip
            wanted += layer.heads * run_stand_alone(core, layer.m, layer.k, layer.n).cycles
    assert simulate(accelerator, trace).total_cycles == wanted


@pytest.mark.parametrize("preset", preset_names("accelerators"))
@pytest.mark.parametrize("name", ["deit_tiny_int8", "deit_tiny_ssvq_k16d8", "tiny_vit_int8", "tiny_vit_ssvq"])
def test_the_sums_hold_on_every_committed_trace_and_preset(preset: str, name: str) -> None:
    trace = committed(name)
    try:
        result = simulate(load_accelerator(preset), trace)
    except CompileError as error:
        assert "short by" in str(error)  # noqa: PT017  # a chip that is too small says which buffer and by how much
        return
    assert result.macs == trace.macs
    assert sum(result.cycles[category] for category in CATEGORIES) == result.total_cycles
    assert sum(layer.total_cycles for layer in result.layers) == result.total_cycles
    counters = result.counters
    bus = sum(value for key, value in counters.items() if key.endswith("_bus_bytes"))
    operands = {"dma_received_bytes": 0, "dma_sent_bytes": 0}
    for layer in result.layers:
        for item in layer.traffic:
            if item.operand != "burst_rounding":
                operands["dma_sent_bytes" if item.write else "dma_received_bytes"] += item.bits
    assert {key: bits // 8 for key, bits in operands.items()} == {key: counters[key] for key in operands}
    assert sum(result.traffic.values()) == 8 * bus
    # the bits of the weights are those of the trace, counted from its formats' streams
    for layer in trace.weighted_layers():
        moved = {item.operand: item.bits for item in next(item for item in result.layers if item.name == layer.name).traffic}
        streams = layer.weight.format.streams(layer.weight.k, layer.weight.n)
        for stream, operand in (("indices", "indices"), ("signs", "signs"), ("weights", "raw_weights")):
            if stream in streams:
                shape = streams[stream].shape
                assert moved[operand] == shape[0] * shape[1] * streams[stream].bits
    for resource, bound in result.bounds.items():
        assert result.total_cycles >= bound, resource


def reference_cycles(device: str, mapping: str) -> list[int]:
    """Memory cycles that each simulator of the reference took for 1 MiB of sequential reads with 32 bursts in flight."""
    with REFERENCE.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "/seq_1m." in row["trace"] and row["mo"] == "32"]
    return [int(row["cycles"]) for row in rows if (row["device"], row["mapping"]) == (device, mapping)]


@pytest.mark.parametrize("mapping", ["RoBaBgCo", "RoCoBaBg"])
@pytest.mark.parametrize("device", ["lpddr4-3200-x16", "lpddr4-3200-x32", "ddr4-2400-x64", "lpddr5-6400-x16"])
def test_a_stream_through_the_dma_takes_the_time_of_the_dram_reference(device: str, mapping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 MiB of weights in order, 32 bursts in flight: within 1 % of the time that the simulators give the same megabyte.

    The fabric's latency is 0, as in the reference: with a latency and few bursts in flight it would be Little's law that binds.
    """
    references = reference_cycles(device, mapping)
    assert references
    landed: dict[int, int] = {}
    land = ComputeCluster.land

    def note(cluster: ComputeCluster, transfer: int) -> None:
        landed[transfer] = int(cluster.env.now)
        land(cluster, transfer)

    monkeypatch.setattr(ComputeCluster, "land", note)
    accelerator = tiny_accelerator(
        codebook__codeword_length=4, weight_buffer={"capacity": "4 MiB", "word_bits": 1024}, array={"rows": 64, "cols": 64, "max_m": 8},
        dram={"device": device, "mapping": mapping},
        dma={"transfer": 4096, "max_transfers": 16, "max_outstanding_bursts": 32, "fabric_latency": "0 ns"},
    )  # fmt: skip
    run_program(accelerator, compile_trace(accelerator, gemm_chain(1, [1024, 1024], ["int8"], [""])), by_events=True)
    cycles = landed[(1 << 20) // 4096 - 1] * 1000 / load_device(device).t_ck_fs
    assert 0.99 * min(references) <= cycles <= 1.01 * max(references)
