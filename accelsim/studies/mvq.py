"""MVQ's speed-ups (ASPLOS 2025, arXiv 2412.10261): five networks compressed on its array, over 8 bits on the plain array and on its own.

The published 2.2 of ResNet-18 is its compressed design, enhanced weight stationary with a sparse tile, over plain weight stationary at
8 bits; over enhanced weight stationary at 8 bits the paper states 1.2 to 1.8. A sparse tile saves multipliers, not cycles.

Only layers that reuse their weights count: convolutions, of MobileNet-v1 the first and the pointwise ones. With AlexNet's fully connected
layers, 58.6 of its 61.1 million weights at one row each, no array with this port can lie between 1.2 and 1.8: they cross it in 7.3 million
cycles at 8 bits and in 1.1 million compressed, beside half a million of convolutions; left at 8 bits they would gain nothing.

Disputable assumptions: that the paper counted so, which no text at hand says; one recipe for all networks, 512 codewords of 16 with 4 of
each 16 weights kept, in the layers that it fits but the first and the last; and those of `configs/validation/mvq-ws.yaml`, of which nothing
is fitted to a network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compression.open_trace import in_format
from accelsim.compression.recipe import make_recipe
from accelsim.presets import built_in
from accelsim.progress import Progress
from accelsim.simulation import simulate
from accelsim.studies.networks.catalog import network
from accelsim.trace.trace import Trace

NETWORKS = ("resnet18", "resnet50", "vgg16", "alexnet", "mobilenet_v1")
INT8, COMPRESSED = "uniform:bits=8", "masked_vq:k=512,d=16,keep=4,of=16"
PLAIN, ENHANCED = "mvq-ws.yaml", "mvq-ews.yaml"  # in configs/validation


@dataclass(frozen=True)
class MvqSpeedups:
    """Cycles of a network's layers at 8 bits on the plain array and on the enhanced one, and compressed on the enhanced one."""

    network: str
    plain_int8: int
    enhanced_int8: int
    enhanced_compressed: int

    @property
    def over_ws(self) -> float:
        """Over plain weight stationary at 8 bits."""
        return self.plain_int8 / self.enhanced_compressed

    @property
    def over_ews(self) -> float:
        """Over enhanced weight stationary at 8 bits."""
        return self.enhanced_int8 / self.enhanced_compressed


def mvq_speedups(networks: Iterable[str] = NETWORKS, progress: Progress | None = None, *, whole: bool = False) -> list[MvqSpeedups]:
    """The speed-ups of some networks of `accelsim.studies.networks`.

    Parameters
    ----------
    whole : count all layers, also those that use a weight once, or for one channel

    Raises
    ------
    AccelsimError
        An unknown network, or one that the chip cannot run.
    """
    names = list(networks)
    plain, enhanced = mvq_chip(PLAIN), mvq_chip(ENHANCED)
    found = []
    for place, name in enumerate(names):
        if progress is not None:
            progress("networks simulated", place, len(names))
        runs = ((plain, INT8), (enhanced, INT8), (enhanced, COMPRESSED))
        found.append(MvqSpeedups(name, *(_cycles(chip, name, recipe, whole) for chip, recipe in runs)))
    return found


def mvq_chip(file: str) -> Accelerator:
    """The chip of `PLAIN` or `ENHANCED`."""
    return load_accelerator(str(built_in().configs / "validation" / file))


def counted_layers(trace: Trace) -> frozenset[str]:
    """Names of the layers with more than one row and all input channels for each output."""
    return frozenset(layer.name for layer in trace.weighted_layers() if layer.m > 1 and layer.tile_groups == 1)


def _cycles(chip: Accelerator, name: str, recipe: str, whole: bool) -> int:
    trace = network(name)
    result = simulate(chip, in_format(trace, make_recipe(recipe), f"{name}@{recipe}"))
    if whole:
        return result.total_cycles
    counted = counted_layers(trace)
    return sum(layer.total_cycles for layer in result.layers if layer.name in counted)
