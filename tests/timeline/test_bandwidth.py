"""The bins of the bandwidth as a conservation law: they sum to all bytes that crossed, and none exceeds the memory's peak.

Bytes are those that the memories and the L2's port counted, peaks are worked from the chip's fields here, all in exact fractions.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.hw.dram.device import load_device
from accelsim.presets import find_trace
from accelsim.simulation import RecordedRun, simulate_recorded
from accelsim.timeline.context import Context
from accelsim.timeline.core_view import all_flights, views_of
from accelsim.timeline.counters import Bandwidth
from accelsim.timeline.memory_tracks import draw_memories
from accelsim.timeline.over_time import _CounterLog, counters_of
from accelsim.timeline.window import make_window
from accelsim.trace.trace import load_trace
from tests.engine.machines import machines

LEVEL = "l2={capacity: 1 MiB, width_bits: 256}"
CASES: list[tuple[str, str, list[str]]] = [
    ("edge-32x32", "tiny_vit_ssvq", []),
    ("edge-64x64", "tiny_vit_int8", ["clock=730 MHz"]),  # no clock is a multiple of the other
    ("edge-64x64", "tiny_vit_ssvq", ["dram={device: lpddr5-6400-x16, channels: 3, background: {bandwidth: 2 GB/s}}"]),
    ("edge-64x64", "tiny_vit_ssvq", ["dram={device: ideal, bandwidth: 3 GB/s, latency: 70 ns}"]),
    ("edge-64x64", "tiny_vit_ssvq", ["dram={device: ideal, bandwidth: 7 GB/s}", "clock=310 MHz"]),
    ("mcu-16x16", "tiny_vit_int8", []),  # a flash
    ("edge-32x32", "tiny_vit_ssvq", [LEVEL]),
    ("edge-32x32", "tiny_vit_ssvq", ["l2={capacity: 1 MiB, width_bits: 72, burst: 48, clock: 310 MHz}", "placement.activations=l2"]),
    ("edge-32x32", "tiny_vit_ssvq", ["l2={capacity: 1 MiB, width_bits: 64, arbitration: round_robin, bypass: activations}"]),
    ("edge-32x32", "tiny_vit_ssvq", ["cores=2", "control.core_split=rows"]),
    ("edge-32x32", "tiny_vit_ssvq", ["cores=3", "control.weight_broadcast=true", "control.core_split=rows", LEVEL]),
    (
        "edge-32x32",
        "tiny_vit_ssvq",
        ["cores=2", "control.core_split=rows", "l2={capacity: 1 MiB, width_bits: 64, clock: 500 MHz}", "placement.weights=l2"],
    ),
]


def peak(chip: Accelerator, memory: str) -> Fraction | None:
    """Bytes per core cycle, by the clock that the memory runs at; None: infinite."""
    spec: Any = chip.memory(memory)
    if memory == "l2":
        return Fraction(chip.l2.width_bits, 8) * Fraction(chip.l2.clock or chip.clock, chip.clock)
    if memory == "flash" or spec.device == "ideal":
        return Fraction(spec.bandwidth, chip.clock) if spec.bandwidth else None
    device = load_device(spec.device)
    return Fraction(device.burst_bytes * spec.channels * device.clock_hz, device.n_burst * chip.clock)


def check_bandwidth(run: RecordedRun) -> None:
    chip, counted = run.accelerator, run.result.counters
    whole = Context(run, make_window(run.result, None, None), _CounterLog(), run.cores)
    bandwidth = Bandwidth(whole)
    after: dict[str, Counter[int]] = {}
    for memory, moved in draw_memories(whole, all_flights(views_of(run))):
        bandwidth.add(memory, moved)
    for memory, bins in bandwidth.bytes.items():
        read, written = (sum(size for (_, write), size in bins.items() if write == way) for way in (False, True))
        if memory == "l2":
            assert read == counted["l2_activation_read_bytes"] + counted["l2_weight_read_bytes"] + counted["l2_drain_bytes"]
            assert written == counted["l2_activation_write_bytes"] + counted["l2_fill_bytes"]
        elif f"{memory}_reads" in counted:
            burst = load_device(chip.memory(memory).device).burst_bytes
            issued = burst * counted[f"{memory}_writes"]
            assert read == burst * counted[f"{memory}_reads"] or chip.dram.background
            # other clients go on behind the run's end, and with them writes that the controller had taken
            assert written == issued or (chip.dram.background and issued < written <= counted[f"{memory}_write_bytes"])
        else:
            assert (read, written) == (counted[f"{memory}_read_bytes"], counted[f"{memory}_write_bytes"])
        each: Counter[Any] = Counter()
        for (place, _), size in bins.items():
            each[place] += size
        most = peak(chip, memory)
        assert most is None or max(each.values()) <= bandwidth.bin_cycles * most, (memory, float(max(each.values())) / bandwidth.bin_cycles)
        after[memory] = each
    # what is written is those bins: the widest, the sum
    for name, series in counters_of(run, whole.window).items():
        if "bandwidth" in name:
            memory = name.split()[0]
            both = series["read"] + series["write"]
            assert both.integral == pytest.approx(float(sum(after[memory].values())), rel=1e-12)
            most = peak(chip, memory)
            assert most is None or max(both.values) <= float(most) * (1 + 1e-12)


@pytest.mark.parametrize(("chip", "trace", "changes"), CASES)
def test_bins_sum_to_all_bytes_and_none_exceeds_the_peak(chip: str, trace: str, changes: list[str]) -> None:
    check_bandwidth(simulate_recorded(load_accelerator(chip, changes), load_trace(find_trace(trace)), frames=2))


@pytest.mark.parametrize("name", [name for name, (chip, _) in machines().items() if chip.dram.device != "ideal" or chip.dram.bandwidth])
def test_bins_of_each_kind_of_machine_keep_the_law(name: str) -> None:
    check_bandwidth(simulate_recorded(*machines()[name]))
