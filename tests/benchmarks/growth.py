"""CPU time of compiling and of running against the size of the work: `python -m tests.benchmarks.growth` measures and draws it.

Each point is one network on one chip, in one process; a line of slope one is cost in proportion. It takes a minute or two, and longer
with `--all`, which also runs the 1B decoder.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.hw.channel import burst_bytes
from accelsim.system import run_program
from accelsim.trace.trace import Trace
from tests.benchmarks.history import commits_of, processor
from tests.benchmarks.networks import decoder_1b, decoder_7b, vit_base
from tests.tiny_machines import tiny_encoder

ROOT = Path(__file__).resolve().parents[2]
AXES = {"macs": "MACs", "tiles": "tiles of the array", "transfers": "DMA transfers", "bursts": "DRAM bursts"}
RUN_COLOR, COMPILE_COLOR, GUIDE_COLOR = "#0072B2", "#D55E00", "#999999"


@dataclass(frozen=True)
class Point:
    """One measurement: sizes of the program and CPU seconds; `run_s` is None where it was only compiled."""

    network: str
    accelerator: str
    macs: int
    tiles: int
    transfers: int
    bursts: int
    compile_s: float
    run_s: float | None


def measure(network: str, trace: Trace, accelerator: str, overrides: tuple[str, ...] = (), *, run: bool = True) -> Point:
    """Compile and run a network, each as the better of two calls."""
    chip = load_accelerator(accelerator, overrides)
    program = compile_trace(chip, trace)
    compile_s = min(_cpu_s(lambda: compile_trace(chip, trace)) for _ in range(2))
    run_s = min(_cpu_s(lambda: run_program(chip, program)) for _ in range(2)) if run else None
    bits = sum(count for layer in program.layers for (_, memory, _), count in layer.bits.items() if memory == "dram")
    return Point(
        network=network,
        accelerator=accelerator,
        macs=trace.macs,
        tiles=int((program.runs["kt_count"] * program.runs["nt_count"]).sum()),
        transfers=program.transfers.size.size,
        bursts=bits // 8 // burst_bytes(chip.dram),
        compile_s=compile_s,
        run_s=run_s,
    )


def points() -> list[Point]:
    """Encoders of growing depth and width, larger networks, and a decoder's step, on chips of two sizes."""
    out: list[Point] = []
    run_program(load_accelerator("edge-64x64"), compile_trace(load_accelerator("edge-64x64"), tiny_encoder(16, 64, 1, 64, "int8")))
    for chip in ("edge-32x32", "edge-64x64"):
        for depth in (1, 4, 16):
            out.append(measure(f"encoder, width 192, depth {depth}", tiny_encoder(197, 192, 3, 768, "int8", depth), chip))
        out.append(measure("encoder, width 384, depth 4", tiny_encoder(197, 384, 6, 1536, "int8", 4), chip))
    room = ("activation_buffer.capacity=2MiB",)
    out.append(measure("ViT-Base encoder", vit_base(), "edge-64x64", room))
    out.append(measure("1B decoder, one token", decoder_1b(), "edge-64x64", ("dram.channels=2",), run="--all" in sys.argv))
    out.append(measure("7B decoder, one token", decoder_7b(), "edge-64x64", ("dram.channels=8",), run=False))
    return out


def draw(found: list[Point], path: Path) -> None:
    """CPU seconds against each size, with a line of slope one."""
    figure = Figure(figsize=(9, 2.7), layout="constrained")
    for axis, (name, label) in zip(figure.subplots(1, len(AXES), sharey=True), AXES.items(), strict=True):
        ran = [(getattr(point, name), point.run_s) for point in found if point.run_s is not None]
        axis.loglog(*zip(*ran, strict=True), "o", ms=5, color=RUN_COLOR, label="run")
        compiled = [(getattr(point, name), point.compile_s) for point in found]
        axis.loglog(*zip(*compiled, strict=True), "^", ms=5, mfc="none", color=COMPILE_COLOR, label="compile")
        sizes = sorted(size for size, _ in compiled)
        middle = sorted(seconds / size for size, seconds in ran)[len(ran) // 2]
        axis.loglog([sizes[0], sizes[-1]], [middle * sizes[0], middle * sizes[-1]], "--", lw=1, color=GUIDE_COLOR, label="slope 1")
        axis.set_xlabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("CPU seconds")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def _cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure, save the points beside the figures of `make bench`, draw, and print a table."""
    found = points()
    folder = ROOT / "out" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    commit, _ = commits_of(ROOT)
    document = {"commit": commit, "processor": processor(), "points": [asdict(point) for point in found]}
    (folder / f"growth-{commit}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draw(found, ROOT / "docs" / "images" / "growth.png")
    print(f"{processor()}\n\n| network | chip | MACs | tiles | transfers | compile, CPU s | run, CPU s |\n|---|---|---|---|---|---|---|")
    for point in found:
        run = "not run" if point.run_s is None else f"{point.run_s:.3g}"
        print(
            f"| {point.network} | `{point.accelerator}` | {point.macs:.3g} | {point.tiles:,} | {point.transfers:,} "
            f"| {point.compile_s:.3f} | {run} |"
        )


if __name__ == "__main__":
    main()
