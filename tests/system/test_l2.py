"""A chip with a shared level: the cycles worked by hand, which waits are told apart, what must add up, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.in_l2 import most_live_bytes
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError, ConfigError, ConservationError
from accelsim.program import ActivationJob
from accelsim.simulation import RecordedRun, simulate, simulate_recorded
from accelsim.system import check_outcome, run_program
from accelsim.trace.trace import Trace
from accelsim.what_if import what_if
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder

LEVEL = {"capacity": "64 KiB", "width_bits": 64}
ROOMY = {"capacity": "256 KiB", "width_bits": 64}
BOTH = {"weights": "l2", "activations": "l2"}


# -- the figures worked by hand: 3,136 B of activations, 4,096 B of weights and scales, 8 B per cycle


def one_tile(**more: Any) -> RecordedRun:
    """224 rows of 14 through a single tile of 14 x 256: it needs all its weights, so nothing is written before all is read."""
    chip = tiny_accelerator(
        array={"rows": 16, "cols": 256, "max_m": 256},
        codebook={"ports": 64, "codeword_length": 2, "codewords": 64},
        weight_buffer={"capacity": "16 KiB", "word_bits": 1024},
        activation_buffer={"capacity": "256 KiB", "banks": 16, "width_bits": 128, "loader_bits": 128, "residency": "dram"},
        vector_unit={"lanes": 256, "latency": 0, "multiplier_bits": 8, "bias_bits": 8},  # 512 B of scales
        dma={"transfer": "1 KiB", "max_transfers": 64, "fabric_latency": "0 ns"},
        **more,
    )
    return simulate_recorded(chip, gemm_chain(224, [14, 256], ["int8"], [""]))


def all_is_read(run: RecordedRun) -> int:
    """Cycle in which the last weight and the last row have come."""
    read = {job.load for job in run.program.jobs if not job.write}
    assert sum(job.size for job in run.program.jobs if not job.write) == 3136
    assert run.program.transfers.size.sum() == 4096
    return max([cycle for cycle, _ in run.notes.landed] + [cycle for cycle, load, _, _ in run.notes.filled if load in read])


def test_one_port_takes_the_cycles_of_weights_and_activations_together() -> None:
    assert all_is_read(one_tile(dram=None, l2=ROOMY, placement=BOTH)) == (3136 + 4096) // 8 == 904


@pytest.mark.parametrize(("clock", "cycles"), [("1 GHz", 904), ("500 MHz", 1808), ("400 MHz", 2260), ("2 GHz", 452), ("3 GHz", 302)])
def test_a_level_has_a_clock_of_its_own(clock: str, cycles: int) -> None:
    """904 cycles of the level; at 3 GHz they end after 301.3 ns, which the core sees at its next edge."""
    run = one_tile(dram=None, l2={**ROOMY, "clock": clock}, placement=BOTH)
    assert all_is_read(run) == cycles
    assert run.result.counters["l2_busy_cycles"] == one_tile(dram=None, l2=ROOMY, placement=BOTH).result.counters["l2_busy_cycles"]


def test_a_level_on_the_clock_of_the_core_is_as_if_no_clock_were_given() -> None:
    plain, stated = (one_tile(dram=None, l2={**ROOMY, **clock}, placement=BOTH).result for clock in ({}, {"clock": "1 GHz"}))
    assert stated.frames == plain.frames
    assert stated.counters == plain.counters


def test_a_slower_level_bounds_the_run_by_its_own_cycles() -> None:
    plain, slow = (one_tile(dram=None, l2={**ROOMY, **clock}, placement=BOTH) for clock in ({}, {"clock": "250 MHz"}))
    crossed = 3136 + 4096 + 224 * 256  # bytes, with the results
    assert (plain.result.bounds["l2"], slow.result.bounds["l2"]) == (crossed // 8, crossed // 2)
    rows = {row.name: row for row in what_if(slow.accelerator, gemm_chain(224, [14, 256], ["int8"], [""]), slow.result)}
    assert rows["L2 port"].speedup > slow.result.total_cycles / plain.result.total_cycles > 2


def test_the_macros_of_a_level_are_checked_on_its_clock() -> None:
    technology = load_technology("nangate45")
    chips = [tiny_accelerator(clock="4 GHz", dram=None, l2={**ROOMY, **clock}, placement=BOTH) for clock in ({}, {"clock": "200 MHz"})]
    fast, slow = ([text for text in area_of(chip, technology).warnings if "the L2" in text] for chip in chips)
    assert len(fast) == 1
    assert slow == []


def test_ports_of_their_own_take_the_cycles_of_the_longer() -> None:
    dram = {"device": "ideal", "bandwidth": "8 GB/s"}
    run = one_tile(dram=dram, l2={**ROOMY, "bypass": "activations"}, placement={"weights": "l2"})
    assert all_is_read(run) == max(3136, 4096) // 8 == 512


def test_weights_from_dram_cross_the_port_twice() -> None:
    run = one_tile(dram={"device": "ideal"}, l2=ROOMY, placement={"activations": "l2"})
    assert all_is_read(run) == (3136 + 2 * 4096) // 8 == 1416


# -- waits


def waits(chip: Accelerator, trace: Trace) -> set[str]:
    names = {"dram", "l2", "dram_activation"}
    return {name for name, cycles in simulate(chip, trace).cycles.items() if cycles and name in names}


def test_waits_for_bytes_that_are_in_the_level_are_told_from_waits_for_memory() -> None:
    trace = gemm_chain(4, [32, 32], ["int8"], [""])
    narrow, wide = {"capacity": "64 KiB", "width_bits": 8}, {"capacity": "64 KiB", "width_bits": 2**20, "burst": "1 KiB"}
    slow, infinite = {"device": "ideal", "bandwidth": "500 MB/s"}, {"device": "ideal"}
    assert waits(tiny_accelerator(l2=narrow, dram=None, placement=BOTH), trace) == {"l2"}
    assert waits(tiny_accelerator(l2=narrow, dram=infinite), trace) == {"dram", "l2", "dram_activation"}
    assert "l2" not in waits(tiny_accelerator(dram=slow), trace)
    through = simulate(tiny_accelerator(l2=wide, dram=slow), trace).cycles
    assert through["l2"] <= (1024 + 256 + 128) // 64 < 500 < through["dram"]  # at most a cycle per transfer of weights, scales and rows


def test_a_faster_port_is_the_idealization_of_a_chip_that_waits_for_it() -> None:
    chip = tiny_accelerator(l2={"capacity": "64 KiB", "width_bits": 8}, dram=None, placement=BOTH)
    trace = tiny_encoder(4, 16, 2, 32, "int8")
    baseline = simulate(chip, trace)
    rows = {row.name: row for row in what_if(chip, trace, baseline)}
    assert max(rows.values(), key=lambda row: row.speedup).name == "L2 port"
    assert rows["L2 port"].result.cycles["l2"] < baseline.cycles["l2"] // 10
    without = tiny_accelerator()
    same = {row.name: row for row in what_if(without, trace, simulate(without, trace))}
    assert same["L2 port"].explanation == "the chip is already configured this way"


# -- sums


@st.composite
def chips_with_a_level(draw: st.DrawFn) -> Accelerator:
    """Random machines whose weights and activations lie in a level, pass through it, or around it."""
    weights, activations, bypass = draw(
        st.sampled_from([("dram", "dram", "none"), ("l2", "dram", "none"), ("dram", "l2", "weights"), ("l2", "l2", "none")])
    )
    level = {
        "capacity": "64 KiB",
        "width_bits": 8 * draw(st.integers(1, 9)),
        "burst": draw(st.sampled_from([4, 24, 64])),
        "arbitration": draw(st.sampled_from(["priority", "round_robin"])),
        "bypass": bypass,
    }
    chip = draw(accelerators())
    buffer = chip.activation_buffer.with_fields(residency=draw(st.sampled_from(["buffer", "dram"])))
    return chip.with_fields(l2=level, placement={"weights": weights, "activations": activations}, activation_buffer=buffer)


@settings(max_examples=40)
@given(chips_with_a_level(), nets)
def test_bytes_into_a_level_are_those_out_of_it_and_each_burst_takes_its_bytes_over_the_width(chip: Accelerator, trace: Trace) -> None:
    try:
        run = simulate_recorded(chip, trace)
    except CompileError:
        assume(False)
        raise
    level, counters = chip.l2, run.result.counters
    assert level is not None
    sizes = {issue.number: issue.size for issue in run.notes.issues}
    crossed = [(item.client, sizes[item.flight]) for item in run.notes.crossings]
    bursts = [min(level.burst, size - start) for _, size in crossed for start in range(0, size, level.burst)]
    assert counters["l2_busy_cycles"] == sum(-(-size // level.width_bytes) for size in bursts) <= run.result.total_cycles
    for client in ("activation_read", "activation_write", "weight_read"):
        assert counters[f"l2_{client}_bytes"] == sum(size for name, size in crossed if name == client)
    assert counters["l2_fill_bytes"] + counters["l2_drain_bytes"] == sum(size for name, size in crossed if name == "memory")
    for write, name in ((False, "dma_received_bytes"), (True, "dma_sent_bytes")):
        bits = [size for key, size in run.result.traffic.items() if key.operand != "burst_rounding" and key.write == write]
        assert sum(bits) == 8 * counters[name]
    assert run.result.bounds["l2"] <= run.result.total_cycles
    assert simulate(chip, trace) == run.result


@pytest.mark.parametrize("name", ["activation_read", "weight_read", "activation_write", "fill", "drain"])
def test_a_byte_that_is_lost_in_the_level_is_an_error(name: str) -> None:
    chip = tiny_accelerator(l2=LEVEL, activation_buffer__residency="dram")
    program = compile_trace(chip, tiny_encoder(4, 8, 1, 8, "int8"))
    outcome = run_program(chip, program)
    outcome.counters[f"l2_{name}_bytes"] += 1
    with pytest.raises(ConservationError, match=r"the buffers (read|wrote) \d+ bytes"):
        check_outcome(program, outcome)


# -- cost


def test_a_level_has_area_and_energy_of_its_macros() -> None:
    technology, trace = load_technology("nangate45"), gemm_chain(4, [32, 32], ["int8"], [""])
    through, here = tiny_accelerator(l2=LEVEL), tiny_accelerator(l2=LEVEL, dram=None, placement=BOTH)
    parts = {part.name: part for part in area_of(here, technology).components}
    assert parts["L2"].area_um2.nominal > parts["activation buffer"].area_um2.nominal  # 64 KiB and 16 KiB
    counts = []
    for chip in (through, here):
        result = simulate(chip, trace)
        lines = [line for line in energy_of(result, chip, technology).lines if line.component == "L2"]
        assert any(line.kind == "leakage" for line in lines)
        read, written = (
            sum(line.count.nominal for line in lines if line.action == action) * chip.l2.width_bytes for action in ("l2_read", "l2_write")
        )
        counters = result.counters
        assert read == sum(counters[f"l2_{name}_bytes"] for name in ("activation_read", "weight_read", "drain"))
        assert written == sum(counters[f"l2_{name}_bytes"] for name in ("activation_write", "fill"))
        counts.append((read, written))
    assert counts[0][0] == counts[0][1]  # all passes through
    without = energy_of(simulate(tiny_accelerator(), trace), tiny_accelerator(), technology)
    assert "L2" not in without.by_component


# -- what does not fit together


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"placement": {"weights": "l2"}}, "placement.weights = 'l2' needs `l2`"),
        ({"placement": {"activations": "l2"}}, "placement.activations = 'l2' needs `l2`"),
        ({"l2": {**LEVEL, "width_bits": 12}}, "field `l2.width_bits`: .*multiple of 8"),
        ({"l2": {**LEVEL, "bypass": "weights"}, "placement": BOTH}, "l2.bypass = 'weights', but placement.weights = 'l2'"),
        ({"l2": {**LEVEL, "bypass": "weights"}, "placement": {"activations": "none"}}, "nothing crosses `l2`"),
        ({"l2": {**LEVEL, "capacity": 128}}, "= 128 B pass through the L2 at once; l2.capacity = 128 B must be larger"),
    ],
)
def test_a_level_that_does_not_fit_its_chip_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_accelerator(**fields)


def test_a_network_that_does_not_fit_the_level_is_refused_with_the_bytes_it_needs() -> None:
    trace = gemm_chain(4, [32, 32, 32], ["int8"] * 2, [""] * 2)
    chip = tiny_accelerator(l2={**LEVEL, "capacity": 2048}, dram=None, placement=BOTH)
    with pytest.raises(CompileError, match="l2 holds 2048 B, the tensors placed there, beside the bytes in transit, need") as caught:
        simulate(chip, trace)
    needed = int(str(caught.value).split()[-2])
    assert needed > 2 * 32 * 32
    simulate(load_accelerator(chip.writable(), [f"l2.capacity={needed}"]), trace)
    with pytest.raises(CompileError):
        simulate(load_accelerator(chip.writable(), [f"l2.capacity={needed - 1}"]), trace)


def test_a_tensor_takes_its_room_from_the_first_job_that_moves_it_to_the_last() -> None:
    """A is read whole, then from its byte 40 on; B is written before that and read after; C is written last: 100, 150, 150, 50, 30."""
    regions = [(0, 100), (4096, 50), (8192, 30)]
    moved = [(False, 0, 100), (True, 4096, 50), (False, 40, 60), (False, 4096, 50), (True, 8192, 30), (False, -1, 70)]
    jobs = [ActivationJob(write, address, size, 10, size // 10, 0, (), (), "", 0) for write, address, size in moved]
    assert most_live_bytes(jobs, regions) == 150
    assert most_live_bytes(jobs[3:], regions) == 50
    assert most_live_bytes([], []) == 0


@pytest.mark.parametrize("layers", [2, 6])
def test_room_of_the_level_is_used_again_whatever_the_depth(layers: int) -> None:
    """Each tensor of 128 B is read back before the next one is written."""
    trace = gemm_chain(4, [32] * (layers + 1), ["int8"] * layers, [""] * layers)
    chip = tiny_accelerator(l2={**LEVEL, "capacity": 256}, activation_buffer__residency="dram", placement={"activations": "l2"})
    assert simulate(chip, trace).choices["l2"] == "activations lie there; weights pass through"
    with pytest.raises(CompileError, match=r"l2 holds 127 B, .* need 128 B"):
        simulate(load_accelerator(chip.writable(), ["l2.capacity=255"]), trace)
