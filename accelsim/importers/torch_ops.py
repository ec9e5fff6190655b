"""What each ATen operation becomes: a row in the table at the end, and a function that turns one call into layers or a view.

To support another operation, write its function and its row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from accelsim.errors import ImportModelError
from accelsim.importers.graph_builder import Convolution
from accelsim.importers.layout import View
from accelsim.importers.torch_values import (
    Arguments,
    Constant,
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


def _conv2d(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    weight, bias = args.parameter(1, "weight"), args.optional_parameter(2, "bias")
    conv = Convolution(
        outputs=weight.shape[0],
        taps=(weight.shape[2], weight.shape[3]),
        strides=_pair(args.get(3, "stride", [1])),
        padding=_pair(args.get(4, "padding", [0])),
        dilation=_pair(args.get(5, "dilation", [1])),
        groups=args.get(6, "groups", 1),
    )
    result = recorder.builder.conv2d(owner_of(weight), args.view(0, "input"), conv, bool(bias))
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


def _transpose(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return args.view(0, "self").transpose(args.get(1, "dim0"), args.get(2, "dim1"))


def _permute(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return args.view(0, "self").permute(args.get(1, "dims"))


def _select(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    return args.view(0, "self").select(args.get(1, "dim"), args.get(2, "index"))


def _pair(values: list[int]) -> tuple[int, int]:
    return (values[0], values[-1])


DROPOUTS = {"aten.dropout.default", "aten.feature_dropout.default"}
SAME_ELEMENTS = DROPOUTS | {
    "aten.view.default",
    "aten.reshape.default",
    "aten.flatten.using_ints",
    "aten.unflatten.int",
    "aten.unsqueeze.default",
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
HANDLERS: dict[str, Callable[[Recorder, torch.fx.Node, Arguments], View]] = {
    "aten.linear.default": _linear,
    "aten.conv2d.default": _conv2d,
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
    "aten.transpose.int": _transpose,
    "aten.permute.default": _permute,
    "aten.select.int": _select,
}
