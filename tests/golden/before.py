"""Numbers of the machine as they stood when a change began: `python -m tests.golden.before NAME` writes `before_NAME.json`.

Every preset with every committed compressed trace, two convolutional networks, and tiny machines with every field at its default. Unlike
`machine.json` a file is written once, before the change, and never again: what moved since then is in CHANGELOG, and is told apart here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.errors import AccelsimError
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.tiny_machines import gemm_chain, tiny_accelerator, tiny_encoder

FOLDER = Path(__file__).parent
PRESETS = ("edge-32x32", "edge-32x32-x32", "edge-64x64", "edge-64x64-x16", "mcu-16x16")
FORMATS = (
    "int8", "masked_vq_k512d16", "ssvq_k16d8", "ssvq_k256d8", "uniform_b4", "universal_vq_k4096d8", "vecq_b2", "vecq_b3", "vecq_b4",
    "vq_k1024d8",
)  # fmt: skip
TRACES = (*(f"deit_tiny_{name}" for name in FORMATS), "tiny_vit_int8", "tiny_vit_ssvq")
CONVNETS = ("resnet18_float@uniform:bits=8", "mobilenet_v2_float@uniform:bits=4")


def points() -> Iterator[tuple[str, Accelerator, Trace]]:
    """(name, accelerator, trace) of each run."""
    presets = {name: load_accelerator(name) for name in PRESETS}
    for trace_name in TRACES:
        trace = open_trace(trace_name)
        for name, accelerator in presets.items():
            yield f"{name} {trace_name}", accelerator, trace
    for trace_name in CONVNETS:
        yield f"edge-64x64 {trace_name}", presets["edge-64x64"], open_trace(trace_name)
    tiny = tiny_accelerator()
    yield "tiny chain", tiny, gemm_chain(9, [16, 24, 8], ["int8", "ssvq:16,4"], ["gelu", "layernorm"])
    yield "tiny encoder", tiny, tiny_encoder(5, 8, 2, 16, "ssvq:16,2")


def measure(accelerator: Accelerator, trace: Trace) -> dict[str, Any]:
    """Cycles, traffic and a digest of every layer of one run; of a run that is refused, the class of its error."""
    try:
        result = simulate(accelerator, trace)
    except AccelsimError as error:
        return {"refused": type(error).__name__}
    traffic = {f"{item.operand} {item.memory} {'write' if item.write else 'read'}": bits for item, bits in result.traffic.items()}
    return {
        "total_cycles": result.total_cycles,
        "cycles": {name: count for name, count in result.cycles.items() if count},
        "traffic_bits": dict(sorted(traffic.items())),
        "layers": layers_digest(result),
    }


def layers_digest(result: Result) -> str:
    """SHA-256 over cycles by category, span, vector cycles, bounds and traffic of each layer in order."""
    digest = hashlib.sha256()
    for layer in result.layers:
        traffic = sorted((item.operand, item.memory, item.write, item.bits) for item in layer.traffic)
        cycles = sorted((name, count) for name, count in layer.cycles.items() if count)
        bounds = sorted(layer.bounds.items())
        fields = [layer.name, layer.start_cycle, layer.end_cycle, layer.vector_cycles, layer.macs, cycles, traffic, bounds]
        digest.update(json.dumps(fields).encode() + b"\n")
    return digest.hexdigest()


def main(name: str) -> None:
    """Write `before_NAME.json`; a file that is there stays as it is."""
    file = FOLDER / f"before_{name}.json"
    if file.exists():
        sys.exit(f"{file.name} exists: it says how things stood before, and stays")
    record = {point: measure(accelerator, trace) for point, accelerator, trace in points()}
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.golden.before NAME")
    main(sys.argv[1])
