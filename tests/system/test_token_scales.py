"""Scales per token: a pass over each row before it meets weights, in cycles counted by hand, on the chip and its twin."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.execution.network import execute
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.packed_products import packed_product
from tests.tiny_convnets import every_layer
from tests.tiny_machines import tiny_accelerator, tiny_encoder

TOKENS, WIDTH, HEADS, HIDDEN = 6, 10, 2, 12


def chip(**fields: object) -> Accelerator:
    """Four lanes."""
    return tiny_accelerator(vector_unit__activation_scales="token", **fields)


def encoder() -> Trace:
    return tiny_encoder(TOKENS, WIDTH, HEADS, HIDDEN, "int8")


def vector_cycles(accelerator: Accelerator, trace: Trace) -> dict[str, int]:
    return {layer.name: layer.vector_cycles for layer in simulate(accelerator, trace).layers}


def more(trace: Trace, **fields: object) -> dict[str, int]:
    """Layer -> cycles of the vector unit beyond those of one scale per tensor, where there are any."""
    plain, found = vector_cycles(tiny_accelerator(**fields), trace), vector_cycles(chip(**fields), trace)
    return {name: cycles - plain[name] for name, cycles in found.items() if cycles != plain[name]}


def test_rows_that_several_layers_read_are_scaled_once() -> None:
    """A block's four inputs of linear layers: that of Q, K and V, the context, and both of the MLP, of 6 tokens each."""
    narrow, wide = TOKENS * 3, TOKENS * 3  # 10 and 12 elements on four lanes
    found = more(encoder())
    assert sorted(found.values()) == sorted([narrow, narrow, narrow, wide])
    readers = [layer.inputs[0] for layer in encoder().weighted_layers()]
    assert len(set(readers)) == len(found) < len(readers)


@pytest.mark.parametrize(("passes", "factor"), [(0, 0), (2, 2)])
def test_passes_are_those_of_the_chip(passes: int, factor: int) -> None:
    usual, found = more(encoder()), more(encoder(), vector_unit__passes={"token_scales": passes})
    assert found == {name: factor * cycles for name, cycles in usual.items() if factor}


def test_products_of_activations_and_convolutions_keep_one_scale() -> None:
    products = {layer.name for layer in encoder().layers if layer.head_product is not None}
    assert not products & set(more(encoder()))
    linear = {layer.name for layer in every_layer().trace().weighted_layers() if layer.window is None}
    assert set(more(every_layer().trace())) == linear


@pytest.mark.parametrize(("lanes", "period"), [(2, 32), (4, 16), (16, 4)])
def test_a_row_enters_once_the_unit_has_read_all_of_it(lanes: int, period: int) -> None:
    """Rows of 64 elements: with 4 lanes one can enter every 16 cycles, and the first after 16 more than without."""
    given = {"array__rows": 64, "array__cols": 16, "array__max_m": 64, "vector_unit__lanes": lanes, "vector_unit__latency": 0}
    given |= {
        "dram__bandwidth": "1000 GB/s",
        "dma__transfer": 4096,
        "weight_buffer__word_bits": 512,
        "weight_buffer__capacity": 65536,
        "activation_buffer__width_bits": 512,
    }
    chips = [tiny_accelerator(**given, vector_unit__activation_scales=scales) for scales in ("tensor", "token")]
    found = [[simulate(item, packed_product("uniform:bits=8", m, 64, 16)).total_cycles for item in chips] for m in (40, 41)]
    (plain, token), (plain_more, token_more) = found
    assert token >= plain + period
    assert token_more - token >= max(period, plain_more - plain)


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"array__shadow_sets": 2, "array__accumulator_banks": 2}, {"array__dataflow": "input_stationary"},
        {"array__dataflow": "output_stationary"}, {"array__mapping": "gemv", "array__gemv_max_m": 6}, {"vector_unit__lanes": 1},
        {"activation_buffer__capacity": 500}, {"activation_buffer__ports": 2}, {"activation_buffer__residency": "dram"},
    ],
)  # fmt: skip
def test_a_chip_that_scales_rows_equals_its_twin(fields: dict[str, object]) -> None:
    compare(chip(**fields), encoder())
    compare(chip(**fields), encoder(), frames=2)
    compare(chip(**fields), encoder(), batch=2)


def test_one_scale_per_tensor_moves_nothing() -> None:
    assert (
        simulate(tiny_accelerator(), encoder()).cycles
        == simulate(tiny_accelerator(vector_unit__activation_scales="tensor"), encoder()).cycles
    )


def test_the_lowering_says_so() -> None:
    program = compile_trace(chip(), encoder())
    assert sum("a scale for each row" in layer.lowering for layer in program.layers) == len(more(encoder()))


def test_a_network_is_not_executed_with_scales_that_it_does_not_have() -> None:
    trace = packed_product("uniform:bits=8", 2, 40, 16)
    with pytest.raises(CompileError, match=r"one scale per activation.* is 'token'; allowed: 'tensor'"):
        execute(chip(), trace, {"x": np.zeros((2, 40), np.int8)})
