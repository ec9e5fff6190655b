"""The closed form "weights at the memory's bandwidth, MACs at the array's rate", as simulations of the machine.

Disputable assumption: as in the closed form, the memory carries the compressed matrices alone while the array does the work of
the whole network (attention and patch embedding too) at full utilisation; so the matrices are multiplied by a few more rows.
"""

from __future__ import annotations

from accelsim.progress import Progress
from accelsim.simulation import simulate
from accelsim.studies.ideal_machines import closed_form_machine
from accelsim.studies.network_parts import compressed_matrices, stacked
from accelsim.studies.study_records import LimitCell
from accelsim.trace.trace import Trace

ARRAYS = (16, 32, 64)
BYTES_PER_CYCLE = (0.5, 1.0, 2.0, 4.0, 8.0)


def closed_form(baseline: Trace, other: Trace, array: int, bytes_per_cycle: float) -> tuple[float, float]:
    """(serial, overlapped) speed-up on paper: weight bits over the bandwidth and MACs over the array, summed or the larger of them."""
    names = compressed_matrices(baseline, other)
    work = baseline.macs / array**2
    loads = [_weight_bits(trace, names) / (8 * bytes_per_cycle) for trace in (baseline, other)]
    return (loads[0] + work) / (loads[1] + work), max(loads[0], work) / max(loads[1], work)


def _weight_bits(trace: Trace, names: tuple[str, ...]) -> int:
    """Bits of indices, signs and raw weights of the layers of `names`."""
    layers = (layer for layer in trace.weighted_layers() if layer.name in names)
    streams = (stream for layer in layers for stream in layer.weight.format.streams(layer.weight.k, layer.weight.n).values())
    return sum(stream.total_bits for stream in streams if stream.in_paper_count)


def limit_cell(baseline: Trace, other: Trace, array: int, bytes_per_cycle: float) -> LimitCell:
    """One cell: four simulations."""
    names = compressed_matrices(baseline, other)
    weights = sum(layer.weight.count for layer in baseline.weighted_layers() if layer.name in names)
    rows = round(baseline.macs / weights)
    traces = [stacked(trace, names, array, rows) for trace in (baseline, other)]
    serial = [simulate(closed_form_machine(array, bytes_per_cycle, "layer"), trace).total_cycles for trace in traces]
    overlapped = [simulate(closed_form_machine(array, bytes_per_cycle, "prefetch"), trace).total_cycles for trace in traces]
    return LimitCell(array, bytes_per_cycle, (serial[0], serial[1]), (overlapped[0], overlapped[1]))


def limit_cells(baseline: Trace, other: Trace, progress: Progress | None = None) -> tuple[LimitCell, ...]:
    """All cells of ARRAYS x BYTES_PER_CYCLE."""
    places = [(array, rate) for array in ARRAYS for rate in BYTES_PER_CYCLE]
    out = []
    for number, (array, rate) in enumerate(places):
        if progress is not None:
            progress("ideal cells", number, len(places))
        out.append(limit_cell(baseline, other, array, rate))
    return tuple(out)
