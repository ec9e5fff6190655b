"""Operations on constants as the onnx package itself computes them: functions and normalizations of trained rows, such as queries.

Disputable assumption: its reference implementation is the operation's definition.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TypeProto, ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.graph.values import Array

NO_LARGER = (  # whose result has no more elements than an operand
    "Acos", "Acosh", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Celu", "Clip", "Cosh", "Elu", "Erf",
    "Gelu", "GroupNormalization", "HardSigmoid", "HardSwish", "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Log",
    "LogSoftmax", "Mish", "RMSNormalization", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "Relu",
    "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sinh", "Softmax", "Softplus", "Softsign", "Swish", "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip


def by_definition(node: OnnxNode, args: Sequence[Array | None]) -> Array:
    """The first result of a node on arrays; ImportModelError where the onnx package cannot compute it."""
    given = {f"x{place}": np.ascontiguousarray(array) for place, array in enumerate(args) if array is not None}
    proto = type(node.proto)()
    proto.CopyFrom(node.proto)
    proto.input[:] = [f"x{place}" if array is not None else "" for place, array in enumerate(args)]
    proto.output[:] = ["y"]
    declared = [
        ValueInfoProto(name=name, type=TypeProto(tensor_type=TypeProto.Tensor(elem_type=helper.np_dtype_to_tensor_dtype(array.dtype))))
        for name, array in given.items()
    ]
    graph = helper.make_graph([proto], "constants", declared, [ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.proto.domain, node.opset)])
    if not given:
        raise ImportModelError(f"{node.where}: input 0 is missing")
    try:
        (result,) = ReferenceEvaluator(model).run(["y"], given)
        return np.asarray(result)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever its implementations raise for attributes and shapes that do not fit
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ImportModelError(f"{node.where}: the onnx package cannot compute it of its constants: {reason}") from None
