"""Translation of each ATen operation: a row in the table at the end, and a function that turns one call into layers or a view.

To support another operation, write its function and its row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from accelsim.importers.from_torch import experts, spectra, views, windows
from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph.attention import attention_of_heads
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.choices import choose, equal_to, greater, truncated
from accelsim.importers.graph.elementwise import (
    UNARY,
    add,
    divide,
    maximum,
    minimum,
    multiply,
    named_operation,
    power,
    slopes,
    softmax_of,
    subtract,
    unary,
)
from accelsim.importers.graph.expressions import Expression, erf, gelu, gelu_by_tanh
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.lookups import look_up
from accelsim.importers.graph.masks import hides, masked
from accelsim.importers.graph.products import channel_vector, linear, matmul
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.reductions import log_sum_over, max_over, mean_over, min_over, place_over, product_over, sum_over, sums_along
from accelsim.importers.graph.values import Constant, Deferred, Indices, Plain, Vector
from accelsim.ops.affine import AffineLayer
from accelsim.ops.catalog import imported_by_name
from accelsim.ops.layernorm import LayerNormLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.operation import VectorLayer
from accelsim.ops.table import TableLayer


def _linear(call: TorchCall) -> Deferred:
    weights = call.constant(1)
    if weights.array.ndim != 2:
        call.refuse(f"weights of shape {weights.array.shape}; allowed: (N, K)")
    return _biased(call, linear(call, *call.with_factor(0), weights.turned()), 2)


def _addmm(call: TorchCall) -> Deferred:
    weights, alpha, beta = call.constant(2), call.get(4, "alpha", 1), call.get(3, "beta", 1)
    if weights.array.ndim != 2:
        call.refuse(f"weights of shape {weights.array.shape}; allowed: (K, N)")
    view, factor = call.with_factor(1)
    bias = call.constant(0)
    call.values[0] = replace(bias, array=bias.array * beta)
    return _biased(call, linear(call, view, factor * alpha, weights), 0)


def _bilinear(call: TorchCall) -> Deferred:
    """Each output a weighted sum of the products of two rows' elements: a linear layer over all the products."""
    weights, (rows, first), second = call.constant(1), call.shape(0), call.shape(2)[-1]
    if [call.get(place, "") for place in (3, 4, 5, 6)] != [[1, 3], [0], [1, 2], [2, 3]]:
        call.refuse("sums of products of three tensors are not supported; allowed: torch.nn.Bilinear's")
    left, right = call.view(0).reshape((rows, first, 1)), call.view(2).reshape((rows, 1, second))
    products = call.builder.pair(MultiplyLayer, call.node.path("multiply"), left.expand((rows, first, second)), right)
    outputs = weights.array.shape[0]
    view = call.builder.reshaped(call.node.path(), products, (rows, first * second))
    return linear(call, view, 1.0, replace(weights, array=weights.array.reshape(outputs, first * second).T))


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


def _bag(call: TorchCall) -> tuple[Value, ...]:
    """Sums, means or maxima of bags of rows of a table; the offsets of the bags are known."""
    indices, offsets, mode = call.value(1), call.constant(2).array.reshape(-1), call.get(4, "mode", 0)
    if not isinstance(indices, Indices) or call.get(6, "per_sample_weights") is not None:
        call.refuse("an embedding bag with weights per row, or of known indices, is not supported; allowed: integer inputs")
    rows = look_up(call, call.constant(0), replace(indices, shape=(math.prod(indices.shape),))).view
    count, name = rows.shape[-2], call.node.path("bag")
    bounds = [*offsets.tolist(), count]
    if not all(start < stop for start, stop in pairwise(bounds)):
        call.refuse(f"bags at {offsets.tolist()} of {count} indices; allowed: none that is empty")
    bags = []
    for start, stop in pairwise(bounds):
        part = call.builder.narrowed(name, rows, len(rows.shape) - 2, range(start, stop))
        found = reduce_dims(call.builder, name, part, (-2,), "max_pool2d" if mode == _BAG_MAX else "avg_pool2d")
        if mode == _BAG_SUM and stop - start > 1:
            found = call.builder.element_operation(AffineLayer, name, found, factor=float(stop - start), term=0.0)
        bags.append(found)
    joined = call.builder.join(name, bags, len(rows.shape) - 2) if len(bags) > 1 else bags[0]
    return (Plain(joined.reshape((len(bags), rows.shape[-1]))),)


_BAG_SUM, _BAG_MAX = 0, 2  # PyTorch's numbers of an embedding bag's modes; 1 is the mean


def _compared(equal: bool) -> Callable[[TorchCall], Value]:
    """Which elements are a number, or are not; of tokens, compared with the padding's id, none is at full length, which a note says."""

    def compute(call: TorchCall) -> Value:
        indices, padding = call.value(0), call.get(1, "other")
        if not isinstance(indices, Indices):
            return equal_to(call, unequal=not equal)
        call.recorder.note(f"no element of {indices.source!r} is taken to be {padding}, the id of the padding")
        return Constant(np.full(indices.shape, not equal))

    return compute


def _masked_fill(call: TorchCall) -> Value:
    """A mask that is true where a score is hidden, or where another number is to stand."""
    hidden, value = call.value(1), call.get(2, "value")
    number = value if isinstance(value, Constant) else Constant(np.array(value))
    if isinstance(hidden, Constant) and hidden.array.dtype.kind == "b" and hides(number.array):
        return masked(call, call.value(0), ~hidden.array)
    call.values = [hidden, number, call.value(0)]
    return choose(call)


def _where(call: TorchCall) -> Value:
    """A choice between scores and a number that suppresses them, a mask; one that a known condition has made; or one by an activation."""
    shown, other = call.value(0), call.optional(2)
    if isinstance(shown, Constant) and (shown.array.all() or not shown.array.any()):
        chosen = 1 if shown.array.all() else 2
        if call.shape(chosen) == call.output:
            return call.value(chosen)
    if isinstance(shown, Constant) and isinstance(other, Constant) and hides(other.array) and not isinstance(call.value(1), Constant):
        return masked(call, call.value(1), shown.array.astype(bool))
    return choose(call)


def _filled(number: float | None, position: int = 1) -> Callable[[TorchCall], Constant]:
    """A tensor of one number, or of the one at a position, of the shape and the kind of the result."""

    def compute(call: TorchCall) -> Constant:
        kind = call.node.fx.meta["val"].dtype
        value = call.get(position, "fill_value") if number is None else number
        return Constant(np.full(call.output, value, np.float32 if kind.is_floating_point else np.bool_ if kind is torch.bool else np.int64))

    return compute


def _with_alpha(function: Callable[[Call], Value]) -> Callable[[TorchCall], Value]:
    """A sum or a difference, whose second operand may have a factor of its own."""

    def compute(call: TorchCall) -> Value:
        alpha, second = call.get(2, "alpha", 1), call.value(1)
        if alpha != 1 and isinstance(second, Constant):
            call.values[1] = replace(second, array=second.array * alpha)
        elif alpha != 1:
            call.values[1] = call.expression(1).apply(lambda x: alpha * x, call.node)
        return function(call)

    return compute


def _triangle(keep: Callable[..., Any]) -> Callable[[TorchCall], Value]:
    """A matrix with zeros below or above a diagonal."""

    def compute(call: TorchCall) -> Value:
        shown = keep(np.ones(call.output[-2:], bool), int(call.get(1, "diagonal", 0)))
        call.values = [Constant(shown), call.value(0), Constant(np.array(0.0))]
        return choose(call)

    return compute


def _log_softmax(call: TorchCall) -> Value:
    return Expression.of(_softmax(call).view, call.node).apply(np.log, call.node)


def _shrink(op: str) -> Callable[[TorchCall], Plain]:
    """Zero for elements that are small."""
    return lambda call: Plain(
        call.builder.element_operation(TableLayer, call.node.path(op), call.view(0), op=op, slope=float(call.get(1, "lambd", 0.5)))
    )


def _divide(call: TorchCall) -> Value:
    if call.get(2, "rounding_mode") is not None:
        call.refuse("a division that rounds is not supported")
    return divide(call)


def _named(kind: type[VectorLayer], fields: Mapping[str, Any]) -> Callable[[TorchCall], Plain]:
    """An operation that the registry knows by its name; over rows, the normalized shape and then its trained constants follow."""

    def compute(call: TorchCall) -> Plain:
        normalized = len(call.get(1, "normalized_shape")) if kind.walk == "rows" else 1
        constants = [call.optional_constant(2 + place) for place in range(len(kind.constant_defaults))]
        return named_operation(call, kind, fields, constants, normalized)

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


_LOG_SIGMOID = (np.negative, lambda x: np.logaddexp(0, x), np.negative)  # softplus of the negative

CUT: dict[str, Callable[[TorchCall], Value | tuple[Value, ...]]] = {
    "aten.select.int": views.select,
    "aten.slice.Tensor": views.slice_,
    "aten.split.Tensor": views.split,
    "aten.split.sizes": views.split,
    "aten.unsafe_split.Tensor": views.split,
    "aten.unsafe_chunk.default": views.split,
    "aten.split_with_sizes.default": views.split,
    "aten.chunk.default": views.split,
    "aten.unbind.int": views.unbind,
}
VIEWS: dict[str, Callable[[TorchCall], Value | tuple[Value, ...]]] = {
    "aten.dropout.default": views.dropout,
    "aten.feature_dropout.default": views.dropout,
    "aten.transpose.int": views.transpose,
    "aten.mT.default": views.turn_matrices,
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
    "aten.add.Tensor": experts.or_guarded(_with_alpha(add), "other", "alpha", 1),
    "aten.add.Scalar": _with_alpha(add),
    "aten.sub.Tensor": _with_alpha(subtract),
    "aten.sub.Scalar": _with_alpha(subtract),
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
    "aten._trilinear.default": _bilinear,
    "aten.matmul.default": matmul,
    "aten.mm.default": matmul,
    "aten.bmm.default": experts.or_product(matmul),
    "aten.scaled_dot_product_attention.default": _attention,
    **{f"aten.conv{count}d.{form}": windows.of_images(windows.conv2d, count) for count in (1, 2, 3) for form in ("default", "padding")},
    "aten.conv_transpose1d.default": windows.of_images(windows.conv_transpose, 1),
    "aten.conv_transpose2d.input": windows.of_images(windows.conv_transpose, 2),
    "aten.conv_transpose3d.input": windows.of_images(windows.conv_transpose, 3),
    "aten.group_norm.default": windows.group_norm,
    "accelsim.local_response_norm.default": windows.response_norm,
    "aten.instance_norm.default": windows.instance_norm,
    **{
        f"aten.{name}.{overload}": windows.upsample(*how)
        for name, how in {
            "upsample_nearest1d": ("nearest",), "upsample_nearest2d": ("nearest",), "upsample_nearest3d": ("nearest",),
            "_upsample_nearest_exact1d": ("nearest", "half_up"), "_upsample_nearest_exact2d": ("nearest", "half_up"),
            "_upsample_nearest_exact3d": ("nearest", "half_up"), "upsample_linear1d": ("linear",), "upsample_bilinear2d": ("linear",),
            "upsample_trilinear3d": ("linear",), "upsample_bicubic2d": ("cubic",),
        }.items()
        for overload in ("vec", "default")
    },
    **{
        f"aten._upsample_{name}2d_aa.{overload}": windows.smoothed
        for name in ("bilinear", "bicubic", "lanczos")
        for overload in ("vec", "default")
    },
    "aten.convolution.default": windows.convolution,
    "aten.pad.default": windows.pad,
    "aten.constant_pad_nd.default": windows.pad,
    **{
        f"aten.{name.format(count)}.default": windows.of_images(compute, count)
        for count in (1, 2, 3)
        for name, compute in (
            ("max_pool{}d", lambda call: windows.max_pool(call)[0]),
            ("max_pool{}d_with_indices", windows.max_pool),
            ("avg_pool{}d", windows.avg_pool),
            ("adaptive_avg_pool{}d", windows.adaptive_pool("avg_pool2d")),
            ("_adaptive_avg_pool{}d", windows.adaptive_pool("avg_pool2d")),
            ("adaptive_max_pool{}d", lambda call: (windows.adaptive_pool("max_pool2d")(call),)),
        )
    },
    "aten.mean.dim": windows.reduction(mean_over),
    "aten.mean.default": windows.reduction(mean_over),
    "aten.sum.dim_IntList": experts.or_sum(windows.reduction(sum_over)),
    "aten.amax.default": windows.reduction(max_over),
    "aten.max.dim": lambda call: (windows.reduction(max_over)(call),),
    "aten.max.default": windows.reduction(max_over),
    "aten.amin.default": windows.reduction(min_over),
    "aten.min.dim": lambda call: (windows.reduction(min_over)(call),),
    "aten.min.default": windows.reduction(min_over),
    "aten.sum.default": windows.reduction(sum_over),
    "aten.prod.dim_int": windows.reduction(product_over),
    "aten.prod.default": windows.reduction(product_over),
    "aten.argmax.default": windows.reduction(place_over),
    "aten.cumsum.default": lambda call: sums_along(call, call.get(1, "dim")),
    "aten.logsumexp.default": windows.reduction(log_sum_over),
    "aten.var.correction": windows.variance(root=False),
    "aten.std.correction": windows.variance(root=True),
    "aten.linalg_vector_norm.default": windows.norm("ord", 2),
    "aten.norm.ScalarOpt_dim": windows.norm("p", 2),
    "aten.cat.default": views.cat,
    "aten.stack.default": views.stack,
    "aten.gather.default": experts.or_scores(views.gather),
    "aten.unfold.default": views.windows,
    "aten.embedding.default": _embedding,
    "aten.topk.default": experts.largest,
    "aten.index.Tensor": views.index,
    "aten._unsafe_index.Tensor": views.index,
    "aten.index_select.default": views.index_select,
    "aten.diagonal.default": views.diagonal,
    "aten.movedim.int": views.move_dims,
    "aten.movedim.intlist": views.move_dims,
    "aten.copy.default": views.copied,
    "aten.slice_scatter.default": views.put,
    "aten.select_scatter.default": views.put,
    "aten.repeat_interleave.self_int": experts.repeat_rows,
    "aten.sort.default": experts.sort,
    "aten._embedding_bag.default": _bag,
    "aten._embedding_bag_forward_only.default": _bag,
    "aten.embedding_bag.default": _bag,
    "aten.ne.Scalar": _compared(equal=False),
    "aten.eq.Scalar": _compared(equal=True),
    "aten.ne.Tensor": partial(equal_to, unequal=True),
    **dict.fromkeys(("aten.__and__.Tensor", "aten.bitwise_and.Tensor", "aten.logical_and.default"), multiply),
    **dict.fromkeys(("aten.__or__.Tensor", "aten.bitwise_or.Tensor", "aten.logical_or.default"), maximum),
    **dict.fromkeys(("aten.__xor__.Tensor", "aten.bitwise_xor.Tensor", "aten.logical_xor.default"), partial(equal_to, unequal=True)),
    **dict.fromkeys(("aten.bitwise_not.default", "aten.logical_not.default"), unary(lambda x: 1 - x)),
    "aten.eq.Tensor": equal_to,
    **{
        f"aten.{name}.{overload}": partial(greater, or_equal=or_equal, exchanged=exchanged)
        for name, or_equal, exchanged in (("gt", False, False), ("ge", True, False), ("lt", False, True), ("le", True, True))
        for overload in ("Scalar", "Tensor")
    },
    "aten.full_like.default": _filled(None),
    "aten.new_full.default": _filled(None, 2),
    **dict.fromkeys(("aten.zeros_like.default", "aten.new_zeros.default", "aten.empty_like.default"), _filled(0.0)),
    **dict.fromkeys(("aten.ones_like.default", "aten.new_ones.default"), _filled(1.0)),
    "aten.tril.default": _triangle(np.tril),
    "aten.triu.default": _triangle(np.triu),
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.masked_fill.Tensor": _masked_fill,
    "aten.where.self": _where,
    "aten.where.ScalarOther": _where,
    "aten.where.ScalarSelf": _where,
    "aten.where.Scalar": _where,
    "aten.trunc.default": truncated,
    "aten.native_layer_norm.default": _layer_norm_with_moments,
    **{name: _named(kind, fields) for name, (kind, fields) in imported_by_name().items() if name.startswith("aten.")},
    "aten.softmax.int": experts.or_softmax(_softmax),
    "aten._softmax.default": experts.or_softmax(_softmax),
    "aten.log_softmax.int": _log_softmax,
    "aten._log_softmax.default": _log_softmax,
    "aten.relu.default": _clip(0.0, None, "relu"),
    "aten.relu6.default": _clip(0.0, 6.0, "relu6"),
    "aten.hardtanh.default": _clip(-1.0, 1.0, "clip"),
    "aten.clamp.default": experts.or_guarded(_clip(None, None, "clip"), "min", "max", None),
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
    "aten.hardsigmoid.default": unary(lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "aten.gelu.default": lambda call: unary(gelu_by_tanh if call.get(1, "approximate", "none") == "tanh" else gelu)(call),
    "aten.pow.Tensor_Scalar": power,
    "aten.maximum.default": maximum,
    "aten.minimum.default": minimum,
    "aten.clamp_min.Tensor": maximum,
    "aten.clamp_max.Tensor": minimum,
    "aten.softshrink.default": _shrink("softshrink"),
    "aten.hardshrink.default": _shrink("hardshrink"),
    "aten.log_sigmoid.default": unary(*_LOG_SIGMOID),
    "aten.log_sigmoid_forward.default": lambda call: (unary(*_LOG_SIGMOID)(call),),
    "aten.expm1.default": unary(np.exp, lambda x: x - 1),
    "aten.log1p.default": unary(lambda x: x + 1, np.log),
    "aten.exp2.default": unary(lambda x: x * math.log(2), np.exp),
    "aten.log2.default": unary(np.log, lambda x: x / math.log(2)),
    "aten.log10.default": unary(np.log, lambda x: x / math.log(10)),
    "aten.erfc.default": unary(erf, lambda x: 1 - x),
    "aten.square.default": unary(np.square),
    **{
        f"aten.{name}.default": unary(UNARY[op])
        for name, op in {
            "sigmoid": "Sigmoid", "tanh": "Tanh", "erf": "Erf", "exp": "Exp", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "neg": "Neg",
            "abs": "Abs", "log": "Log", "sin": "Sin", "cos": "Cos", "sign": "Sign", "floor": "Floor", "ceil": "Ceil", "round": "Round",
            "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh",
            "acosh": "Acosh", "atanh": "Atanh",
        }.items()
    },
    "aten.rsqrt.default": unary(lambda x: 1 / np.sqrt(x)),
}  # fmt: skip
