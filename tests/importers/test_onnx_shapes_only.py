"""Files without their weights: a seed needs shapes alone, and reads no weights even where they are there."""

from __future__ import annotations

import math
import resource
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, shape_inference

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.fold import fold
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.graph.repeated import elementwise, held, repeated
from accelsim.importers.import_model import import_model
from tests.importers.onnx_models import imported, make, node, random, save

LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("light_*.onnx"))


def absent(name: str, *dims: int, kind: int = TensorProto.FLOAT, external: str = "") -> onnx.TensorProto:
    """An initializer that states a shape and has no values."""
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=dims)
    if external:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=external)
    return tensor


def without_values(nodes: list[Any], shape: tuple[int, ...], *tensors: onnx.TensorProto, **constants: np.ndarray) -> onnx.ModelProto:
    model = make(nodes, shape, constants, opset=19)
    model.graph.initializer.extend(tensors)
    return model


@pytest.mark.parametrize("external", ["", "none.bin", "sub/none.bin"])
def test_absent_weights_take_their_shape_from_the_file(external: str, tmp_path: Path) -> None:
    tensors = [absent("w", 6, 3, 3, 3, external=external), absent("b", 6, external=external)]
    model = without_values([node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1])], (1, 3, 8, 8), *tensors)
    trace = imported(model, tmp_path, seed=1)
    assert (trace.macs, trace.weighted_layers()[0].bias) == (8 * 8 * 27 * 6, True)
    assert trace.manifest.notes == ("2 trained tensors of the file have no values: their shapes are used",)
    with pytest.raises(ImportModelError, match=r"initializer 'w'"):
        imported(model, tmp_path)


def test_absent_weights_pass_through_views_casts_and_scales(tmp_path: Path) -> None:
    nodes = [
        node("DequantizeLinear", ["w", "s"], ["d"], axis=0), node("Transpose", ["d"], ["t"]), node("Cast", ["t"], ["c"], to=1),
        node("Mul", ["c", "v"], ["m"]), node("MatMul", ["x", "m"], ["y"]),
    ]  # fmt: skip
    model = without_values(nodes, (1, 5, 8), absent("w", 4, 8, kind=TensorProto.INT8), s=random(4) ** 2 + 1, v=random(4))
    assert imported(model, tmp_path, seed=1).macs == 5 * 8 * 4


def test_weights_of_products_are_not_read_under_a_seed(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"short")  # not the 128 bytes of the shape
    model = without_values([node("MatMul", ["x", "w"], ["y"])], (1, 5, 8), absent("w", 8, 4, external="w.bin"))
    assert imported(model, tmp_path, seed=1).macs == 5 * 8 * 4
    with pytest.raises(ImportModelError, match=r"w\.bin"):
        imported(model, tmp_path)


@pytest.mark.parametrize(
    ("nodes", "tensor"),
    [
        ([node("Reshape", ["x", "a"], ["y"])], absent("a", 2, kind=TensorProto.INT64)),
        ([node("Mul", ["x", "a"], ["y"])], absent("a")),
    ],
)
def test_values_that_decide_shapes_and_functions_must_be_there(nodes: list[Any], tensor: onnx.TensorProto, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"initializer 'a': shape .* needs . values, but 0 are there"):
        imported(without_values(nodes, (1, 5, 8), tensor), tmp_path, seed=1)


def test_a_definition_of_seven_billion_parameters_takes_little_memory(tmp_path: Path) -> None:
    nodes, tensors = [], []
    for index in range(64):
        (wide, narrow), before = (f"u{index}", f"d{index}"), f"y{index}" if index else "x"
        tensors += [absent(wide, 4096, 13696, external="gone.bin"), absent(narrow, 13696, 4096)]
        nodes += [node("MatMul", [before, wide], [f"h{index}"]), node("Relu", [f"h{index}"], [f"r{index}"])]
        nodes.append(node("MatMul", [f"r{index}", narrow], [f"y{index + 1}"]))
    model = without_values([*nodes, node("Identity", ["y64"], ["y"])], (1, 5, 4096), *tensors)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trace = imported(model, tmp_path, seed=1)
    assert trace.macs == 5 * 64 * 2 * 4096 * 13696  # 7.2e9 weights
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000


def test_a_constant_of_any_size_is_a_weight(tmp_path: Path) -> None:
    nodes = [
        node("Constant", [], ["s"], value_ints=[16384, 65536]),
        node("ConstantOfShape", ["s"], ["w"]),
        node("MatMul", ["x", "w"], ["y"]),
    ]
    model = make(nodes, (1, 5, 16384))
    assert imported(model, tmp_path, seed=1).macs == 5 * 16384 * 65536
    with pytest.raises(ImportModelError, match=r"grow to more than .* --seed takes"):
        imported(model, tmp_path)


@pytest.mark.parametrize("op", ["Trilu", "ReduceSum", "CumSum"])
def test_a_huge_constant_that_has_to_be_held_is_refused(op: str, tmp_path: Path) -> None:
    nodes = [
        node("Constant", [], ["s"], value_ints=[1 << 15, 1 << 15]), node("ConstantOfShape", ["s"], ["c"]),
        node("Constant", [], ["a"], value_ints=[0]), node(op, ["c", "a"], ["t"]), node("Add", ["x", "t"], ["y"]),
    ]  # fmt: skip
    with pytest.raises(ImportModelError, match="is not computed"):
        imported(make(nodes, (1, 5, 8)), tmp_path, seed=1)


def test_folding_a_repeated_array_equals_folding_its_copy(tmp_path: Path) -> None:
    column = random(6, 1)
    part = repeated(column, (6, 5))
    other = random(5)
    cases: list[tuple[Any, list[np.ndarray]]] = [
        (node("Add", ["a", "b"], ["c"]), [part, other]),
        (node("Gather", ["a", "i"], ["c"], axis=0), [part, np.array([[4, 1]])]),
        (node("Gather", ["a", "i"], ["c"], axis=-1), [part, np.array(3)]),
        (node("Slice", ["a", "s", "e", "x", "t"], ["c"]), [part, *(np.array([n]) for n in (4, -9, 0, -2))]),
        (node("Slice", ["a", "s", "e", "x"], ["c"]), [part, *(np.array([n]) for n in (3, 3, 1))]),
        (node("Concat", ["a", "b"], ["c"], axis=0), [part, part]),
        (node("Concat", ["a", "b"], ["c"], axis=1), [part, random(6, 2)]),
        (node("Transpose", ["a"], ["c"]), [part]),
        (node("Reshape", ["a", "s"], ["c"]), [part, np.array([3, 10])]),
        (node("Cast", ["a"], ["c"], to=TensorProto.INT8), [part]),
        (
            node("DequantizeLinear", ["a", "s"], ["c"], axis=0),
            [repeated(np.array([[3], [-4]], np.int8), (2, 7)), np.array([0.5, 2], np.float32)],
        ),
    ]
    for proto, arrays in cases:
        read = OnnxNode(proto, 18, tmp_path)
        expected = fold(read, [np.ascontiguousarray(array) if array.ndim else array for array in arrays])
        np.testing.assert_array_equal(fold(read, arrays), expected)
    assert held(elementwise(np.add, part, np.ones((), np.float32))) == 6


def independent_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates by onnx's own shape inference: each output of a product takes one row of its weights."""
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*graph.value_info, *graph.output)}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    weights = ((shapes[item.output[0]], shapes[item.input[1]], item) for item in graph.node if item.op_type in ("Conv", "Gemm"))
    return sum(math.prod(result) * math.prod(shape[1:]) for result, shape, _ in weights)


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_the_light_networks_of_the_onnx_package_import_with_equal_macs(path: Path) -> None:
    assert import_model(str(path), seed=1).macs == independent_macs(onnx.load(path))


def test_the_onnx_package_has_nine_light_networks() -> None:
    assert len(LIGHT) == 9


def test_a_dimension_of_minus_one_has_no_size(tmp_path: Path) -> None:
    model = make([node("MatMul", ["x", "w"], ["y"])], (1, 1, 8), {"w": random(8, 4)})
    for dim in model.graph.input[0].type.tensor_type.shape.dim[:2]:
        dim.dim_value = -1
    assert imported(model, tmp_path, bind={"x.0": 1, "x.1": 7}).macs == 7 * 8 * 4
    with pytest.raises(ImportModelError, match=r"dimension 1 of input 'x' is 'x\.1', which has no size; give --bind x\.1=1"):
        imported(model, tmp_path, bind={"x.0": 1})


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (4, 5, 8)])
def test_a_fixed_batch_points_at_the_option_of_a_run(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match="a batch of 1, and run its trace with --batch 4"):
        imported(make([node("Relu", ["x"], ["y"])], shape), tmp_path)


@pytest.mark.parametrize("op", ["Identity", "Transpose", "Dropout"])
def test_a_model_of_views_alone_is_refused_by_a_sentence(op: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"m\.onnx: its operations only change how the input is seen, and make no layer"):
        imported(make([node(op, ["x"], ["h"]), node("Identity", ["h"], ["y"])], (1, 5, 8)), tmp_path)


def test_images_by_rows_of_channels_are_turned_by_a_move(tmp_path: Path) -> None:
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("MaxPool", ["t"], ["p"], kernel_shape=[2, 2], strides=[2, 2])]
    model = make([*nodes, node("Conv", ["p", "w"], ["y"])], (1, 8, 8, 3), {"w": random(6, 3, 3, 3)})
    assert imported(model, tmp_path).macs == 2 * 2 * 27 * 6


def test_a_convolution_along_one_dimension_counts_its_padded_positions(tmp_path: Path) -> None:
    model = make([node("Conv", ["x", "w"], ["y"], strides=[2], pads=[3, 2])], (1, 2, 90), {"w": random(6, 2, 5)})
    assert imported(model, tmp_path).macs == ((90 + 5 - 5) // 2 + 1) * 10 * 6


def test_saving_leaves_no_payload_for_shapes_alone(tmp_path: Path) -> None:
    model = without_values([node("MatMul", ["x", "w"], ["y"])], (1, 5, 8), absent("w", 8, 4))
    trace = import_model(save(model, tmp_path), tmp_path / "net", seed=3)
    assert not trace.has_payload
