"""Addresses in a buffer: what fits is found where plain orders leave gaps, what does not is blamed on the operation of the gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler import placement
from accelsim.compiler.live_slots import LiveRange, LiveSlots
from accelsim.compiler.placement import place, tightest
from accelsim.compiler.plan import TensorId


def live_range(name: str, first: int, last: int, size: int, loaded: bool = False) -> LiveRange:
    return LiveRange(TensorId(name), first, last, (last,), loaded, False, size)


def slots(live_ranges: list[LiveRange]) -> LiveSlots:
    return LiveSlots(live_ranges, {}, 10)


def overlaps(placed: list[LiveRange]) -> list[tuple[str, str]]:
    """Pairs that share a byte and an operation: by the definition, not by the placement's own bookkeeping."""
    return [
        (a.tensor.name, b.tensor.name)
        for index, a in enumerate(placed)
        for b in placed[index + 1 :]
        if a.first <= b.last and b.first <= a.last and a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes
    ]


# At most 3 units of 64 bytes live at once, and by size, by life or by time none of the orders leaves room for all in 3: 'c' needs two units
# beside 'a', which was put between them.
RANGES = [live_range(name, first, last, 64 * units) for name, first, last, units in (
    ("d", 1, 4, 1), ("b", 2, 2, 2), ("a", 4, 6, 1), ("c", 5, 5, 2),
)]  # fmt: skip


def test_what_is_stuck_goes_first_in_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = place(slots(RANGES), 3 * 64)
    assert placed is not None
    assert (placed[1], len(placed[0]), overlaps(placed[0])) == (3 * 64, 4, [])
    monkeypatch.setattr(placement, "_TRIES", 1)
    assert place(slots(RANGES), 3 * 64) is None


def test_no_room_is_blamed_on_the_fullest_operation() -> None:
    assert tuple(tightest(slots(RANGES), 2 * 64)) == (3 * 64, 2)
    assert place(slots(RANGES), 2 * 64) is None


def test_a_gap_is_blamed_on_an_operation_of_the_tensor_on_top() -> None:
    """Operation 9 is as full as any, and has no gap: it would be the wrong place to make room."""
    found = tightest(slots([live_range("full", 0, 0, 3 * 64), *RANGES, live_range("other", 9, 9, 3 * 64)]), 3 * 64)
    assert found.bytes == 4 * 64
    assert found.at == 5


def test_a_result_that_is_split_may_still_overwrite_its_operand() -> None:
    operand, result, again = live_range("x", 0, 3, 64), live_range("y", 3, 4, 64), live_range("y", 8, 9, 64, loaded=True)
    shared = LiveSlots([operand, result, again], {TensorId("y"): TensorId("x")}, 10)
    assert shared.members == [[operand, result], [again]]
    assert [tuple(span) for span in shared.spans.tolist()] == [(0, 4, 64), (8, 9, 64)]


def test_a_result_overwrites_what_was_read_back_of_its_operand() -> None:
    """The slot of the first piece is free while the operand is in DRAM."""
    first, again, result = live_range("x", 0, 1, 64), live_range("x", 6, 7, 64, loaded=True), live_range("y", 7, 9, 64)
    shared = LiveSlots([first, result, again], {TensorId("y"): TensorId("x")}, 10)
    assert shared.members == [[first], [again, result]]
    assert [tuple(span) for span in shared.spans.tolist()] == [(0, 1, 64), (6, 9, 64)]


@given(st.data())
def test_slots_after_changes_are_those_of_the_ranges_that_are_left(data: st.DataObject) -> None:
    """Compared with slots made afresh, and live bytes counted operation by operation."""
    hosts = {TensorId("y"): TensorId("x"), TensorId("z"): TensorId("x")}
    drawn = st.tuples(st.sampled_from("xyzabc"), st.integers(0, 9), st.integers(0, 5), st.integers(1, 4), st.booleans())
    ranges = [live_range(name, first, min(9, first + more), 64 * units, loaded) for name, first, more, units, loaded in data.draw(
        st.lists(drawn, min_size=1, max_size=8, unique=True)
    )]  # fmt: skip
    ranges = list(dict.fromkeys(ranges))
    changed = LiveSlots(ranges, hosts, 10)
    for _ in range(data.draw(st.integers(0, 4))):
        old = data.draw(st.sampled_from(changed.all))
        pieces = [old._replace(last=data.draw(st.integers(old.first, old.last)))]
        if data.draw(st.booleans()):
            pieces = [*pieces, old._replace(first=old.last, loaded=not old.loaded, readers=())]
        if set(pieces) & {*changed.all} - {old} or len(set(pieces)) < len(pieces):
            continue
        changed.replace(old, pieces)
    fresh = LiveSlots(changed.all, hosts, 10)
    assert changed.members == fresh.members
    assert changed.spans.tolist() == fresh.spans.tolist()
    assert changed.bytes.tolist() == [sum(size for first, last, size in fresh.spans.tolist() if first <= op <= last) for op in range(10)]
    assert changed.during(4) == [item for item in changed.all if item.first <= 4 <= item.last]
    for item in changed.all:
        alike = [other for other in changed.all if (other.bytes, other.last - other.first) == (item.bytes, item.last - item.first)]
        assert changed.as_large(item) == alike
