"""Little's law: what is in flight, over how long a read takes, bounds what a stream can carry; the machine obeys it and says so."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace

TRACE = built_in().traces / "deit_tiny_int8"


@pytest.mark.parametrize("outstanding", [4, 16])
def test_few_reads_in_flight_bound_the_bandwidth_and_a_warning_says_so(outstanding: int) -> None:
    accelerator = load_accelerator("edge-32x32", [f"dma.max_outstanding_bursts={outstanding}"])
    result = simulate(accelerator, load_trace(TRACE))
    # LPDDR4-3200 x16: bursts of 32 B; a read of an open row takes 1 + 28 + 8 cycles of 0.625 ns, and the fabric 100 ns more.
    bound = outstanding * 32 / (37 * 0.625 + 100)  # bytes a ns
    achieved = result.bus_bytes / result.total_cycles  # 1 GHz: a cycle is a ns
    assert 0.85 * bound < achieved <= bound
    assert any("B of reads in flight" in warning for warning in result.warnings)


def test_a_preset_has_reads_enough_in_flight() -> None:
    assert not simulate(load_accelerator("edge-32x32"), load_trace(TRACE)).warnings
