"""MVQ's speed-ups (ASPLOS 2025, arXiv 2412.10261): five networks compressed on its array, over 8 bits on the plain array and on its own.

The published 2.2 of ResNet-18 is its compressed design, enhanced weight stationary with a sparse tile, over plain weight stationary at
8 bits; over enhanced weight stationary at 8 bits the paper states 1.2 to 1.8. A sparse tile saves multipliers, not cycles.

Disputable assumptions: one recipe for all networks, 512 codewords of 16 with 4 of each 16 weights kept, in the layers that it fits but the
first and the last; and those of `configs/validation/mvq-ws.yaml`, of which nothing is fitted to a network.
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

NETWORKS = ("resnet18", "resnet50", "vgg16", "alexnet", "mobilenet_v1")
INT8, COMPRESSED = "uniform:bits=8", "masked_vq:k=512,d=16,keep=4,of=16"
PLAIN, ENHANCED = "mvq-ws.yaml", "mvq-ews.yaml"  # in configs/validation


@dataclass(frozen=True)
class MvqSpeedups:
    """A network's cycles at 8 bits on the plain array and on the enhanced one, and compressed on the enhanced one."""

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


def mvq_speedups(networks: Iterable[str] = NETWORKS, progress: Progress | None = None) -> list[MvqSpeedups]:
    """The speed-ups of some networks of `accelsim.studies.networks`.

    Raises
    ------
    AccelsimError
        An unknown network, or one that the chip cannot run.
    """
    names = list(networks)
    plain, enhanced = _chip(PLAIN), _chip(ENHANCED)
    found = []
    for place, name in enumerate(names):
        if progress is not None:
            progress("networks simulated", place, len(names))
        runs = ((plain, INT8), (enhanced, INT8), (enhanced, COMPRESSED))
        found.append(MvqSpeedups(name, *(_cycles(chip, name, recipe) for chip, recipe in runs)))
    return found


def _chip(file: str) -> Accelerator:
    return load_accelerator(str(built_in().configs / "validation" / file))


def _cycles(chip: Accelerator, name: str, recipe: str) -> int:
    return simulate(chip, in_format(network(name), make_recipe(recipe), f"{name}@{recipe}")).total_cycles
