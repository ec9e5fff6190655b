"""From a Result to the row that a store keeps, with area and energy at the sweep's technology."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import accelsim
from accelsim.accelerator import Accelerator
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.sram_grid import grid_file
from accelsim.cost.technology import Technology
from accelsim.provenance import joined_sha256, model_hash, versions
from accelsim.report.metrics import WEIGHT_OPERANDS, tightest_bound
from accelsim.report.verdict import decide
from accelsim.result import BOUND_RESOURCES, CATEGORIES, OPERANDS, Result
from accelsim.sweeps.columns import METRICS
from accelsim.sweeps.points import Point

OK, FAILED = "ok", "failed"


@cache
def costing_id(technology: Technology) -> str:
    """SHA-256 of the inputs of area and energy besides counts: the technology, CACTI's points, the sources that make a row."""
    digest = hashlib.sha256(technology.model_dump_json().encode() + grid_file().read_bytes())
    root = Path(accelsim.__file__).parent
    for path in (root / "result.py", *_imported(root / "sweeps" / "metrics.py", root / "report")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _imported(start: Path, folder: Path) -> list[Path]:
    """`start` and the modules of `folder` that it imports, and that these import, sorted."""
    found: set[Path] = set()
    ahead = [start]
    while ahead:
        path = ahead.pop()
        found.add(path)
        nodes = [(node.module or "", node.names) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = [name for module, aliases in nodes for name in (module, *(f"{module}.{alias.name}" for alias in aliases))]
        inside = [name.removeprefix("accelsim.report.").replace(".", "/") for name in names if name.startswith("accelsim.report.")]
        ahead += {file for name in inside if (file := folder / f"{name}.py").is_file()} - found
    return sorted(found)


def identity(point: Point, costing: str, technology: str) -> dict[str, Any]:
    """The columns that identify a run; its status comes with the run."""
    return {
        "run_id": point.run_id,
        "costing": costing,
        "accelerator": point.accelerator.name,
        "configuration": json.dumps(point.accelerator.writable()),
        "trace": " + ".join(name for name, _ in point.networks),
        "trace_sha256": joined_sha256([sha256 for _, sha256 in point.networks]),
        "technology": technology,
        "frames": point.frames,
        "batch": point.batch,
        "seed": point.seed,
        "versions": json.dumps(versions()),
        "model_sha256": model_hash(),
    }


def metrics(result: Result, accelerator: Accelerator, technology: Technology) -> dict[str, Any]:
    """The columns of METRICS for a run that is ok; the model error is the trace's to state."""
    cycles, bounds = result.total_cycles, result.bounds
    inferences = len(result.frames) * result.batch
    bits = dict.fromkeys(OPERANDS, 0)
    for key, count in result.traffic.items():
        bits[key.operand] += count
    verdict, (tightest, least) = decide(result), tightest_bound(bounds)
    energy, area = energy_of(result, accelerator, technology), area_of(accelerator, technology).placed_um2
    total = energy.energy_pj()
    out: dict[str, Any] = {
        **dict.fromkeys(METRICS),
        "clock_hz": result.clock_hz,
        "total_cycles": cycles,
        "milliseconds": result.milliseconds,
        "milliseconds_per_inference": result.milliseconds / inferences,
        "macs": result.macs,
        "utilization_pct": 100 * result.utilization,
        "bus_bytes": result.bus_bytes,
        "useful_bytes": result.useful_bytes,
        "weight_bytes": sum(bits[name] for name in WEIGHT_OPERANDS) / 8,
        "limiting_resource": verdict.resource,
        "limiting_basis": verdict.basis,
        "tightest_bound": tightest,
        "achieved_of_tightest_pct": 100 * least / cycles if cycles else 0.0,
        "energy_uj": total.nominal / 1e6,
        "energy_low_uj": total.low / 1e6,
        "energy_high_uj": total.high / 1e6,
        "energy_on_chip_uj": energy.energy_pj(off_chip=False).nominal / 1e6,
        "area_mm2": area.nominal / 1e6,
        "area_low_mm2": area.low / 1e6,
        "area_high_mm2": area.high / 1e6,
        "warnings": json.dumps(result.warnings),
    }
    out |= {f"{name}_cycles": result.cycles[name] for name in CATEGORIES}
    out |= {f"bound_{name}_cycles": bounds.get(name, 0) for name in BOUND_RESOURCES}
    return out | {f"{name}_bits": count for name, count in bits.items()}
