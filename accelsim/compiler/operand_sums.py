"""Sums of the operands of a product of two activations, by which their zero points come off: passes of the vector unit over each operand.

sum((a - za)(b - zb)) = sum(ab) - zb x (the sum of A's row) - za x (the sum of B's column) + K za zb. A sum whose factor is 0 is not
made, and rows that enter the array less their zero point (`array.activation_bits: 9`) need no sums of columns.
Disputable assumptions: the unit reads each operand again, head by head, and keeps the sums, which take no bytes of a buffer; the
requantization adds the number of the row and that of the column with the two adders of a lane, where a layer with weights adds a bias.
"""

from __future__ import annotations

from accelsim.compiler.inference import Inference, KernelFields
from accelsim.compiler.operand_passes import pass_over
from accelsim.compiler.plan import Op
from accelsim.errors import CompileError


def lower_operand_sums(inference: Inference, op: Op, turned: bool) -> KernelFields:
    """Append the tasks that sum up the operands of a product; the dependencies of its drain on them, none for symmetric operands.

    Parameters
    ----------
    turned : the drain takes the columns of the result one after the other, each of all rows

    Raises
    ------
    CompileError
        The columns are those of a cache, of which no sums are kept.
    """
    layer = op.layer.head_product
    if layer is None:
        return {}
    first, second = (inference.trace.shapes[name].zero_point for name in layer.inputs)
    if inference.target.array.activation_bits > inference.plan.tensors[op.reads[0][0]].bits:
        first = 0
    fields: KernelFields = {}
    passes = inference.target.vector_unit.passes.operand_sums
    build = inference.low.layers[inference.layer_index[layer.name]]
    if second:
        task = pass_over(inference, op, op.reads[0][0], op.m, op.k, passes)
        fields |= {"dep0": task, "dep0_base": op.m - 1 if turned else 0, "dep0_step": 0 if turned else 1}
        build.notes.append(f"sums of rows for the zero point {second} of {layer.inputs[1]!r}")
    if first:
        if layer.from_cache:
            raise CompileError(
                f"layer {layer.name!r}: no sums are kept of the cache that meets {layer.inputs[0]!r} with its zero point of {first}; "
                f"allowed: a zero point of 0, or array.activation_bits = 9 of {inference.target.name!r}"
            )
        rows, width = (op.n, op.k) if layer.transposed_b else (op.k, op.n)
        known = inference.column_sums
        if (layer.name, op.head) not in known:  # once for all row bands of a head
            known[layer.name, op.head] = pass_over(inference, op, op.reads[1][0], rows, width, passes)
        fields |= {"dep1": known[layer.name, op.head], "dep1_base": rows - 1, "dep1_step": 0}
        build.notes.append(f"sums of columns for the zero point {first} of {layer.inputs[0]!r}")
    return fields
