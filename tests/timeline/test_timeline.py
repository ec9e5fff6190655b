"""A timeline is a valid file of trace events, and what it shows is the result: cycles by cause, bytes, work of the vector unit."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.errors import CompileError, ConfigError
from accelsim.presets import find_trace
from accelsim.simulation import RecordedRun, simulate, simulate_recorded
from accelsim.timeline.timeline import write_timeline
from accelsim.timeline.window import make_window, parse_cycles
from accelsim.trace.trace import Trace, load_trace
from tests.engine.machines import machines
from tests.every_machine import machines as every_machine
from tests.timeline.test_bandwidth import check_bandwidth
from tests.timeline.trace_reader import ReadTrace, read_trace
from tests.tiny_machines import accelerators, nets

MACHINES = machines()


@pytest.fixture(scope="module")
def preset() -> RecordedRun:
    return simulate_recorded(load_accelerator("edge-64x64"), load_trace(find_trace("tiny_vit_ssvq")))


def draw(run: RecordedRun, folder: Path, layers: str | None = None, cycles: str | None = None, name: str = "t.json") -> ReadTrace:
    window = make_window(run.result, layers, parse_cycles(cycles) if cycles else None)
    write_timeline(run, window, folder / name)
    return read_trace(folder / name)


def check(run: RecordedRun, trace: ReadTrace) -> None:
    """The sums over the file's slices are the saved numbers."""
    cycles: Counter[tuple[int, str, str]] = Counter()
    for tile in trace.track("MAC array"):
        assert sum(piece.args["cycles"] for piece in tile.inside) == tile.args["cycles"]
        for piece in tile.inside:
            cycles[tile.args["frame"], tile.args["layer"], piece.name] += piece.args["cycles"]
            assert tile.args[piece.name] > 0
    moved: Counter[tuple[int, str, str]] = Counter()
    places = [pieces for (process, _), pieces in trace.tracks.items() if process == "DMA"]
    for flight in (piece for pieces in places for piece in pieces):
        moved[flight.args["frame"], flight.args["layer"], flight.args["direction"]] += flight.args["bytes"]
    for index, frame in enumerate(run.result.frames):
        for layer in frame.layers:
            assert {name: cycles[index, layer.name, name] for name in layer.cycles} == layer.cycles
            for write, way in ((False, "read"), (True, "write")):
                bits = sum(item.bits for item in layer.traffic if item.write == write and item.operand != "burst_rounding")
                assert 8 * moved[index, layer.name, way] == bits
    assert sum(cycles.values()) == run.result.total_cycles
    assert len(places) <= run.accelerator.dma.max_transfers
    vector = trace.track("vector unit") if ("core of tiny", "vector unit") in trace.tracks else []
    if vector:
        assert sum(piece.args["cycles"] for piece in vector) == run.result.counters["vector_busy_cycles"]
    for _, values in trace.counter("weight buffer (B)"):
        assert values["filled"] >= 0
        assert values["reserved"] >= 0
        assert values["filled"] + values["reserved"] <= run.accelerator.weight_buffer.capacity
    for _, values in trace.counter("activation buffer (B)"):
        assert 0 <= values["held"] <= run.program.peak_activation_bytes


@pytest.mark.parametrize("name", MACHINES)
def test_the_slices_of_each_machine_sum_to_its_result(name: str, tmp_path: Path) -> None:
    accelerator, trace = MACHINES[name]
    run = simulate_recorded(accelerator, trace, frames=2)
    check(run, draw(run, tmp_path))


@pytest.mark.parametrize(
    "overrides",
    [
        ("array.shadow_sets=2",),
        ("array.mapping=cheapest", "array.gemv_max_m=8"),
        ("array.mapping=gemv", "array.gemv_max_m=256"),
        ("array.dataflow=output_stationary", "array.accumulator_banks=2"),
        ("array.rows_per_cycle=8", "vector_unit.lanes=0", "vector_unit.latency=0"),
        ("weight_buffer.residency=pinned", "weight_buffer.capacity=2 MiB"),
        ("activation_buffer.residency=dram",),
        ("vector_unit.passes.requantize=0",),
        ("control.overlap=none",),
        ("dram={device: lpddr5-6400-x16, channels: 3, policy: bank-queues, background: {bandwidth: 2 GB/s}}",),
        ("dram={device: ddr4-2400-x64}",),
    ],
)
def test_the_slices_of_unusual_machines_sum_to_their_results(overrides: tuple[str, ...], tmp_path: Path) -> None:
    run = simulate_recorded(load_accelerator("edge-64x64", overrides), load_trace(find_trace("tiny_vit_ssvq")), frames=2)
    check(run, draw(run, tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(accelerator=accelerators(), trace=nets)
def test_the_slices_of_random_machines_sum_to_their_results(tmp_path: Path, accelerator: Accelerator, trace: Trace) -> None:
    try:
        run = simulate_recorded(accelerator, trace)
    except CompileError:
        return
    check(run, draw(run, tmp_path))


def test_a_preset_has_every_track_and_the_bytes_of_its_memory(preset: RecordedRun, tmp_path: Path) -> None:
    trace = draw(preset, tmp_path)
    check(preset, trace)
    counters = preset.result.counters
    vector = sum(piece.args["cycles"] for piece in trace.track("vector unit"))
    assert vector == counters["vector_busy_cycles"]
    bus = trace.track("channel 0 data bus")
    on_bus = (counters["dram_reads"] + counters["dram_writes"]) * 64  # the last results still wait in the controller when the run is over
    assert sum(piece.args["bytes"] for piece in bus) == on_bus
    banks = [pieces for (_, name), pieces in trace.tracks.items() if name.startswith("channel 0 bank")]
    assert sum(len(pieces) for pieces in banks) == counters["dram_activates"]
    for way in ("reads", "writes"):
        assert sum(piece.args[way] for pieces in banks for piece in pieces) == counters[f"dram_{way}"]
    assert len(trace.track("channel 0 refresh")) == counters["dram_refreshes"]
    bandwidth = trace.counter("dram bandwidth (B/cycle)")
    cycle_ns = 10**9 / preset.result.clock_hz
    area = sum((values["read"] + values["write"]) * (after - time) / cycle_ns for (time, values), (after, _) in pairwise(bandwidth))
    assert area == on_bus


def test_a_loader_slice_has_every_group_of_its_tile(preset: RecordedRun, tmp_path: Path) -> None:
    """Groups by CORE.md's formula: L = ceil(T / P), T records of D weights in a tile of min(R, rest) rows and C columns."""
    trace = draw(preset, tmp_path)
    program = preset.program
    rows, cols = (int(program.machine[name][0]) for name in ("rows", "cols"))
    seen = 0
    for piece in trace.track("loader and decoder"):
        run = program.runs[piece.args["run"]]
        used = min(rows, int(run["k"]) - piece.args["tile"] % int(run["kt_count"]) * rows)
        records = used * (cols // int(run["d"])) if run["axis"] == 0 else -(-used // int(run["d"])) * cols
        assert piece.args["groups"] == -(-records // int(run["ports"]))
        seen += 1
    assert seen == int((program.runs["kt_count"] * program.runs["nt_count"]).sum())


def test_every_transfer_of_weights_has_an_arrow_to_its_use(preset: RecordedRun, tmp_path: Path) -> None:
    check_arrows(draw(preset, tmp_path))


@pytest.mark.parametrize(
    ("overrides", "mapping"),
    [
        (["array.mapping=gemv", "array.gemv_max_m=256"], "gemv"),
        (["array.dataflow=output_stationary"], "output stationary"),
        (["array.dataflow=input_stationary"], "input stationary"),
    ],
)
def test_weights_that_meet_their_rows_as_they_leave_the_decoder_have_arrows_too(overrides: list[str], mapping: str, tmp_path: Path) -> None:
    chip = load_accelerator("edge-64x64", overrides)
    trace = draw(simulate_recorded(chip, load_trace(find_trace("tiny_vit_ssvq"))), tmp_path)
    check_arrows(trace)
    assert {tile.args.get("mapping") for tile in trace.track("MAC array") if not tile.name.endswith("[drain]")} == {mapping}


def check_arrows(trace: ReadTrace) -> None:
    """From each transfer of weights to a cycle in which the array is busy with them."""
    weights = {
        piece.args["transfer"]: piece
        for (process, _), pieces in trace.tracks.items()
        if process == "DMA"
        for piece in pieces
        if piece.args["operand"] not in ("parameters", "activations_in", "activations_out")
    }
    assert weights.keys() <= trace.arrows.keys()
    for number, flight in weights.items():
        (_, _, first, _), *_, (_, track, last, time) = trace.arrows[number]
        assert first == flight
        assert track[1] == "MAC array"
        assert last.name == "busy"
        assert time >= flight.args["landed_cycle"]


def test_layers_by_a_pattern_are_shown_whole_and_alone(preset: RecordedRun, tmp_path: Path) -> None:
    names = {layer.name for layer in preset.result.layers}
    name = sorted(name for name in names if "fc1" in name)[0]
    trace = draw(preset, tmp_path, layers=f"*{name}")
    layer = next(item for item in preset.result.layers if item.name == name)
    cycles: Counter[str] = Counter()
    for tile in trace.track("MAC array"):
        assert tile.args["layer"] == name
        cycles.update({piece.name: piece.args["cycles"] for piece in tile.inside} if len(tile.inside) == 1 else {})
        if len(tile.inside) > 1:
            for piece in tile.inside:
                cycles[piece.name] += piece.args["cycles"]
    assert dict(cycles) == {category: count for category, count in layer.cycles.items() if count}


def test_a_window_of_cycles_shows_what_the_whole_shows_there(preset: RecordedRun, tmp_path: Path) -> None:
    whole, part = draw(preset, tmp_path), draw(preset, tmp_path, cycles="2000..3000")
    for key, pieces in part.tracks.items():
        assert [(p.name, p.start, p.end, p.args) for p in pieces] == [
            (p.name, p.start, p.end, p.args) for p in whole.tracks[key] if p.start < 3000 and p.end > 2000
        ]
    assert part.tracks.keys() >= {("core of edge-64x64", "MAC array"), ("core of edge-64x64", "loader and decoder")}


def test_a_layer_that_is_fused_into_another_is_named_with_it(tmp_path: Path) -> None:
    run = simulate_recorded(*MACHINES["ideal memory, each tile loads first"])
    assert run.result.layers[-1].name == "add13"
    with pytest.raises(ConfigError, match=r"the chosen layers have no activity in cycles .*; 'add13' is fused into gemm12: choose that"):
        draw(run, tmp_path, layers="add13")
    assert list(tmp_path.iterdir()) == []


def test_gzip_holds_the_same_file(preset: RecordedRun, tmp_path: Path) -> None:
    assert draw(preset, tmp_path) == draw(preset, tmp_path, name="t.json.gz")
    assert (tmp_path / "t.json.gz").stat().st_size < (tmp_path / "t.json").stat().st_size / 5


@pytest.mark.parametrize("text", ["", "5", "5-9", "9..5", "7..7", "-1..5", "a..b", "1.5..3"])
def test_cycles_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--cycles"):
        parse_cycles(text)


def test_a_window_beyond_the_run_or_without_a_layer_is_refused(preset: RecordedRun) -> None:
    with pytest.raises(ConfigError, match="no cycle of the run"):
        make_window(preset.result, None, (10**9, None))
    with pytest.raises(ConfigError, match="no layer has such a name"):
        make_window(preset.result, "*nothing*", None)


ON_CORES = [
    ["control.core_split=stripes"],
    ["control.core_split=rows", "control.weight_broadcast=true"],
    ["l2={capacity: 1 MiB, width_bits: 256}", "placement.activations=l2"],
    ["l2={capacity: 1 MiB, width_bits: 64, clock: 500 MHz}", "control.weight_broadcast=true", "control.core_split=rows"],
]


@pytest.mark.parametrize("changes", ON_CORES)
def test_the_timeline_of_several_cores_shows_each_of_them_and_what_they_share(changes: list[str], tmp_path: Path) -> None:
    """Each core's array fills the time of the run with its own result's cycles; the DMAs of all cores move what the memories moved."""
    chip = load_accelerator("edge-32x32", ["cores=3", "control.core_split=rows", *changes])
    run = simulate_recorded(chip, load_trace(find_trace("tiny_vit_ssvq")))
    assert run.result.to_dict() == simulate(chip, load_trace(find_trace("tiny_vit_ssvq"))).to_dict()
    drawn = write_timeline(run, make_window(run.result, None, None), tmp_path / "run.json")
    trace = read_trace(tmp_path / "run.json")
    last = run.outcome.last_core
    for number, core in enumerate(run.result.cores):
        shown: Counter[str] = Counter()
        for tile in trace.track(f"core {number}: MAC array"):
            shown.update({piece.name: piece.args["cycles"] for piece in tile.inside if len(tile.inside) == 1})
            if len(tile.inside) != 1:
                for piece in tile.inside:
                    shown[piece.name] += piece.args["cycles"]
        assert dict(shown) == {name: count for name, count in core.cycles.items() if count}
        assert drawn.cores[number] == dict(shown)
        process = f"core {number} of edge-32x32{', the last to end' if number == last else ''}"
        assert (process, f"core {number}: vector unit") in trace.tracks
        assert all(name in dict(trace.counters) for name in [(f"core {number}: buffers", f"core {number}: weight buffer (B)")])
    assert drawn.cycles == drawn.cores[last]
    vector = [piece for (_, track), pieces in trace.tracks.items() if track.endswith("vector unit") for piece in pieces]
    assert sum(piece.args["cycles"] for piece in vector) == run.result.counters["vector_busy_cycles"]
    own: Counter[int] = Counter()  # bytes of each transfer, once: one core reads weights for others
    for (process, _), pieces in trace.tracks.items():
        if process.endswith("DMA"):
            own.update({piece.args["transfer"]: piece.args["bytes"] for piece in pieces if piece.args["transfer"] not in own})
    moved = sum(item.bits for layer in run.result.layers for item in layer.traffic if item.operand != "burst_rounding")
    assert 8 * sum(own.values()) == moved
    assert ("bandwidth, all cores", "dram bandwidth (B/cycle)") in trace.counters
    numbers = [piece.args["core"] for piece in trace.tracks.get(("l2", "port"), [])]
    assert not chip.l2 or set(numbers) == {0, 1, 2}


def test_a_core_without_work_is_named_as_such_and_one_that_ends_early_waits_for_the_others(tmp_path: Path) -> None:
    chip = load_accelerator("edge-32x32", ["cores=3", "control.core_split=networks"])
    first, second = load_trace(find_trace("tiny_vit_ssvq")), load_trace(find_trace("tiny_vit_int8"))
    run = simulate_recorded(chip, first, second)
    drawn = write_timeline(run, make_window(run.result, None, None), tmp_path / "run.json")
    assert set(drawn.cores) == {0, 1}
    early = 1 - run.outcome.last_core
    trace = read_trace(tmp_path / "run.json")
    wait = trace.track(f"core {early}: MAC array")[-1].inside[-1]
    assert (wait.name, wait.args["cycles"]) == ("dependency", run.outcome.cycles - run.outcome.cores[early].cycles)
    assert "core 2 of edge-32x32, without work" in (tmp_path / "run.json").read_text()
    assert {tile.args["layer"].partition("/")[0] for tile in trace.track("core 0: MAC array")} == {first.name}


@pytest.mark.parametrize("level", [[], ["l2={capacity: 1 MiB, width_bits: 256}"]])
def test_what_a_part_of_several_cores_shows_is_what_the_whole_shows_there(level: list[str], tmp_path: Path) -> None:
    run = simulate_recorded(
        load_accelerator("edge-32x32", ["cores=2", "control.core_split=rows", *level]), load_trace(find_trace("tiny_vit_ssvq"))
    )
    whole, part = draw(run, tmp_path), draw(run, tmp_path, cycles="2000..3000")
    for key, pieces in part.tracks.items():
        assert [(p.name, p.start, p.end) for p in pieces] == [
            (p.name, p.start, p.end) for p in whole.tracks[key] if p.start < 3000 and p.end > 2000
        ]
    chosen = draw(run, tmp_path, layers="*fc1*")
    assert {tile.args["layer"] for core in (0, 1) for tile in chosen.track(f"core {core}: MAC array")} == {
        layer.name for layer in run.result.layers if "fc1" in layer.name
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(accelerator=every_machine(), trace=nets)
def test_the_slices_of_random_machines_of_every_kind_sum_to_their_results(tmp_path: Path, accelerator: Accelerator, trace: Trace) -> None:
    """Cores, levels, mappings, dataflows and lanes: `write_timeline` compares each core's sums with its result."""
    try:
        run = simulate_recorded(accelerator, trace)
    except CompileError:
        return
    write_timeline(run, make_window(run.result, None, None), tmp_path / "t.json")
    read_trace(tmp_path / "t.json")
    check_bandwidth(run)
