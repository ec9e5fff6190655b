"""Passes of the vector unit over an operand of a product, row by row as it comes, beside the functions of layers."""

from __future__ import annotations

from accelsim.compiler.inference import Inference, KernelFields, by_row
from accelsim.compiler.plan import Op, TensorId
from accelsim.kernels import compute_state


def pass_over(inference: Inference, op: Op, key: TensorId, rows: int, width: int, passes: int) -> int:
    """The task that reads `rows` rows of `width` elements of an operand, one unit per row; its cycles belong to the product's layer."""
    low, vector = inference.low, inference.target.vector_unit
    cycles, row_bytes = vector.row_cycles(width, passes), width * inference.plan.tensors[key].bits // 8
    row: KernelFields = by_row(inference, key, op, rows)
    is_first = len(low.row_tasks) == inference.first_row
    task = low.task(
        kind=compute_state.ROW, ordinal=len(low.row_tasks), units=rows, rows=rows, width=width, passes=passes, latency=vector.latency,
        accesses=low.vector_accesses([row_bytes], cycles), layer=inference.layer_index[op.layer.name],
        dep0=row["task"], dep0_base=row["base"], dep0_step=row["step"], after1=inference.before[0] if is_first else -1,
    )  # fmt: skip
    low.row_tasks.append(task)
    build = low.layers[inference.layer_index[op.layer.name]]
    build.vector_cycles += rows * cycles
    build.bounds["vector"] += rows * cycles
    return task
