"""Every operation that the registry finds: its record, its definition against examples worked by hand, and a run of it."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from accelsim.accelerator import load_accelerator
from accelsim.errors import AccelsimError, TraceError
from accelsim.ops.catalog import imported_by_name, pass_ranges, vector_operations
from accelsim.ops.example import Example
from accelsim.ops.grid import Grid
from accelsim.ops.operation import VectorLayer
from accelsim.ops.shapes import TensorShape
from accelsim.registry import members
from accelsim.simulation import simulate
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace
from tests import naive_graph
from tests.tiny_machines import SOURCE, tiny_accelerator

EXAMPLES = [(kind, example) for kind, module in members("accelsim.ops").items() for example in module.EXAMPLES]
IDS = [f"{kind}{number}" for number, (kind, _) in enumerate(EXAMPLES)]
each_example = pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=IDS)


def layer_of(kind: str, example: Example, output_rows: int | None = None) -> VectorLayer:
    """The example's layer, of inputs x0, x1, ..."""
    record: type[VectorLayer] = members("accelsim.ops")[kind].SPEC
    rows = example.output_rows if output_rows is None else output_rows
    fields = {
        "name": "it",
        "inputs": tuple(f"x{number}" for number in range(len(example.operands))),
        "output": TensorShape(rows=rows, width=len(example.output) // example.output_rows),
    }
    return record(**{**fields, **example.fields})


def shapes_of(layer: VectorLayer, example: Example, rows: int | None = None) -> tuple[TensorShape, ...]:
    """Shapes of the operands, all of them with `rows` rows if that is given."""
    width = example.width or layer.output.width
    heights = [rows] * len(layer.inputs) if rows else example.operand_rows or [example.rows] * len(layer.inputs)
    return tuple(TensorShape(rows=height, width=width) for height in heights)


def trace_of(layer: VectorLayer, shapes: tuple[TensorShape, ...]) -> Trace:
    """A network of that layer alone, behind a product that its first operand comes from."""
    rows, width = shapes[0].rows, shapes[0].width
    weight = {"format": {"kind": "uniform", "bits": 8}, "k": 4, "n": width}
    gemm = {
        "op": "gemm", "name": "x0", "inputs": ["x"], "output": {"rows": rows, "width": width}, "bounds": {"K": width, "C": 4, "OX": rows},
        "weight": weight,
    }  # fmt: skip
    others = [{"name": name, "shape": shape.model_dump()} for name, shape in zip(layer.inputs[1:], shapes[1:], strict=True)]
    fields = {
        "name": "one",
        "source": SOURCE,
        "inputs": [{"name": "x", "shape": {"rows": rows, "width": 4}}, *others],
        "outputs": ["it"],
        "layers": [gemm, layer.model_dump(mode="json")],
    }
    return Trace(Manifest.model_validate_json(json.dumps(fields)))


def operands_of(example: Example) -> list[np.ndarray]:
    rows = example.operand_rows or [example.rows] * len(example.operands)
    return [np.array(values, np.float64).reshape(1, height, -1) for values, height in zip(example.operands, rows, strict=True)]


@each_example
def test_a_record_survives_its_own_text(kind: str, example: Example) -> None:
    layer = layer_of(kind, example)
    assert type(layer).model_validate_json(layer.model_dump_json()) == layer


@each_example
def test_the_definition_gives_what_was_worked_by_hand(kind: str, example: Example) -> None:
    layer = layer_of(kind, example)
    constants = {name: np.array(values, np.float64) for name, values in example.constants.items()}
    assert constants.keys() == layer.constant_sizes.keys()
    found = layer.evaluate(operands_of(example), constants)
    assert found.shape == (1, layer.output.rows, layer.output.width)
    np.testing.assert_allclose(found.reshape(-1), example.output, rtol=1e-9, atol=1e-9)


@each_example
def test_operands_of_another_shape_or_number_are_refused(kind: str, example: Example) -> None:
    layer = layer_of(kind, example)
    right, *others = shapes_of(layer, example)
    layer.check_inputs((right, *others))
    for wrong in (TensorShape(rows=right.rows + 1, width=right.width), TensorShape(rows=right.rows, width=right.width + 1)):
        with pytest.raises(TraceError, match="'it'"):
            layer.check_inputs((wrong, *others))
    with pytest.raises((TraceError, ValidationError), match="inputs"):
        layer.with_fields(inputs=(*layer.inputs, "another"))


@each_example
def test_a_network_of_it_runs_and_every_cycle_and_byte_is_booked(kind: str, example: Example) -> None:
    """`simulate` checks all sums. Lanes that are halved never save time, and parameters cross the memory once."""
    layer = layer_of(kind, example)
    trace = trace_of(layer, shapes_of(layer, example))
    fast, slow = (simulate(tiny_accelerator(vector_unit={"lanes": lanes}), trace) for lanes in (4, 2))
    assert slow.total_cycles >= fast.total_cycles
    read = sum(item.bits for found in fast.layers for item in found.traffic if item.operand == "parameters")
    assert read == sum(len(values) for values in example.constants.values()) * getattr(layer, "parameter_bits", 0)


@each_example
def test_more_passes_take_as_many_more_cycles_of_the_vector_unit(kind: str, example: Example) -> None:
    """One lane, so a pass over a row takes its width; the count of passes is the operation's own."""
    layer = layer_of(kind, example)
    trace = trace_of(layer, shapes_of(layer, example))
    known = pass_ranges()[layer.pass_name]
    for count in (max(1, known.least), 7):
        chip = tiny_accelerator(vector_unit={"lanes": 1, "passes": {layer.pass_name: count}})
        found = next(item for item in simulate(chip, trace).layers if item.name == "it")
        fused = "fused" in found.lowering
        assert fused == layer.fusable
        width, of = layer.output.width, {layer.pass_name: count}.__getitem__
        elements, passes = (width, layer.passes(of, True)) if fused else layer.row_work(of, width, 1)
        assert found.vector_cycles == layer.output.rows * elements * passes


@each_example
def test_rows_that_come_in_tiles_move_as_many_bytes_as_the_whole(kind: str, example: Example) -> None:
    """Three times the rows; a buffer that holds only some of them spills, and the layer still reads and writes each row once."""
    layer = layer_of(kind, example)
    if not (layer.by_rows and layer.in_step) or layer.window is not None or "source" in example.fields:
        return  # heads, prepended rows, windows with halos and rows that move on have tests of their own
    rows = 96
    tall = layer_of(kind, example, rows)
    trace = trace_of(tall, shapes_of(tall, example, rows))
    size = rows * tall.output.width
    tight = simulate(tiny_accelerator(activation_buffer__capacity=max(384, 2 * size)), trace)
    whole = simulate(tiny_accelerator(), trace)
    assert tight.macs == whole.macs
    assert sum(item.vector_cycles for item in tight.layers) == sum(item.vector_cycles for item in whole.layers)


@each_example
def test_a_result_that_is_called_nonnegative_is_not_below_0(kind: str, example: Example) -> None:
    """Of operands of both signs, and of operands that are nonnegative as well; NaN (the root of a negative number) is not below 0."""
    layer, rng = layer_of(kind, example), np.random.default_rng(7)
    constants = {name: rng.normal(size=len(values)) for name, values in example.constants.items()}
    for known in (False, True):
        drawn = [rng.normal(size=operand.shape) for operand in operands_of(example)]
        with np.errstate(all="ignore"):
            found = layer.evaluate([np.abs(operand) if known else operand for operand in drawn], constants)
        assert not (layer.nonnegative([known] * len(layer.inputs)) and (found < 0).any())


def test_operations_say_which_results_are_nonnegative() -> None:
    signed, unsigned = (
        {f"{kind} {example.fields.get('op', '')}".strip() for kind, example in EXAMPLES if layer_of(kind, example).nonnegative([known] * 3)}
        for known in (False, True)
    )
    assert signed >= {"clip relu", "clip clip", "softmax", "table sigmoid", "table exp"}
    assert not signed & {"pool max_pool2d", "table silu", "table tanh", "add", "layernorm"}
    assert unsigned >= signed | {"pool max_pool2d", "pool avg_pool2d"}


def test_operations_that_share_a_name_for_their_passes_agree_on_them() -> None:
    for first, second in product(vector_operations(), repeat=2):
        if first.pass_name == second.pass_name:
            assert (first.default_passes, first.least_passes) == (second.default_passes, second.least_passes)


def test_a_name_of_a_framework_means_one_operation() -> None:
    assert len(imported_by_name()) == sum(len(kind.importer_names) for kind in vector_operations())


def test_exact_operations_give_by_address_what_their_definition_gives() -> None:
    rng = np.random.default_rng(5)
    for kind, example in EXAMPLES:
        layer = layer_of(kind, example)
        if layer.exact:
            image = rng.integers(-128, 128, (example.rows, example.width or layer.output.width), np.int8)
            assert np.array_equal(layer.unit_sums(image), layer.exact_sums(image))


def test_the_passes_of_a_chip_are_those_that_operations_name() -> None:
    assert load_accelerator("edge-64x64", ["vector_unit.passes.rmsnorm=5"]).vector_unit.passes.of("rmsnorm") == 5
    with pytest.raises(AccelsimError, match=r"vector_unit\.passes\.rmsnorn.*did you mean 'rmsnorm'"):
        load_accelerator("edge-64x64", ["vector_unit.passes.rmsnorn=5"])


def test_definitions_agree_with_those_of_the_graph_twin() -> None:
    """The importers' tests run graphs by definitions of their own; both are given the same random rows."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 1, 4, 6))
    shape = TensorShape(rows=4, width=6)
    for kind, fields in (("softmax", {}), ("gelu", {}), ("clip", {"op": "relu"}), ("table", {"op": "silu"}), ("add", {})):
        record = members("accelsim.ops")[kind].SPEC
        layer = record(name="it", inputs=("x", "y")[: record.operands], output=shape, **fields)
        found = layer.evaluate([x, y][: record.operands], {})
        np.testing.assert_allclose(found, naive_graph.layer_value(None, layer, [x, y][: record.operands], {}, 0.0), rtol=1e-6, atol=1e-7)


@each_example
def test_the_integer_twin_gives_what_was_worked_by_hand(kind: str, example: Example) -> None:
    layer, operands = layer_of(kind, example), operands_of(example)
    constants = {name: np.array(values, np.float64) for name, values in example.constants.items()}
    grids = [Grid.covering(float(np.abs(operand).max()), 32) for operand in operands]
    result = Grid.covering(max(np.abs(example.output).max(), 1.0), 32)
    integers = [grid.quantize(operand) for grid, operand in zip(grids, operands, strict=True)]
    found = layer.integers(integers, grids, constants, result)
    assert found.dtype == np.int64
    assert found.shape == layer.output.dims
    np.testing.assert_allclose(result.real(found).reshape(-1), example.output, rtol=1e-6, atol=1e-6)


@each_example
def test_the_integer_twin_rounds_its_definition_once(kind: str, example: Example) -> None:
    layer, rng = layer_of(kind, example), np.random.default_rng(3)
    constants = {name: np.array(values, np.float64) for name, values in example.constants.items()}
    grids = [Grid(0.02 * (place + 1), 8) for place in range(len(layer.inputs))]
    integers = [rng.integers(-128, 128, operand.shape) for operand in operands_of(example)]
    result = Grid(0.03, 8)
    found = layer.integers(integers, grids, constants, result)
    with np.errstate(all="ignore"):
        exact = layer.evaluate([operand * grid.scale for operand, grid in zip(integers, grids, strict=True)], constants) / 0.03
    defined = ~np.isnan(exact)
    assert (np.abs(found - np.clip(exact, -128, 127))[defined] <= 0.5 + 1e-9).all()
    assert (found[~defined] == 0).all()


@pytest.mark.parametrize("kind", ["layernorm", "groupnorm", "rmsnorm"])
def test_a_norm_of_equal_elements_is_beta(kind: str) -> None:
    fields = {"channel_groups": 1} if kind == "groupnorm" else {}
    layer = members("accelsim.ops")[kind].SPEC(name="it", inputs=("x",), output=TensorShape(rows=1, width=192), **fields)
    value = 0.0 if kind == "rmsnorm" else 7
    constants = {name: np.full(size, 0.5) for name, size in layer.constant_sizes.items()}
    found = layer.integers([np.full((1, 1, 192), value)], [Grid(0.1, 8)], constants, Grid(0.1, 8))
    assert (found == (0 if kind == "rmsnorm" else 5)).all()
