"""Translation of each ATen operation: a row in the table at the end, and a function that turns one call into layers or a view.

To support another operation, write its function and its row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from accelsim.importers.from_torch import experts, spectra, views, windows
from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph.attention import attention_of_heads
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.elementwise import (
    UNARY,
    add,
    divide,
    joint,
    maximum,
    multiply,
    named_operation,
    slopes,
    softmax_of,
    subtract,
    unary,
)
from accelsim.importers.graph.expressions import Expression, gelu, gelu_by_tanh
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.lookups import look_up
from accelsim.importers.graph.masks import hides, masked
from accelsim.importers.graph.products import channel_vector, linear, matmul
from accelsim.importers.graph.reductions import max_over, mean_over, sum_over
from accelsim.importers.graph.values import Constant, Deferred, Indices, Plain, Vector
from accelsim.ops.catalog import imported_by_name
from accelsim.ops.layernorm import LayerNormLayer
from accelsim.ops.operation import VectorLayer


def _linear(call: TorchCall) -> Deferred:
    weights = call.constant(1)
    if weights.array.ndim != 2:
        call.refuse(f"weights of shape {weights.array.shape}; allowed: (N, K)")
    return _biased(call, linear(call, *call.with_factor(0), weights.turned()), 2)


def _addmm(call: TorchCall) -> Deferred:
    weights = call.constant(2)
    if call.get(3, "beta", 1) != 1 or call.get(4, "alpha", 1) != 1 or weights.array.ndim != 2:
        call.refuse(f"weights of shape {weights.array.shape}, alpha and beta; allowed: (K, N), 1 and 1")
    return _biased(call, linear(call, *call.with_factor(1), weights), 0)


def _biased(call: TorchCall, result: Deferred, position: int) -> Deferred:
    bias = call.optional_constant(position)
    return result if bias is None else result.shifted(channel_vector(call, result, bias), bias)


def _operand(call: TorchCall, position: int) -> View | Constant:
    value = call.value(position)
    return value if isinstance(value, Constant) else call.view(position)


def _shared_by(call: TorchCall, operand: View | Constant, times: int) -> View | Constant:
    """Keys or values of heads that each `times` heads of queries share."""
    if times == 1:
        return operand
    if isinstance(operand, Constant):
        call.refuse("trained keys or values that several heads of queries share are not supported")
    return operand.repeat(1, times, each=True)


def _attention(call: TorchCall) -> Plain:
    """Fused attention."""
    query, key, value = (_operand(call, position) for position in range(3))
    if call.get(7, "enable_gqa", False):
        times = call.shape(0)[1] // call.shape(1)[1]
        key, value = (_shared_by(call, operand, times) for operand in (key, value))
    mask, scale, causal = call.get(3, "attn_mask"), call.get(6, "scale"), bool(call.get(5, "is_causal", False))
    if mask is not None and not isinstance(mask, Constant):
        mask = call.made(mask, 3)
    queries, keys = call.shape(0)[-2], call.shape(1)[-2]
    if causal and queries != keys:
        call.refuse(f"causal attention of {queries} queries over {keys} keys is not supported; allowed: as many")
    factor = call.shape(0)[-1] ** -0.5 if scale is None else float(scale)
    return Plain(attention_of_heads(call, query, key, value, factor, causal, mask))


def _embedding(call: TorchCall) -> Plain:
    """Rows of a table by indices of the input."""
    indices = call.value(1)
    if not isinstance(indices, Indices):
        call.refuse(f"indices are {indices!r}; allowed: integer inputs")
    return look_up(call, call.constant(0), indices)


def _are_no_padding(call: TorchCall) -> Constant:
    """Which tokens differ from the padding's id: all of them, as the network runs at full length; a note says so."""
    indices, padding = call.value(0), call.get(1, "other")
    if not isinstance(indices, Indices):
        call.refuse(f"a comparison of {indices!r}; allowed: token ids, with the id of the padding")
    call.recorder.note(f"no element of {indices.source!r} is taken to be {padding}, the id of the padding")
    return Constant(np.ones(indices.shape, bool))


def _masked_fill(call: TorchCall) -> Value:
    """A mask that is true where a score is hidden."""
    hidden, value = call.constant(1), call.get(2, "value")
    array = value.array if isinstance(value, Constant) else np.array(value)
    if hidden.array.dtype.kind != "b" or not hides(array):
        call.refuse(f"fills with {array}; allowed: a mask of scores, with a number low enough to suppress them")
    return masked(call, call.value(0), ~hidden.array)


def _where(call: TorchCall) -> Value:
    """A choice between scores and a number that suppresses them, a mask; or one that a known condition has made."""
    shown, other = call.optional(0), call.optional(2)
    if isinstance(shown, Constant) and (shown.array.all() or not shown.array.any()):
        chosen = 1 if shown.array.all() else 2
        if call.shape(chosen) == call.output:
            return call.value(chosen)
    if not isinstance(shown, Constant) or not isinstance(other, Constant) or not hides(other.array):
        call.refuse("a choice of anything but scores by a known mask is not supported")
    return masked(call, call.value(1), shown.array.astype(bool))


def _without_alpha(function: Callable[[Call], Value]) -> Callable[[TorchCall], Value]:
    """A sum or a difference, whose second operand must not have a factor of its own."""

    def compute(call: TorchCall) -> Value:
        if call.get(2, "alpha", 1) != 1:
            call.refuse("a sum with alpha is not supported")
        return function(call)

    return compute


def _divide(call: TorchCall) -> Value:
    if call.get(2, "rounding_mode") is not None:
        call.refuse("a division that rounds is not supported")
    return divide(call)


def _named(kind: type[VectorLayer], fields: Mapping[str, Any]) -> Callable[[TorchCall], Plain]:
    """An operation that the registry knows by its name; over rows, the normalized shape and then its trained constants follow."""

    def compute(call: TorchCall) -> Plain:
        if kind.walk == "rows":
            shape, normalized = call.shape(0), call.get(1, "normalized_shape")
            if tuple(normalized) != shape[-1:]:
                call.refuse(f"normalization over {tuple(normalized)} of {shape}; allowed: over the last dimension")
        return named_operation(call, kind, fields, [call.optional_constant(2 + place) for place in range(len(kind.constant_defaults))])

    return compute


def _layer_norm_with_moments(call: TorchCall) -> tuple[Plain]:
    return (_named(LayerNormLayer, {})(call),)


def _softmax(call: TorchCall) -> Plain:
    return softmax_of(call, call.get(1, "dim"))


def _with_slope(call: TorchCall, default: float, function: Callable[[Vector, float], Vector]) -> Value:
    """A function with one number of its own; what else the call says must be what it says by default."""
    number = float(call.get(1, "negative_slope", default))
    others = [call.get(position, "", 0) for position in (2, 3)]
    if any(other not in (0, 1, 20) for other in others):
        call.refuse(f"{call.node.fx.target} with {others} is not supported; allowed: their defaults")
    return unary(lambda x: function(x, number))(call)


def _clip(low: float | None, high: float | None, name: str) -> Callable[[TorchCall], Value]:
    """Each element held between bounds that the call may state otherwise."""

    def compute(call: TorchCall) -> Value:
        names = ("min_val", "max_val") if call.node.target.startswith("aten.hardtanh") else ("min", "max")
        stated = (low is None and high is None) or call.node.target.startswith("aten.hardtanh")
        bounds = (call.get(1, names[0], low), call.get(2, names[1], high)) if stated else (low, high)
        if not all(bound is None or isinstance(bound, int | float) for bound in bounds):
            call.refuse(f"{call.node.fx.target} with bounds that are not numbers is not supported")
        minimum, maximum = (None if bound is None else float(bound) for bound in bounds)
        value = call.value(0)
        if isinstance(value, Expression):  # a step of a function that is spelt out, such as a hard swish
            return value.apply(lambda x: np.clip(x, minimum, maximum), call.node)
        return Plain(call.builder.clip(call.node.path(name), call.view(0), minimum, maximum))

    return compute


CUT: dict[str, Callable[[TorchCall], Value | tuple[Value, ...]]] = {
    "aten.select.int": views.select,
    "aten.slice.Tensor": views.slice_,
    "aten.split.Tensor": views.split,
    "aten.split.sizes": views.split,
    "aten.split_with_sizes.default": views.split,
    "aten.chunk.default": views.split,
    "aten.unbind.int": views.unbind,
}
VIEWS: dict[str, Callable[[TorchCall], Value | tuple[Value, ...]]] = {
    "aten.dropout.default": views.dropout,
    "aten.feature_dropout.default": views.dropout,
    "aten.transpose.int": views.transpose,
    "aten.permute.default": views.permute,
    "aten.t.default": views.turn,
    "aten.expand.default": views.expand,
    "aten.expand_as.default": views.expand,
    **dict.fromkeys(
        (
            "aten.view.default",
            "aten._unsafe_view.default",
            "aten.reshape.default",
            "aten.flatten.using_ints",
            "aten.unflatten.int",
            "aten.type_as.default",
            "aten.unsqueeze.default",
            "aten.squeeze.default",
            "aten.squeeze.dim",
            "aten.squeeze.dims",
            "aten.view_as.default",
            "aten.reshape_as.default",
            "aten.contiguous.default",
            "aten.clone.default",
            "aten.alias.default",
            "aten.detach.default",
            "aten.to.dtype",
            "aten.to.dtype_layout",
            "aten.to.device",
            "aten._to_copy.default",
        ),
        views.same_elements,
    ),
}
EPILOGUE: dict[str, Callable[[TorchCall], Value | tuple[Value, ...]]] = {
    "aten.batch_norm.default": windows.batch_norm,
    "aten._native_batch_norm_legit_no_training.default": windows.batch_norm_of_inference,
    "aten.add.Tensor": _without_alpha(add),
    "aten.add.Scalar": _without_alpha(add),
    "aten.sub.Tensor": _without_alpha(subtract),
    "aten.sub.Scalar": _without_alpha(subtract),
    "aten.mul.Tensor": experts.or_weighted(multiply),
    "aten.mul.Scalar": multiply,
    "aten.div.Tensor": experts.or_normalized(_divide),
    "aten.div.Scalar": _divide,
}
HANDLERS: dict[str, Callable[[TorchCall], Value | tuple[Value, ...]]] = {
    **CUT,
    **VIEWS,
    **EPILOGUE,
    "aten.linear.default": _linear,
    "aten.addmm.default": _addmm,
    "aten.matmul.default": matmul,
    "aten.mm.default": matmul,
    "aten.bmm.default": experts.or_product(matmul),
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.conv2d.default": windows.conv2d,
    "aten.conv2d.padding": windows.conv2d,
    "aten.conv1d.default": windows.conv2d,
    "aten.conv1d.padding": windows.conv2d,
    "aten.conv_transpose2d.input": windows.conv_transpose2d,
    "aten.group_norm.default": windows.group_norm,
    "accelsim.local_response_norm.default": windows.response_norm,
    "aten.instance_norm.default": windows.instance_norm,
    "aten.upsample_bilinear2d.vec": windows.upsample_bilinear,
    "aten.upsample_bilinear2d.default": windows.upsample_bilinear,
    "aten.convolution.default": windows.convolution,
    "aten.pad.default": windows.pad,
    "aten.constant_pad_nd.default": windows.pad,
    "aten.max_pool2d.default": lambda call: windows.max_pool2d(call)[0],
    "aten.max_pool2d_with_indices.default": windows.max_pool2d,
    "aten.avg_pool2d.default": windows.avg_pool2d,
    "aten.adaptive_avg_pool2d.default": windows.adaptive_avg_pool2d,
    "aten._adaptive_avg_pool2d.default": windows.adaptive_avg_pool2d,
    "aten.adaptive_avg_pool1d.default": windows.adaptive_avg_pool1d,
    "aten.mean.dim": windows.reduction(mean_over),
    "aten.mean.default": windows.reduction(mean_over),
    "aten.sum.dim_IntList": experts.or_sum(windows.reduction(sum_over)),
    "aten.amax.default": windows.reduction(max_over),
    "aten.max.dim": lambda call: (windows.reduction(max_over)(call),),
    "aten.linalg_vector_norm.default": windows.vector_norm,
    "aten.cat.default": views.cat,
    "aten.stack.default": views.stack,
    "aten.gather.default": views.gather,
    "aten.unfold.default": views.windows,
    "aten.embedding.default": _embedding,
    "aten.topk.default": experts.largest,
    "aten.index.Tensor": views.index,
    "aten.index_select.default": views.index_select,
    "aten.repeat_interleave.self_int": experts.repeat_rows,
    "aten.sort.default": experts.sort,
    "aten.ne.Scalar": _are_no_padding,
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.masked_fill.Tensor": _masked_fill,
    "aten.where.self": _where,
    "aten.where.ScalarOther": _where,
    "aten.native_layer_norm.default": _layer_norm_with_moments,
    **{name: _named(kind, fields) for name, (kind, fields) in imported_by_name().items() if name.startswith("aten.")},
    "aten.softmax.int": _softmax,
    "aten._softmax.default": _softmax,
    "aten.relu.default": _clip(0.0, None, "relu"),
    "aten.relu6.default": _clip(0.0, 6.0, "relu6"),
    "aten.hardtanh.default": _clip(-1.0, 1.0, "clip"),
    "aten.clamp.default": _clip(None, None, "clip"),
    "aten.clamp_min.default": _clip(None, None, "clip"),
    "aten.clip.default": _clip(None, None, "clip"),
    "aten.leaky_relu.default": lambda call: _with_slope(call, 0.01, lambda x, slope: np.where(x < 0, slope * x, x)),
    "aten.elu.default": lambda call: _with_slope(call, 1.0, lambda x, slope: np.where(x < 0, slope * np.expm1(np.minimum(x, 0)), x)),
    "aten.softplus.default": lambda call: _with_slope(call, 1.0, lambda x, beta: np.logaddexp(0, beta * x) / beta),
    "aten.prelu.default": lambda call: slopes(call, call.constant(1)),
    **dict.fromkeys(("aten.fft_fft.default", "aten.fft_fft2.default", "aten.fft_fftn.default"), spectra.transform),
    "aten.real.default": spectra.real_part,
    "aten.pixel_shuffle.default": views.pixel_shuffle,
    "aten.pixel_unshuffle.default": views.pixel_unshuffle,
    "aten.channel_shuffle.default": views.channel_shuffle,
    "aten.im2col.default": views.unfold,
    "aten.col2im.default": views.fold,
    "aten.repeat.default": views.repeat,
    "aten.flip.default": views.flip,
    "aten.roll.default": views.roll,
    "aten.upsample_nearest2d.vec": views.upsample_nearest,
    "aten.upsample_nearest2d.default": views.upsample_nearest,
    "aten.hardsigmoid.default": unary(lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "aten.gelu.default": lambda call: unary(gelu_by_tanh if call.get(1, "approximate", "none") == "tanh" else gelu)(call),
    "aten.pow.Tensor_Scalar": joint(np.power),
    "aten.maximum.default": maximum,
    "aten.minimum.default": joint(np.minimum),
    **{
        f"aten.{name}.default": unary(UNARY[op])
        for name, op in {
            "sigmoid": "Sigmoid", "tanh": "Tanh", "erf": "Erf", "exp": "Exp", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "neg": "Neg",
            "abs": "Abs", "log": "Log", "sin": "Sin", "cos": "Cos",
        }.items()
    },
    "aten.rsqrt.default": unary(lambda x: 1 / np.sqrt(x)),
}  # fmt: skip
