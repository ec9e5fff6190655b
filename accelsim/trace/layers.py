"""The layers of a network: operations, shapes, weights and constants.

A layer reads earlier layers or model inputs by name and writes one activation. Batch is 1: a machine that batches repeats.
Constants beside the weights (bias, normalization, embeddings) are counted here; bias bytes are the compiler's, because
the width of a bias and of a requantization scale belongs to the machine.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accelsim.ops.catalog import vector_operations
from accelsim.ops.experts import ExpertsLayer
from accelsim.ops.mac_layers import ConvLayer, GemmLayer, MacLayer, MatmulLayer, Operand, WeightedLayer
from accelsim.ops.operation import LayerBase, Name, VectorLayer
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord

__all__ = [
    "ConvLayer", "ExpertsLayer", "GemmLayer", "Layer", "LayerBase", "LoopBounds", "MacLayer", "MatmulLayer", "Name", "Operand",
    "TensorShape", "VectorLayer", "WeightRecord", "WeightedLayer",
]  # fmt: skip

if TYPE_CHECKING:
    Layer = MacLayer | VectorLayer
else:
    Layer = Annotated[reduce(or_, (GemmLayer, ConvLayer, MatmulLayer, ExpertsLayer, *vector_operations())), Field(discriminator="op")]
