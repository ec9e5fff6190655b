"""Translation of each ONNX operation: one row each, grouped by treatment.

To support another operation, write its function and its row; docs/importers.md has the same table, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from accelsim.importers.from_onnx.attention import attention, multi_head_attention, packed_attention
from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.elementwise import (
    clip,
    gelu_op,
    hard_sigmoid,
    leaky_relu,
    log_softmax,
    mean,
    named,
    place_of_largest,
    prelu,
    reduction,
    selu,
    shrink,
    softmax,
    sums,
    thresholded,
    total,
    trilu,
    where,
    with_slope,
)
from accelsim.importers.from_onnx.matrix import batch_normalization, convolution, gemm, turned_product
from accelsim.importers.from_onnx.quantized import (
    between_scales,
    dequantize,
    dynamic,
    dynamic_product,
    integer_product,
    qlinear_concat,
    qlinear_conv,
    qlinear_gemm,
    qlinear_matmul,
    quantize,
)
from accelsim.importers.from_onnx.views import (
    cast,
    concat,
    einsum,
    expand,
    gather,
    gather_elements,
    gather_nd,
    reshape,
    same,
    shape_of,
    slice_,
    split,
    tile,
    transpose,
)
from accelsim.importers.from_onnx.windows import (
    depth_to_space,
    global_pool,
    group_normalization,
    instance_normalization,
    local_response,
    pad,
    pool,
    resize,
    space_to_depth,
    transposed,
)
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.choices import equal_to, greater
from accelsim.importers.graph.elementwise import UNARY, add, divide, maximum, minimum, multiply, power, subtract, unary
from accelsim.importers.graph.products import matmul
from accelsim.importers.graph.reductions import max_over, mean_over, min_over, norm_over, product_over, sum_over
from accelsim.ops.catalog import imported_by_name

Handler = Callable[[OnnxCall], Value | tuple[Value, ...]]

LAYERS: dict[str, Handler] = {
    "Conv": convolution,
    "Gemm": gemm,
    "MatMul": matmul,
    "com.microsoft.FusedMatMul": turned_product,
    "com.microsoft.TransposeMatMul": turned_product,
    "Attention": attention,
    "com.microsoft.Attention": packed_attention,
    "com.microsoft.MultiHeadAttention": multi_head_attention,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "MaxPool": pool,
    "AveragePool": pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "Add": add,
    "Sum": total,
    "Mean": mean,
    "Concat": concat,
    "ConvTranspose": transposed,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "LRN": local_response,
    "PRelu": prelu,
    "Resize": resize,
    "Upsample": resize,
    "ArgMax": place_of_largest,
    "ArgMin": place_of_largest,
    "CumSum": sums,
    "Einsum": einsum,
}
NAMED: dict[str, Handler] = {
    name: named(kind, fields) for name, (kind, fields) in imported_by_name().items() if not name.startswith("aten.")
}
FOLDED: dict[str, Handler] = {"BatchNormalization": batch_normalization, "Pad": pad}
QUANTIZED: dict[str, Handler] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "MatMulInteger": integer_product,
    "ConvInteger": integer_product,
    "DynamicQuantizeLinear": dynamic,
    "com.microsoft.DynamicQuantizeMatMul": dynamic_product,
    "com.microsoft.QGemm": qlinear_gemm,
    "com.microsoft.QLinearAdd": between_scales(add, 2),
    "com.microsoft.QLinearAveragePool": between_scales(pool),
    "com.microsoft.QLinearConcat": qlinear_concat,
    "com.microsoft.QLinearGlobalAveragePool": between_scales(global_pool),
    "com.microsoft.QLinearLeakyRelu": between_scales(leaky_relu),
    "com.microsoft.QLinearMul": between_scales(multiply, 2),
    "com.microsoft.QLinearReduceMean": between_scales(reduction(mean_over)),
    "com.microsoft.QLinearSigmoid": between_scales(unary(UNARY["Sigmoid"])),
    "com.microsoft.QLinearSoftmax": between_scales(softmax),
}
FUNCTIONS: dict[str, Handler] = {
    **{op: unary(function) for op, function in UNARY.items()},
    "Gelu": gelu_op,
    "com.microsoft.Gelu": gelu_op,
    "Clip": clip,
    "HardSigmoid": hard_sigmoid,
    "Selu": selu,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "LeakyRelu": leaky_relu,
    "Elu": with_slope(1.0, lambda x, slope: np.where(x < 0, slope * np.expm1(np.minimum(x, 0)), x)),
    "Pow": power,
    "Min": minimum,
    "Max": maximum,
    "Less": partial(greater, exchanged=True),
    "LessOrEqual": partial(greater, or_equal=True, exchanged=True),
    "Greater": greater,
    "GreaterOrEqual": partial(greater, or_equal=True),
    "Not": unary(lambda x: 1 - x),
    "Equal": equal_to,
    "Xor": partial(equal_to, unequal=True),
    "And": multiply,
    "Or": maximum,
    "Where": where,
    "Shrink": shrink,
    "ThresholdedRelu": thresholded,
    "Trilu": trilu,
    "ReduceMean": reduction(mean_over),
    "ReduceSum": reduction(sum_over),
    "ReduceMax": reduction(max_over),
    "ReduceMin": reduction(min_over),
    "ReduceProd": reduction(product_over),
    "ReduceL2": reduction(norm_over),
}
VIEWS: dict[str, Handler] = {
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Expand": expand,
    "Tile": tile,
    "Identity": same,
    "Dropout": same,
    "Cast": cast,
    "CastLike": same,
    "Shape": shape_of,
    "Size": shape_of,
}
HANDLERS: dict[str, Handler] = {**LAYERS, **NAMED, **FOLDED, **QUANTIZED, **FUNCTIONS, **VIEWS}

EPILOGUE = {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "BatchNormalization",
    "Cast",
    "Identity",
    "Dropout",
    "DequantizeLinear",
    "com.microsoft.MultiHeadAttention",
}
PASSED_THROUGH = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast", "Dropout"}
WHOLE = {"ArgMax", "ArgMin", *(op for op in QUANTIZED if not op.endswith(("DequantizeLinear", "DynamicQuantizeMatMul")))}  # integers
PARTED = {"Split", "Slice", "Gather"}
