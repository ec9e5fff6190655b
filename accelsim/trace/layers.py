"""The layers of a network: what each computes, on which shapes, with which weights and constants.

A layer reads earlier layers or model inputs by name and writes one activation. Batch is 1: a machine that batches repeats.
Constants beside the weights (bias, normalization, embeddings) are counted here; bias bytes are the compiler's, because
the width of a bias and of a requantization scale belongs to the machine.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from accelsim.trace.layer_base import LayerBase, Name
from accelsim.trace.mac_layers import ConvLayer, GemmLayer, MacLayer, MatmulLayer, Operand, WeightedLayer
from accelsim.trace.shapes import LoopBounds, TensorShape
from accelsim.trace.streams import WeightRecord
from accelsim.trace.vector_layers import (
    AddLayer,
    ClipLayer,
    EmbedLayer,
    GeluLayer,
    LayerNormLayer,
    PoolLayer,
    SoftmaxLayer,
    TableLayer,
)

__all__ = [
    "AddLayer", "ClipLayer", "ConvLayer", "EmbedLayer", "GeluLayer", "GemmLayer", "Layer", "LayerBase", "LayerNormLayer", "LoopBounds",
    "MacLayer", "MatmulLayer", "Name", "Operand", "PoolLayer", "SoftmaxLayer", "TableLayer", "TensorShape", "WeightRecord",
    "WeightedLayer",
]  # fmt: skip

Layer = Annotated[
    GemmLayer
    | ConvLayer
    | MatmulLayer
    | SoftmaxLayer
    | LayerNormLayer
    | GeluLayer
    | ClipLayer
    | TableLayer
    | PoolLayer
    | AddLayer
    | EmbedLayer,
    Field(discriminator="op"),
]
