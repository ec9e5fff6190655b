"""Row tiles of a product that differ in their operands alone share one computation of their split, traffic and bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from accelsim.compiler import products
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.plan import Op
from accelsim.compiler.product_facts import ProductFacts
from accelsim.compiler.target import Target
from tests.tiny_machines import gemm_chain, tiny_accelerator


def test_the_facts_of_equal_row_tiles_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: Counter[str] = Counter()
    facts = products.product_facts

    def counted(target: Target, op: Op) -> ProductFacts:
        computed[op.layer.name] += 1
        return facts(target, op)

    monkeypatch.setattr(products, "product_facts", counted)
    program = compile_trace(tiny_accelerator(activation_buffer__capacity="4 KiB"), gemm_chain(800, [16, 16], ["int8"], [""]))
    assert len(program.drains) >= 8  # one per row tile: 25.6 KB of rows and results pass through 4 KiB
    assert 0 < max(computed.values()) <= 3  # the first, the last, and one for all between them
