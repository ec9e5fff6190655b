"""Files that are broken, or made to break: one clear message, soon, in little memory, and nothing written."""

from __future__ import annotations

import itertools
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model, parse_numbers
from tests.importers.onnx_models import imported, make, node, random, save

LINEAR = [node("MatMul", ["x", "w"], ["y"])]
W = {"w": random(8, 4)}


def refused(model: Any, folder: Path, **options: Any) -> str:
    """The one message of a refusal, which takes little memory and leaves nothing behind."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = model if isinstance(model, str) else save(model, folder)
    with pytest.raises(ImportModelError) as caught:
        import_model(path, folder / "out", **options)
    assert not (folder / "out").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2500
    return str(caught.value)


def initializer(**fields: Any) -> onnx.ModelProto:
    """A linear layer whose weights are a TensorProto of these fields."""
    model = make(LINEAR, (1, 5, 8), W)
    model.graph.initializer[0].CopyFrom(onnx.TensorProto(name="w", **fields))
    return model


def external(location: str, **fields: str) -> onnx.ModelProto:
    model = initializer(data_type=TensorProto.FLOAT, dims=[8, 4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **fields}.items():
        model.graph.initializer[0].external_data.add(key=key, value=value)
    return model


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a model", bytes(range(255, 191, -1))])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert "is not a" in refused(str(tmp_path / "m.onnx"), tmp_path)


def test_a_truncated_model_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = make(LINEAR, (1, 5, 8), W).SerializeToString()
    for length in range(0, len(whole), 23):
        (tmp_path / "m.onnx").write_bytes(whole[:length])
        refused(str(tmp_path / "m.onnx"), tmp_path)


def test_no_such_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refused(str(tmp_path / "none.onnx"), tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    assert "cannot be read" in refused(str(tmp_path / "folder.onnx"), tmp_path)


def test_a_pipe_and_a_file_larger_than_a_protocol_buffer_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "pipe.onnx: cannot be read: is not a file" in refused(str(tmp_path / "pipe.onnx"), tmp_path)
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    assert "huge.onnx: has 1099511627776 bytes" in refused(str(tmp_path / "huge.onnx"), tmp_path)


@pytest.mark.parametrize("seed", [None, 1])
def test_sparse_external_data_larger_than_any_layer_is_refused_unread(seed: int | None, tmp_path: Path) -> None:
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(1 << 40)
    model = external("w.bin", length=str(1 << 40))
    model.graph.initializer[0].dims[:] = [1 << 18, 1 << 20]
    assert "1099511627776" in (message := refused(model, tmp_path, seed=seed))
    assert "allowed: at most 4294967296" in message


def test_a_message_about_a_node_names_the_file(tmp_path: Path) -> None:
    broken = make([helper.make_node("Det", ["x"], ["y"])], (1, 5, 8))
    (tmp_path / "m.onnx").write_bytes(broken.SerializeToString())
    assert refused(str(tmp_path / "m.onnx"), tmp_path).startswith(f"{tmp_path / 'm.onnx'}: node 'y' (Det)")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"data_type": TensorProto.FLOAT, "dims": [1 << 20, 1 << 20], "raw_data": bytes(16)},
            "needs 4398046511104 bytes, but 16 are there",
        ),
        ({"data_type": TensorProto.FLOAT, "dims": [1 << 62, 1 << 62], "raw_data": bytes(16)}, "are there"),
        ({"data_type": TensorProto.FLOAT, "dims": [8, 4], "raw_data": bytes(127)}, "needs 128 bytes, but 127 are there"),
        ({"data_type": TensorProto.FLOAT, "dims": [8, 4], "float_data": [1.0]}, "needs 32 values, but 1 are there"),
        ({"data_type": TensorProto.FLOAT, "dims": [-8, 4], "raw_data": b""}, "sizes are 0 or more"),
        ({"data_type": TensorProto.FLOAT, "dims": [1] * 60, "raw_data": bytes(4)}, "at most 32"),
        ({"data_type": TensorProto.STRING, "dims": [1], "string_data": [b"x"]}, "element type STRING"),
        ({"data_type": TensorProto.COMPLEX64, "dims": [1], "raw_data": bytes(8)}, "element type COMPLEX64"),
        ({"data_type": 99, "dims": [1], "raw_data": bytes(8)}, "element type number 99"),
        ({"data_type": TensorProto.FLOAT, "dims": [7], "raw_data": bytes(28)}, "cannot be multiplied"),
        ({"data_type": TensorProto.FLOAT, "dims": [7, 4], "raw_data": bytes(112)}, "cannot be multiplied"),
    ],
)
def test_tensors_whose_shape_or_type_is_wrong(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in refused(initializer(**fields), tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    weights = random(8, 4)
    weights[3, 1] = value
    assert f"weights of 'y': value 13 is {value}" in refused(make(LINEAR, (1, 5, 8), {"w": weights}), tmp_path)


def test_external_data_beside_the_model_is_read_and_named(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"skip" + W["w"].tobytes())
    trace = imported(external("w.bin", offset="4", length="128"), tmp_path)
    np.testing.assert_array_equal(trace.weights("y"), W["w"])
    assert trace.manifest.notes[0].startswith("external data w.bin: SHA-256 ")


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "", ".", "link.bin", "loop.bin", "sub/../../w.bin", "none.bin", "a\0b", "fifo"]
)
def test_external_data_stays_inside_the_models_folder(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(W["w"].tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    (folder / "loop.bin").symlink_to(folder / "loop.bin")
    os.mkfifo(folder / "fifo")
    assert "inside the model's folder" in refused(external(location), folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"offset": "1"}, "bytes 1 to 129 are wanted"),
        ({"offset": "-1"}, "offset '-1'"),
        ({"offset": "9" * 40}, "allowed: a whole number"),
        ({"length": "64"}, "length 64, but the shape needs 128"),
        ({"length": "x"}, "length 'x'"),
    ],
)
def test_external_data_of_wrong_place_or_length(fields: dict[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(W["w"].tobytes())
    assert message in refused(external("w.bin", **fields), tmp_path)


def value(name: str, shape: list[int]) -> Any:
    return node("Constant", [], [name], value_ints=shape)


GROWING: dict[str, list[Any]] = {
    "ConstantOfShape": [value("s", [1 << 20, 1 << 20]), node("ConstantOfShape", ["s"], ["c"])],
    "Expand": [value("s", [1 << 20, 1 << 20, 8]), node("Expand", ["w0", "s"], ["c"])],
    "Tile": [value("s", [1 << 40]), node("Tile", ["w0", "s"], ["c"])],
    "Range": [value("a", [0]), value("b", [1 << 40]), value("d", [1]), node("Range", ["a", "b", "d"], ["c"])],
    "a broadcast": [value("s", [1, 1 << 21]), value("t", [1 << 21, 1]), node("ConstantOfShape", ["s"], ["p"]),
                    node("ConstantOfShape", ["t"], ["q"]), node("Add", ["p", "q"], ["c"])],
    "many": [value("s", [1 << 22]), *(node("ConstantOfShape", ["s"], [f"c{i}"]) for i in range(40)),
             node("Concat", [f"c{i}" for i in range(40)], ["c"], axis=0)],
    "doubling": [value("c0", [1, 2, 3, 4]), *(node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(50)),
                 node("Identity", ["c50"], ["c"])],
}  # fmt: skip


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("name", GROWING)
def test_constants_that_grow_without_bound(name: str, seed: int | None, tmp_path: Path) -> None:
    message = refused(make([*GROWING[name], node("Add", ["x", "c"], ["y"])], (1, 5, 8), {"w0": random(8)}), tmp_path, seed=seed)
    assert any(part in message for part in ("is not computed", "grow to more", *(("do not fit together",) if seed else ())))


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    whole = save(make([node("Relu", ["x"], ["middle"]), node("Tanh", ["middle"], ["y"])], (1, 5, 8)), tmp_path)
    Path(whole).write_bytes(Path(whole).read_bytes().replace(b"middle", b"mid\xffle"))
    assert "is not UTF-8 text" in refused(whole, tmp_path)


def test_flipped_bytes_end_in_a_trace_or_in_a_message(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1]),
        node("Relu", ["h"], ["r"]),
        node("MaxPool", ["r"], ["y"], kernel_shape=[2, 2]),
    ]
    whole = make(nodes, (1, 3, 6, 6), {"w": random(4, 3, 3, 3), "b": random(4)}).SerializeToString()
    generator, messages = np.random.default_rng(0), []
    for _ in range(300):
        flipped = bytearray(whole)
        for place in generator.integers(len(whole), size=generator.integers(1, 4)):
            flipped[place] = generator.integers(256)
        (tmp_path / "m.onnx").write_bytes(bytes(flipped))
        try:
            import_model(str(tmp_path / "m.onnx"))
        except ImportModelError as error:
            messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)


EMPTY = helper.make_graph([], "empty", [], [])


def field(tag: int, content: bytes) -> bytes:
    """A field of a protocol buffer, as bytes."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([tag]) + length + bytes([size]) + content


def test_a_graph_nested_without_end_is_refused(tmp_path: Path) -> None:
    content = b""
    for _ in range(3000):
        content = field(0x0A, field(0x2A, field(0x32, content)))  # a node, its attribute, and the graph that this holds
    (tmp_path / "m.onnx").write_bytes(field(0x3A, content))
    assert "is not a complete ONNX model" in refused(str(tmp_path / "m.onnx"), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])], "a cycle, or nodes out of order"),
        ([node("Relu", ["y"], ["y"])], "a cycle"),
        ([node("Relu", ["nothing"], ["y"])], "neither an input, an initializer nor made by a node"),
        ([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])], "'y' is given twice"),
        ([node("Relu", ["x"], ["w"]), node("Relu", ["w"], ["y"])], "'w' is given twice"),
        ([node("Relu", ["x"], ["z"])], "output 'y' is made by no node"),
        ([node("Identity", ["w"], ["y"])], "does not depend on the input"),
        ([node("NonMaxSuppression", ["x"], ["y"])], "'NonMaxSuppression' is not understood"),
        ([node("Relu", ["x"], ["y"], domain="my.own")], "'my.own.Relu' is not understood"),
        ([node("Loop", ["", "", "x"], ["y"], body=EMPTY)], "loops are not supported"),
        ([node("If", ["x"], ["y"], then_branch=EMPTY, else_branch=EMPTY)], "its condition depends on the model's input"),
        ([node("Relu", [], ["y"])], "input 0 is missing"),
        ([node("Conv", ["x", "w"], ["y"])], "two dimensions of space"),
        ([node("Transpose", ["x"], ["t"], perm=[0, 0, 1]), node("Relu", ["t"], ["y"])], "is not an order"),
        ([node("Softmax", ["x"], ["y"], axis=7)], "axis 7 is not a dimension"),
        ([node("Reshape", ["x", "shape"], ["r"]), node("Relu", ["r"], ["y"])], "cannot become"),
        ([node("MatMul", ["w", "x"], ["y"])], "weights of 4 x 8 cannot be multiplied"),
        ([node("Constant", [], ["c"]), node("Add", ["x", "c"], ["y"])], "has none of the attributes"),
        ([node("Div", ["x", "zero"], ["y"])], "divides by 0"),
        ([node("Dropout", ["x", "", "true"], ["y"])], "training mode"),
    ],
)
def test_graphs_that_cannot_be_read(nodes: list[Any], message: str, tmp_path: Path) -> None:
    constants = {**W, "shape": np.array([3, -1]), "zero": np.float32(0), "true": np.array(True)}
    assert message in refused(make(nodes, (1, 5, 8), constants), tmp_path)


def test_a_known_condition_takes_its_branch(tmp_path: Path) -> None:
    info = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    then = helper.make_graph([node("Relu", ["h"], ["inner"])], "t", [], [info])
    other = helper.make_graph([node("Tanh", ["h"], ["inner"])], "e", [], [info])
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    for condition, op in ((True, "relu"), (False, "tanh")):
        assert [layer.op for layer in imported(make(nodes, (1, 5, 8), {**W, "c": np.array(condition)}), tmp_path).layers] == ["gemm", op]


def test_chains_as_long_as_a_file_may_be_take_neither_stack_nor_time(tmp_path: Path) -> None:
    names = ["x", *(f"t{i}" for i in range(3000))]
    chain = [node("Tanh", [a], [b]) for a, b in itertools.pairwise(names)]
    refused(make([*chain, node("Det", [names[-1], "zero"], ["y"])], (1, 5, 8), {"zero": np.int64(0)}), tmp_path)
    doubled = [node("Add", [a, a], [b]) for a, b in itertools.pairwise(names[:100])]
    refused(make([*doubled, node("Det", [names[99], "zero"], ["y"])], (1, 5, 8), {"zero": np.int64(0)}), tmp_path)


@pytest.mark.parametrize(
    ("shape", "bind", "message"),
    [
        (("N", 5, 8), {}, "dimension 0 of input 'x' is 'N', which has no size; give --bind N=1"),
        ((None, 5, 8), {}, "give --bind x.0=1"),
        (("N", 5, 8), {"N": 2}, "one inference at a time"),
        (("N", 5, 8), {"N": 1, "M": 3}, "no input has this dimension"),
        (("batch", 5, 8), {"bach": 1}, "batch"),
        ((0, 5, 8), {}, "sizes of 1 or more"),
        ((2, 2, 3, 4, 5), {}, "one inference at a time"),
        ((1 << 30, 1 << 30), {}, "1073741824"),
    ],
)
def test_inputs_whose_sizes_are_not_known_or_not_taken(shape: tuple[Any, ...], bind: dict[str, int], message: str, tmp_path: Path) -> None:
    assert message in refused(make(LINEAR, shape, W), tmp_path, bind=bind)


def test_symbolic_sizes_are_bound_by_name_or_by_place(tmp_path: Path) -> None:
    assert imported(make(LINEAR, ("N", "T", 8), W), tmp_path, bind=parse_numbers(["N=1", "T=7"], "--bind", 1)).macs == 7 * 8 * 4
    assert imported(make(LINEAR, (None, 5, 8), W), tmp_path, bind={"x.0": 1}).macs == 5 * 8 * 4


@pytest.mark.parametrize("text", ["N", "N=", "=1", "N=0", "N=-1", "N=x", "N=99999999999"])
def test_a_binding_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ImportModelError, match=r"--bind.*allowed: NAME=NUMBER"):
        parse_numbers([text], "--bind", 1)


CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    "opset missing": lambda model: model.ClearField("opset_import"),
    "opset 1000; allowed": lambda model: setattr(model.opset_import[0], "version", 1000),
    "'w' has no name, or one that is given twice": lambda model: model.graph.initializer.append(model.graph.initializer[0]),
    "is not a tensor with a shape": lambda model: model.graph.input[0].ClearField("type"),
    "element type INT16": lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT16),
    "has no input but initializers": lambda model: model.graph.ClearField("input"),
    "at least one, each once": lambda model: model.graph.ClearField("output"),
    "sparse initializers": lambda model: model.graph.sparse_initializer.append(onnx.SparseTensorProto()),
}


@pytest.mark.parametrize("message", CHANGES)
def test_models_without_what_every_model_has(message: str, tmp_path: Path) -> None:
    model = make(LINEAR, (1, 5, 8), W)
    CHANGES[message](model)
    assert message in refused(model, tmp_path)
