"""Attention in row bands and head slices of tensors in DRAM: what a hand counts is moved, once, and nothing is overwritten."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.head_regions import band_ranges
from accelsim.compiler.moves import dram_address, pieces_of
from accelsim.compiler.plan import Region, Tensor, TensorId, region_of
from accelsim.errors import CompileError
from accelsim.program import Program
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.system.test_column_tiles import check_dram_and_slots
from tests.tiny_machines import Net, tiny_accelerator, tiny_encoder


def machine(capacity_bytes: int, **fields: object) -> Accelerator:
    return tiny_accelerator(activation_buffer__capacity=capacity_bytes, **{"weight_buffer__capacity": 65536, **fields})


def grouped_queries(tokens: int, kv_heads: int, shared: int, width: int, *, cached: bool = False, soft_cap: bool = False) -> Trace:
    """x[tokens, 8] to queries of kv_heads * shared heads, keys and values of kv_heads, each `width` wide, to their context."""
    net = Net(tokens, 8)
    q, k, v = (net.gemm("x", heads * width) for heads in (kv_heads * shared, kv_heads, kv_heads))
    more = {"cache_rows": 0} if cached else {}
    columns, heads = {"split": "columns"}, kv_heads * shared
    bounds = {"K": tokens, "C": width, "OX": tokens * shared, "G": kv_heads}
    at = net._add(
        "matmul",
        [q, k],
        (heads, tokens, tokens),
        bounds=bounds,
        a=columns,
        b=columns,
        merge="groups",
        transposed_b=True,
        shared=shared,
        **more,
    )
    at = net.same("tanh", at) if soft_cap else at
    at = net.same("softmax", at)
    bounds = {"K": width, "C": tokens, "OX": tokens * shared, "G": kv_heads}
    at = net._add(
        "matmul",
        [at, v],
        (1, tokens, heads * width),
        bounds=bounds,
        a={"split": "groups"},
        b=columns,
        merge="columns",
        shared=shared,
        **more,
    )
    net.gemm(at, 8)
    return net.trace()


def bytes_by_operand(program: Program, layer: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in program.layers:
        if item.name == layer:
            for (operand, _, _), bits in item.bits.items():
                found[operand] += bits // 8
    return found


def bands_of(program: Program, layer: str) -> int:
    (text,) = (item.lowering for item in program.layers if item.name == layer)
    found = re.search(r"(\d+) row (bands|tiles)", text)
    return int(found[1]) if found else 1


def check_program(chip: Accelerator, trace: Trace, **options: int) -> Program:
    """Whole event logs equal the twin's, no slot is written while it is read, and what is read from DRAM was written before."""
    program = compile_trace(chip, trace, **options)
    assert program.peak_activation_bytes <= chip.activation_buffer.capacity
    check_dram_and_slots(chip, program)
    compare(chip, trace, **options)
    return program


# -- counted by hand


@pytest.mark.parametrize("capacity", [1472, 1024, 768, 640, 576, 512, 448, 384, 320, 256])
@pytest.mark.parametrize("batch", [1, 2])
def test_each_head_s_columns_cross_the_memory_once(capacity: int, batch: int) -> None:
    """20 tokens, q, k, v and the context 8 wide: 160 B each, where they lie in DRAM; scores of 4 heads, 400 B each, never do."""
    trace = tiny_encoder(20, 8, 4, 64, "int8")
    program = compile_trace(machine(capacity * batch), trace, batch=batch)
    away = program.choices["spills"].split(", ")
    q, k, v, context = (160 * batch * (name in away) for name in ("gemm1", "gemm2", "gemm3", "matmul6"))
    scores, softmax, product = (bytes_by_operand(program, name) for name in ("matmul4", "softmax5", "matmul6"))
    assert (scores["spill_in"], scores["spill_out"]) == (q + k, 0)
    assert (softmax["spill_in"], softmax["spill_out"]) == (0, 0)
    assert (product["spill_in"], product["spill_out"]) == (v, context)
    assert not {"matmul4", "softmax5"} & set(away)
    assert bytes_by_operand(program, "gemm7")["spill_in"] >= context


def test_bands_come_before_spills() -> None:
    """q, k, v and the context take 4 x 192 B in slots; two heads' scores 2 x 448 B, of 5 rows 2 x 128 B: 1024 B in 4 bands."""
    roomy, tight = (compile_trace(machine(capacity, array__max_m=4), tiny_encoder(20, 8, 4, 64, "int8")) for capacity in (4096, 1024))
    assert bands_of(roomy, "matmul4") == 1
    assert bands_of(tight, "matmul4") == 4
    assert tight.choices["head_order"].startswith("pipelined")
    assert not {"gemm1", "gemm2", "gemm3", "matmul6"} & set(tight.choices["spills"].split(", "))


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("capacity", [640, 448, 320])
def test_query_heads_that_share_keys_load_them_once(capacity: int, cached: bool) -> None:
    """16 tokens, 2 heads of keys and 6 of queries, 4 wide: q 384 B, k and v 128 B, context 384 B; a cache in DRAM is read there."""
    trace = grouped_queries(16, 2, 3, 4, cached=cached)
    program = check_program(machine(capacity), trace)
    away = program.choices["spills"].split(", ")
    scores, product = bytes_by_operand(program, "matmul3"), bytes_by_operand(program, "matmul5")
    assert scores["spill_in"] + scores["kv_read"] == 384 * ("gemm0" in away) + 128 * ("gemm1" in away)
    assert product["spill_in"] + product["kv_read"] == 128 * ("gemm2" in away)
    assert product["spill_out"] == 384 * ("matmul5" in away)
    written = bytes_by_operand(program, "gemm1") + bytes_by_operand(program, "gemm2")
    assert written["kv_write"] == 256 * cached
    assert simulate(machine(capacity), trace).macs == trace.macs


def test_work_does_not_depend_on_bands() -> None:
    trace = tiny_encoder(20, 8, 4, 64, "int8", depth=2)
    roomy, tight = (simulate(machine(capacity), trace) for capacity in (65536, 384))
    assert "row_tiles" in tight.choices
    assert {layer.name: layer.macs for layer in tight.layers} == {layer.name: layer.macs for layer in roomy.layers}
    assert {layer.name: layer.vector_cycles for layer in tight.layers} == {layer.name: layer.vector_cycles for layer in roomy.layers}
    assert roomy.total_cycles < tight.total_cycles


def test_a_function_of_the_scores_stays_in_the_band() -> None:
    """Scores of 3 heads x 24 x 24 B are 1728 B: with a soft cap between the product and the softmax, bands go through all of them."""
    trace = grouped_queries(24, 3, 1, 4, soft_cap=True)
    program = check_program(machine(1024), trace)
    for name in ("matmul3", "tanh4", "softmax5"):
        assert bytes_by_operand(program, name)["spill_out"] == 0
        assert bands_of(program, name) > 1
    assert simulate(machine(1024), trace).macs == trace.macs


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (2, 3)])
def test_an_embedding_reads_each_row_of_its_input_that_its_rows_need(before: int, after: int, batch: int) -> None:
    """By the definition: row r of an image is the input's row r - `before`, where there is one."""
    net, tokens = Net(6, 8), 6
    net._add("embed", ["x"], (1, before + tokens + after, 8), prepended_rows=before, appended_rows=after, positions=True)
    (layer,) = net.trace().layers
    height = before + tokens + after
    for first in range(batch * height):
        for rows in range(1, batch * height - first + 1):
            start, count = layer.operand_rows(0, first, rows)
            needed = {
                row // height * tokens + row % height - before for row in range(first, first + rows) if 0 <= row % height - before < tokens
            }
            assert needed <= set(range(start, start + count)) <= set(range(batch * tokens))
            assert count >= 1


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("capacity", [448, 640, 2048])
def test_a_class_token_goes_in_and_out_in_row_tiles(capacity: int, batch: int) -> None:
    """24 tokens and a class token, 16 wide: the classifier reads one row of what lies in DRAM."""
    net = Net(24, 16)
    at = net._add("embed", ["x"], (1, 25, 16), prepended_rows=1, positions=True)
    at = net.same("layernorm", at)
    q, k, v = (net.gemm(at, 16) for _ in range(3))
    at = net.same("add", net.gemm(net.context(net.same("softmax", net.scores(q, k, 2)), v), 16), at)
    weight = {"format": {"kind": "uniform", "bits": 8}, "k": 16, "n": 8}
    net._add("gemm", [at], (1, 1, 8), bounds={"K": 8, "C": 16, "OX": 1}, weight=weight, input_row=0)
    trace = net.trace()
    program = check_program(machine(capacity * batch), trace, batch=batch)
    assert sum(layer.macs for layer in program.layers) == trace.macs * batch
    found = bytes_by_operand(program, trace.layers[-1].name)["spill_in"]
    assert found in (0, 16) if batch == 1 else found <= 26 * 16


# -- layout


@pytest.mark.parametrize(
    ("block", "region"), [(4, Region(0, 6, 8, 4)), (4, Region(2, 3, 4, 4)), (4, Region(1, 2, 0, 12)), (0, Region(1, 4, 4, 4))]
)
def test_parts_lie_where_the_definition_of_the_layout_puts_them(block: int, region: Region) -> None:
    """Element (row, column) of 6 x 12: row after row, or all rows of a block of columns before the next block."""
    whole = Tensor(TensorId("t"), 6, 12, 8, 12, block_columns=block)
    part = region_of(whole, TensorId("t", at=3), region, 1)
    inference = SimpleNamespace(memory=SimpleNamespace(activation=lambda *_: 1000))

    def address(row: int, column: int) -> int:
        return 1000 + (row * 12 + column if not block else column // block * 6 * block + row * block + column % block)

    rows, columns = (range(first, first + count) for first, count in (region[:2], region[2:]))
    pieces, pitch = pieces_of(part)
    first, size = dram_address(inference, part), part.bytes // pieces  # type: ignore[arg-type]
    found = [first + piece * pitch + byte for piece in range(pieces) for byte in range(size)]
    assert sorted(found) == sorted(address(row, column) for row in rows for column in columns)


@pytest.mark.parametrize(("shared", "tokens"), [(1, 7), (3, 5), (4, 8)])
def test_bands_cover_each_row_once_and_hold_one_query_head_or_whole_ones(shared: int, tokens: int) -> None:
    trace = grouped_queries(tokens, 1, shared, 4)
    scores = next(layer.head_product for layer in trace.layers if layer.name == "matmul3")
    assert scores is not None
    for count in range(1, shared * tokens + 1):
        ranges = band_ranges(scores, count)
        assert [row for first, rows in ranges for row in range(first, first + rows)] == list(range(shared * tokens))
        for first, rows in ranges:
            assert rows % tokens == first % tokens == 0 or first // tokens == (first + rows - 1) // tokens


# -- published sizes


def test_keys_and_queries_of_512_tokens_read_their_weights_once_on_a_preset() -> None:
    """BERT-base's block: 768 x 768 weights of q and k are read once, the scores' operands of 512 x 768 B once each."""
    program = compile_trace(load_accelerator("edge-64x64"), tiny_encoder(512, 768, 12, 3072, "int8"))
    for name in ("gemm1", "gemm2"):
        assert bytes_by_operand(program, name)["raw_weights"] == 768 * 768
    assert bytes_by_operand(program, "matmul4")["spill_in"] == 2 * 512 * 768
    assert sum(layer.macs for layer in program.layers) == 12 * 2 * 512 * 512 * 64 + 512 * 768 * (4 * 768 + 2 * 3072)


def test_blocks_that_are_alike_are_placed_alike() -> None:
    one, three = (compile_trace(load_accelerator("edge-64x64"), tiny_encoder(512, 768, 12, 3072, "int8", depth)) for depth in (1, 3))
    for number in range(14):
        name = one.layers[number].name
        inner = three.layers[14 + number]
        assert inner.bits.get(("raw_weights", "dram", False), 0) == one.layers[number].bits.get(("raw_weights", "dram", False), 0), name


def test_what_no_bands_can_hold_is_refused_in_a_second() -> None:
    """A head of 16,384 keys of 64 B is 1 MiB; beside it a row of queries of 64 B and one of scores, 16,384 B."""
    start = time.process_time()
    with pytest.raises(CompileError, match=rf"is short by {1048576 + 64 + 16384 - 524288} B"):
        compile_trace(load_accelerator("edge-64x64"), tiny_encoder(16384, 768, 12, 3072, "int8"))
    assert time.process_time() - start < 1


BUFFERS = (10, 14, 20, 28, 40, 64, 128)  # of 64 bytes


def test_a_larger_buffer_moves_no_more_bytes_where_memory_is_slow() -> None:
    trace = tiny_encoder(24, 16, 2, 32, "int8")
    slow = {"device": "ideal", "latency": "20 ns", "bandwidth": "40 MB/s"}  # 0.04 bytes per cycle: loading tiles anew costs next to none
    sizes = [sum(job.size for job in compile_trace(machine(64 * units, dram=slow), trace).jobs) for units in BUFFERS]
    assert sizes == sorted(sizes, reverse=True)


def test_a_larger_buffer_takes_no_longer() -> None:
    """Within 5 %: the costs that rank the choices count loads of tiles and bytes, and neither waits nor what hides under the other."""
    trace = tiny_encoder(24, 16, 2, 32, "int8")
    cycles = [simulate(machine(64 * units), trace).total_cycles for units in BUFFERS]
    assert all(later <= 1.05 * min(cycles[: place + 1]) for place, later in enumerate(cycles))


# -- any attention in any buffer


def random_case(draw: random.Random) -> tuple[Accelerator, Trace, dict[str, int]]:
    heads, tokens, form = draw.choice([1, 2, 3]), draw.randint(2, 18), draw.choice(["int8", "ssvq:16,2"])
    if draw.random() < 0.6:
        trace = tiny_encoder(tokens, 4 * heads * draw.randint(1, 3), heads, 4 * draw.randint(1, 6), form, draw.choice([1, 1, 2]))
        options = {"batch": draw.choice([1, 1, 2]), "frames": draw.choice([1, 2])}
    else:
        trace = grouped_queries(tokens, heads, draw.choice([1, 2, 3]), 4, cached=draw.random() < 0.3, soft_cap=draw.random() < 0.3)
        options = {"batch": draw.choice([1, 1, 2])}
    capacities = {"activation_buffer__capacity": 64 * draw.randint(2, 20), "weight_buffer__capacity": draw.choice([512, 4096])}
    return tiny_accelerator(array__max_m=draw.choice([4, 8]), **capacities), trace, options


def compiled(draw: random.Random) -> tuple[Accelerator, Trace, dict[str, int], Program]:
    """The next case that fits its buffer; what does not is refused by name."""
    while True:
        chip, trace, options = random_case(draw)
        try:
            return chip, trace, options, compile_trace(chip, trace, **options)
        except CompileError as error:
            if "is short by" not in str(error):
                raise


@pytest.mark.parametrize("seed", range(16))
def test_random_attentions_in_random_buffers_equal_the_twin(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(3):
        chip, trace, options, _ = compiled(draw)
        program = check_program(chip, trace, **options)
        frames, batch = options.get("frames", 1), options["batch"]
        assert sum(layer.macs for layer in program.layers) == trace.macs * batch * frames
        (source,), result = trace.manifest.inputs, trace.layers[-1].output
        moved: Counter[str] = Counter()
        for layer in {item.name for item in program.layers}:
            moved += bytes_by_operand(program, layer)
        assert moved["activations_in"] >= source.shape.rows * source.shape.width * batch * frames
        assert moved["activations_out"] == result.rows * result.width * batch * frames
