"""Several cores: what must add up on random chips, how layers are shared out, which waits are named, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.core_shares import even_parts
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError, ConfigError, ConservationError
from accelsim.functional import check_functional
from accelsim.gathering import merged_frames
from accelsim.hw.dma import Dma
from accelsim.program import Program
from accelsim.result import CoreResult, FrameResult
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from accelsim.system import check_outcome, run_program
from accelsim.trace.trace import Trace
from accelsim.what_if import what_if
from tests import synthetic_results
from tests.tiny_convnets import convnets, every_layer
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder

ROOM = {"capacity": "64 KiB", "banks": 2, "width_bits": 32, "loader_bits": 32}


# -- what must add up


@st.composite
def chips(draw: st.DrawFn) -> Accelerator:
    """Random machines of one to four cores, with one to four channels, an L2 or none, and arrays of odd sizes."""
    chip = draw(accelerators(dram=False))
    rows, cols = 4 * draw(st.integers(1, 3)), 4 * draw(st.sampled_from([1, 2, 3]))
    level = {"capacity": "1 MiB", "width_bits": 8 * draw(st.integers(1, 9)), "burst": draw(st.sampled_from([4, 24, 64]))}
    level["clock"] = draw(st.sampled_from([None, None, "310 MHz", "3 GHz"]))
    memories: list[dict[str, Any]] = [
        {"device": "ideal"},
        {"device": "ideal", "latency": "35 ns", "bandwidth": "1 GB/s"},
        {"device": "lpddr4-3200-x16", "channels": draw(st.sampled_from([1, 2, 4]))},
    ]
    placed = draw(st.sampled_from([None, ("dram", "dram"), ("l2", "dram"), ("dram", "l2"), ("l2", "l2")]))
    lanes = 0 if chip.array.accumulator_read == "deskew" else chip.vector_unit.lanes
    return chip.with_fields(
        cores=draw(st.integers(1, 4)),
        array=chip.array.with_fields(rows=rows, cols=cols),
        vector_unit=chip.vector_unit.with_fields(lanes=lanes),
        control=chip.control.with_fields(
            core_split=draw(st.sampled_from(["cheapest", "stripes", "rows"])), weight_broadcast=draw(st.booleans())
        ),
        activation_buffer={**ROOM, "residency": draw(st.sampled_from(["buffer", "buffer", "dram"]))},
        weight_buffer=chip.weight_buffer.with_fields(**draw(st.sampled_from([{}, {}, {"capacity": 32768, "residency": "pinned"}]))),
        dram=draw(st.sampled_from(memories)),
        l2=None if placed is None else level,
        placement={} if placed is None else {"weights": placed[0], "activations": placed[1]},
    )


@settings(max_examples=150)
@given(chips(), st.one_of(nets, convnets()), st.integers(1, 2), st.integers(1, 2))
def test_everything_adds_up_on_random_chips(chip: Accelerator, trace: Trace, frames: int, batch: int) -> None:
    try:
        result = simulate(chip, trace, frames=frames, batch=batch)  # which checks cycles, rows, MACs, streams and bytes of every core
    except CompileError:
        return  # a net that does not fit says so
    cores = result.of_cores
    assert len(cores) == chip.cores
    assert all(sum(core.cycles.values()) == result.total_cycles for core in cores)
    assert sum(core.macs for core in cores) == result.macs == frames * batch * trace.macs
    assert sum(sum(layer.pe_cycles for layer in core.layers) for core in cores) == sum(layer.pe_cycles for layer in result.layers)
    moved: Counter[tuple[str, str, bool]] = Counter()
    for item in (item for core in cores for layer in core.layers for item in layer.traffic):
        moved[item.operand, item.memory, item.write] += item.bits
    assert moved == Counter({(key.operand, key.memory, key.write): bits for key, bits in result.traffic.items()})
    assert sum(moved.values()) == 8 * result.bus_bytes
    assert result.utilization == pytest.approx(result.macs / (chip.cores * chip.array.rows * chip.array.cols * result.total_cycles))


def written(program: Program) -> dict[int, list[tuple[int, int]]]:
    """Tensor that passes from core to core -> (first byte, end) of each piece that a core writes of it."""
    out: dict[int, list[tuple[int, int]]] = {}
    for job in (job for core in program.cores for job in core.jobs if job.write and job.shared >= 0):
        piece = job.size // job.pieces
        starts = [job.address + number * job.pitch for number in range(job.pieces)]
        out.setdefault(job.shared, []).extend((start, start + piece) for start in starts)
    return out


@settings(max_examples=60)
@given(chips(), st.one_of(nets, convnets()), st.integers(1, 2))
def test_each_byte_that_passes_is_written_once_and_nothing_else_is_read(chip: Accelerator, trace: Trace, batch: int) -> None:
    try:
        program = compile_trace(chip, trace, batch=batch)
    except CompileError:
        return
    whole = written(program)
    for pieces in whole.values():
        ordered = sorted(pieces)
        assert all(end == start for (_, end), (start, _) in pairwise(ordered))  # no gap, no byte twice
    for job in (job for core in program.cores for job in core.jobs if not job.write and job.shared in whole):
        first, last = min(whole[job.shared])[0], max(whole[job.shared])[1]
        end = job.address + (job.pieces - 1) * job.pitch + job.size // job.pieces
        assert first <= job.address < end <= last


def test_no_part_is_read_before_all_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = tiny_accelerator(cores=3, control={"core_split": "stripes"}, dram={"device": "lpddr4-3200-x16"})
    program = compile_trace(chip, tiny_encoder(9, 16, 2, 24, "ssvq:16,2"))
    landed: dict[int, int] = {}
    asked: dict[int, int] = {}
    submit, land = Dma._submit, Dma._land

    def note_submit(dma: Dma, memory: str, what: int, address: int, offset: int, size: int, write: bool) -> None:
        job = dma._program.jobs[-1 - what] if what < 0 else None
        if job is not None and not write and job.shared >= 0:
            asked[job.shared] = min(asked.get(job.shared, 1 << 62), int(dma._env.now))
        submit(dma, memory, what, address, offset, size, write)

    def note_land(dma: Dma, flight: int) -> None:
        what, _, _, write = dma._flights[flight]
        if what < 0 and write:
            landed[dma._program.jobs[-1 - what].shared] = int(dma._env.now)
        land(dma, flight)

    monkeypatch.setattr(Dma, "_submit", note_submit)
    monkeypatch.setattr(Dma, "_land", note_land)
    outcome = run_program(chip, program)
    read = [number for number in asked if number in landed]
    assert len(read) > 5
    assert all(asked[number] >= landed[number] for number in read)
    assert sum(int(core.run_results[:, -1].size > 0) for core in outcome.of_cores) == 3


# -- how layers are shared out


def test_sixteen_stripes_on_three_cores_are_six_five_and_five() -> None:
    assert [count for _, count in even_parts(16, 3)] == [6, 5, 5]
    assert even_parts(2, 4) == [(0, 1), (1, 1)]
    result = simulate(tiny_accelerator(cores=3, control={"core_split": "stripes"}), gemm_chain(5, [8, 64], ["int8"], [""]))
    assert result.layers[0].lowering == "stripes over 3 cores (6, 5, 5)"
    assert [core.macs for core in result.cores] == [5 * 8 * 4 * stripes for stripes in (6, 5, 5)]
    assert result.choices["cores"] == "3: 1 over stripes; 0 tensors pass through the memory between cores"


def test_rows_are_split_where_the_chip_says_so_and_each_core_reads_all_weights() -> None:
    trace = gemm_chain(8, [8, 64], ["int8"], [""])
    one, stripes, rows = (
        simulate(tiny_accelerator(**more), trace)
        for more in ({}, {"cores": 3, "control": {"core_split": "stripes"}}, {"cores": 3, "control": {"core_split": "rows"}})
    )
    assert rows.layers[0].lowering == "rows over 3 cores (3, 3, 2)"
    weights = [sum(bits for key, bits in result.traffic.items() if key.operand == "raw_weights") for result in (one, stripes, rows)]
    assert weights == [8 * 512, 8 * 512, 3 * 8 * 512]
    read = [sum(bits for key, bits in result.traffic.items() if key.operand == "activations_in") for result in (one, stripes, rows)]
    assert read == [8 * 64, 3 * 8 * 64, 8 * 64]


def test_heads_stay_on_their_core_with_their_softmax() -> None:
    result = simulate(tiny_accelerator(cores=2, control={"core_split": "rows"}), tiny_encoder(9, 16, 4, 24, "int8"))
    notes = {layer.op: layer.lowering for layer in result.layers}
    assert notes["softmax"].startswith("heads over 2 cores (2, 2)")
    scores = [layer for core in result.cores for layer in core.layers if layer.op == "softmax"]
    assert all(not layer.traffic for layer in scores)  # neither scores nor probabilities leave the core


def test_a_layer_that_cannot_be_split_runs_on_one_core() -> None:
    trace = gemm_chain(1, [8, 4, 32], ["int8", "int8"], ["", ""])
    result = simulate(tiny_accelerator(cores=2, control={"core_split": "stripes"}), trace)
    assert [layer.lowering for layer in result.layers] == ["on one core of 2", "stripes over 2 cores (4, 4)"]
    assert [core.layers[0].macs for core in result.cores] == [32, 0]


def test_a_core_without_work_waits_for_the_others() -> None:
    result = simulate(tiny_accelerator(cores=3, control={"core_split": "stripes"}), gemm_chain(1, [8, 8], ["int8"], [""]))
    assert [core.macs for core in result.cores] == [32, 32, 0]
    assert {name: count for name, count in result.cores[2].cycles.items() if count} == {"dependency": result.total_cycles}


def test_one_core_is_as_if_the_field_were_not_there() -> None:
    trace = tiny_encoder(9, 16, 2, 24, "ssvq:16,2")
    plain, one = simulate(tiny_accelerator(), trace), simulate(tiny_accelerator(cores=1, control={"core_split": "rows"}), trace)
    assert not one.cores
    assert "cores" not in one.to_dict()
    assert plain.frames == one.frames
    assert plain.counters == one.counters


@pytest.mark.parametrize("level", [None, {"capacity": "64 KiB", "width_bits": 64}])
def test_a_saved_result_keeps_its_cores_and_their_sums_are_checked(level: dict[str, Any] | None) -> None:
    placed = {} if level is None else {"l2": level, "placement": {"activations": "l2"}}
    result = simulate(tiny_accelerator(cores=2, control={"core_split": "rows"}, **placed), tiny_encoder(9, 16, 2, 24, "ssvq:16,2"))
    fields = result.to_dict()
    assert parse_result(json.dumps(fields), "result.json").to_dict() == fields
    fields["cores"][1]["frames"][0]["layers"][2]["macs"] -= 1
    with pytest.raises(ConfigError, match=r"result.json: field `frames.macs`: .* allowed: the sum over the cores"):
        parse_result(json.dumps(fields), "result.json")


# -- waits, costs, idealizations


def test_waits_for_other_cores_are_told_from_waits_for_memory() -> None:
    trace = gemm_chain(8, [16, 16, 16], ["int8", "int8"], ["", ""])
    stripes = simulate(tiny_accelerator(cores=2, control={"core_split": "stripes"}), trace).cycles
    rows = simulate(tiny_accelerator(cores=2, control={"core_split": "rows"}), trace).cycles
    assert stripes["dependency"] > 0
    assert rows["dependency"] <= 2 * 20  # nothing passes from core to core: only the end of the other one is awaited


def test_a_function_that_waits_for_other_cores_makes_the_array_wait_for_them() -> None:
    trace = gemm_chain(8, [16, 16, 16], ["int8", "int8"], ["layernorm", ""])
    chip = tiny_accelerator(
        cores=2, control={"core_split": "stripes"}, dram={"device": "ideal", "latency": "400 ns", "bandwidth": "4 GB/s"}
    )
    result = simulate(chip, trace)
    # The rows of the second product are those of the layernorm, which needs both halves of each row: 400 ns there, and 400 ns back.
    assert result.cycles["dependency"] > 400
    assert result.cycles["vector"] < 200


def test_two_cores_are_faster_where_nothing_but_the_array_limits() -> None:
    free = {"dram": {"device": "ideal"}, "vector_unit": {"lanes": 0, "latency": 0}, "array": {"rows": 4, "cols": 4, "max_m": 64}}
    trace = gemm_chain(64, [32, 64], ["int8"], [""])
    one, two = (simulate(tiny_accelerator(cores=cores, **free), trace).total_cycles for cores in (1, 2))
    assert 0.5 <= two / one < 0.6


def test_area_is_that_of_each_core_and_one_level() -> None:
    technology = load_technology("nangate45")
    level = {"l2": {"capacity": "64 KiB", "width_bits": 32}}
    one, three = (area_of(tiny_accelerator(cores=cores, **level), technology) for cores in (1, 3))
    for part in one.components:
        factor = 1 if part.name == "L2" else 3
        assert three.component(part.name).area_um2.nominal == pytest.approx(factor * part.area_um2.nominal)


ROM = {"store": "rom", "circuit": "logic_rom", "ports": 2, "codeword_length": 2, "codewords": 64}


def test_a_shared_rom_is_counted_once_with_its_ports() -> None:
    technology = load_technology("nangate45")
    own, shared, wide = (
        area_of(tiny_accelerator(cores=cores, codebook={**ROM, "ports": ports, "shared_ports": q}), technology)
        for cores, ports, q in ((1, 2, None), (3, 2, 2), (1, 4, None))
    )
    assert shared.component("codebook storage").area_um2 == own.component("codebook storage").area_um2
    assert shared.component("codebook output registers").area_um2.nominal == pytest.approx(
        3 * own.component("codebook output registers").area_um2.nominal
    )
    four = area_of(tiny_accelerator(cores=3, codebook={**ROM, "shared_ports": 4}), technology)
    assert four.component("codebook storage").area_um2 == wide.component("codebook storage").area_um2
    # Indices of 6 bits: 4 ports x 3 cores. Codewords of 16 bits: 3 cores x 2 lookups x 2 groups. 2.15 GE per bit; 6 GE per core and group.
    switch = four.component("codebook port switch").gates
    assert switch is not None
    assert switch.nominal == pytest.approx(2.15 * 4 * 3 * 6 + 2.15 * 3 * 2 * 2 * 16 + 6 * 3 * 2)


def test_a_lookup_in_a_shared_rom_has_its_share_of_the_switch() -> None:
    technology, trace = load_technology("nangate45"), gemm_chain(8, [8, 64], ["ssvq:16,2"], [""])
    chips = [tiny_accelerator(cores=2, codebook={**ROM, "shared_ports": q}, control={"core_split": "stripes"}) for q in (None, 2)]
    reports = [energy_of(simulate(chip, trace), chip, technology).lines for chip in chips]
    own, shared = ({(line.component, line.action): line for line in lines} for lines in reports)
    lookup, leakage = ("codebook", "lookup"), ("logic", "leakage")
    assert shared[lookup].count == own[lookup].count
    assert shared[lookup].pj_each.nominal > own[lookup].pj_each.nominal
    assert shared[leakage].pj_each.nominal < own[leakage].pj_each.nominal  # one ROM, and a small switch


def test_cycles_and_bounds_of_a_run_are_those_of_one_core_and_bounds_of_what_all_share_are_sums() -> None:
    first = synthetic_results.layer("a", {"busy": 30, "dependency": 70}, bounds={"array": 30, "dram": 10})
    last = synthetic_results.layer("a", {"busy": 20, "dram": 80}, bounds={"array": 20, "vector": 7, "dram": 5})
    cores = tuple(CoreResult((FrameResult((item,), "net"),)) for item in (first, last))
    (frame,) = merged_frames(cores, 1)
    assert frame.layers[0].bounds == {"array": 20, "vector": 7, "dram": 15}
    assert frame.cycles["busy"] == 20


def test_fewer_lookups_per_cycle_than_the_cores_need_bound_the_run() -> None:
    trace = gemm_chain(1, [64, 64], ["ssvq:16,2"], [""])
    chip = tiny_accelerator(cores=4, codebook={**ROM, "shared_ports": 2}, dram={"device": "ideal"}, control={"core_split": "stripes"})
    result = simulate(chip, trace)
    # 64 x 64 weights, 2 per lookup and 2 lookups per group: 1,024 groups, one per cycle for all cores.
    assert result.bounds["rom"] == 1024 <= result.total_cycles
    rows = {row.name: row for row in what_if(chip, trace, result)}
    assert result.cycles["codebook_port"] > 0
    assert rows["decoder"].result.cycles["codebook_port"] == 0
    assert rows["decoder"].speedup > 2


def test_energy_counts_the_accesses_of_each_core() -> None:
    technology, trace = load_technology("nangate45"), gemm_chain(8, [8, 64], ["ssvq:16,2"], [""])
    chips = [tiny_accelerator(), tiny_accelerator(cores=2, control={"core_split": "rows"})]
    lines = [{line.action: line.count.nominal for line in energy_of(simulate(chip, trace), chip, technology).lines} for chip in chips]
    assert lines[1]["mac"] == lines[0]["mac"]
    assert lines[1]["lookup"] == 2 * lines[0]["lookup"]  # each core decodes all weights for its rows


def test_idealizations_know_several_cores() -> None:
    chip, trace = tiny_accelerator(cores=2, control={"core_split": "stripes"}), tiny_encoder(9, 16, 2, 24, "ssvq:16,2")
    rows = {row.name: row for row in what_if(chip, trace, simulate(chip, trace))}
    assert all(len(row.result.cores) == 2 for row in rows.values())
    assert rows["other cores"].result.cycles["dependency"] == 0 < rows["control"].result.cycles["dependency"]
    assert rows["other cores"].speedup > 1
    assert rows["memory"].speedup > 1.2


def test_tables_page_and_rows_show_each_core() -> None:
    chip = tiny_accelerator(cores=2, control={"core_split": "stripes"})
    run = accelsim.simulate(chip, gemm_chain(8, [8, 64], ["int8"], [""]), progress=False)
    assert [(row["core"], row["macs"]) for row in run.cores] == [(0, 2048), (1, 2048)]
    full = run.summary(full=True)
    assert "MAC slots" in full
    assert "The other tables of cycles are those of the core that ended last" in " ".join(full.split())
    assert 'id="cores"' in run._page("nangate45")


# -- functional results, refusals, faults


@pytest.mark.parametrize("split", ["cheapest", "stripes", "rows"])
@pytest.mark.parametrize("cores", [2, 3])
def test_functional_results_are_bit_exact(cores: int, split: str) -> None:
    chip = tiny_accelerator(cores=cores, codebook__codeword_length=4, control={"core_split": split})
    assert check_functional(chip, every_layer().trace("ssvq:k=8,d=4", "conv[234]")).ok


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"placement": {"activations": "none"}}, "cores = 2, but placement.activations = 'none': .* allowed with several cores: dram, l2"),
        ({"cores": 17}, "cores"),
    ],
)
def test_what_cores_cannot_share_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        tiny_accelerator(**{"cores": 2, **fields})


def test_weights_that_one_core_cannot_hold_are_refused() -> None:
    """64 x 64 weights and 64 words of 8 bytes: each core holds half of them, or where rows are split all."""
    trace = gemm_chain(8, [64, 64], ["int8"], [""])
    buffer = {"capacity": 2048 + 8 * 32, "word_bits": 32, "residency": "pinned"}
    chips = [tiny_accelerator(cores=2, weight_buffer=buffer, control={"core_split": split}) for split in ("stripes", "rows")]
    assert simulate(chips[0], trace).cores
    with pytest.raises(CompileError, match=r"'pinned' needs 4608 B on one core; weight_buffer.capacity = 2304 B is short by 2304 B"):
        compile_trace(chips[1], trace)


def test_an_operation_too_large_for_a_core_names_its_layer() -> None:
    """A row of 64 bytes and four of its results do not fit; nor do they on one core."""
    for cores in (1, 2):
        with pytest.raises(CompileError, match=r"layer 'gemm0': activation_buffer.capacity = 64 B is short by"):
            compile_trace(tiny_accelerator(cores=cores, activation_buffer__capacity=64), gemm_chain(20, [64, 64], ["int8"], [""]))


def test_a_byte_lost_by_one_core_is_found() -> None:
    chip = tiny_accelerator(cores=2, control={"core_split": "stripes"})
    program = compile_trace(chip, gemm_chain(8, [8, 64], ["int8"], [""]))
    outcome = run_program(chip, program)
    second = outcome.cores[1]
    second.counters["dma_received_bytes"] -= 1
    with pytest.raises(ConservationError, match="dma_received_bytes"):
        check_outcome(program, outcome)
