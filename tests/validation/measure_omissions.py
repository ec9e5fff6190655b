"""Prints the table of `docs/model_assumptions.md`: what an assumption is worth, as the change of a run's cycles when it is turned.

Run as `python -m tests.validation.measure_omissions`; each cell is `accelsim run CHIP TRACE --set ...` against the chip as it is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace

CHIPS = ("edge-32x32", "edge-64x64-x16")
TRACES = ("deit_tiny_int8", "deit_tiny_ssvq_k16d8")
DEVICE = "lpddr4-3200-x16"  # of both chips

# What is turned, and how. NO_REFRESH stands for a device file made here.
NO_REFRESH = "NO_REFRESH"
CASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("transfers land as a whole: of 1 KiB", ("dma.transfer=1 KiB",)),
    ("... of 16 KiB", ("dma.transfer=16 KiB",)),
    ("fabric latency 0", ("dma.fabric_latency=0 ns",)),
    ("... 200 ns", ("dma.fabric_latency=200 ns",)),
    ("... 500 ns", ("dma.fabric_latency=500 ns",)),
    ("8 read bursts in flight", ("dma.max_outstanding_bursts=8",)),
    ("one transfer in flight", ("dma.max_transfers=1",)),
    ("no refresh", (f"dram.device={NO_REFRESH}",)),
    ("DRAM of peak bandwidth, no rows, no refresh", ("dram={device: ideal, bandwidth: 6.4 GB/s}",)),
    ("controller bank-queues", ("dram.policy=bank-queues",)),
    ("controller frfcfs-row-hit", ("dram.policy=frfcfs-row-hit",)),
    ("another client reads 1 GB/s", (f"dram={{device: {DEVICE}, background: {{bandwidth: 1 GB/s}}}}",)),
    ("another client reads 3 GB/s", (f"dram={{device: {DEVICE}, background: {{bandwidth: 3 GB/s}}}}",)),
    ("two accumulator banks", ("array.accumulator_banks=2",)),
    ("one read port of the accumulators: the drain waits", ("array.accumulator_read=stall",)),
    ("sums taken from the adders, through deskew registers", ("array.accumulator_read=deskew",)),
    ("two sets of shadow weights", ("array.shadow_sets=2",)),
    ("two ports per bank of the activation buffer", ("activation_buffer.ports=2",)),
    ("half as many banks of the activation buffer", ("activation_buffer.banks=4",)),
    ("runs isolated, as the core stands alone", ("control.runs=isolated",)),
    ("100 cycles to issue a run", ("control.issue_overhead_cycles=100",)),
    ("a layer loads before it computes", ("control.overlap=layer",)),
    ("a tile loads before it computes", ("control.overlap=none",)),
    ("one codebook set", ("codebook.sets=1",)),
    ("codebook latency 4", ("codebook.latency=4",)),
    ("softmax 5 passes, layernorm 3, GELU 2", tuple(f"vector_unit.passes.{name}" for name in ("softmax=5", "layernorm=3", "gelu=2"))),
    ("vector latency 100 cycles", ("vector_unit.latency=100",)),
    ("no vector time", ("vector_unit.lanes=0", "vector_unit.latency=0")),
    ("every activation through DRAM", ("activation_buffer.residency=dram", "activation_buffer.capacity=1 MiB")),
)


def main() -> None:
    """Write the table, row by row."""
    traces = [load_trace(built_in().traces / name) for name in TRACES]
    with tempfile.TemporaryDirectory() as folder:
        device = without_refresh(Path(folder))
        base = [[_cycles(chip, trace) for trace in traces] for chip in CHIPS]
        _write(
            "turned", "--set", *(f"{chip}, {kind}" for chip in CHIPS for kind in ("int8", "SSVQ")), *(f"{chip}, ratio" for chip in CHIPS)
        )
        _write(*["---"] * 8)
        _write("nothing", "", *(f"{cycles:,}" for row in base for cycles in row), *(f"{row[0] / row[1]:.3f}" for row in base))
        for name, overrides in CASES:
            given = [item.replace(NO_REFRESH, str(device)) for item in overrides]
            turned = [[_cycles(chip, trace, *given) for trace in traces] for chip in CHIPS]
            changes = [
                100 * (after / before - 1) for new, old in zip(turned, base, strict=True) for after, before in zip(new, old, strict=True)
            ]
            shown = "<br>".join(f"`{item.replace(NO_REFRESH, 'no-refresh.yaml')}`" for item in overrides)
            _write(name, shown, *(f"{change:+.2f} %" for change in changes), *(f"{row[0] / row[1]:.3f}" for row in turned))


def _cycles(chip: str, trace: Trace, *overrides: str) -> int:
    return simulate(load_accelerator(chip, overrides), trace).total_cycles


def without_refresh(folder: Path) -> Path:
    """The device with an interval between refreshes that no run reaches."""
    lines = (built_in().configs / "dram" / f"{DEVICE}.yaml").read_text(encoding="utf-8").splitlines()
    path = folder / "no-refresh.yaml"
    path.write_text("\n".join("n_refi: 10000000" if line.startswith("n_refi:") else line for line in lines) + "\n", encoding="utf-8")
    return path


def _write(*cells: str) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
