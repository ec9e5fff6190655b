"""Layers that are alike have the same weights on a chip, and the same runs, whatever their names, images and strides are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim.accelerator import load_accelerator
from accelsim.compiler.image import image_bits
from accelsim.compiler.layer_weights import LayerWeights, weights_of_layers
from accelsim.compiler.target import Target, target_of
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError
from accelsim.formats.catalog import parse_format
from accelsim.hw.row_accesses import row_accesses
from accelsim.ops.mac_layers import ConvLayer, WeightedLayer
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord

CHIPS = (
    ("edge-64x64", ()),
    ("edge-32x32", ("array.depthwise=cheapest", "array.column_feed=3", "vector_unit.depthwise_taps=9")),
    ("edge-32x32", ("array.depthwise=block_diagonal",)),
    ("edge-32x32", ("array.dataflow=enhanced_weight_stationary", "array.weight_file=4", "weight_buffer.capacity=16 KiB")),
    ("mcu-16x16", ("array.dataflow=input_stationary",)),
)
FORMATS = ("uniform:bits=8", "ssvq:k=16,d=4", "int_group:bits=4,group=32")


def _convolution(name: str, format_text: str, sizes: tuple[int, ...], stride: int, padding: int, planar: bool) -> ConvLayer:
    outputs, inputs, groups, positions, taps = sizes
    side = (positions - 1) * stride + taps - 2 * padding
    return ConvLayer(
        op="depthwise_conv2d" if groups > 1 and inputs == outputs == 1 else "conv2d",
        name=name,
        inputs=(f"before {name}",),
        output=TensorShape(groups=1, rows=positions**2, width=outputs * groups, bits=8),
        bounds=LoopBounds(K=outputs, C=inputs, OY=positions, OX=positions, FY=taps, FX=taps, G=groups),
        weight=WeightRecord(format=parse_format(format_text), k=inputs * taps**2, n=outputs * groups),
        strides=(stride, stride),
        padding=(padding, padding),
        image=(side, side),
        input_layout="planar" if planar else "interleaved",
    )


def _facts(target: Target, layer: WeightedLayer) -> object:
    """All that follows from a layer's weights, or the refusal without its name."""
    try:
        geometry = LayerWeights(target, layer).geometry
        image = image_bits(geometry, layer)
    except CompileError as error:
        return str(error).replace(repr(layer.name), "")
    mapping = geometry.mapping
    reads = row_accesses(target.activation_buffer, layer.merged(mapping.merged), mapping.row_elements(geometry))
    return geometry, image, LayerWeights(target, layer).header, reads, mapping.lane_accesses(target.activation_buffer, layer, geometry.cols)


@given(
    chip=st.sampled_from(CHIPS),
    format_text=st.sampled_from(FORMATS),
    sizes=st.tuples(*(st.sampled_from(each) for each in ((1, 4, 32), (1, 4, 32), (1, 3, 32), (5, 8), (1, 3)))),
    ways=st.tuples(*(st.tuples(st.sampled_from([1, 2]), st.sampled_from([0, 1]), st.booleans()) for _ in range(2))),
)
def test_layers_that_are_alike_cost_the_same(
    chip: tuple[str, tuple[str, ...]], format_text: str, sizes: tuple[int, ...], ways: tuple[tuple[int, int, bool], ...]
) -> None:
    assume(sizes[0] * sizes[2] % 4 == 0 or not format_text.startswith("ssvq"))
    layers = [_convolution(name, format_text, sizes, *way) for name, way in zip("ab", ways, strict=True)]
    target = target_of(load_accelerator(*chip), ())
    target = replace(target, codebook=replace(target.codebook, codewords=16, element_bits=8))
    if layers[0].likeness == layers[1].likeness:
        assert _facts(target, layers[0]) == _facts(target, layers[1])
    else:
        assert ways[0][2] != ways[1][2] or (layers[0].channel_window is not None and ways[0][0] != ways[1][0])


@pytest.mark.parametrize("chip", CHIPS)
def test_each_layer_of_a_network_has_the_weights_that_it_has_alone(chip: tuple[str, tuple[str, ...]]) -> None:
    trace = open_trace("mobilenet_v2_float@uniform:bits=8")
    target = target_of(load_accelerator(*chip), [trace])
    found = list(weights_of_layers(target, trace.weighted_layers()))
    assert [layer.name for layer, _ in found] == [layer.name for layer in trace.weighted_layers()]
    for layer, shared in found:
        alone = LayerWeights(target, layer)
        assert (shared.geometry, shared.header_bytes, shared.image_bytes) == (alone.geometry, alone.header_bytes, alone.image_bytes)
    assert len({id(shared) for _, shared in found}) < len(found)
    assert np.all([shared.image_bytes > 0 for _, shared in found])
