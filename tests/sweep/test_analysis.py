"""Fronts, best points and sensitivities against their definitions, on made-up points with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from accelsim.errors import ConfigError
from accelsim.sweeps.best import best, front, under
from accelsim.sweeps.expression import parse_expression
from accelsim.sweeps.pareto import pareto_front
from accelsim.sweeps.sensitivity import sensitivity
from accelsim.sweeps.spec import Sweep, load_sweep
from accelsim.sweeps.table import Table, steps_of, title


def made_up(positions: list[int] | None = None, **changes: object) -> Table:
    """A sweep of 3 ports x 2 linked arrays x 2 traces, with time = 100 / ports / rows, area = ports * rows."""
    sweep: Sweep = load_sweep(
        {
            "name": "made_up",
            "base": {"accelerator": "edge-32x32"},
            "axes": {"codebook.ports": "1..4 x2", "trace": ["a", "b"]},
            "linked": [{"array.rows": [16, 64], "array.cols": [16, 64]}],
            **changes,
        }
    )
    places = np.array(range(sweep.size) if positions is None else positions, np.int64)
    at = [sweep.at(int(place)) for place in places]
    names = sweep.axes
    ports, rows = (np.array([item[name] for item in at], float) for name in ("codebook.ports", "array.rows"))
    columns = {name: np.array([item[name] for item in at], object if name == "trace" else float) for name in names}
    factor = np.array([1.0 if item["trace"] == "a" else 0.5 for item in at])
    return Table(sweep, places, steps_of(sweep, places), columns | {"milliseconds": factor * 100 / ports / rows, "area_mm2": ports * rows})


def on_front(costs: np.ndarray) -> list[bool]:
    """The definition, pair by pair."""
    out = []
    for mine in costs:
        beaten = any((other <= mine).all() and (other < mine).any() for other in costs if not np.isnan(other).any())
        out.append(not beaten and not np.isnan(mine).any())
    return out


SHAPES = st.tuples(st.integers(0, 40), st.integers(1, 3))


@given(SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 6).map(float))))
def test_the_front_is_that_of_the_definition(costs: np.ndarray):
    assert pareto_front(costs).tolist() == on_front(costs)


@given(arrays(np.float64, (25, 3), elements=st.one_of(st.floats(-1, 1, width=16), st.just(float("nan")))))
def test_points_without_a_figure_neither_are_on_the_front_nor_beat_others(costs: np.ndarray):
    assert pareto_front(costs).tolist() == on_front(costs)


def test_a_doubling_of_ports_halves_the_time_and_doubles_the_area():
    ratios = {(item.axis, item.change): item for item in sensitivity(made_up(), "milliseconds")}
    assert ratios["codebook.ports", "doubling"].median == pytest.approx(0.5)
    assert ratios["codebook.ports", "doubling"].pairs == 2 * 4
    assert ratios["trace", "a -> b"].least == ratios["trace", "a -> b"].most == pytest.approx(0.5)
    assert ratios["array.rows + array.cols", "16, 16 -> 64, 64"].median == pytest.approx(0.25)
    assert next(item.median for item in sensitivity(made_up(), "area_mm2")) == pytest.approx(2)


def test_a_step_of_two_doublings_counts_as_two():
    table = made_up(axes={"codebook.ports": [1, 4], "trace": ["a", "b"]})
    assert next(iter(sensitivity(table, "milliseconds"))).median == pytest.approx(0.5)


def test_points_that_did_not_run_are_left_out_of_the_pairs():
    full = made_up()
    kept = [int(place) for place in full.positions if full.sweep.at(int(place))["codebook.ports"] != 2]
    assert [item.axis for item in sensitivity(made_up(kept), "milliseconds")] == ["trace", "array.rows + array.cols"]


def test_the_best_point_under_conditions():
    table = made_up()
    chosen = best(under(table, [parse_expression("area_mm2 <= 64"), parse_expression("trace == 'a'")]), "milliseconds")
    assert len(chosen) == 1
    assert (chosen["codebook.ports"][0] * chosen["array.rows"][0], chosen["trace"][0]) == (64, "a")
    assert len(under(table, [parse_expression("area_mm2 < 0")])) == 0


def test_the_front_of_a_table_is_sorted_by_its_first_figure():
    chosen = front(made_up(), ["milliseconds", "area_mm2"])
    assert (np.diff(chosen["milliseconds"]) >= 0).all()
    assert set(chosen["trace"]) == {"b"}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda table: table["milisecond"], "did you mean 'milliseconds'"),
        (lambda table: best(table, "trace"), "not a number"),
        (lambda table: front(table, []), "one to three"),
        (lambda table: front(table, ["milliseconds"] * 2), "one to three"),
        (lambda table: under(table, [parse_expression("aera_mm2 < 3")]), "did you mean 'area_mm2'"),
        (lambda table: under(table, [parse_expression("trace < 3")]), "trace < 3"),
        (lambda table: table.labels("milliseconds"), "no axis 'milliseconds'"),
    ],
)
def test_what_cannot_be_is_one_message(act, words: str):
    with pytest.raises(ConfigError) as caught:
        act(made_up())
    assert words in str(caught.value)


def test_figures_have_titles_with_units():
    assert [title(name) for name in ("energy_uj", "milliseconds", "codebook.ports", "limiting_resource")] == [
        "energy (uJ)",
        "time (ms)",
        "codebook.ports",
        "limiting resource",
    ]
