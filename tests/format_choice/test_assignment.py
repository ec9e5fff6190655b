"""The program that assigns formats, against all assignments one by one."""

from __future__ import annotations

import ctypes
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.format_choice import assignment as program
from accelsim.format_choice.assignment import Limits, Options, assign
from accelsim.format_choice.silenced import silenced


def options(errors, cycles, stored_bytes=None, allowed=None) -> Options:
    shape = np.shape(errors)
    return Options(
        np.ones(shape, bool) if allowed is None else np.array(allowed, bool),
        np.array(errors, np.float64),
        np.array(cycles, np.int64),
        np.zeros(shape, np.int64) if stored_bytes is None else np.array(stored_bytes, np.int64),
    )


def every(found: Options, limits: Limits, forbidden=(), sets=()):
    """(errors, cycles, assignment) of each assignment within the limits, by the definition."""
    layers, formats = found.allowed.shape
    for places in product(range(formats), repeat=layers):
        errors, cycles, stored = 0.0, 0, 0
        for layer, place in enumerate(places):
            errors += float(found.errors[layer, place])
            cycles += int(found.cycles[layer, place])
            stored += int(found.stored_bytes[layer, place])
        possible = all(found.allowed[layer, place] for layer, place in enumerate(places))
        within = (limits.cycles is None or cycles <= limits.cycles) and (limits.stored_bytes is None or stored <= limits.stored_bytes)
        within = within and (limits.errors is None or errors <= limits.errors)
        if possible and within and places not in forbidden and frozenset(places) not in sets:
            yield errors, cycles, stored, places


def test_a_budget_worked_by_hand() -> None:
    # Both layers in format 1 take 20 + 20 cycles. Layer 1 in format 0 saves 10 for an error of 1, layer 0 saves 10 for 5.
    found = options([[5, 0], [1, 0]], [[10, 20], [10, 20]])
    assert assign(found, Limits(cycles=40)) == (1, 1)
    assert assign(found, Limits(cycles=39)) == assign(found, Limits(cycles=30)) == (1, 0)
    assert assign(found, Limits(cycles=29)) == assign(found, Limits(cycles=20)) == (0, 0)
    assert assign(found, Limits(cycles=19)) is None
    assert assign(found, Limits(errors=5.0), "cycles") == (0, 1)
    assert assign(found, Limits(errors=0.5), "cycles") == (1, 1)
    assert assign(found, Limits(errors=-0.5), "cycles") is None


def test_sums_that_tie_just_above_a_limit_are_not_forbidden_one_by_one() -> None:
    """4,782,969 assignments of one sum, which exceeds the limit by less than the solver notices."""
    errors, cycles = np.ones((14, 3)), np.full((14, 3), 10_000_000)
    assert assign(options(errors, cycles), Limits(errors=14 - 1e-8)) is None
    assert assign(options(errors, cycles), Limits(cycles=140_000_000 - 1)) is None
    cycles[0, 2] -= 5_000
    assert assign(options(errors, cycles), Limits(cycles=140_000_000 - 1))[0] == 2


def test_of_equal_errors_the_fewest_cycles_decide() -> None:
    found = options([[1, 1, 2], [0, 0, 0]], [[30, 20, 10], [7, 8, 9]])
    assert assign(found, Limits()) == (1, 0)
    assert assign(options(np.zeros((2, 3)), [[3, 2, 4], [2, 2, 1]]), Limits()) == (1, 2)


def test_a_set_of_formats_that_is_forbidden_leaves_its_subsets_and_supersets() -> None:
    found = options([[0, 1, 9], [1, 0, 9], [5, 6, 0]], np.ones((3, 3)))
    assert assign(found, Limits()) == (0, 1, 2)
    assert set(assign(found, Limits(), forbidden_sets=[frozenset({0, 1, 2})]) or ()) != {0, 1, 2}
    two = [frozenset({0, 1, 2}), frozenset({0, 2}), frozenset({1, 2})]
    assert assign(found, Limits(), forbidden_sets=two) == (0, 1, 0)
    alone = [*two, frozenset({0, 1}), frozenset({0}), frozenset({1})]
    assert assign(found, Limits(), forbidden_sets=alone) == (2, 2, 2)
    assert assign(found, Limits(), forbidden_sets=[*alone, frozenset({2})]) is None


def test_a_small_error_is_not_lost_beside_a_large_one() -> None:
    found = options([[1.0, 1e3], [3e-7, 2e-7]], [[1, 1], [1, 1]])
    assert assign(found, Limits()) == (0, 1)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_spec", lambda name: None)
    with pytest.raises(
        Exception, match=r"a choice of formats needs SciPy; install accelsim with its extra: pip install 'accelsim\[search\]'"
    ):
        program.check_solver()


def test_what_a_library_prints_in_c_does_not_reach_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    library = ctypes.CDLL(None)
    print("before")
    with silenced():
        library.puts(b"a complaint")
    library.puts(b"after")
    library.fflush(None)
    assert capfd.readouterr().out == "before\nafter\n"


@st.composite
def problems(draw):
    layers, formats = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    cells = layers * formats

    def table(values):
        return np.array(draw(st.lists(values, min_size=cells, max_size=cells))).reshape(layers, formats)

    allowed = table(st.booleans())
    allowed[np.arange(layers), draw(st.integers(0, formats - 1))] = True
    errors = table(st.one_of(st.integers(0, 3).map(float), st.floats(1e-3, 1e3)))  # few integers: ties
    found = options(errors, table(st.integers(1, 50)), table(st.integers(0, 50)), allowed)
    limits = Limits(
        cycles=draw(st.none() | st.integers(1, 50 * layers)),
        stored_bytes=draw(st.none() | st.integers(0, 50 * layers)),
    )
    places = st.tuples(*[st.integers(0, formats - 1)] * layers).filter(lambda item: all(allowed[i, p] for i, p in enumerate(item)))
    sets = st.frozensets(st.integers(0, formats - 1), min_size=1)
    return found, limits, draw(st.sets(places, max_size=3)), draw(st.sets(sets, max_size=3)), draw(st.sampled_from(["errors", "cycles"]))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_the_program_finds_what_a_search_over_all_assignments_finds(problem) -> None:
    found, limits, forbidden, sets, objective = problem
    known = {places: (errors, cycles) for errors, cycles, _, places in every(found, limits, forbidden, sets)}
    got = assign(found, limits, objective, forbidden=forbidden, forbidden_sets=sets)
    if not known:
        assert got is None
        return
    assert got in known
    column = 0 if objective == "errors" else 1
    least = min(item[column] for item in known.values())
    assert known[got][column] == pytest.approx(least, rel=1e-9, abs=1e-9)
    if objective == "errors":
        near = least + 1e-8 * found.largest("errors")
        assert known[got][1] <= min(cycles for errors, cycles in known.values() if errors <= least)
        assert known[got][0] <= near
