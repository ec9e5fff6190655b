"""The core's key signals over a window of cycles as a value change dump (VCD, IEEE 1364-2005, clause 18), for waveform viewers.

A value holds from the clock edge that begins its cycle to the next. Registers keep their content from before the edge that ends the cycle,
as a simulator of the RTL would show them; which of the array's categories a cycle belongs to is a wire of its own for each.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from accelsim.errors import ConfigError
from accelsim.kernels.cycle_samples import LOADER_STATES, SAMPLE
from accelsim.program import Int64, Structured
from accelsim.quantities import PS_PER_S, edge_ps
from accelsim.report.export.whole_file import FileKind, new_file
from accelsim.report.tables.text import clean
from accelsim.result import CATEGORIES
from accelsim.simulation import RecordedRun
from accelsim.timeline.replay import ClusterReplay, Samples
from accelsim.timeline.window import Window

WAVEFORM_FILE = FileKind("a waveform", (".vcd", ".vcd.gz"), b"$comment")


@dataclass(frozen=True)
class Signal:
    """One variable: scope, name, bits."""

    scope: str
    name: str
    bits: int


_BUSY = CATEGORIES.index("busy")
_STATES = {name: LOADER_STATES.index(name) for name in LOADER_STATES}

SIGNALS: tuple[Signal, ...] = (
    Signal("core", "cycle", 64),
    Signal("core.array", "category", (len(CATEGORIES) - 1).bit_length()),
    *(Signal("core.array.category_is", name, 1) for name in CATEGORIES),
    Signal("core.array", "layer", 32),
    Signal("core.array", "run", 32),
    Signal("core.array", "tile", 32),
    Signal("core.array", "row", 32),
    Signal("core.array", "swap", 1),
    Signal("core.array", "since_swap", 32),
    Signal("core.accumulators", "columns_written", 16),
    Signal("core.loader", "run", 32),
    Signal("core.loader", "tile", 32),
    Signal("core.loader", "group", 32),
    Signal("core.loader", "groups_pending", 32),
    Signal("core.loader", "pop", 1),
    Signal("core.loader", "push", 1),
    Signal("core.loader", "behind_swap_wave", 1),
    Signal("core.loader", "short_of_bits", 1),
    Signal("core.loader", "denied", 1),
    Signal("core.loader", "unpack_bits", 32),
    Signal("core.loader", "shadow_tiles", 2),
    Signal("core.loader", "codebook_loading", 1),
    Signal("core.vector", "working", 1),
    Signal("core.vector", "task", 32),
    Signal("core.vector", "unit", 32),
    Signal("core.vector", "next_drain", 32),
    Signal("core.vector", "next_row_task", 32),
    Signal("core.activation_ports", "vector", 16),
    Signal("core.activation_ports", "rows", 16),
    Signal("core.activation_ports", "loader", 16),
    Signal("core.weight_buffer", "freed_bytes", 64),
)


def check_writer() -> None:
    """ConfigError, before long work, if VCD files cannot be written here."""
    try:
        import vcd  # noqa: F401
    except ImportError as error:
        raise ConfigError("a VCD file needs the [vcd] extra: pip install 'accelsim[vcd]'") from error


def check_waveform_window(run: RecordedRun, window: Window) -> None:
    """ConfigError, before anything is written, if the core, of several the last to end, has ended when the window begins.

    The rest is the wait for the last write.
    """
    run = run.of_last_core
    cycles = run.outcome.cycles - run.outcome.tail_cycles
    if window.first >= cycles:
        raise ConfigError(f"no cycle of the core lies in {window.first}..{window.end}: it ends in cycle {cycles}")


def write_waveform(run: RecordedRun, window: Window, path: Path) -> int:
    """Write the cycles of `window` (its layers are not asked for), of several cores those of the last to end; the number of cycles written.

    Raises
    ------
    ConfigError
        The cluster has ended before the window begins, or the [vcd] extra is not installed.
    OutputError
        The file cannot be written; no partial file remains.
    """
    check_writer()
    check_waveform_window(run, window)
    run = run.of_last_core
    replay = ClusterReplay(run)
    end = min(window.end, replay.cycles)
    issued = _Issued(run)
    with new_file(path) as raw:
        text = io.TextIOWrapper(raw, encoding="ascii", newline="\n", write_through=True)
        dump = _Dump(text, run, window.first)
        for piece in replay.samples():
            columns = issued.columns_written(piece)
            first, last = max(piece.first, window.first), min(piece.end, end)
            if first < last:
                rows = slice(first - piece.first, last - piece.first)
                dump.write(first, _values(run, Samples(first, piece.values[rows]), columns[rows]))
        dump.close(end)
        text.detach()
    return end - window.first


class _Issued:
    """Rows on their way through the array: column c of a row that was issued in cycle t is accumulated in t + 1 + R + c (CORE.md 3)."""

    def __init__(self, run: RecordedRun) -> None:
        self._rows, self._cols = run.accelerator.array.rows, run.accelerator.array.cols
        self._runs = run.program.runs
        self._past = np.zeros(self._rows + self._cols + 1, np.int64)  # whether a row was issued in each of the last cycles

    def columns_written(self, piece: Samples) -> Int64:
        """int64 (cycles,): columns whose accumulator takes a sum in each cycle."""
        accumulates = (self._runs["gemv_groups"] == 0) & (self._runs["os_line"] == 0)  # other runs have sums of their own
        busy = (piece.column("category") == _BUSY) & accumulates[piece.column("run")]
        issued = np.concatenate([self._past, busy.astype(np.int64)])
        self._past = issued[len(issued) - len(self._past) :]
        total = np.concatenate([[0], np.cumsum(issued)])
        at = np.arange(len(piece)) + len(self._past)  # place of each cycle in `issued`
        return np.asarray(total[at - self._rows] - total[at - self._rows - self._cols], np.int64)


def _values(run: RecordedRun, piece: Samples, columns: Int64) -> Int64:
    """(cycles, signals) in the order of SIGNALS."""
    sample: Mapping[str, Int64] = {name: piece.values[:, index] for index, name in enumerate(SAMPLE)}
    runs = run.program.runs
    category, loader = sample["category"], sample["loader"]
    busy = category == _BUSY
    load = np.minimum(sample["load_run"], runs.size - 1)
    array_rows = int(run.program.machine["rows"][0])
    port = min(int(run.program.machine["loader_accesses"][0]), int(run.program.machine["port_accesses"][0]))
    columns_of: list[Any] = [
        np.arange(piece.first, piece.end),
        category,
        *(category == index for index in range(len(CATEGORIES))),
        runs["layer"][sample["run"]],
        sample["run"],
        sample["tile"],
        sample["row"],
        sample["since_swap"] == 0,
        np.maximum(sample["since_swap"], 0),
        columns,
        sample["load_run"],
        sample["load_tile"],
        sample["load_group"],
        np.maximum(sample["load_groups"] - sample["load_group"], 0),
        loader == _STATES["pop"],
        sample["push"],
        loader == _STATES["behind_swap_wave"],
        loader == _STATES["short_of_bits"],
        loader == _STATES["denied"],
        sample["unpack_bits"],
        sample["loaded_tiles"],
        sample["codebook"] >= 0,
        sample["vector_task"] >= 0,
        np.maximum(sample["vector_task"], 0),
        np.maximum(sample["vector_unit"], 0),
        sample["drain_task"],
        sample["row_task"],
        sample["vector_accesses"],
        np.where(busy, _step_accesses(runs[sample["run"]], sample["tile"], sample["row"], array_rows), 0),
        np.where((sample["push"] == 1) & (runs["from_activations"][load] == 1), port, 0),
        sample["freed"],
    ]
    return np.stack([np.asarray(column, np.int64) for column in columns_of], axis=1)


def _step_accesses(run: Structured, tile: Int64, row: Int64, rows: int) -> Int64:
    """Accesses of the activation buffer by a busy cycle of each run (one per cycle), at step `row` of a tile on `rows` rows of PEs.

    They are fewer where a fed run's last stripe is narrower, and spread over a tile's steps where sums stay in the PEs.
    """
    last = (run["feed"] == 1) & (tile >= run["kt_count"] * (run["nt_count"] - 1))
    steps, every = np.minimum(rows, run["k"]), run["m"] * run["row_accesses"]
    spread = -(-(row + 1) * every // steps) - -(-row * every // steps)
    accesses: Int64 = np.where(run["os_line"] > 0, spread, np.where(last, run["last_accesses"], run["row_accesses"]))
    return np.where(run["turned"] > 0, 0, accesses)  # weights enter


class _Dump:
    """The file being written: only changes are written."""

    def __init__(self, out: IO[str], run: RecordedRun, first: int) -> None:
        from vcd import VCDWriter

        self._clock = run.accelerator.clock
        names = [f"layer {index} = {clean(layer.name)}" for index, layer in enumerate(run.program.layers)]
        categories = [f"category {index} = {name}" for index, name in enumerate(CATEGORIES)]
        core = [] if run.core is None else [f"core {run.core}, the last to end"]
        text = "\n".join([f"core clock {self._clock} Hz", *core, *categories, *names]).replace("$", "?").encode("ascii", "backslashreplace")
        self._writer = VCDWriter(
            out, timescale="1 ps", date="", comment=text.decode(), version="accelsim", init_timestamp=edge_ps(first, self._clock)
        )
        self._signals = [self._writer.register_var(item.scope, item.name, "wire", size=item.bits, init=0) for item in SIGNALS]
        self._edge = self._writer.register_var("core", "clock", "wire", size=1, init=0)
        self._before: Sequence[int | None] = [None] * len(SIGNALS)

    def write(self, first: int, values: Int64) -> None:
        """Values of consecutive cycles from `first` on."""
        for cycle, row in enumerate(values.tolist(), first):
            time = edge_ps(cycle, self._clock)
            self._writer.change(self._edge, time, 1)
            for signal, now, before in zip(self._signals, row, self._before, strict=True):
                if now != before:
                    self._writer.change(signal, time, now)
            self._before = row
            self._writer.change(self._edge, time + PS_PER_S // (2 * self._clock), 0)

    def close(self, end: int) -> None:
        """End the last cycle."""
        self._writer.close(edge_ps(end, self._clock))
