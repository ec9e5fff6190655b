"""Calibrate a chip: simulate the measured networks at each try of the fit, and give the chip with the fitted fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.accelerator import Accelerator, build_accelerator
from accelsim.calibration.fit import Calibration, Floats, fit
from accelsim.calibration.measurements import Measurement, check_enough, read_measurements
from accelsim.calibration.parameters import Parameter, apply, parse_parameters
from accelsim.compression.open_trace import open_trace
from accelsim.errors import ReferenceDataError
from accelsim.progress import Progress
from accelsim.registry import suggest
from accelsim.result import Result
from accelsim.simulation import Shared, simulate
from accelsim.trace.trace import Trace


@dataclass(frozen=True)
class CalibratedChip:
    """The outcome, and the chip's fields as a person writes them with the fitted values."""

    calibration: Calibration
    fields: Mapping[str, Any]


class _Bench:
    """Simulated times of measured rows; networks are read once, runs with equal fields are simulated once."""

    def __init__(self, fields: Mapping[str, Any], where: str, parameters: Sequence[Parameter], path: Path) -> None:
        self._fields, self._where, self._parameters, self._path = fields, where, parameters, path
        self._traces: dict[str, Trace] = {}
        self._shared = Shared()

    def read(self, rows: Sequence[Measurement]) -> None:
        """Read every network before the first run, and check the names of layers."""
        for row in rows:
            if row.network not in self._traces:
                self._traces[row.network] = open_trace(row.network)
            names = [layer.name for layer in self._traces[row.network].layers]
            if row.layer and row.layer not in names:
                known = suggest(row.layer, names)
                raise ReferenceDataError(f"{self._path}: row {row.number}, column layer: {row.network!r} has no layer {row.layer!r}{known}")

    def milliseconds(self, values: Sequence[int], rows: Sequence[Measurement]) -> Floats:
        """Simulated times [rows] with the parameters at these values."""
        accelerator = build_accelerator(apply(self._fields, self._parameters, values), self._where)
        runs = {
            key: simulate(accelerator, self._traces[key[0]], batch=key[1], shared=self._shared)
            for key in dict.fromkeys((row.network, row.batch) for row in rows)
        }
        return np.array([_milliseconds(runs[row.network, row.batch], row.layer) for row in rows])


def calibrate(
    accelerator: Accelerator, path: Path, wanted: str, hold: str | None = None, progress: Progress | None = None
) -> CalibratedChip:
    """Fit fields of a chip to the measured times of a file.

    Parameters
    ----------
    path : CSV, see `measurements`
    wanted : 'dram.bandwidth,clock=500 MHz..2 GHz'
    hold : rows that the fit may not see, '2,5-7'; they are predicted
    progress : called with (phase, done, total); the total of a fit is not known

    Raises
    ------
    ConfigError, ReferenceDataError, TraceError, CompileError
        A field, a row or a network is wrong, or there are fewer rows than parameters.
    """
    fields, where = accelerator.writable(), accelerator.name
    parameters = parse_parameters(wanted, fields, where)
    rows = read_measurements(path, hold)
    check_enough(rows, len(parameters), str(path))
    bench = _Bench(fields, where, parameters, path)
    bench.read(rows)
    tries = 0

    def counted(values: Sequence[int], some: Sequence[Measurement]) -> Floats:
        nonlocal tries
        tries += 1
        if progress is not None:
            progress("simulating the measured rows", tries, 0)
        return bench.milliseconds(values, some)

    found = fit(parameters, rows, counted)
    fitted = build_accelerator(apply(fields, parameters, [item.value for item in found.parameters]), where)
    return CalibratedChip(found, fitted.written())


def _milliseconds(result: Result, layer: str) -> float:
    cycles = sum(item.total_cycles for item in result.layers if item.name == layer) if layer else result.total_cycles
    return cycles / result.clock_hz * 1e3
