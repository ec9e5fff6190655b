"""A comparison as files: comparison.json, the splits as CSV, and each run in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelsim.cost.compare_costs import RunCost
from accelsim.report.compare import Comparison
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import run_files, to_csv, to_json
from accelsim.report.plots.picture_style import ENDINGS

COMPARISON_FILE = "comparison.json"
RUNS_FOLDER = "runs"
COSTS_FILE = "side_by_side.csv"
_PICTURES = ("cycles", "traffic", "energy", "area", "side_by_side", "waterfall_cause", "waterfall_layer")
COMPARISON_FOLDER = FolderKind(
    COMPARISON_FILE,
    (
        COMPARISON_FILE,
        RUNS_FOLDER,
        COSTS_FILE,
        "by_cause.csv",
        "by_layer.csv",
        *(f"{name}*.{end}" for name in _PICTURES for end in ENDINGS),
    ),
)


def runs_in(path: Path) -> list[Path]:
    """The folders of a comparison's runs, the baseline first; of anything else itself."""
    folders = [item for item in (path / RUNS_FOLDER).glob("*") if item.name.isdecimal()] if (path / COMPARISON_FILE).is_file() else []
    return sorted(folders, key=lambda item: int(item.name)) or [path]


def split_rows(comparison: Comparison, field: str) -> list[dict[str, Any]]:
    """One row per run and part: `field` is 'by_cause' or 'by_layer'."""
    return [
        {
            "run": index,
            "accelerator": speedup.other.accelerator_name,
            "trace": speedup.other.trace_name,
            "name": part.name,
            "baseline_ticks": part.baseline_ticks,
            "this_run_ticks": part.other_ticks,
            "saved_ticks": part.saved_ticks,
            "tick_hz": speedup.tick_hz,
        }
        for index, speedup in enumerate(comparison.speedups, start=1)
        for part in getattr(speedup, field)
    ]


def check_comparison_folder(folder: Path) -> None:
    """OutputError, before the simulations, if `folder` cannot take a comparison."""
    check_replaceable(folder, COMPARISON_FOLDER)


def comparison_dict(comparison: Comparison, costs: Sequence[RunCost] = ()) -> dict[str, Any]:
    """The comparison as plain JSON data, with the costs of each run where requested."""
    return {**comparison.to_dict(), **({"side_by_side": [item.to_dict() for item in costs]} if costs else {})}


def write_comparison(folder: Path, comparison: Comparison, pictures: Mapping[str, bytes], costs: Sequence[RunCost] = ()) -> Path:
    """Write a comparison's folder, all or nothing; run 0 is the baseline.

    Raises
    ------
    OutputError
        The folder holds something that is not a comparison, or cannot be written.
    """
    files = {
        COMPARISON_FILE: to_json(comparison_dict(comparison, costs)).encode(),
        "by_cause.csv": to_csv(split_rows(comparison, "by_cause")).encode(),
        "by_layer.csv": to_csv(split_rows(comparison, "by_layer")).encode(),
        **pictures,
    }
    if costs:
        files[COSTS_FILE] = to_csv({"run": index, **item.to_row()} for index, item in enumerate(costs)).encode()
    for index, result in enumerate(comparison.results):
        files |= {f"{RUNS_FOLDER}/{index}/{name}": content for name, content in run_files(result).items()}
    for index, item in enumerate(costs):  # each cost figure of a run, with its source
        files[f"{RUNS_FOLDER}/{index}/area.csv"] = to_csv(item.cost.area.rows()).encode()
        files[f"{RUNS_FOLDER}/{index}/energy.csv"] = to_csv(item.cost.energy.rows()).encode()
    return write_folder(folder, COMPARISON_FOLDER, files)
