"""DeiT-tiny on a small machine whose feature maps spill, as Arm's Vela estimates it: does compressing weights make it faster?

Disputable assumptions: uniform 8, 4 and 2 bit stand for Vela's weights at 100, 50 and 25 %, which it makes by encoding; the bandwidth
that feature maps get is fitted to one of its figures (see `configs/validation/vela-like.yaml`), all others are predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from accelsim.accelerator import load_accelerator
from accelsim.formats.catalog import parse_format
from accelsim.presets import built_in
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace, load_trace

TRACE = "deit_tiny_int8"
MACHINES = {"dram": "vela-like.yaml", "flash": "vela-like-flash.yaml"}  # in configs/validation
FORMATS = {"full": "uniform:bits=8", "half": "uniform:bits=4", "quarter": "uniform:bits=2"}
WEIGHT_OPERANDS = ("raw_weights", "scales_bias", "padding")


def vela_figures(overrides: Iterable[str] = ()) -> Mapping[str, float]:
    """Cycles, traffic and speed-ups by the names of the reference file, on both MACHINES with `overrides` like 'array.cols=32'."""
    data, changes = built_in(), tuple(overrides)
    network = load_trace(data.traces / TRACE)
    figures: dict[str, float] = {}
    for place, machine in MACHINES.items():
        accelerator = load_accelerator(str(data.configs / "validation" / machine), changes)
        runs = {amount: simulate(accelerator, recoded(network, spec)) for amount, spec in FORMATS.items()}
        if place == "dram":
            figures["cycles"] = runs["full"].total_cycles
            figures["dram_bytes"] = runs["full"].bus_bytes
            figures |= {f"weight_bytes_{amount}": weight_bytes(run) for amount, run in runs.items()}
        for amount in ("half", "quarter"):
            figures[f"speedup_{place}_{amount}"] = runs["full"].total_cycles / runs[amount].total_cycles
    return figures


def weight_bytes(result: Result) -> int:
    """Bytes read for weights, with the scales, biases and padding that come with them."""
    return sum(bits for key, bits in result.traffic.items() if key.operand in WEIGHT_OPERANDS) // 8


def recoded(trace: Trace, spec: str) -> Trace:
    """The network of `trace` with all weights in the format `spec`: a manifest alone, to be timed."""
    weight_format = parse_format(spec)
    layers = tuple(layer.in_format(weight_format).with_fields(constants={}) for layer in trace.layers)
    old = trace.manifest
    return Trace(Manifest(name=f"{trace.name} as {spec}", source=old.source, inputs=old.inputs, outputs=old.outputs, layers=layers))
