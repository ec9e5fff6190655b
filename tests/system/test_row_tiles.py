"""Operations in row tiles: what does not fit the activation buffer moves the bytes that a hand counts, and nothing is overwritten."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.heads import HEAD_ORDERS
from accelsim.compiler.weights_read_again import RowTileCost
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError
from accelsim.importers.graph.windows import Pool
from accelsim.ops.concat import ConcatLayer
from accelsim.ops.shapes import TensorShape
from accelsim.program import ActivationJob, Program, Slot
from accelsim.result import CATEGORIES, Result
from accelsim.simulation import simulate, simulate_recorded
from accelsim.trace.layers import ConvLayer
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.naive_machine import Landings, NaiveMachine, records, row_source
from tests.recorded import run_recorded
from tests.tiny_convnets import AVERAGE, MAX_POOL, ConvNet, every_layer
from tests.tiny_machines import accelerators, gemm_chain, tiny_accelerator, tiny_encoder

TRACES = Path(__file__).parents[2] / "traces"
WEIGHTS = {"raw_weights", "indices", "signs", "scales_bias", "codebook", "padding"}


def machine(capacity_bytes: int, **fields: object) -> Accelerator:
    return tiny_accelerator(
        codebook__codeword_length=4, activation_buffer__capacity=capacity_bytes, weight_buffer__capacity=65536, **fields
    )


def moved(result: Result, *operands: str) -> int:
    """Bytes of some operands, whole network."""
    return sum(bits for key, bits in result.traffic.items() if key.operand in operands) // 8


def row_tiles_of(result: Result, layer: str) -> int:
    (found,) = (item.lowering for item in result.layers if item.name == layer)
    match = re.search(r"(\d+) row tiles", found)
    return int(match[1]) if match else 1


def with_capacity(accelerator: Accelerator, capacity_bytes: int) -> Accelerator:
    buffer = accelerator.activation_buffer.with_fields(capacity=capacity_bytes)
    return accelerator.with_fields(activation_buffer=buffer)


# -- published networks on the presets


@pytest.mark.parametrize("preset", ["edge-64x64", "edge-32x32"])
@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2"])
def test_published_networks_run_on_the_presets_with_dram(network: str, preset: str) -> None:
    accelerator, trace = load_accelerator(preset), open_trace(f"{TRACES / network}_float@uniform:bits=8")
    result = simulate(accelerator, trace)
    roomy = simulate(with_capacity(accelerator, 4 << 20), trace)
    assert result.macs == roomy.macs == trace.macs
    assert moved(result, *WEIGHTS) == moved(roomy, *WEIGHTS)
    assert moved(roomy, "spill_in", "spill_out") == 0 < moved(result, "spill_out") <= moved(result, "spill_in")
    assert roomy.total_cycles < result.total_cycles < 2 * roomy.total_cycles


def test_the_stem_of_resnet18_is_written_once_and_read_with_its_halo() -> None:
    """112 lines of 112 positions of 64 channels; a 3x3 pool of stride 2 reads one line again at each edge between two row tiles."""
    result = simulate(load_accelerator("edge-64x64"), open_trace(f"{TRACES}/resnet18_float@uniform:bits=8"))
    line = 112 * 64
    assert moved(result, "spill_out") == 112 * line
    assert moved(result, "spill_in") == (112 + row_tiles_of(result, "resnet.embedder.pooler.pool") - 1) * line


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2"])
def test_a_larger_buffer_moves_no_more_bytes(network: str) -> None:
    trace = open_trace(f"{TRACES / network}_float@uniform:bits=8")
    chip = load_accelerator("edge-64x64")
    programs = [compile_trace(with_capacity(chip, kib << 10), trace) for kib in (256, 320, 384, 448, 512, 640, 768, 1024)]
    for program in programs:
        check_order_in_dram(program)
    sizes = [sum(job.size for job in program.jobs) for program in programs]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


@pytest.mark.parametrize(
    ("network", "preset", "kib"),
    [
        ("resnet18_float@uniform:bits=8", "edge-32x32", range(96, 264, 8)),
        ("deit_tiny_ssvq_k16d8", "edge-64x64", range(160, 224, 16)),
    ],
)
def test_a_slightly_larger_buffer_hardly_moves_more_bytes(network: str, preset: str, kib: range) -> None:
    """Where the largest tensor just fits beside a few lines, to keep it may cost more reads of weights than its rows have bytes.

    The choice is greedy, so up to 3 % more do occur.
    """
    trace, chip = open_trace(f"{TRACES}/{network}"), load_accelerator(preset)
    sizes = []
    for size in kib:
        program = compile_trace(with_capacity(chip, size << 10), trace)
        sizes.append(sum(bits for layer in program.layers for bits in layer.bits.values()))
    assert all(size < 1.03 * min(sizes[: index + 1]) for index, size in enumerate(sizes))


def test_the_cost_of_row_tiles_is_bytes_or_the_time_to_load_the_weights_again() -> None:
    """A memory of 2 bytes per cycle; tiles that load in 100 cycles and take a row in 4: 200 and 8 bytes in place of that time."""
    held, read = RowTileCost(0, 200.0, 8.0), RowTileCost(500, 200.0, 8.0)
    assert held.more(2, 100) == 0  # 400 cycles of rows cover two loads of 100
    assert held.more(5, 50) == 5 * 200 - 400  # 200 cycles of rows do not cover five loads
    assert held.more(5, 10) == 4 * 200  # 40 cycles of rows do not cover even the first
    assert read.more(5, 50) == 4 * 500


def test_a_weight_buffer_that_holds_a_layer_does_not_make_row_tiles_free() -> None:
    """Each row tile loads its tiles anew: with 64 KiB, which hold most layers, a run took 17 % more cycles than with 32."""
    trace = open_trace("deit_tiny_float@ssvq:k=16,d=8")
    base = with_capacity(load_accelerator("edge-64x64-x16"), 64 << 10)
    chips = [base.with_fields(weight_buffer=base.weight_buffer.with_fields(capacity=kib << 10)) for kib in (32, 64)]
    small, large = (simulate(chip, trace).total_cycles for chip in chips)
    assert large < small


# -- small networks, counted by hand


def two_convolutions(stride: int = 1) -> ConvNet:
    """A stem that reads the image, then a 3x3 convolution: 16 lines of 16 positions of 8 channels in, 16 / stride lines out."""
    return ConvNet(1, 16, 16).conv(8, 1).conv(8, 3, stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_spilled_bytes_of_a_convolution_are_those_of_the_hand_count(stride: int) -> None:
    """Between two row tiles of lines, a 3x3 window reads 2 lines again at stride 1, and 1 at stride 2."""
    result = simulate(machine(1472), two_convolutions(stride).trace())
    row_tiles = row_tiles_of(result, "conv2")
    assert row_tiles > 1
    whole, line = 16 * 16 * 8, 16 * 8
    assert moved(result, "spill_out") == whole
    assert moved(result, "spill_in") == whole + (row_tiles - 1) * (3 - stride) * line


@pytest.mark.parametrize("stride", [1, 2])
def test_a_signal_of_one_line_runs_in_tiles_of_its_positions(stride: int) -> None:
    """256 positions of 8 channels; a window of 4 reads 4 - stride positions again at each edge between two row tiles."""
    trace = ConvNet(1, 1, 256).conv1d(8, 3, padding=1).conv1d(8, 4, stride).trace()
    result = simulate(machine(1024), trace)
    row_tiles = row_tiles_of(result, "conv2")
    assert row_tiles > 1
    assert moved(result, "spill_out") == 256 * 8
    assert moved(result, "spill_in") == (256 + (row_tiles - 1) * (4 - stride)) * 8
    compare(machine(1024), trace, frames=2)


def test_weights_that_do_not_stay_are_read_again_for_each_row_tile() -> None:
    trace = two_convolutions().trace()
    kept, again = (
        next(item for item in simulate(chip, trace).layers if item.name == "conv2")
        for chip in (machine(1472), machine(1472).with_fields(weight_buffer=small_weight_buffer()))
    )
    row_tiles = int(re.findall(r"(\d+) row tiles", again.lowering)[0])
    bits = {name: {t.operand: t.bits for t in layer.traffic} for name, layer in (("kept", kept), ("again", again))}
    assert "weights kept over them" in kept.lowering
    assert "weights fetched for each of them" in again.lowering
    assert bits["again"]["raw_weights"] == row_tiles * bits["kept"]["raw_weights"] == row_tiles * 8 * 72 * 8
    assert bits["again"]["scales_bias"] == bits["kept"]["scales_bias"] == 8 * 8 * 8


def small_weight_buffer() -> object:
    return machine(1472).weight_buffer.with_fields(capacity=512)


@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize("capacity", [512, 4096])
def test_a_codebook_is_loaded_once_for_all_row_tiles(overlap: str, capacity: int) -> None:
    trace = two_convolutions().trace("ssvq:k=8,d=4", "conv2")
    chip = machine(1472, control__overlap=overlap, codebook__sets=1)
    chip = chip.with_fields(weight_buffer=chip.weight_buffer.with_fields(capacity=capacity))
    result = simulate(chip, trace)
    assert row_tiles_of(result, "conv2") > 1
    assert moved(result, "codebook") == 8 * 4
    compare(chip, trace, frames=2)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("form", ["uniform", "ssvq:k=8,d=4"])
def test_every_kind_of_layer_in_row_tiles_does_the_work_of_the_whole(form: str, batch: int) -> None:
    trace = every_layer(channels=32).trace(form, "conv[234]")
    whole = simulate(machine(65536), trace, batch=batch)
    tight = simulate(machine(1280 * batch), trace, batch=batch)
    assert "row_tiles" in tight.choices
    assert "row_tiles" not in whole.choices
    assert [layer.macs for layer in tight.layers] == [layer.macs for layer in whole.layers]
    assert [layer.vector_cycles for layer in tight.layers] == [layer.vector_cycles for layer in whole.layers]
    assert moved(tight, *WEIGHTS) == moved(whole, *WEIGHTS)


@pytest.mark.parametrize("taps", [1, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_convolution_that_adds_what_it_reads_brings_those_rows_once(taps: int, batch: int) -> None:
    """x + conv(x): a row tile reads the lines of its windows, among which are those that it adds."""
    net = ConvNet(1, 16, 16).conv(8, 1)
    stem = net.at
    trace = net.conv(8, taps).add(stem).trace()
    chip = machine(1536 * batch)
    result = simulate(chip, trace, batch=batch)
    row_tiles, line = row_tiles_of(result, "conv2"), 16 * 8
    assert row_tiles > 1
    halo = (row_tiles - 1) * (taps - 1) * line
    assert moved(result, "spill_out") == batch * 16 * line
    assert moved(result, "spill_in") == 16 * line + halo if batch == 1 else moved(result, "spill_in") >= batch * 16 * line
    compare(chip, trace, frames=2, batch=batch)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_what_is_joined_is_read_once_in_row_tiles(dim: int, batch: int) -> None:
    """A roll of 16 x 16 positions and 8 channels in 1 KiB: the larger part lies in DRAM and is read once, the smaller one fits."""
    trace = ConvNet(1, 16, 16).conv(8, 1).roll(dim, 3).trace()
    chip = machine(1024 * batch)
    result = simulate(chip, trace, batch=batch)
    image, indices = 8 * 16 * 16, 8 if dim == 1 else 16
    join = result.layers[-1]
    read = sum(row.bits for row in join.traffic if row.operand == "spill_in") // 8
    assert row_tiles_of(result, join.name) > 1
    assert read == batch * image * (indices - 3) // indices
    compare(chip, trace, frames=2, batch=batch)


@settings(max_examples=60)
@given(st.data())
def test_a_row_tile_of_two_joined_reads_the_rows_that_hold_its_elements(data: st.DataObject) -> None:
    """By the definition: element by element of the result, the rows of each operand where it comes from."""
    width, images = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 2))
    turns = (width * data.draw(st.integers(1, 3)), width * data.draw(st.integers(1, 3)))
    side_by_side = data.draw(st.booleans())
    times = data.draw(st.integers(1, 3))
    out = sum(turns) if side_by_side else width
    widths = turns if side_by_side else (width, width)
    shape = {"groups": 1, "rows": times * sum(turns) // out, "width": out}
    layer = ConcatLayer(name="join", inputs=("a", "b"), output=TensorShape(**shape), turns=turns)
    operands = [np.arange(times * taken).reshape(1, -1, row) for taken, row in zip(turns, widths, strict=True)]
    rows = []  # of the result: (operand, row of that) of each element
    for image in range(images):
        marks = [np.stack([np.full(one.size, number), one.ravel() // one.shape[-1] + image * one.shape[1]], 1).reshape(-1, taken, 2)
                 for number, (one, taken) in enumerate(zip(operands, turns, strict=True))]  # fmt: skip
        rows.extend(np.concatenate(marks, axis=1).reshape(-1, out, 2))
    for first in range(len(rows)):
        for count in range(1, len(rows) - first + 1):
            read = np.concatenate(rows[first : first + count])
            for number in (0, 1):
                wanted = set(read[read[:, 0] == number, 1].tolist())
                start, found = layer.operand_rows(number, first, count)
                assert set(range(start, start + found)) == wanted


@pytest.mark.parametrize(("channels", "capacity"), [(1, 256), (3, 640)])
def test_a_model_image_of_planes_comes_in_row_tiles_of_the_same_lines_of_each_plane(channels: int, capacity: int) -> None:
    """A 3x3 stem of stride 1 reads 2 lines of each plane again between two row tiles."""
    trace = ConvNet(channels, 16, 16).conv(4).trace()
    chip = machine(capacity, dma__transfer=48)
    run = simulate_recorded(chip, trace)
    row_tiles = row_tiles_of(run.result, "conv1")
    assert row_tiles > 1
    assert moved(run.result, "activations_in") == channels * (16 + 2 * (row_tiles - 1)) * 16
    jobs = [job for job in run.program.jobs if job.operand == "activations_in"]
    assert len(jobs) == row_tiles
    image = min(job.address for job in jobs)
    step = -(-16 // row_tiles)
    for number, job in enumerate(jobs):
        lines = range(max(0, number * step - 1), min(16, (number + 1) * step + 1))
        wanted = {plane * 256 + line * 16 + column for plane in range(channels) for line in lines for column in range(16)}
        flights = [issue.number for issue in run.notes.issues if issue.what == -1 - run.program.jobs.index(job)]
        requests = [request for request in run.notes.requests["dram"] if request.number in flights]
        assert {request.address - image + byte for request in requests for byte in range(request.size)} == wanted
        assert sum(request.size for request in requests) == job.size == len(wanted)
    compare(chip, trace, frames=2)


def test_each_row_of_a_stem_in_row_tiles_waits_for_its_last_line_of_the_last_plane() -> None:
    trace = ConvNet(3, 16, 16).conv(4, 3, stride=2).trace()
    program = compile_trace(machine(640), trace)
    tasks, jobs = records(program.tasks), {job.load: job for job in program.jobs}
    image, rows = min(job.address for job in program.jobs if job.operand == "activations_in"), 0
    assert len({run["in_task"] for run in records(program.runs)}) > 1
    for run in records(program.runs):
        task = tasks[run["in_task"]]
        first, lines = (jobs[task["ordinal"]].address - image) // 16, task["units"] // 3
        for row in range(run["m"]):
            last = min(15, (rows + row) // 8 * 2 + 1)  # of the lines from 2 y - 1 on
            assert row_source(run, 0, row, 4) == (run["in_task"], 2 * lines + last - first)
        rows += run["m"]
    assert rows == 64


@pytest.mark.parametrize("capacity", [1024, 1280, 1472])
def test_an_attention_in_row_tiles_takes_the_order_of_heads_that_moves_least(capacity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of 20 x 20 bytes: the next head's under this head's softmax take 400 B more than one head after the other."""
    trace = tiny_encoder(20, 8, 4, 64, "int8")
    chosen = simulate(machine(capacity), trace)
    assert "row_tiles" in chosen.choices
    assert chosen.macs == trace.macs
    compare(machine(capacity), trace)
    sizes = []
    for order in HEAD_ORDERS:
        monkeypatch.setattr("accelsim.compiler.place_on_one_core.ranked_head_orders", lambda *_, order=order: (order,))
        try:
            sizes.append(moved(simulate(machine(capacity), trace), "spill_in", "spill_out"))
        except CompileError:
            assert str(order) not in chosen.choices["head_order"]
    assert moved(chosen, "spill_in", "spill_out") == min(sizes)


def test_an_attention_runs_in_row_bands_where_its_scores_do_not_fit() -> None:
    """Scores of 20 x 20 bytes, of two heads at once: 2 x 448 B of slots beside 4 x 192 B of queries, keys, values and the context."""
    trace = tiny_encoder(20, 8, 4, 64, "int8")
    tight = simulate(machine(640), trace)
    assert row_tiles_of(tight, "matmul4") > 1
    assert tight.macs == trace.macs
    compare(machine(640), trace)


def test_products_and_row_functions_without_an_image_run_in_row_tiles() -> None:
    trace = gemm_chain(40, [8, 32, 32, 8], ["int8"] * 3, ["gelu", "layernorm", ""])
    whole, tight = (simulate(machine(capacity), trace) for capacity in (65536, 1536))
    assert "row_tiles" in tight.choices
    assert moved(tight, "parameters") == moved(whole, "parameters") > 0
    assert moved(tight, *WEIGHTS) == moved(whole, *WEIGHTS)
    assert moved(tight, "spill_in") == moved(tight, "spill_out")  # rows have no halo


def test_the_message_names_what_is_short_even_in_row_tiles() -> None:
    with pytest.raises(CompileError, match=r"layer 'conv\d': activation_buffer.capacity = 256 B is short by \d+ B, in row tiles; live"):
        simulate(machine(256), two_convolutions().trace())


def test_a_chip_without_a_memory_for_activations_takes_no_row_tiles() -> None:
    with pytest.raises(CompileError, match="allows no spill"):
        simulate(machine(1472, placement={"activations": "none"}), two_convolutions().trace())


# -- any network on any machine


@st.composite
def tight(draw: st.DrawFn, images: int = 1) -> tuple[Accelerator, Trace, Program]:
    """A small machine whose activation buffer holds a part of what the network would take, the network, and its program with row tiles."""
    channels = 4 * draw(st.integers(1, 3))
    net = ConvNet(1, draw(st.integers(6, 9)), draw(st.integers(6, 9))).conv(channels, draw(st.sampled_from([1, 3])))
    for step in draw(
        st.lists(
            st.sampled_from(["strided", "residual", "own", "depthwise", "max", "average", "norm", "relu", "roll"]), min_size=1, max_size=2
        )
    ):
        before = net.at
        if step == "strided":
            net.conv(channels, 3, 2, padding_end=draw(st.sampled_from([None, (0, 2)])))
        elif step == "residual":
            net.conv(channels).relu().conv(channels).add(before).relu()
        elif step == "own":
            net.conv(channels, draw(st.sampled_from([1, 3]))).add(before)
        elif step == "depthwise":
            net.conv(channels, 3, draw(st.integers(1, 2)), channels)
        elif step == "relu":
            net.relu()
        elif step == "roll":
            net.roll(draw(st.integers(1, 3)), 1)
        elif step == "norm":
            net.group_norm(draw(st.sampled_from([1, 2, channels])))
        elif min(net.at.shape[2:]) > 1:
            net.pool(draw(st.sampled_from([MAX_POOL, replace(MAX_POOL, strides=(1, 1))])) if step == "max" else AVERAGE)
    if draw(st.booleans()):
        height, width = net.at.shape[2:]
        net.pool(draw(st.sampled_from([Pool("avg_pool2d", (height, width), (height, width)), Pool("max_pool2d", (height, 1), (1, 1))])))
    trace, chip = net.trace(), draw(accelerators())
    options = {"frames": draw(st.integers(1, 2)), "batch": images}
    try:
        needed = compile_trace(with_capacity(chip, 8192), trace, **options).peak_activation_bytes
        chip = with_capacity(chip, needed * draw(st.integers(30, 80)) // 100)
        program = compile_trace(chip, trace, **options)
    except CompileError:
        assume(False)
        raise
    assume("row_tiles" in program.choices)
    return chip, trace, program


FEW_HAVE_BANDS = (HealthCheck.filter_too_much, HealthCheck.too_slow)


@pytest.mark.parametrize("images", [1, 2])
@settings(max_examples=8, suppress_health_check=FEW_HAVE_BANDS)
@given(st.data())
def test_random_networks_in_row_tiles_equal_the_twin(images: int, data: st.DataObject) -> None:
    chip, _, program = data.draw(tight(images))
    assert program.peak_activation_bytes <= chip.activation_buffer.capacity
    outcome, landings = run_recorded(chip, program)
    cycles, runs = NaiveMachine(program, landings).simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    ours = [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in outcome.run_results.tolist()]
    assert ours == runs


@settings(max_examples=20, suppress_health_check=FEW_HAVE_BANDS)
@given(tight())
def test_no_place_is_written_while_it_is_read_and_no_row_is_read_before_it_is_in_dram(case: tuple[Accelerator, Trace, Program]) -> None:
    chip, _, program = case
    _, landings = run_recorded(chip, program)
    twin = NaiveMachine(program, landings)
    twin.simulate()
    check_places(program, twin, landings)
    written = [job for job in program.jobs if job.write]
    for job in program.jobs:
        for other in written:
            if not job.write and overlap(job, other):
                assert landings.units[other.load, 0] <= landings.units[job.load, 0]


@settings(max_examples=60, suppress_health_check=FEW_HAVE_BANDS)
@given(tight())
def test_what_is_read_from_dram_waits_for_every_write_of_it(case: tuple[Accelerator, Trace, Program]) -> None:
    _, _, program = case
    check_order_in_dram(program)


def check_order_in_dram(program: Program) -> None:
    """By address: all that a job reads was written by earlier jobs, unless it is the image, and it waits for just these."""
    moved = [bytes_of(job) for job in program.jobs]
    read = np.zeros(max((int(places.max()) for places in moved), default=0) + 1, bool)  # by the job in question
    for number, job in enumerate(program.jobs):
        if not job.write and job.operand != "activations_in":
            read[moved[number]] = True
            shared = {index: int(read[moved[index]].sum()) for index in range(number) if program.jobs[index].write}
            over = [index for index, count in shared.items() if count > 0]
            assert sum(shared.values()) == job.size
            assert sorted(job.after_jobs) == over
            read[moved[number]] = False


def overlap(one: ActivationJob, other: ActivationJob) -> int:
    """Bytes of DRAM that two jobs share."""
    return np.intersect1d(bytes_of(one), bytes_of(other), assume_unique=True).size


def bytes_of(job: ActivationJob) -> npt.NDArray[np.int64]:
    """Addresses of the bytes of DRAM that a job moves, each once: of columns of rows, several pieces."""
    pieces = job.address + np.arange(job.pieces)[:, None] * job.pitch
    return np.unique(pieces + np.arange(job.size // job.pieces))


def check_places(program: Program, twin: NaiveMachine, landings: Landings) -> None:
    """Of two tensors that share bytes, one is gone before the other comes, unless it is made in the other's place row by row."""
    tasks = records(program.tasks)

    def start(slot: Slot) -> int:
        if slot.load >= 0:
            return landings.units[tasks[slot.load]["ordinal"], 0]
        return min(twin.left_vector[task, 0] for task in slot.writers)

    def end(slot: Slot) -> int:
        return max((twin.left_vector[task, tasks[task]["units"] - 1] for task in (*slot.readers, *slot.writers)), default=0)

    for slot in program.slots:
        for other in program.slots:
            shared = slot.offset < other.offset + other.size and other.offset < slot.offset + slot.size
            in_place = set(other.writers) <= set(slot.readers) and other.writers
            at_once = start(slot) == start(other) and slot.writers and set(slot.writers) <= set(other.readers)  # an ideal vector unit
            if slot is not other and shared and not in_place and not at_once and start(slot) <= start(other):
                assert end(slot) <= start(other), (slot, other)
                if slot.stored >= 0 and other.writers:
                    assert landings.units[tasks[slot.stored]["ordinal"], 0] <= start(other)


@settings(max_examples=30, suppress_health_check=FEW_HAVE_BANDS)
@given(tight())
def test_each_row_of_a_convolution_waits_for_the_last_position_that_it_reads(case: tuple[Accelerator, Trace, Program]) -> None:
    """By the definition of a convolution: the last position inside the image of the lines from y * stride - padding on."""
    _, trace, program = case
    tasks, jobs = records(program.tasks), {job.load: job for job in program.jobs}
    layers = {layer.name: layer for layer in trace.layers}
    base: dict[tuple[str, int], int] = {}
    moves = program.transfers
    done: Counter[tuple[int, int]] = Counter()  # (layer, end of a stripe in the memory) -> rows so far
    for run in records(program.runs):
        layer = layers[program.layers[run["layer"]].name]
        task = tasks[run["in_task"]]
        last = run["chunk0"] + run["chunk_count"] - 1
        stripe = int(moves.address[last] + moves.size[last]) if run["chunk_count"] else -1 - run["nt0"]
        first = done[run["layer"], stripe]
        done[run["layer"], stripe] += run["m"]
        if not isinstance(layer, ConvLayer) or layer.input_layout == "planar" or run["in_fixed"] >= 0 or task["kind"] != 2:
            continue
        job = jobs[task["ordinal"]]
        start = base.setdefault((layer.inputs[0], run["layer"]), job.address) if first == 0 else base[layer.inputs[0], run["layer"]]
        loaded = (job.address - start) // layer.input_channels  # first position in the buffer; a layer's first row tile begins at line 0
        height, width = layer.image
        for row in range(run["m"]):
            y = (first + row) // layer.bounds.OX
            lines = [y * layer.strides[0] - layer.padding[0] + tap * layer.dilation[0] for tap in range(layer.bounds.FY)]
            inside = [line for line in lines if 0 <= line < height]
            source = row_source(run, 0, row, program.machine["rows"][0])
            assert source is not None
            if inside:
                assert loaded <= inside[0] * width
                assert (inside[-1] + 1) * width - 1 - loaded <= source[1] < task["units"]
