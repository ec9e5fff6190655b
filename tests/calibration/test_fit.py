"""The fit, against machines whose times are formulas: known parameters come back, and what rows cannot say is said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from accelsim.calibration.fit import Calibration, Floats, fit
from accelsim.calibration.measurements import Measurement
from accelsim.calibration.parameters import Parameter

BANDWIDTH = Parameter("dram.bandwidth", {"B/s": 1, "GB/s": 10**9}, 8 * 10**9, 10**8, 10**11)
OVERHEAD = Parameter("control.overhead", {}, 1000, 0, 10**6)
MBYTES = (1, 3, 10, 30, 100, 60)
TRUTH = (3 * 10**9, 250_000)


def times(values: Sequence[int], mbytes: Sequence[float]) -> Floats:
    """Milliseconds of a machine that moves bytes and then waits, at 1 GHz."""
    return np.array([size * 1e6 / values[0] * 1e3 + values[1] / 1e6 for size in mbytes])


def measured(noise: float, seed: int = 0, held: Sequence[int] = ()) -> list[Measurement]:
    factors = 1 + noise * np.random.default_rng(seed).standard_normal(len(MBYTES))
    return [
        Measurement(number, f"network_{number}", "", 1, float(ms), number in held)
        for number, ms in enumerate(times(TRUTH, MBYTES) * factors, 1)
    ]


def fitted(rows: Sequence[Measurement], parameters: Sequence[Parameter] = (BANDWIDTH, OVERHEAD)) -> Calibration:
    return fit(parameters, rows, lambda values, some: times((*values, TRUTH[1])[:2], [MBYTES[row.number - 1] for row in some]))


def test_known_parameters_come_back_from_times_without_noise() -> None:
    found = fitted(measured(0.0))
    assert found.verdict == "fitted"
    assert [item.value for item in found.parameters] == pytest.approx(TRUTH, rel=1e-4)


def test_nine_of_ten_intervals_hold_the_truth() -> None:
    """95 % intervals, 20 draws of 2 % noise and two parameters: fewer than 32 of 40 has a probability below 0.1 %."""
    inside = 0
    for seed in range(20):
        for item, truth in zip(fitted(measured(0.02, seed)).parameters, TRUTH, strict=True):
            assert item.low is not None
            assert item.high is not None
            inside += item.low <= truth <= item.high
    assert inside >= 32


def test_held_rows_are_predicted_and_do_not_move_the_fit() -> None:
    rows = measured(0.01, held=(2, 5))
    found = fitted(rows)
    assert [row.row for row in found.rows if row.held] == [2, 5]
    assert abs(found.rms(held=True) or 1) < 0.03
    spoiled = [row if not row.held else Measurement(row.number, row.network, "", 1, 9 * row.milliseconds, True) for row in rows]
    assert fitted(spoiled).parameters == found.parameters


def test_two_rows_and_two_parameters_are_reproduced_not_predicted() -> None:
    found = fitted(measured(0.0)[:2])
    assert found.verdict == "reproduced"
    assert max(abs(row.error) for row in found.rows) < 1e-4
    assert found.notes[-1] == "as many parameters as rows: the fit reproduces these rows and predicts nothing"
    assert all(item.low is None for item in found.parameters)


def test_parameters_that_act_alike_are_not_called_fitted() -> None:
    same = Parameter("clock", {"Hz": 1, "GHz": 10**9}, 10**9, 10**8, 10**10)

    def one_product(values: Sequence[int], some: Sequence[Measurement]) -> Floats:
        return np.array([MBYTES[row.number - 1] * 1e27 / (values[0] * values[1]) for row in some])

    rows = [Measurement(number, f"network_{number}", "", 1, size * 1e27 / (3e9 * 1e9), False) for number, size in enumerate(MBYTES, 1)]
    found = fit((BANDWIDTH, same), rows, one_product)
    assert found.verdict == "indistinguishable"
    assert any("cannot tell them apart" in note for note in found.notes)


def test_a_parameter_without_effect_is_named() -> None:
    idle = Parameter("vector_unit.lanes", {}, 500, 100, 10_000)
    found = fit(
        (BANDWIDTH, idle), measured(0.0), lambda values, some: times((values[0], TRUTH[1]), [MBYTES[row.number - 1] for row in some])
    )
    assert found.verdict == "indistinguishable"
    assert "vector_unit.lanes changes no fitted row: its value is the file's" in found.notes


def test_a_parameter_at_its_bound_is_named() -> None:
    narrow = Parameter("dram.bandwidth", {"B/s": 1}, 8 * 10**9, 6 * 10**9, 10**10)
    found = fitted(measured(0.0), (narrow,))
    assert any("ends at its bound" in note for note in found.notes)


def test_rows_of_one_network_are_said_to_be() -> None:
    rows = [Measurement(row.number, f"one@format{row.number}", "", 1, row.milliseconds, False) for row in measured(0.01)][:5]
    assert any("all fitted rows are of one network" in note for note in fitted(rows).notes)
