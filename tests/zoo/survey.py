"""Survey of the zoo: which networks import, with PyTorch's own multiply-accumulates, its values, and a run on edge-64x64.

    python -m tests.zoo.survey [--published] [--page docs/importers.md] [NAME ...]

Small networks are compared in their values; published ones have no weights (PyTorch's meta device) and are compared in their counts.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.errors import AccelsimError
from accelsim.importers.import_model import import_model, import_program
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, save_trace
from tests import naive_graph
from tests.zoo import layers, library
from tests.zoo.counted import counted
from tests.zoo.network import EPSILON, Answer, Network, randomized

NETWORKS: dict[str, Network] = {**library.NETWORKS, **layers.NETWORKS}
FORMATS = ("uniform:bits=8", "ssvq:k=16,d=8")
HEAD = "| network | path | MACs | equal to PyTorch's | values | int8 | SSVQ k=16 d=8 | import, s | run, s |"
_BETWEEN = ("<!-- zoo -->", "<!-- end of zoo -->")


@dataclass(frozen=True)
class Row:
    """A network's line: `values` is the largest error over the largest value, None if it was not compared; runs are 'runs' or an error."""

    name: str
    macs: int
    expected: int
    values: float | None
    runs: tuple[str, ...]
    import_seconds: float
    run_seconds: float

    def line(self) -> str:
        """As a line of a table."""
        found = "" if self.values is None else f"{self.values:.0e}"
        equal = "yes" if self.macs == self.expected else f"no: {self.expected:,}"
        times = f"{self.import_seconds:.1f} | {self.run_seconds:.1f}"
        return f"| {self.name} | torch.export | {self.macs:,} | {equal} | {found} | {' | '.join(self.runs)} | {times} |"


@dataclass(frozen=True)
class Imported:
    """A network as PyTorch exports it, an input, PyTorch's count of its multiply-accumulates, its trace and the seconds of the import."""

    module: Any
    given: Any
    macs: int
    trace: Trace
    seconds: float


def imported(network: Network, published: bool, folder: Path) -> Imported:
    """A network, small with random numbers, or published as shapes alone.

    A published one is made on the meta device; one that computes with numbers while it is traced (masks and positions that it compares,
    recurrent layers) is made with PyTorch's own random weights.
    """
    if not published:
        return _imported_on(nullcontext(), network, published, folder)
    try:
        return _imported_on(torch.device("meta"), network, published, folder)
    except Exception:  # noqa: BLE001  # whatever PyTorch, a model's code or an import raises where a tensor has no data
        return _imported_on(nullcontext(), network, published, folder)


def _imported_on(device: AbstractContextManager[Any], network: Network, published: bool, folder: Path) -> Imported:
    torch.manual_seed(2)
    with torch.no_grad(), device:
        module = Answer(network.published().eval() if published else randomized(network.small()))
        given = network.input_of(network.published_input if published else network.small_input)
        program = torch.export.export(module, (given,), strict=False)
        macs = counted(program, given)
    start = time.perf_counter()
    if published:
        trace = import_program(program, "it", seed=1)
    else:
        torch.export.save(program, folder / "m.pt2")
        trace = import_model(str(folder / "m.pt2"))
    return Imported(module, given, macs, trace, time.perf_counter() - start)


def error_of(trace: Trace, network: Network, module: Any, given: Any) -> float:
    """The largest error of a trace's float values, over the largest value of PyTorch's."""
    with torch.no_grad():
        wanted = module(given).numpy()
    inputs = {}
    for item in trace.manifest.inputs:
        rows = module.get_submodule(item.name).weight[given[0]].detach().numpy() if network.reads_tokens else given.numpy()
        inputs[item.name] = rows.reshape(item.shape.dims)
    found = naive_graph.run_float(trace, inputs, EPSILON)[trace.manifest.outputs[0]]
    moved = np.moveaxis(wanted, 1, -1) if wanted.ndim > 2 else wanted  # channels last, as in a trace
    positions = moved if wanted.ndim == 4 or found.shape[1:] == moved.shape[1:] != wanted.shape[1:] else wanted
    return float(np.abs(found.reshape(positions.shape) - positions).max() / np.abs(wanted).max())


def surveyed(name: str, published: bool, folder: Path) -> Row:
    """Import a network, count, compare, run; an AccelsimError if it does not import."""
    network = NETWORKS[name]
    found = imported(network, published, folder)
    trace = found.trace
    values = None if published else error_of(trace, network, found.module, found.given)
    save_trace(trace, folder / "float")
    begin = time.perf_counter()
    runs = tuple(_run(f"{folder / 'float'}@{weight_format}", trace) for weight_format in FORMATS)
    return Row(name, trace.macs, found.macs, values, runs, found.seconds, time.perf_counter() - begin)


def _run(trace: str, whole: Trace) -> str:
    try:
        opened = open_trace(trace)
        result = simulate(load_accelerator("edge-64x64"), opened)
    except AccelsimError as error:
        return str(error).rpartition("': ")[2].split("; ")[0]
    if result.macs != whole.macs:
        return f"runs {result.macs:,} MACs"
    kind = trace.rpartition("@")[2].partition(":")[0]
    return "runs" if any(layer.weight.format.kind == kind for layer in opened.weighted_layers()) else "runs at 8 bits"


def survey(names: Sequence[str], published: bool) -> Iterator[str]:
    """A line per network."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield surveyed(name, published, Path(folder)).line()
            except AccelsimError as error:
                yield f"| {name} | none | | | | | | | {re.sub(r'^.*m.pt2: ', '', str(error))} |"


def main() -> None:
    """Print the table, or put it into a page."""
    parser = argparse.ArgumentParser(description="Survey of the zoo")
    parser.add_argument("names", nargs="*", help="networks; all by default")
    parser.add_argument("--published", action="store_true", help="in their published sizes, without values")
    parser.add_argument("--page", type=Path, help="a page whose table takes the rows")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    head = [HEAD, "|---" * (HEAD.count("|") - 1) + "|"]
    print("\n".join(head))
    lines = {}
    names = asked.names or list(NETWORKS)
    for name, line in zip(names, survey(names, asked.published), strict=True):
        print(line, flush=True)
        lines[name] = line
    if asked.page is not None:
        before, rest = asked.page.read_text().split(_BETWEEN[0])
        written, after = rest.split(_BETWEEN[1])
        rows = {
            line.split(" | ")[0].removeprefix("| "): line for line in written.splitlines() if line.startswith("| ") and line != HEAD
        } | lines
        table = "\n".join((_BETWEEN[0], "", *head, *(rows[name] for name in NETWORKS if name in rows), "", _BETWEEN[1]))
        asked.page.write_text(before + table + after)


if __name__ == "__main__":
    sys.exit(main())
