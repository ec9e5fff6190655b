"""One point, run in whatever process: a row of the store comes back, also when the point fails.

A process keeps between points: loaded traces (their payload is memory-mapped, so processes share its pages), and data that simulations
may share exactly (`simulate.Shared`).
"""

from __future__ import annotations

import json
import platform
import time
from functools import cache, lru_cache
from typing import Any

from accelsim.compiler.accumulator_range import most_accumulator_bits
from accelsim.compiler.cycle_collection import cycles_kept
from accelsim.compression.open_trace import open_trace
from accelsim.cost.technology import Technology
from accelsim.errors import AccelsimError, ConfigError, TraceError
from accelsim.provenance import model_hash, versions
from accelsim.simulation import Shared, simulate
from accelsim.sweeps.metrics import FAILED, OK, costing_id, identity, metrics
from accelsim.sweeps.points import Point
from accelsim.trace.trace import Trace

MODEL_ERROR = "relative_mse"  # of a trace's metrics


def run_point(point: Point, technology: Technology) -> dict[str, Any]:
    """Simulate a point; the row to be stored, with status `failed` and the message if it cannot be simulated."""
    started = time.thread_time()
    try:
        with cycles_kept():
            figures = _figures(point, technology)
        status, message = OK, ""
    except AccelsimError as error:
        figures, status, message = {}, FAILED, str(error)
    except Exception as error:  # noqa: BLE001  # a bug at one point must not cost the others: its row carries the message
        figures, status, message = {}, FAILED, f"internal error, {type(error).__name__}: {error}"
    outcome = {"status": status, "message": message, "run_seconds": time.thread_time() - started}
    return {**identity(point, costing_id(technology), technology.name), **figures, **outcome}


def failed_row(point: Point, technology: Technology, message: str) -> dict[str, Any]:
    """The row of a point that did not come back."""
    return {**identity(point, costing_id(technology), technology.name), "status": FAILED, "message": message, "run_seconds": 0.0}


def check_model(expected: str) -> None:
    """ConfigError if this process has other model sources than the caller: their rows must not mix."""
    if model_hash() != expected:
        here = f"{platform.node()!r} runs another accelsim, {versions()['accelsim']}"
        raise ConfigError(f"the worker on {here}: its model is {model_hash()[:12]}, the sweep's {expected[:12]}; install the same one")


def _figures(point: Point, technology: Technology) -> dict[str, Any]:
    traces = [_trace(name, sha256) for name, sha256 in point.networks]
    result = simulate(point.accelerator, *traces, frames=point.frames, batch=point.batch, seed=point.seed, shared=_shared())
    if result.run_id != point.run_id:
        raise ConfigError(
            "a file that the accelerator names (`dram.device` or `dram.policy`) says something else here than where the sweep began"
        )
    stated = traces[0].manifest.metrics if len(traces) == 1 else {}  # of several there is no one model
    of_trace = {
        "trace_metrics": json.dumps(stated),
        "model_error": stated.get(MODEL_ERROR),
        "psum_bits_needed": most_accumulator_bits(point.accelerator.array, traces),
    }
    return {**metrics(result, point.accelerator, technology), **of_trace}


@cache
def _shared() -> Shared:
    return Shared()


@lru_cache(maxsize=64)
def _trace(name: str, sha256: str) -> Trace:
    """The trace of a name, if it is unchanged since the sweep began."""
    trace = open_trace(name)
    if trace.sha256 != sha256:
        raise TraceError(f"trace {name!r} has changed since the sweep began; start the sweep again")
    return trace
