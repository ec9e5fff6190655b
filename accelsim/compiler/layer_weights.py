"""The weights of layers on a chip: the geometry of the core, and the bits of header and image, found once for all layers that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.image import image_bits
from accelsim.compiler.merged_groups import image_tiles
from accelsim.compiler.target import Target
from accelsim.compiler.weight_traffic import header_traffic
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a layer on a chip; a property raises CompileError or FormatError where the format does not fit."""

    target: Target
    layer: WeightedLayer

    @cached_property
    def geometry(self) -> CoreGeometry:
        """The core as the layer's runs see it."""
        return weight_geometry(self.target, self.layer)

    @cached_property
    def header(self) -> Mapping[str, int]:
        """Operand -> bits of the layer's header."""
        tiles = image_tiles(self.geometry, self.layer)
        return header_traffic(self.layer.weight, self.target.vector_unit, self.target.codebook.store == "rom", tiles)

    @property
    def header_bytes(self) -> int:
        """Bytes of the layer's header."""
        return sum(self.header.values()) // 8

    @cached_property
    def image_bytes(self) -> int:
        """Bytes of the layer's records in the memory."""
        return image_bits(self.geometry, self.layer).total // 8


def weights_of_layers(target: Target, layers: Iterable[WeightedLayer]) -> Iterator[tuple[WeightedLayer, LayerWeights]]:
    """Each layer, with the weights of the first that is like it."""
    known: dict[tuple[object, ...], LayerWeights] = {}
    for layer in layers:
        yield layer, known.setdefault(layer.likeness, LayerWeights(target, layer))
