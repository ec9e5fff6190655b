"""Nobody outside `ops/` asks for the class of a layer, but for the exceptions below: all others ask the layer's properties."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from accelsim.ops.catalog import vector_operations
from accelsim.trace import layers
from accelsim.trace.trace import load_trace

PACKAGE = Path(layers.__file__).parents[1]
TINY_VIT = PACKAGE.parent / "traces" / "tiny_vit_int8"
CLASSES = {name for name in layers.__all__ if name.endswith("Layer")} | {kind.__name__ for kind in vector_operations()}
VIEWS = {"gemm": (1, 1, 0, 0), "conv2d": (1, 1, 0, 0), "matmul": (1, 0, 1, 0)}  # product, weighted, head_product, vector


def class_tests(source: str) -> Iterator[tuple[str, int]]:
    """(class, line) of each comparison of a class with one of a layer: isinstance, issubclass, `is`, `==`, `in`, a class pattern."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass"):
            tested: list[ast.AST] = [node.args[1]]
        elif isinstance(node, ast.Compare):
            tested = list(node.comparators)
        elif isinstance(node, ast.MatchClass):
            tested = [node.cls]
        else:
            continue
        for part in tested:
            for name in ast.walk(part):
                found = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
                if found in CLASSES:
                    yield found, node.lineno


def test_modules_outside_the_operations_ask_a_layer_and_not_its_class() -> None:
    found: dict[tuple[str, str], list[int]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE)
        if module.parts[0] != "ops":
            for name, line in class_tests(path.read_text(encoding="utf-8")):
                found.setdefault((module.as_posix(), name), []).append(line)
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(layer, ConvLayer)",
        "isinstance(layer, (int, layers.GemmLayer))",
        "isinstance(layer, GemmLayer | ConvLayer)",
        "issubclass(kind, SoftmaxLayer)",
        "type(layer) is AddLayer",
        "kind in (AddLayer, 3)",
        "match layer:\n    case MatmulLayer():\n        pass",
    ],
)
def test_each_way_to_ask_for_the_class_is_found(source: str) -> None:
    assert list(class_tests(source))


@pytest.mark.parametrize("source", ["isinstance(value, int)", "layer.weighted is not None", "AddLayer(name='sum')", "kind is not None"])
def test_other_questions_are_not(source: str) -> None:
    assert not list(class_tests(source))


def test_a_layer_is_itself_in_the_views_of_its_kind_and_none_in_the_others() -> None:
    for layer in load_trace(TINY_VIT).layers:
        views = layer.product, layer.weighted, layer.head_product, layer.vector
        assert all(view is None or view is layer for view in views)
        assert tuple(int(view is not None) for view in views) == VIEWS.get(layer.op, (0, 0, 0, 1))
