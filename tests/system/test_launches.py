"""The host's launches of networks, layers and tokens: time of their own, and nothing that is launched moves before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError, ConfigError
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate
from accelsim.system import run_program
from accelsim.trace.trace import Trace
from accelsim.what_if import what_if
from tests.naive_dma import NaiveDma
from tests.system.test_cores import chips
from tests.tiny_convnets import convnets
from tests.tiny_machines import Net, gemm_chain, nets, tiny_accelerator, tiny_encoder

CHAIN = gemm_chain(4, [8, 16, 8], ["int8", "ssvq:16,2"], ["gelu", ""])


def launching(overlap: str = "prefetch", activations: str = "none", **times: str) -> Accelerator:
    return tiny_accelerator(
        control={"overlap": overlap, "overhead": times}, placement={"activations": activations}, array__raw_weights_per_cycle="tied"
    )


def test_the_launch_of_a_network_delays_all_of_it() -> None:
    """1,234.5 ns are 1,235 cycles of 1 GHz; no weight is fetched meanwhile, so every other cycle is as without."""
    without, launched = simulate(launching(), CHAIN), simulate(launching(network="1234500 ps"), CHAIN)
    assert launched.cycles == {**without.cycles, "launch": 1235}
    assert launched.traffic == without.traffic


def test_an_input_in_memory_is_loaded_under_the_launch() -> None:
    """Its 4 x 8 B take the memory 8 cycles ahead of the first weights, unless they are gone when those may be fetched."""
    without, launched = simulate(launching(activations="dram"), CHAIN), simulate(launching(activations="dram", network="1 us"), CHAIN)
    assert launched.cycles == {**without.cycles, "launch": 1000, "dram": without.cycles["dram"] - 8}


@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
def test_each_network_and_each_layer_is_launched_once_per_inference(overlap: str) -> None:
    chip = launching(overlap, network="100 ns", layer="7 ns")
    result = simulate(chip, CHAIN, frames=3)
    assert [frame.cycles["launch"] for frame in result.frames] == [100 + 2 * 7] * 3
    assert [layer.cycles["launch"] for layer in result.layers if layer.macs] == [107, 7] * 3


def test_heads_and_chunks_of_a_layer_share_its_launch() -> None:
    """Six products of an encoder are weighted layers, two are products of attention with three heads each; M = 19 takes three chunks."""
    chip = tiny_accelerator(control={"overhead": {"layer": "50 ns"}})
    result = simulate(chip, tiny_encoder(19, 12, 3, 16, "int8"))
    assert result.cycles["launch"] == (6 + 2) * 50


def test_weights_of_the_next_network_are_not_fetched_before_its_launch() -> None:
    """Behind the launch, the second inference is as alone: its first transfer finds the memory idle and an empty array."""
    alone = simulate(launching(network="900 ns"), CHAIN)
    both = simulate(launching(network="900 ns"), CHAIN, frames=2)
    assert both.frames[0].cycles["dram"] == both.frames[1].cycles["dram"] == alone.cycles["dram"] > 0
    ahead = simulate(launching(), CHAIN, frames=2)
    assert ahead.frames[1].cycles["dram"] < ahead.frames[0].cycles["dram"]


def causal() -> Trace:
    net = Net(4, 8)
    q, k, v = (net.gemm("x", 8, "int8") for _ in range(3))
    scores = net.scores(q, k, 1)
    softmax = net._add("softmax", [scores], net.shape[scores], mask="causal")
    net.gemm(net.context(softmax, v), 8, "int8")
    return net.trace()


def test_a_step_of_a_language_model_is_launched_as_a_token_and_no_other_network_is() -> None:
    chip = launching(network="10 ns", token="300 ns")
    assert simulate(chip, causal()).cycles["launch"] == 310
    assert simulate(chip, tiny_encoder(4, 8, 1, 8, "int8")).cycles["launch"] == 10


@settings(max_examples=40)
@given(
    chips(), st.one_of(nets, convnets(), st.just(causal())), st.integers(1, 2),
    st.fixed_dictionaries({name: st.sampled_from([0, 1, 333, 1000, 7777, 123456]) for name in ("network", "layer", "token")}),
)  # fmt: skip
def test_every_core_books_each_of_its_launches_and_no_other_wait_to_them(
    chip: Accelerator, trace: Trace, frames: int, times: dict[str, int]
) -> None:
    """In ps, each in whole cycles: a network and a token per inference, on the cores that have a product of it; a layer each."""
    overhead = {name: f"{time} ps" for name, time in times.items()}
    try:
        result = simulate(chip.with_fields(control=chip.control.with_fields(overhead=overhead)), trace, frames=frames)
    except CompileError:
        return  # a net that does not fit says so
    cycles = {name: -(-time * chip.clock // 10**12) for name, time in times.items()}
    once = cycles["network"] + cycles["token"] * any(getattr(layer, "mask", None) == "causal" for layer in trace.layers)
    for core in result.of_cores:
        for frame in core.frames:
            products = sum(layer.macs > 0 for layer in frame.layers)
            assert frame.cycles["launch"] == products * cycles["layer"] + (once if products else 0)


def closed_loop(chip: Accelerator, trace: Trace, frames: int, by_events: bool) -> None:
    """Compare with the clock-by-clock twins of cluster and DMA."""
    program = compile_trace(chip, trace, frames=frames)
    outcome = run_program(chip, program, by_events=by_events)
    cycles, last, runs = NaiveDma(program, chip.dma.transfer, 2, 8, 4, 1).simulate()
    assert (cycles, max(cycles, last)) == (outcome.cycles - outcome.tail_cycles, outcome.cycles)
    assert [{name: n for name, n in zip(CATEGORIES, row, strict=False) if n} for row in outcome.run_results.tolist()] == runs


@pytest.mark.parametrize("by_events", [False, True])
@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize("times", [{"network": "40 ns"}, {"layer": "1 ns"}, {"network": "3 ns", "layer": "25 ns"}])
def test_launches_in_a_closed_loop_equal_the_twin(times: dict[str, str], overlap: str, by_events: bool) -> None:
    chip = tiny_accelerator(
        weight_buffer={"capacity": 352, "word_bits": 32}, array={"rows": 4, "cols": 4, "max_m": 3},
        control={"overlap": overlap, "overhead": times}, dma={"transfer": 32, "max_transfers": 2, "fabric_latency": "1 ns"},
        dram={"device": "ideal", "latency": "8 ns", "bandwidth": "4 GB/s"},
    )  # fmt: skip
    closed_loop(chip, gemm_chain(5, [4, 24, 8], ["int8", "ssvq:16,2"], ["layernorm", "gelu"]), 2, by_events)


@pytest.mark.parametrize("by_events", [False, True])
@pytest.mark.parametrize("cycles", [1, 2, 22, 28, 31])
def test_a_gate_opens_in_the_cycle_in_which_a_task_ends_that_a_store_waits_for(cycles: int, by_events: bool) -> None:
    """The cluster has two things to tell at once; with these launches, one of them meets."""
    chip = tiny_accelerator(
        control={"overlap": "layer", "overhead": {"layer": f"{cycles} ns"}}, activation_buffer__residency="dram",
        dma={"transfer": 64, "max_transfers": 2, "fabric_latency": "1 ns"},
        dram={"device": "ideal", "latency": "8 ns", "bandwidth": "4 GB/s"},
    )  # fmt: skip
    closed_loop(chip, tiny_encoder(2, 4, 1, 4, "int8"), 1, by_events)


def test_an_overhead_is_a_resource_that_can_be_made_ideal() -> None:
    chip = load_accelerator("mcu-16x16", ["control.overhead.network=20 ms"])
    trace = open_trace("tiny_vit_int8")
    baseline = simulate(chip, trace)
    rows = {row.resource: row for row in what_if(chip, trace, baseline)}
    assert max(rows.values(), key=lambda row: row.speedup).resource == "launch overhead"
    assert rows["launch overhead"].result.cycles["launch"] == 0
    assert rows["memory"].result.cycles["launch"] == baseline.cycles["launch"] > 0


def test_a_bare_number_is_no_time() -> None:
    with pytest.raises(ConfigError, match=r"control\.overhead\.layer.*not one of a time.*ns"):
        tiny_accelerator(control={"overhead": {"layer": 5}})
