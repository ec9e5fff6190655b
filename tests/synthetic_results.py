"""Small results made by hand: every sum that a test names can be checked on paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

from accelsim.accelerator import load_accelerator
from accelsim.result import FrameResult, LayerResult, Result, Traffic


def read(operand: str, size_bytes: int) -> Traffic:
    return Traffic(operand, "dram", False, 8 * size_bytes)


def layer(
    name: str,
    cycles: dict[str, int],
    *,
    op: str = "gemm",
    format: str = "uniform",
    macs: int = 0,
    pe_cycles: int = 0,
    vector_cycles: int = 0,
    traffic: tuple[Traffic, ...] = (),
    bounds: dict[str, int] | None = None,
) -> LayerResult:
    total = sum(cycles.values())
    return LayerResult(name, op, format, 0, total, cycles, macs, pe_cycles, vector_cycles, traffic, bounds or {}, "held")


def result(
    *frames: tuple[LayerResult, ...],
    accelerator: str = "chip",
    trace: str = "net",
    clock_hz: int = 10**9,
    batch: int = 1,
    warnings: tuple[str, ...] = (),
) -> Result:
    placed = _one_after_the_other([item for layers in frames for item in layers])
    return Result(
        run_id="ab" * 32,
        accelerator_name=accelerator,
        accelerator=f"name: {accelerator}\n",
        clock_hz=clock_hz,
        trace_name=trace,
        trace_sha256="cd" * 32,
        weights_source="seed 0",
        batch=batch,
        frames=tuple(FrameResult(tuple(islice(placed, len(layers))), trace) for layers in frames),
        counters={"dram_reads": 7},
        choices={"weights": "stream"},
        warnings=warnings,
        versions={"accelsim": "0.1.0"},
    )


def _one_after_the_other(layers: list[LayerResult]) -> Iterator[LayerResult]:
    """Layers that each start where the one before ends."""
    start = 0
    for item in layers:
        yield replace(item, start_cycle=start, end_cycle=start + item.total_cycles)
        start += item.total_cycles


def int8() -> Result:
    """Two equal blocks and a head: 1000 cycles, 600 of them waits for memory; 1640 bytes on the bus, 1600 of them useful."""
    block = {"busy": 150, "dram": 250}
    return result(
        (
            layer("blocks.0.fc", block, macs=1200, pe_cycles=2400, traffic=(read("raw_weights", 600),), bounds={"dram": 240, "array": 150}),
            layer("blocks.1.fc", block, macs=1200, pe_cycles=2400, traffic=(read("raw_weights", 600),), bounds={"dram": 240, "array": 150}),
            layer(
                "head",
                {"busy": 60, "dram": 100, "vector": 40},
                macs=480,
                pe_cycles=960,
                traffic=(read("raw_weights", 350), read("scales_bias", 50), read("padding", 24), read("burst_rounding", 16)),
                bounds={"dram": 170, "array": 60, "vector": 30},
            ),
        ),
        trace="net_int8",
    )


def ssvq() -> Result:
    """The same network with its blocks compressed: 500 cycles; decode and vector wait now; 680 bytes on the bus."""
    block = {"busy": 150, "decode": 10}
    traffic = (read("indices", 50), read("signs", 75), read("codebook", 15))
    bounds = {"dram": 56, "array": 150, "decode": 155}
    return result(
        (
            layer("blocks.0.fc", block, format="ssvq:k=16,d=8", macs=1200, pe_cycles=2400, traffic=traffic, bounds=bounds),
            layer("blocks.1.fc", block, format="ssvq:k=16,d=8", macs=1200, pe_cycles=2400, traffic=traffic, bounds=bounds),
            layer(
                "head",
                {"busy": 60, "dram": 70, "vector": 50},
                macs=480,
                pe_cycles=960,
                traffic=(read("raw_weights", 350), read("scales_bias", 50)),
                bounds={"dram": 170, "array": 60, "vector": 30},
            ),
        ),
        trace="net_ssvq",
    )


def on_chip(run: Result) -> Result:
    """A result by hand on a chip that can be costed."""
    return replace(run, accelerator=_chip())


@cache
def _chip() -> str:
    return load_accelerator("edge-32x32").dump_yaml()
