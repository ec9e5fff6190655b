"""Zero points of two activations: the sums of rows and columns that they ask for, in passes counted by hand, on the chip and its twin."""

from __future__ import annotations

import pytest

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.ops.shapes import TensorShape
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.naive_execution import with_shapes
from tests.system.test_attention_tiles import grouped_queries
from tests.tiny_machines import tiny_accelerator, tiny_encoder

TOKENS, WIDTH, HEADS = 6, 10, 2  # heads of 5 elements, which take two cycles on four lanes
SCORES, CONTEXT = "matmul4", "matmul6"
Q, K, P, V = "gemm1", "gemm2", "softmax5", "gemm3"


def encoder(**zeros: int) -> Trace:
    """One block of attention, with zero points of some activations."""

    def change(name: str, shape: TensorShape) -> TensorShape:
        return shape.with_fields(zero_point=zeros.get(name, 0))

    return with_shapes(tiny_encoder(TOKENS, WIDTH, HEADS, 12, "int8"), change)


def vector_cycles(machine: Accelerator, trace: Trace) -> dict[str, int]:
    found = {layer.name: layer.vector_cycles for layer in simulate(machine, trace).layers}
    return {name: found[name] for name in (SCORES, CONTEXT)}


def more(trace: Trace, **fields: object) -> tuple[int, int]:
    """Cycles of the vector unit in both products beyond those of symmetric activations."""
    machine = tiny_accelerator(**fields)
    plain, found = vector_cycles(machine, encoder()), vector_cycles(machine, trace)
    return found[SCORES] - plain[SCORES], found[CONTEXT] - plain[CONTEXT]


def test_the_layers_are_those_named_here() -> None:
    layers = {layer.name: layer for layer in encoder().layers}
    assert (layers[SCORES].inputs, layers[CONTEXT].inputs) == ((Q, K), (P, V))


# Rows of 5 elements, of a head of Q, K or V, take 2 cycles; rows of 6, of probabilities, 2 as well: 6 rows of 2 heads are 24 cycles.
@pytest.mark.parametrize(
    ("zeros", "expected"),
    [
        ({Q: 3}, (24, 0)), ({K: -7}, (24, 0)), ({Q: 3, K: -7}, (48, 0)), ({P: -128}, (0, 24)), ({V: 1}, (0, 24)),
        ({Q: 3, K: -7, P: -128, V: 1}, (48, 48)), ({"x": 5, SCORES: 9, CONTEXT: 9}, (0, 0)),
    ],
)  # fmt: skip
def test_each_zero_point_costs_a_pass_over_the_other_operand(zeros: dict[str, int], expected: tuple[int, int]) -> None:
    assert more(encoder(**zeros)) == expected


def test_passes_and_lanes_are_those_of_the_chip() -> None:
    trace = encoder(**{Q: 3, K: -7})
    assert more(trace, vector_unit__passes={"operand_sums": 3}) == (144, 0)
    assert more(trace, vector_unit__passes={"operand_sums": 0}) == (0, 0)
    assert more(trace, vector_unit__lanes=8) == (24, 0)


def test_a_ninth_bit_of_the_rows_spares_the_sums_of_columns() -> None:
    trace = encoder(**{Q: 3, K: -7, P: -128})
    assert more(trace, array__activation_bits=9) == (24, 0)


def test_symmetric_activations_cost_what_they_did() -> None:
    machine, wider = tiny_accelerator(), tiny_accelerator(array__activation_bits=9)
    assert simulate(machine, encoder()).cycles == simulate(wider, encoder()).cycles


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"array__shadow_sets": 2, "array__accumulator_banks": 2}, {"array__dataflow": "input_stationary"},
        {"array__dataflow": "output_stationary"}, {"array__mapping": "gemv", "array__gemv_max_m": 6}, {"vector_unit__lanes": 1},
        {"activation_buffer__capacity": 500}, {"activation_buffer__ports": 2}, {"array__accumulator_read": "stall"},
    ],
)  # fmt: skip
def test_a_chip_that_sums_up_operands_equals_its_twin(fields: dict[str, object]) -> None:
    trace = encoder(**{Q: 3, K: -7, P: -128, V: 1})
    compare(tiny_accelerator(**fields), trace)
    compare(tiny_accelerator(**fields), trace, frames=2)


def test_several_images_and_heads_that_share_keys_equal_the_twin() -> None:
    compare(tiny_accelerator(), encoder(**{Q: 3, K: -7, P: -128, V: 1}), batch=2)
    shared = with_shapes(grouped_queries(6, 2, 2, 4), lambda _, shape: shape.with_fields(zero_point=5))
    compare(tiny_accelerator(), shared)


def test_sums_of_columns_are_made_once_for_all_bands_of_a_head() -> None:
    """In a buffer that takes a band of scores at a time, K is summed up once per head, Q band by band: as many rows in all."""
    trace = with_shapes(
        grouped_queries(24, 1, 1, 4), lambda name, shape: shape.with_fields(zero_point=5 if name in ("gemm0", "gemm1") else 0)
    )
    plain = grouped_queries(24, 1, 1, 4)
    found = []
    for buffer in (16384, 1024):
        machine = tiny_accelerator(activation_buffer__capacity=buffer, weight_buffer__capacity=65536)
        pair = [{layer.name: layer for layer in simulate(machine, item).layers}["matmul3"].vector_cycles for item in (trace, plain)]
        found.append(pair[0] - pair[1])
        compare(machine, trace)
    assert found == [48, 48]  # 24 rows of Q and 24 of K, 4 elements each


def test_columns_of_a_cache_have_no_sums() -> None:
    cached = with_shapes(grouped_queries(6, 2, 2, 4, cached=True), lambda _, shape: shape.with_fields(zero_point=5))
    layer = next(layer for layer in cached.layers if layer.head_product)
    fields = {**layer.as_given(), "cache_rows": layer.n}
    layers = tuple(type(layer).model_validate(fields) if item is layer else item for item in cached.layers)
    with pytest.raises(CompileError, match=r"no sums are kept of the cache that meets 'gemm0' with its zero point of 5; allowed: a zero"):
        compile_trace(tiny_accelerator(), Trace(cached.manifest.with_fields(layers=layers)))
