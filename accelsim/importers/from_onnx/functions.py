"""Local functions of an ONNX file, put in the place of their calls by the onnx package.

A file of a few lines can ask for any number of nodes: functions that call each other twice grow as powers of two, and one that calls
itself never ends. So the nodes are counted before any is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.checker
import onnx.inliner

from accelsim.errors import ImportModelError

_Key = tuple[str, str, str]  # domain, name, overload


def inlined(model: Any, path: Path, most_nodes: int) -> Any:
    """The model (onnx.ModelProto) without local functions.

    Raises
    ------
    ImportModelError
        A function that calls itself, more than `most_nodes` nodes in all, or functions that the onnx package does not inline.
    """
    functions = {(function.domain, function.name, function.overload): function for function in model.functions}
    if len(functions) != len(model.functions):
        raise ImportModelError(f"{path}: a local function is defined twice")
    sizes = _sizes(functions, path)
    nodes = sum(sizes.get(_key(node), 1) for node in _nodes(model.graph.node))
    if nodes > most_nodes:
        raise ImportModelError(f"{path}: {nodes} nodes with those of its local functions; allowed: at most {most_nodes}")
    try:
        return onnx.inliner.inline_local_functions(model)
    except (onnx.checker.ValidationError, RuntimeError) as error:
        raise ImportModelError(f"{path}: its local functions cannot be inlined: {str(error).splitlines()[0]}") from None


def _sizes(functions: dict[_Key, Any], path: Path) -> dict[_Key, int]:
    """The nodes that a call of each function stands for; ImportModelError if one calls itself."""
    calls = {key: Counter(map(_key, _nodes(function.node))) for key, function in functions.items()}
    sizes: dict[_Key, int] = {}
    for start in functions:
        open_calls = {start: iter(calls[start])}  # in the order of the calls
        while open_calls and start not in sizes:
            key = next(reversed(open_calls))
            inner = next((inner for inner in open_calls[key] if inner in functions and inner not in sizes), None)
            if inner is None:
                sizes[key] = sum(count * sizes.get(called, 1) for called, count in calls[key].items())
                del open_calls[key]
            elif inner in open_calls:
                raise ImportModelError(f"{path}: the local function {inner[1]!r} calls itself; allowed: functions that end")
            else:
                open_calls[inner] = iter(calls[inner])
    return sizes


def _key(node: Any) -> _Key:
    return node.domain, node.op_type, node.overload


def _nodes(nodes: Any) -> Iterator[Any]:
    """Nodes, and those of their subgraphs."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            waiting.extend(attribute.g.node)
            for graph in attribute.graphs:
                waiting.extend(graph.node)
