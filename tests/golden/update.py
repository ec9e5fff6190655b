"""Write the golden numbers anew: `python -m tests.golden.update "reason"`; list what moved in CHANGELOG under "Model changes"."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any

from accelsim.accelerator import load_accelerator
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace

FILE = Path(__file__).with_name("machine.json")
TRACES = Path(__file__).parents[2] / "traces"
POINTS = [
    (preset, trace)
    for preset in ("edge-32x32", "edge-64x64", "edge-64x64-x16", "mcu-16x16")
    for trace in ("deit_tiny_int8", "deit_tiny_ssvq_k16d8")
] + [("edge-32x32", "tiny_vit_ssvq")]


def measure(preset: str, trace: str) -> dict[str, Any]:
    """What is kept of one run: cycles by category, and bytes on the bus."""
    result = simulate(load_accelerator(preset), load_trace(TRACES / trace))
    categories = {name: count for name, count in result.cycles.items() if count}
    return {"total_cycles": result.total_cycles, "cycles": categories, "bus_bytes": result.bus_bytes}


def main(reason: str) -> str:
    """Write the file; what moved, one line a point."""
    old = json.loads(FILE.read_text(encoding="utf-8"))["points"] if FILE.exists() else {}
    points = {f"{preset} {trace}": measure(preset, trace) for preset, trace in POINTS}
    record = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "reason": reason, "points": points}
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    moved = [(name, old[name]["total_cycles"], new["total_cycles"]) for name, new in points.items() if name in old]
    return "\n".join(f"{name}: {before} -> {after} cycles ({after / before - 1:+.2%})" for name, before, after in moved if before != after)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('usage: python -m tests.golden.update "reason"')
    sys.stdout.write(main(sys.argv[1]) + "\n")
