"""Dynamic quantization in ONNX: a scale and a zero point that are found while the model runs.

As real numbers, they cancel: a product of the integers is multiplied by the same scale, and the zero point is subtracted inside it. So
the scale may be taken as 1 where the graph proves that this is all that it does; anything else that reads it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.node import OnnxNode

_PRODUCTS = ("MatMulInteger", "ConvInteger")
Readers = Mapping[str, Sequence[OnnxNode | None]]


def require_cancelling(node: OnnxNode, readers: Readers, is_known: Callable[[str], bool]) -> None:
    """Check that the scale of a DynamicQuantizeLinear multiplies each product of its integers once, and nothing else.

    Parameters
    ----------
    node
        The DynamicQuantizeLinear.
    readers
        Nodes that read each tensor; None for an output of the model.
    is_known
        True for the name of a constant.

    Raises
    ------
    ImportModelError
        Something else reads its integers, its scale or its zero point.
    """
    integers, scale, zero_point = (*node.outputs, "", "", "")[:3]
    products = {name for reader in _all(node, readers, integers) for name in _product(node, reader, integers, zero_point).outputs}
    for reader in _all(node, readers, zero_point):
        _product(node, reader, integers, zero_point)
    for name in list(products):
        products.update(output for reader in _all(node, readers, name) if reader.op == "Cast" for output in reader.outputs)
    scales, waiting = {scale}, [scale]
    while waiting:
        here = waiting.pop()
        for reader in _all(node, readers, here):
            other = next((name for name in reader.inputs if name != here), "")
            if reader.op != "Mul" or not (other in products or is_known(other)):
                _refuse(node, reader)
            if other not in products:
                scales.add(reader.outputs[0])
                waiting.append(reader.outputs[0])
    for name in products:
        for reader in _all(node, readers, name):
            if reader.op != "Cast" and not (reader.op == "Mul" and scales.intersection(reader.inputs)):
                _refuse(node, reader)


def _all(node: OnnxNode, readers: Readers, name: str) -> list[OnnxNode]:
    found = readers.get(name, []) if name else []
    if any(reader is None for reader in found):
        raise ImportModelError(f"{node.where}: {name!r} is an output of the model, but its scale is found while the model runs")
    return [reader for reader in found if reader is not None]


def _product(node: OnnxNode, reader: OnnxNode, integers: str, zero_point: str) -> OnnxNode:
    """The reader, if it is a product of the integers that subtracts their zero point."""
    if reader.op not in _PRODUCTS or reader.inputs[0] != integers or (*reader.inputs, "", "")[2] != zero_point:
        _refuse(node, reader)
    return reader


def _refuse(node: OnnxNode, reader: OnnxNode) -> None:
    allowed = "MatMulInteger and ConvInteger with its zero point, and Mul of their results by its scale"
    raise ImportModelError(f"{node.where}: {reader.where} reads its integers, its scale or its zero point; allowed: {allowed}")
