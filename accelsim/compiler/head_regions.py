"""The part of a tensor that one head of an attention, or a row band of it, reads or writes.

Heads lie side by side, as columns of one matrix, or one after the other, as matrices of their own. A row band is some rows of a head's
product: of query heads that share keys and values some rows of one of them, or all rows of several.
"""

from __future__ import annotations

from typing import Literal

from accelsim.compiler.plan import Op, Plan, Region, Role, Tensor, TensorId
from accelsim.ops.mac_layers import MatmulLayer


def band_ranges(scores: MatmulLayer, count: int) -> list[tuple[int, int]]:
    """(first row, rows) of each of about `count` row bands of a head's product."""
    rows = scores.head_rows
    if count <= scores.shared:
        step = -(-scores.shared // count) * rows
        return [(first, min(step, scores.m - first)) for first in range(0, scores.m, step)]
    step = -(-rows // -(-count // scores.shared))
    return [(query * rows + first, min(step, rows - first)) for query in range(scores.shared) for first in range(0, rows, step)]


def head_columns(plan: Plan, op: Op, key: TensorId) -> int | None:
    """Columns of a tensor that a head of the product `op` reads or writes; None where heads do not lie side by side in whole bytes."""
    layer, role, tensor = op.layer.head_product, _only_role(op, key), plan.tensors[key]
    if layer is None or role is None or op.head < 0 or key.part >= 0 or _split(layer, role) != "columns" or tensor.width % layer.heads:
        return None
    width = tensor.width // layer.heads
    return width if width * tensor.bits % 8 == 0 else None


def block_columns(plan: Plan, tensor: Tensor) -> int:
    """Columns of a head, if a tensor may lie in DRAM head by head, as its other readers take whole rows; else 0."""
    found: set[int] = set()
    for op in (plan.ops[index] for index in (*tensor.producers, *tensor.readers)):
        if op.head >= 0:
            columns, layer = head_columns(plan, op, tensor.id), op.layer.head_product
            assert layer is not None  # nothing else reads heads from DRAM
            found.add(0 if columns is None else columns if _only_role(op, tensor.id) == "weights" else columns // layer.shared)
        elif op.layer.window is not None:
            return 0
    own = tensor.cache is None and not tensor.is_input and not tensor.is_output
    return found.pop() if own and len(found) == 1 else 0


def head_region(plan: Plan, op: Op, key: TensorId, first_row: int, rows: int) -> Region | None:
    """The part of a tensor of all heads that belongs to the given rows of a head's product; None if it is none in whole bytes."""
    layer, role, tensor = op.layer.head_product, _only_role(op, key), plan.tensors[key]
    if layer is None or role is None or op.head < 0 or key.part >= 0:
        return None
    if _split(layer, role) == "groups":
        each = tensor.rows // (plan.batch * layer.heads)
        if role == "weights":
            return Region(op.head * each, each, 0, tensor.width)
        return Region(op.head * each + first_row, rows, 0, tensor.width)
    columns = head_columns(plan, op, key)
    if columns is None:
        return None
    tokens, column = tensor.rows // plan.batch, op.head % layer.heads * columns
    if role == "weights":
        return Region(op.image * tokens, tokens, column, columns)
    query, token = divmod(first_row, tokens)
    own = columns // layer.shared
    if own * tensor.bits % 8:
        return None
    return Region(op.image * tokens + token, min(rows, tokens), column + query * own, -(-rows // tokens) * own)


def band_of(op: Op) -> tuple[int, int]:
    """(first row, rows) of a head's product that an operation computes."""
    return (op.row_tile.first_row, op.row_tile.rows) if op.row_tile is not None else (0, op.m)


def _only_role(op: Op, key: TensorId) -> Role | Literal["result"] | None:
    """The role of a tensor in an operation; None if it has several."""
    roles: list[Role | Literal["result"]] = [role for name, role in op.reads if name == key]
    roles += ["result"] if op.writes == key else []
    return roles[0] if len(roles) == 1 else None


def _split(layer: MatmulLayer, role: Role | Literal["result"]) -> str:
    return {"rows": layer.a.split, "weights": layer.b.split, "result": layer.merge}[role]
