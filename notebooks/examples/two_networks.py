"""Two networks that take turns on one chip: one universal codebook in ROM (VQ4ALL), or one for each layer that reloads.

The second network is the first with weights of another seed, so the comparison is of traffic, time, energy and area; what sharing a
codebook costs in accuracy is not in it. Each chip gets the codebook that its format asks for: ROM for the one, SRAM for the other.

    python -m notebooks.examples.two_networks [TRACE [CHIP [K]]]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.recipe import make_recipe
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.presets import find_trace
from accelsim.result import FrameResult, Result
from accelsim.simulation import simulate
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace

SECOND_SEED = 77
ROUNDS = 2  # inferences of each network: the second shows what a turn costs once both have run


@dataclass(frozen=True)
class Shared:
    """One way to hold the codebooks, and what two networks in turn came to."""

    format: str
    result: Result
    energy_uj: float
    area_mm2: float

    @property
    def last(self) -> tuple[FrameResult, FrameResult]:
        """The last turn of each network."""
        return self.result.frames[-2], self.result.frames[-1]


def second_network(trace: Trace) -> Trace:
    """The same layers with weights of another seed."""
    fields = {name: getattr(trace.manifest, name) for name in type(trace.manifest).model_fields}
    source = seeded_source(SECOND_SEED)
    return Trace(type(trace.manifest)(**{**fields, "name": f"other_{trace.name}", "source": source, "payload": None}))


def compare(first: Trace, chip: str, k: int, d: int = 8) -> tuple[Shared, ...]:
    """Both networks with a shared codebook of k words of d weights, and with as large a one for each layer."""
    second, node, out = second_network(first), load_technology("nangate45"), []
    for text in (f"universal_vq:k={k},d={d}", f"vq:k={k},d={d}"):
        recipe = make_recipe(text)
        pairs = ((first, second), (second, first))
        packed = [compress_trace(one, recipe, companions=[other] if text.startswith("universal") else ())[0] for one, other in pairs]
        accelerator = load_accelerator(chip, codebook_overrides(load_accelerator(chip), packed[0]))
        result = simulate(accelerator, *packed, frames=ROUNDS)
        energy = energy_of(result, accelerator, node).energy_pj().nominal / 1e6 / len(result.frames)
        out.append(Shared(text, result, energy, area_of(accelerator, node).placed_um2.nominal / 1e6))
    return tuple(out)


def codebook_bytes(frame: FrameResult) -> int:
    """Bytes of codebooks that an inference loads."""
    return sum(item.bits for layer in frame.layers for item in layer.traffic if item.operand == "codebook") // 8


def main(arguments: list[str]) -> None:
    """Compress, simulate, and print a line for each way."""
    trace, chip, k = (*arguments, *("deit_tiny_float", "edge-64x64-x16", "1024")[len(arguments) :])
    print(f"two networks in turn on {chip}, {Path(trace).name} with seeds of their own; per inference, of the last turns")
    print(f"{'format':24}{'cycles':>22}{'codebooks, kB':>15}{'bus, MB':>9}{'uJ':>8}{'chip, mm2':>11}")
    for item in compare(load_trace(find_trace(trace)), chip, int(k)):
        cycles = " / ".join(f"{frame.total_cycles:,}" for frame in item.last)
        bus = item.result.bus_bytes / len(item.result.frames) / 1e6
        codebooks = f"{codebook_bytes(item.last[1]) / 1e3:,.1f}"
        print(f"{item.format:24}{cycles:>22}{codebooks:>15}{bus:>9.2f}{item.energy_uj:>8.0f}{item.area_mm2:>11.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
