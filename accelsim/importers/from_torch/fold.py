"""Calls on constants alone, computed by PyTorch: position indices, masks, cosines and sines."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.node import TorchNode
from accelsim.importers.from_torch.values import Known

_MAX_CONSTANT = 1 << 24  # elements that folding a constant may make, where its operands are smaller


def folded(node: TorchNode, values: Mapping[str, Any]) -> Known:
    """Compute a call whose operands are all known.

    Raises
    ------
    ImportModelError
        A call that is none of ATen's, or whose result is too large.
    """
    fx = node.fx
    known: list[Known] = [values[source.name] for source in fx.all_input_nodes]
    largest = max([_MAX_CONSTANT, *(item.value.numel() for item in known if isinstance(item.value, torch.Tensor))])
    size = math.prod(node.shape) if isinstance(fx.meta.get("val"), torch.Tensor) else 1
    target: Any = fx.target
    if not (str(target).startswith("aten.") or target is operator.getitem):
        raise ImportModelError(f"{node.where}: operation {str(target)!r} is not understood, not even of constants; allowed: ATen calls")
    if size > largest:
        raise ImportModelError(f"{node.where}: constant {target} of {size} elements is not computed; allowed: {largest}")
    shapes_alone = any(isinstance(item.value, torch.Tensor) and item.value.is_meta for item in known)
    device = torch.device("meta" if shapes_alone else "cpu")  # the program may be exported on another device, or on none

    def operand(arg: torch.fx.Node) -> Any:
        value = values[arg.name].value
        return value.to(device) if shapes_alone and isinstance(value, torch.Tensor) else value

    args, kwargs = torch.fx.node.map_arg((fx.args, fx.kwargs), operand)
    here = {"device": device} if "device" in kwargs else {}
    try:
        found = target(*args, **{**kwargs, **here})
        if str(target).startswith(("aten.empty", "aten.new_empty")):
            found = torch.zeros_like(found)  # memory that was never written has any numbers, none of which a trace may store
        return Known(found, _sources(known))
    except (NotImplementedError, RuntimeError) as error:  # PyTorch's, of a call that needs the numbers of a tensor without any
        if not shapes_alone:
            raise
        raise ImportModelError(
            f"{node.where}: {target} needs the numbers of a constant on the device 'meta', which has none: {error}; "
            "allowed: the model with weights"
        ) from None


def _sources(known: Sequence[Known]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for item in known for name in item.sources))
