"""Calls on constants alone, computed by PyTorch: position indices, masks, cosines and sines.

A region in which gradients or lower precision are turned off is walked as a graph of its own; it computes what its calls compute.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.node import IGNORED, TorchNode
from accelsim.importers.from_torch.values import Known

_MAX_CONSTANT = 1 << 24  # elements that folding a constant may make, where its operands are smaller
_REGIONS = ("wrap_with_set_grad_enabled", "wrap_with_autocast")


def folded(node: TorchNode, values: Mapping[str, Any]) -> Known:
    """Compute a call whose operands are all known.

    Raises
    ------
    ImportModelError
        A call that is none of ATen's, or whose result is too large.
    """
    fx = node.fx
    known: list[Known] = [values[source.name] for source in fx.all_input_nodes]
    if str(fx.target) in _REGIONS:
        graph = next(place for place, arg in enumerate(fx.args) if isinstance(arg, torch.fx.Node))
        return _region(node, values[fx.args[graph].name].value, [values[arg.name] for arg in fx.args[graph + 1 :]])
    largest = max([_MAX_CONSTANT, *(item.value.numel() for item in known if isinstance(item.value, torch.Tensor))])
    size = math.prod(node.shape) if isinstance(fx.meta.get("val"), torch.Tensor) else 1
    target: Any = fx.target
    if not (str(target).startswith("aten.") or target is operator.getitem):
        raise ImportModelError(f"{node.where}: operation {str(target)!r} is not understood, not even of constants; allowed: ATen calls")
    if size > largest:
        raise ImportModelError(f"{node.where}: constant {target} of {size} elements is not computed; allowed: {largest}")
    args, kwargs = torch.fx.node.map_arg((fx.args, fx.kwargs), lambda arg: values[arg.name].value)
    here = {"device": torch.device("cpu")} if "device" in kwargs else {}  # the program may be exported on another device, or on none
    return Known(target(*args, **{**kwargs, **here}), _sources(known))


def _region(node: TorchNode, module: Any, operands: Sequence[Known]) -> Known:
    """The results of a graph inside, as a tuple."""
    if not isinstance(module, torch.fx.GraphModule):
        raise ImportModelError(f"{node.where}: {node.fx.target} applies {type(module).__name__}; allowed: a graph of the program")
    waiting, values = list(operands), dict[str, Known]()
    for inner in module.graph.nodes:
        if inner.op == "placeholder":
            values[inner.name] = waiting.pop(0)
        elif inner.op == "get_attr":
            values[inner.name] = Known(getattr(module, str(inner.target), None))
        elif inner.op == "call_function" and str(inner.target) not in IGNORED:
            values[inner.name] = folded(TorchNode(inner), values)
        elif inner.op == "output":
            results = [values[item.name] for item in inner.args[0]]
            return Known(tuple(item.value for item in results), _sources(results))
    raise ImportModelError(f"{node.where}: {node.fx.target} applies a graph without results")


def _sources(known: Sequence[Known]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for item in known for name in item.sources))
