"""Contents of a trace as a folder: JSON, tables of its layers, formats and statistics, and pictures of its indices and signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.report.plots.picture_style import ENDINGS
from accelsim.report.tables.trace import format_rows, inspect_trace, trace_rows
from accelsim.trace.statistics import TraceStatistics, trace_statistics
from accelsim.trace.trace import Trace

_PICTURES = tuple(f"{name}*.{end}" for name in ("indices", "signs") for end in ENDINGS)
TRACE_FOLDER = FolderKind("inspect.json", ("inspect.json", "layers.csv", "formats.csv", "statistics.csv", *_PICTURES))


def check_trace_folder(folder: Path) -> None:
    """OutputError, before the bits are counted, if `folder` cannot take them."""
    check_replaceable(folder, TRACE_FOLDER)


def write_trace_folder(folder: Path, trace: Trace) -> Path:
    """Write `folder`, all or nothing; without a payload there are no statistics and no pictures.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    """
    files = {
        "inspect.json": to_json(inspect_trace(trace)).encode(),
        "layers.csv": to_csv(_flat(trace)).encode(),
        "formats.csv": to_csv(format_rows(trace)).encode(),
    }
    if trace.has_payload:
        from accelsim.report.plots.indices import index_pictures
        from accelsim.report.plots.picture import files_of

        found = trace_statistics(trace)
        files["statistics.csv"] = to_csv(_statistics(found)).encode()
        files |= files_of(index_pictures(trace.name, found))
    return write_folder(folder, TRACE_FOLDER, files)


def _flat(trace: Trace) -> list[dict[str, Any]]:
    """The rows of the layers, a column a stream."""
    rows = trace_rows(trace)
    streams = dict.fromkeys(name for row in rows for name in row["stream_bits"])
    plain = [{key: value for key, value in row.items() if key != "stream_bits"} for row in rows]
    bits = [{f"{name}_bits": row["stream_bits"].get(name, 0) for name in streams} for row in rows]
    return [{**one, **other} for one, other in zip(plain, bits, strict=True)]


def _statistics(found: TraceStatistics) -> list[dict[str, Any]]:
    """One row per layer with weights."""
    return [
        {
            "layer": layer.name,
            "format": layer.format,
            "indices": layer.indices.indices if layer.indices else 0,
            "codewords": layer.indices.codewords if layer.indices else 0,
            "unused_codewords": layer.indices.unused if layer.indices else 0,
            "index_bits": layer.indices.index_bits if layer.indices else 0,
            "entropy_bits": layer.indices.entropy_bits if layer.indices else None,
            "most_used_share": layer.indices.most_used_share if layer.indices else None,
            "negative_share": layer.negative_share,
        }
        for layer in found.layers
    ]
