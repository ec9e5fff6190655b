"""The cost of a sign bit by circuit."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.sign_cost import sign_choices
from accelsim.cost.technology import load_technology


def test_a_decoder_on_the_load_path_is_a_hundred_times_cheaper_than_a_sign_in_every_pe() -> None:
    # 64 x 64 PEs, 4 lookups of 8 lanes. Load path: 32*(38.3 + 8) = 1481.6 GE, 0.03 % of 4096 PEs of 1161.96 GE; one XOR: 32*(2 + 8) = 320.
    # In the PE: 38.3 + 16 = 54.3 GE each, 4.7 %; the synthesis of both PEs says 1231.7 - 1188.7 = 43.0 GE, 3.6 %.
    load_path, magnitude, inside = sign_choices(load_accelerator("edge-64x64"), load_technology("nangate45"))
    gates = [choice.component.gates for choice in (load_path, magnitude, inside)]
    assert [span.nominal for span in gates if span] == pytest.approx([1481.6, 320.0, 4096 * 54.3])
    assert load_path.share_of_array_pct == pytest.approx(0.031, abs=0.001)
    assert inside.share_of_array_pct == pytest.approx(4.67, abs=0.01)
    assert gates[2] is not None
    assert gates[2].holds(4096 * 43.0)


def test_ranges_hold_what_was_synthesized_and_no_more() -> None:
    # PEs with a sign less PEs without: 1231.7 - 1188.7 = 43.0 GE at psums of 32 bits, 1127.0 - 1038.0 = 89.0 GE at 24.
    load_path, magnitude, inside = sign_choices(load_accelerator("edge-64x64"), load_technology("nangate45"))
    assert inside.component.gates is not None
    assert (inside.component.gates.low, inside.component.gates.high) == pytest.approx((4096 * 43.0, 4096 * 89.0))
    assert load_path.component.gates is not None
    assert load_path.component.gates.high == pytest.approx(1.01 * 1481.6)
    assert "was not synthesized" in magnitude.component.notes[0]
