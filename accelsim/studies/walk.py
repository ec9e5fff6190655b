"""The walk from the ratio of the weights' bits to a chip's own speed-up: one effect at a time, each step a pair of simulations.

Disputable assumption: the order of the steps. Effects overlap, so another order gives each another share; the ends are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import yaml

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.hw.channel import peak_bytes_per_s
from accelsim.progress import Progress
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.studies.ideal_machines import HUGE
from accelsim.studies.network_parts import compressed_matrices, products_alone, stacked
from accelsim.studies.study_records import Walk, WalkStep
from accelsim.trace.trace import Trace


@dataclass(frozen=True)
class _Stage:
    name: str
    meaning: str
    network: str
    undone: tuple[str, ...]  # parts that become real in this step


_STAGES = (
    _Stage("array and bandwidth", "block matrices at the memory's peak rate, overlapped", "stacked", ()),
    _Stage("scales, biases, codebooks", "what requantization takes per channel, and the codewords", "matrices", ()),
    _Stage("patches, classifier", "the layers left at 8 bit", "products", ()),
    _Stage("attention, layer order", "the whole graph; parameters of layernorm and embedding", "whole", ()),
    _Stage("image and logits", "activations that cross the memory", "whole", ("activations",)),
    _Stage("real memory", "rows, banks, refresh or commands; latency, DMA", "whole", ("memory",)),
    _Stage("real decoder and widths", "P lookups, W bits per cycle", "whole", ("decoder",)),
    _Stage("vector unit", "its lanes and passes", "whole", ("vector",)),
    _Stage("buffers, accumulators", "the chip itself", "whole", ("buffers",)),
)


def walk(accelerator: Accelerator, baseline: Trace, other: Trace, progress: Progress | None = None) -> Walk:
    """The walk on `accelerator` from `baseline` to `other`, two traces of one network of which the second is compressed further.

    Raises
    ------
    TraceError
        Both traces store their weights in the same formats, or the compressed matrices in several.
    """
    networks = _networks(accelerator, baseline, other)
    undone: tuple[str, ...] = ()
    runs: list[tuple[_Stage, Result, Result]] = []
    for number, stage in enumerate(_STAGES):
        if progress is not None:
            progress(f"walk {accelerator.name}", number, len(_STAGES))
        undone += stage.undone
        machine = _machine(accelerator, undone)
        first, second = (simulate(machine, trace) for trace in networks[stage.network])
        runs.append((stage, first, second))
    ratio = _weight_bits(runs[0][1]) / _weight_bits(runs[0][2])
    start = WalkStep("bits of the matrices", "weights alone, nothing else takes time", ratio, None, None)
    steps = (WalkStep(s.name, s.meaning, a.total_cycles / b.total_cycles, a, b) for s, a, b in runs)
    return Walk(accelerator.name, (start, *steps))


def _weight_bits(result: Result) -> int:
    """Bits of raw weights, indices and signs: how papers count a compression."""
    return sum(bits for key, bits in result.traffic.items() if key.operand in ("raw_weights", "indices", "signs", "masks"))


def _networks(accelerator: Accelerator, baseline: Trace, other: Trace) -> Mapping[str, tuple[Trace, Trace]]:
    names = compressed_matrices(baseline, other)
    rows = max(layer.m for layer in baseline.weighted_layers() if layer.name in names)
    columns = accelerator.array.cols
    return {
        "stacked": (stacked(baseline, names, columns, rows), stacked(other, names, columns, rows)),
        "matrices": (products_alone(baseline, names), products_alone(other, names)),
        "products": (products_alone(baseline), products_alone(other)),
        "whole": (baseline, other),
    }


def _machine(accelerator: Accelerator, real: tuple[str, ...]) -> Accelerator:
    """`accelerator` with every part ideal that is not in `real`."""
    if set(real) >= _PARTS.keys():
        return accelerator
    overrides = [item for part, ideal in _PARTS.items() if part not in real for item in ideal(accelerator)]
    return load_accelerator(yaml.safe_load(accelerator.dump_yaml()), overrides)


def _ideal_memory(accelerator: Accelerator) -> tuple[str, ...]:
    """The peak bandwidth of the memory that holds the weights, and nothing else of it."""
    rate = peak_bytes_per_s(accelerator.memory(accelerator.placement.weights))
    bandwidth = f", bandwidth: {int(rate)} B/s" if rate is not None else ""
    return (f"dram={{device: ideal{bandwidth}}}", "placement.weights=dram", "dma.fabric_latency=0 ps", "dma.max_transfers=64")


def _ideal_decoder(accelerator: Accelerator) -> tuple[str, ...]:
    width, array, buffer = accelerator.decode_width, accelerator.array, accelerator.activation_buffer
    ports = max(width.ports, array.cols // width.codeword_length)
    raw = width.with_ports(ports).widest
    row_bits = 8 * max(array.cols, raw)
    return (
        f"codebook.ports={ports}", f"array.raw_weights_per_cycle={raw}", "codebook.banks=null", "codebook.sets=2", "codebook.latency=1",
        f"weight_buffer.word_bits={max(row_bits, accelerator.weight_buffer.word_bits)}",
        f"activation_buffer.width_bits={max(row_bits, buffer.width_bits)}",
        f"activation_buffer.loader_bits={max(row_bits, buffer.loader_bits)}",
    )  # fmt: skip


_PARTS: Mapping[str, Callable[[Accelerator], tuple[str, ...]]] = {
    "activations": lambda _: ("placement.activations=none",),
    "memory": _ideal_memory,
    "decoder": _ideal_decoder,
    "vector": lambda _: ("vector_unit.lanes=0", "vector_unit.latency=0"),
    "buffers": lambda _: (
        f"weight_buffer.capacity={HUGE}",
        f"activation_buffer.capacity={HUGE}",
        "activation_buffer.ports=8",
        "array.accumulator_banks=2",
    ),
}
