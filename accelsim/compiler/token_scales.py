"""Scales per token: the largest magnitude of a row, which the vector unit finds before the row may meet weights.

Disputable assumptions: the pass that finds it also scales the row to 8 bits, in place; the requantization multiplies by the row's scale
with the multiplier of its channel; convolutions, and products of two activations, keep one scale per tensor.
"""

from __future__ import annotations

from accelsim.compiler.inference import Inference, KernelFields, by_row
from accelsim.compiler.operand_passes import pass_over
from accelsim.compiler.plan import Op


def rows_scaled(inference: Inference, op: Op) -> KernelFields:
    """The source of the rows of a linear layer on a chip with scales per token: a pass over each; nothing elsewhere.

    Layers that read the same rows share the pass, unless they are loaded again in between.
    """
    layer, vector = op.layer, inference.target.vector_unit
    if vector.activation_scales == "tensor" or layer.weighted is None or layer.window is not None:
        return {}
    key = next(key for key, role in op.reads if role == "rows")
    first = op.row_tile.first_row if op.row_tile is not None else 0
    rows = (key, by_row(inference, key, op, op.m)["task"], layer.row_read, first, op.m)
    known = inference.token_scales
    if rows not in known:
        known[rows] = pass_over(inference, op, key, op.m, op.k, vector.passes.token_scales)
        inference.low.layers[inference.layer_index[layer.name]].notes.append("a scale for each row")
    return {"in_task": known[rows], "in_rows": op.m, "in_cols": op.k, "in_row0": 0, "in_fixed": -1, "in_tile_cols": 0}
