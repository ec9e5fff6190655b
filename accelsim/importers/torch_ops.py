"""What each ATen operation becomes: a row in the table at the end, and a function that turns one call into layers or a view.

To support another operation, write its function and its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from accelsim.errors import ImportModelError
from accelsim.importers import torch_windows
from accelsim.importers.layout import View
from accelsim.importers.torch_values import (
    Arguments,
    Constant,
    Padded,
    Parameter,
    Recorder,
    is_true,
    is_zero,
    numel,
    owner_of,
    path_of,
    where,
)


def _linear(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    weight, bias = args.parameter(1, "weight"), args.optional_parameter(2, "bias")
    result = recorder.builder.linear(owner_of(weight), args.view(0, "input"), weight.shape[0], bool(bias))
    recorder.keep_weight(result, weight)
    recorder.keep_constant(result, "bias", *bias)
    return result


def _matmul(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return recorder.builder.matmul(path_of(node, "matmul"), args.view(0, "self"), args.view(1, "other"))


def _attention(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """Fused attention, as its definition has it: softmax(Q K^T * scale) V."""
    query, key, value = args.view(0, "query"), args.view(1, "key"), args.view(2, "value")
    mask = args.get(3, "attn_mask")
    if args.get(5, "is_causal", False) or not (mask is None or is_zero(mask) or is_true(mask)):
        raise ImportModelError(f"{where(node)}: attention with a mask is not supported")
    scores = recorder.builder.matmul(path_of(node, "matmul"), query, key.transpose(-2, -1))
    scale = args.get(6, "scale")
    scores = recorder.builder.scale(path_of(node, "mul"), scores, query.shape[-1] ** -0.5 if scale is None else float(scale))
    return recorder.builder.matmul(path_of(node, "matmul"), recorder.builder.softmax(path_of(node, "softmax"), scores, -1), value)


def _scale(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    factor = args.get(1, "other")
    factor = float(factor.value) if isinstance(factor, Constant) and numel(factor) == 1 else factor
    view = args.view(0, "self")
    if not isinstance(factor, int | float) or not args.sole_reader(0):
        raise ImportModelError(f"{where(node)}: {node.target} of anything but an attention product alone by a number is not supported")
    divide = str(node.target).startswith("aten.div")
    return recorder.builder.scale(where(node), view, 1 / factor if divide else float(factor))


def _add(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    first, second = args.get(0, "self"), args.get(1, "other")
    if args.get(2, "alpha", 1) != 1:
        raise ImportModelError(f"{where(node)}: a sum with alpha is not supported")
    if isinstance(first, View) and isinstance(second, View):
        return recorder.builder.add(path_of(node, "add"), first, second)
    position = 0 if isinstance(first, View) else 1
    view, other = args.view(position, "self" if position == 0 else "other"), (second if position == 0 else first)
    if isinstance(other, Parameter) and view.shape == other.shape:
        result = recorder.builder.add_positions(path_of(node, "positions"), view, args.sole_reader(position))
        recorder.keep_constant(result, "positions", other)
        return result
    if is_zero(other):
        return view
    raise ImportModelError(
        f"{where(node)}: the sum of {view.shape} with {other!r} is not supported; allowed: a residual, positions, a zero mask"
    )


def _cat(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    parts = args.get(0, "tensors")
    trained, view = parts[:-1], parts[-1]
    rows = args.get(1, "dim", 0) % 3
    fits = isinstance(view, View) and len(view.shape) == 3 and rows == 1 and all(isinstance(part, Parameter) for part in trained)
    if not fits or any(part.shape[::2] != view.shape[::2] for part in trained):
        raise ImportModelError(f"{where(node)}: a concatenation of anything but trained rows before an activation is not supported")
    result = recorder.builder.prepend_rows(path_of(node), view, sum(part.shape[1] for part in trained))
    recorder.keep_constant(result, "prepended", *trained)
    return result


def _layer_norm(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    gamma, beta = args.parameter(2, "weight"), args.parameter(3, "bias")
    result = recorder.builder.layernorm(owner_of(gamma), args.view(0, "input"), args.get(1, "normalized_shape"))
    recorder.keep_constant(result, "gamma", gamma)
    recorder.keep_constant(result, "beta", beta)
    return result


def _softmax(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return recorder.builder.softmax(path_of(node, "softmax"), args.view(0, "self"), args.get(1, "dim"))


def _gelu(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """GELU, exact or by tanh: a vector unit evaluates either from one table."""
    return recorder.builder.gelu(path_of(node, "gelu"), args.view(0, "self"))


def _relu(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return recorder.builder.clip(path_of(node, "relu"), args.view(0, "self"), 0.0, None)


def _relu6(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return recorder.builder.clip(path_of(node, "relu6"), args.view(0, "self"), 0.0, 6.0)


def _clip(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """Hard tanh and clamp: bounds are numbers, of which a clamp may leave one out."""
    hardtanh = str(node.target).startswith("aten.hardtanh")
    low, high = (
        args.get(position, name, default if hardtanh else None)
        for position, name, default in ((1, "min_val" if hardtanh else "min", -1.0), (2, "max_val" if hardtanh else "max", 1.0))
    )
    if not all(bound is None or isinstance(bound, int | float) for bound in (low, high)):
        raise ImportModelError(f"{where(node)}: {node.target} with bounds that are not numbers is not supported")
    bounds = (None if bound is None else float(bound) for bound in (low, high))
    return recorder.builder.clip(path_of(node, "clip"), args.view(0, "self"), *bounds)


def _table(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    op = str(node.target).split(".")[1]
    return recorder.builder.table(path_of(node, op), args.view(0, "self"), _TABLES[op])


def _transpose(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return args.view(0, "self").transpose(args.get(1, "dim0"), args.get(2, "dim1"))


def _permute(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return args.view(0, "self").permute(args.get(1, "dims"))


def _select(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return args.view(0, "self").select(args.get(1, "dim"), args.get(2, "index"))


_TABLES: dict[str, Literal["sigmoid", "silu", "hardswish", "tanh"]] = {
    "sigmoid": "sigmoid", "silu": "silu", "hardswish": "hardswish", "tanh": "tanh",
}  # fmt: skip
DROPOUTS = {"aten.dropout.default", "aten.feature_dropout.default"}
SAME_ELEMENTS = DROPOUTS | {
    "aten.view.default",
    "aten._unsafe_view.default",
    "aten.reshape.default",
    "aten.flatten.using_ints",
    "aten.unflatten.int",
    "aten.unsqueeze.default",
    "aten.squeeze.default",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.expand.default",
    "aten.contiguous.default",
    "aten.clone.default",
    "aten.alias.default",
    "aten.detach.default",
    "aten.to.dtype",
    "aten._to_copy.default",
}
HANDLERS: dict[str, Callable[[Recorder, torch.fx.Node, Arguments], View | Padded]] = {
    "aten.linear.default": _linear,
    "aten.conv2d.default": torch_windows.conv2d,
    "aten.conv2d.padding": torch_windows.conv2d,
    "aten.pad.default": torch_windows.pad,
    "aten.constant_pad_nd.default": torch_windows.pad,
    "aten.max_pool2d.default": torch_windows.max_pool2d,
    "aten.avg_pool2d.default": torch_windows.avg_pool2d,
    "aten.adaptive_avg_pool2d.default": torch_windows.adaptive_avg_pool2d,
    "aten.mean.dim": torch_windows.mean,
    "aten.batch_norm.default": torch_windows.batch_norm,
    "aten.relu.default": _relu,
    "aten.relu6.default": _relu6,
    "aten.hardtanh.default": _clip,
    "aten.clamp.default": _clip,
    "aten.clamp_min.default": _clip,
    "aten.clip.default": _clip,
    "aten.matmul.default": _matmul,
    "aten.bmm.default": _matmul,
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.mul.Tensor": _scale,
    "aten.mul.Scalar": _scale,
    "aten.div.Tensor": _scale,
    "aten.div.Scalar": _scale,
    "aten.add.Tensor": _add,
    "aten.cat.default": _cat,
    "aten.layer_norm.default": _layer_norm,
    "aten.softmax.int": _softmax,
    "aten._softmax.default": _softmax,
    "aten.gelu.default": _gelu,
    "aten.sigmoid.default": _table,
    "aten.silu.default": _table,
    "aten.hardswish.default": _table,
    "aten.tanh.default": _table,
    "aten.transpose.int": _transpose,
    "aten.permute.default": _permute,
    "aten.select.int": _select,
}
