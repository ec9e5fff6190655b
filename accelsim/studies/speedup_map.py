"""Where compression pays: the speed-up of one trace over another along the axes that decide it, with the tightest bounds of each cell.

Disputable assumption: a map varies one or two fields of a preset and keeps the rest, so an array of another size brings the
buffers, lanes and ports of its own preset, and bytes per cycle come from a memory that has a latency but neither rows nor banks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from accelsim.accelerator import load_accelerator
from accelsim.progress import Progress
from accelsim.report.speedup_cells import Cell, Limiter, Point
from accelsim.result import TRAINED_OPERANDS, Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace

PRESET_OF_ARRAY = {16: "mcu-16x16", 32: "edge-32x32", 64: "edge-64x64"}
ARRAYS = tuple(PRESET_OF_ARRAY)
BYTES_PER_CYCLE = (0.5, 1.0, 2.0, 4.0, 8.0)
OVERLAPS = ("prefetch", "layer")
LANES = (16, 32, 64, 128, 0)  # 0: ideal
PORTS = (1, 2, 4, 8)
BATCHES = (1, 2, 4)
BATCH_BUFFER = "2 MiB"  # of activations: the widest layer of four images of DeiT-tiny has 0.6 MB
STARVED = "edge-64x64-x16"
_FABRIC_LATENCY = "100 ns"


def preset_points(presets: Iterable[str]) -> tuple[Point, ...]:
    """Each preset as it is."""
    return tuple(Point("presets", name, "speed-up", name, ()) for name in presets)


def bandwidth_points(
    arrays: Sequence[int] = ARRAYS, rates: Sequence[float] = BYTES_PER_CYCLE, overlaps: Sequence[str] = OVERLAPS
) -> tuple[Point, ...]:
    """Bytes per cycle by array size, a map for each overlap mode."""
    return tuple(
        Point(
            f"overlap: {overlap}",
            f"{array}x{array}",
            f"{rate:g}",
            PRESET_OF_ARRAY[array],
            (*_memory_of(PRESET_OF_ARRAY[array], rate), f"control.overlap={overlap}"),
        )
        for overlap in overlaps
        for array in arrays
        for rate in rates
    )


def _memory_of(preset: str, bytes_per_cycle: float) -> tuple[str, ...]:
    rate = round(load_accelerator(preset).clock * bytes_per_cycle)
    return (
        f"dram={{device: ideal, bandwidth: {rate} B/s}}",
        "placement={weights: dram, activations: dram}",
        f"dma.fabric_latency={_FABRIC_LATENCY}",
    )


def lane_points(presets: Iterable[str], lanes: Sequence[int] = LANES) -> tuple[Point, ...]:
    """Lanes of the vector unit by preset; banks of the activation buffer grow with them, or the array starves at its ports."""
    return tuple(
        Point("vector lanes", preset, str(count) if count else "ideal", preset, _lanes(preset, count))
        for preset in presets
        for count in lanes
    )


def _lanes(preset: str, count: int) -> tuple[str, ...]:
    accelerator = load_accelerator(preset)
    banks = accelerator.activation_buffer.banks * max(1, count // max(1, accelerator.vector_unit.lanes))
    return (f"vector_unit.lanes={count}", f"activation_buffer.banks={banks}", *(() if count else ("vector_unit.latency=0",)))


def port_points(preset: str = STARVED, ports: Sequence[int] = PORTS) -> tuple[Point, ...]:
    """Lookups per cycle on one preset."""
    return tuple(Point("lookups per cycle (P)", preset, str(count), preset, (f"codebook.ports={count}",)) for count in ports)


def batch_points(preset: str = STARVED, batches: Sequence[int] = BATCHES) -> tuple[Point, ...]:
    """Images of one inference on one preset, with room for the activations of all of them at every point."""
    room = f"activation_buffer.capacity={BATCH_BUFFER}"
    return tuple(Point("batch", preset, str(batch), preset, (room,), batch) for batch in batches)


def measure(point: Point, baseline: Trace, other: Trace) -> Cell:
    """Simulate one point with both traces."""
    accelerator = load_accelerator(point.preset, point.overrides)
    first, second = (simulate(accelerator, trace, batch=point.batch) for trace in (baseline, other))
    return Cell(
        point=point,
        baseline_cycles=first.total_cycles,
        other_cycles=second.total_cycles,
        baseline_ms=first.milliseconds,
        other_ms=second.milliseconds,
        baseline_weight_bytes=_weight_bytes(first),
        other_weight_bytes=_weight_bytes(second),
        baseline_limiter=Limiter.of(first),
        other_limiter=Limiter.of(second),
    )


def _weight_bytes(result: Result) -> int:
    """Bytes of all trained parameters as they cross the memory, without padding and burst rounding."""
    return sum(bits for key, bits in result.traffic.items() if key.operand in TRAINED_OPERANDS) // 8


def measure_from(point: Point, baseline: Path, other: Path) -> Cell:
    """`measure` for another process: traces by their directories."""
    return measure(point, load_trace(baseline), load_trace(other))


def measure_all(
    points: Sequence[Point], baseline: Path, other: Path, pool: Executor | None = None, progress: Progress | None = None
) -> tuple[Cell, ...]:
    """All points, in order; in the processes of `pool` if there is one."""
    work = partial(measure_from, baseline=baseline, other=other)
    cells: list[Cell] = []
    for cell in pool.map(work, points) if pool is not None else map(work, points):
        cells.append(cell)
        if progress is not None:
            progress("simulations of the maps", len(cells), len(points))
    return tuple(cells)
