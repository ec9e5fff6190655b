"""Which operations have ended before another writes, compared with sets of ended operations that follow the definition."""

from __future__ import annotations

import pytest

from accelsim.compiler.heads import HEAD_ORDERS, HeadOrder
from accelsim.compiler.plan import Plan
from accelsim.compiler.planner import plan
from accelsim.compiler.precedence import Precedence
from tests.tiny_convnets import every_layer
from tests.tiny_machines import tiny_encoder


def ended_before(whole: Plan) -> list[set[int]]:
    """Operations certain to have ended, or to have read all, before each operation writes.

    The array takes its operations in order, so before a product all earlier products have issued their rows, and with each of them
    the row functions that it waited for have ended, and those that these waited for. Before a row function the earlier row functions have
    ended, and of the products those issued before the last one that it waits for, directly or through row functions.
    """
    on_array = [op.on_array for op in whole.ops]
    waited: list[set[int]] = []  # operations that must have ended before each ends, and itself
    issued: list[int] = []  # products below this have issued every row before each operation writes
    out: list[set[int]] = []
    for op in whole.ops:
        awaited = {p for key, role in op.reads if role != "operand" or not op.on_array for p in whole.tensors[key].producers}
        waited.append({op.index}.union(*(waited[p] for p in awaited)) if awaited else {op.index})
        operands = {p for key, _ in op.reads for p in whole.tensors[key].producers}
        issued.append(op.index if op.on_array else max((p if on_array[p] else issued[p] for p in operands), default=0))
        products = {p for p in range(min(issued[-1], op.index)) if on_array[p]}
        if op.on_array:
            out.append(products | {row for p in products for row in waited[p] if not on_array[row]})
        else:
            out.append(products | {row for row in range(op.index) if not on_array[row]})
    return out


@pytest.mark.parametrize("order", HEAD_ORDERS, ids=str)
@pytest.mark.parametrize("batch", [1, 2])
def test_an_operation_is_safe_after_those_that_have_ended_before_it_writes(order: HeadOrder, batch: int) -> None:
    for trace in (tiny_encoder(5, 8, 2, 12, "int8", depth=2), every_layer(channels=8).trace("uniform:bits=8")):
        whole = plan(trace, batch, order)
        known, expected = Precedence(whole), ended_before(whole)
        count = len(whole.ops)
        found = [{reader for reader in range(count) if known.safe(reader, writer)} for writer in range(count)]
        assert found == expected
        for reader in range(count):
            from_there = known.safe_from([reader])
            assert all(known.safe(reader, writer) for writer in range(from_there, count))
