"""Clock edges in 64 bits equal those in Python's integers, over every clock and time that a machine may have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accelsim.kernels import clocks
from accelsim.quantities import PS_PER_S, cycle_at, edge_ps

CLOCKS = st.integers(10**6, 10**11)


@given(st.integers(0, 2**53), CLOCKS)
def test_an_edge_is_where_python_finds_it(cycle: int, clock_hz: int) -> None:
    if (exact := edge_ps(cycle, clock_hz)) < clocks.NEVER:
        assert clocks.edge_ps(cycle, clock_hz) == exact


@given(st.integers(0, 2**59), CLOCKS)
def test_the_first_cycle_from_a_time_on_is_the_one_that_python_finds(time_ps: int, clock_hz: int) -> None:
    if (exact := cycle_at(time_ps, clock_hz)) < clocks.NEVER:
        assert clocks.cycle_at(time_ps, clock_hz) == exact


@given(st.integers(0, 2**40), st.integers(1, 10**15))
def test_a_transfer_takes_what_python_says(size: int, bandwidth: int) -> None:
    if (exact := -(-size * PS_PER_S // bandwidth)) < clocks.NEVER:
        assert clocks.scaled_up(size, PS_PER_S, bandwidth) == exact


def test_what_does_not_come_has_no_edge() -> None:
    assert clocks.edge_ps(clocks.NEVER, 10**9) == clocks.NEVER
    assert clocks.cycle_at(clocks.NEVER, 10**9) == clocks.NEVER
