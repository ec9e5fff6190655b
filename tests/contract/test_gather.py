"""Gathers: steps that stay in the row, the accesses and cycles of single elements, and a seeded trace's own order."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import TraceError
from accelsim.execution.graph import constants_of
from accelsim.ops.gather import GatherLayer
from accelsim.ops.shapes import TensorShape
from accelsim.simulation import simulate
from tests.contract.test_operations import trace_of
from tests.tiny_machines import tiny_accelerator


def layer(width: int, source: int, rows: int = 1) -> GatherLayer:
    return GatherLayer(name="it", inputs=("x0",), output=TensorShape(rows=rows, width=width), source=source)


def test_any_order_of_a_row_is_reached_by_steps_from_the_own_place() -> None:
    rng = np.random.default_rng(2)
    order, x = rng.permutation(24), rng.normal(size=(1, 3, 24))
    found = layer(24, 24, 3).evaluate([x], {"steps": (order - np.arange(24)).astype(np.float64)})
    np.testing.assert_array_equal(found, x[:, :, order])


def test_a_seeded_trace_keeps_its_own_order() -> None:
    it = layer(3, 5)
    constants = constants_of(trace_of(it, (TensorShape(rows=1, width=5),)), it)
    np.testing.assert_array_equal(it.evaluate([np.arange(5.0).reshape(1, 1, 5)], constants), [[[0, 1, 2]]])


@pytest.mark.parametrize("steps", [(-1.0, 0.0), (0.0, 3.0)])
def test_a_step_out_of_the_row_is_named(steps: tuple[float, ...]) -> None:
    with pytest.raises(TraceError, match="'it': steps lead to element"):
        layer(2, 3).evaluate([np.zeros((1, 1, 3))], {"steps": np.array(steps)})


def test_more_elements_than_the_row_has_are_refused() -> None:
    with pytest.raises(TraceError, match="takes 6 elements of 5"):
        trace_of(layer(6, 5), (TensorShape(rows=1, width=5),))


def test_a_row_takes_as_many_cycles_as_its_single_elements_need_ports() -> None:
    """64 elements and 4 words of 16 bytes for the result are 68 accesses: 5 cycles at 16 of them, 1 at 128; five rows behind each other."""
    it = layer(64, 64, rows=5)

    def cycles(ports: int) -> int:
        buffer = {"capacity": "64 KiB", "banks": 16, "width_bits": 128, "loader_bits": 64, "ports": ports}
        return sum(
            simulate(tiny_accelerator(vector_unit={"lanes": 64}, activation_buffer=buffer), trace_of(it, (it.output,))).cycles.values()
        )

    assert cycles(1) - cycles(8) == 5 * (5 - 1)
