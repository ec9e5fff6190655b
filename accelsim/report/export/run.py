"""A run as files: result.json (the whole record), CSV tables with the unit in each column's name, the resolved accelerator.

Traffic is exact in bits; columns in bytes may hold fractions where streams that share a record are split by bits.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.metrics import bus_bits, summarize, useful_bits
from accelsim.report.plots.picture_style import ENDINGS
from accelsim.report.tables.text import cell
from accelsim.result import CATEGORIES, Result

RESULT_FILE = "result.json"
PICTURES = ("cycles", "layers", "traffic", "roofline", "energy", "energy_kinds", "area_bars")
RUN_FOLDER = FolderKind(
    RESULT_FILE,
    (
        *(
            RESULT_FILE,
            "accelerator.yaml",
            "layers.csv",
            "totals.csv",
            "traffic.csv",
            "area.csv",
            "energy.csv",
            "functional.csv",
            "what_if.csv",
        ),
        *(f"{name}.{suffix}" for name in PICTURES for suffix in ENDINGS),
    ),
)


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of equal keys as CSV text, LF line ends, control characters in names written as escapes and no cell a formula."""
    items = list(rows)
    columns: Sequence[str] = list(items[0]) if items else []
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in item.items()} for item in items)
    return out.getvalue()


def layer_rows(result: Result) -> list[dict[str, Any]]:
    """One row per layer and frame."""
    resources = list(dict.fromkeys(name for layer in result.layers for name in layer.bounds))
    categories = list(dict.fromkeys((*CATEGORIES, *(name for layer in result.layers for name in layer.cycles))))
    return [
        {
            "frame": frame_index,
            "trace": frame.trace,
            **({"core": result.core_of_frames[frame_index]} if result.core_of_frames else {}),
            "layer": layer.name,
            "op": layer.op,
            "format": layer.format,
            "start_cycle": layer.start_cycle,
            "end_cycle": layer.end_cycle,
            "total_cycles": layer.total_cycles,
            **{f"{name}_cycles": layer.cycles.get(name, 0) for name in categories},
            "vector_unit_cycles": layer.vector_cycles,
            "macs": layer.macs,
            "busy_pe_cycles": layer.pe_cycles,
            "useful_bits": useful_bits(layer.traffic),
            "bus_bits": bus_bits(layer.traffic),
            "bus_bytes": bus_bits(layer.traffic) / 8,
            **{f"bound_{name}_cycles": layer.bounds.get(name, 0) for name in resources},
            "lowering": layer.lowering,
        }
        for frame_index, frame in enumerate(result.own_frames)
        for layer in frame.layers
    ]


def total_row(result: Result) -> dict[str, Any]:
    """One row for the run: identity, headline, cycles by category, bounds, counters."""
    summary = summarize(result).to_dict()
    cycles, bounds = summary.pop("cycles"), summary.pop("bounds_cycles")
    return {
        **summary,
        "trace_sha256": result.trace_sha256,
        "weights_source": result.weights_source,
        **{f"{name}_cycles": value for name, value in cycles.items()},
        **{f"bound_{name}_cycles": value for name, value in bounds.items()},
        **{f"counter_{name}": value for name, value in result.counters.items()},
        **{f"version_{name}": value for name, value in result.versions.items()},
    }


def traffic_rows(result: Result) -> list[dict[str, Any]]:
    """One row per frame, layer, operand, memory and direction."""
    return [
        {
            "frame": frame_index,
            "trace": frame.trace,
            "layer": layer.name,
            "operand": item.operand,
            "memory": item.memory,
            "direction": "write" if item.write else "read",
            "bits": item.bits,
            "bytes": item.bits / 8,
        }
        for frame_index, frame in enumerate(result.frames)
        for layer in frame.layers
        for item in layer.traffic
    ]


def network_rows(result: Result) -> list[dict[str, Any]]:
    """One row per inference of networks that have a core each: up to its own end; empty for other runs."""
    return [
        {
            "frame": number,
            "trace": frame.trace,
            "core": core,
            "total_cycles": frame.total_cycles,
            "milliseconds": 1e3 * frame.total_cycles / result.clock_hz,
            "bus_bytes": sum(bus_bits(layer.traffic) for layer in frame.layers) / 8,
        }
        for number, (frame, core) in enumerate(zip(result.own_frames, result.core_of_frames, strict=False))
    ]


def core_rows(result: Result) -> list[dict[str, Any]]:
    """One row per core of a chip with several: its MACs, utilization and cycles by category."""
    return [
        {
            "core": number,
            **({"networks": " + ".join(result.networks_of(number))} if result.core_of_frames else {}),
            "macs": core.macs,
            "utilization_pct": 100 * core.utilization,
            "total_cycles": core.total_cycles,
            **{f"{name}_cycles": count for name, count in core.cycles.items()},
            "bus_bytes": sum(bus_bits(layer.traffic) for layer in core.layers) / 8,
        }
        for number, core in enumerate(result.cores)
    ]


def run_files(result: Result) -> dict[str, bytes]:
    """The files of a run, without pictures."""
    return {
        RESULT_FILE: result.to_json().encode(),
        "accelerator.yaml": result.accelerator.encode(),
        "layers.csv": to_csv(layer_rows(result)).encode(),
        "totals.csv": to_csv([total_row(result)]).encode(),
        "traffic.csv": to_csv(traffic_rows(result)).encode(),
        **({"cores.csv": to_csv(core_rows(result)).encode()} if result.cores else {}),
    }


def check_run_folder(folder: Path) -> None:
    """OutputError, before the simulation, if `folder` cannot take a run."""
    check_replaceable(folder, RUN_FOLDER)


def write_run(folder: Path, result: Result, extra: Mapping[str, bytes] | None = None) -> Path:
    """Write a run's folder, all or nothing: its files and `extra` ones (pictures, checks).

    Raises
    ------
    OutputError
        The folder holds something that is not a run, or cannot be written.
    """
    return write_folder(folder, RUN_FOLDER, {**run_files(result), **(extra or {})})


def to_json(content: Any) -> str:
    """JSON text of plain data; no infinities, which JSON does not have."""
    return json.dumps(content, indent=1, allow_nan=False)
