"""A small convolutional network in several formats: every product and pool is bit-exact, and its pools are what their definition says."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.image import LayerImage
from accelsim.functional import check_functional
from accelsim.ops.pool import PoolLayer
from tests.tiny_convnets import ConvNet, every_layer
from tests.tiny_machines import tiny_accelerator

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")
FORMATS = [("uniform", None), ("uniform:bits=5", None), ("ssvq:k=16,d=4", "conv[469]"), ("vq:k=16,d=8", "conv4"), ("vecq:bits=4", "*")]


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("chip", ["tiny", "edge-32x32", "edge-64x64", "mcu-16x16"])
def test_a_convolutional_network_is_bit_exact(chip: str, form: tuple[str, str | None]) -> None:
    accelerator = (
        tiny_accelerator(array={"rows": 8, "cols": 8, "max_m": 7}, codebook={"ports": 2, "codeword_length": 8, "codewords": 64})
        if chip == "tiny"
        else load_accelerator(chip)
    )
    trace = every_layer().trace(*form, payload=True)
    report = check_functional(accelerator, trace)
    assert [check.message for check in report.layers] == ["bit-exact"] * len(report.layers)
    checked = [layer.name for layer in trace.layers if layer.macs or layer.op.endswith("pool2d")]
    assert [check.name for check in report.layers] == checked


def block_diagonal(rows: int) -> Accelerator:
    """A chip of 8 columns whose tiles hold as many groups as fit."""
    array = {"rows": rows, "cols": 8, "max_m": 7, "depthwise": "block_diagonal"}
    return tiny_accelerator(array=array, codebook={"ports": 2, "codeword_length": 2, "codewords": 64})


@pytest.mark.parametrize("form", ["uniform", "uniform:bits=5"])
@pytest.mark.parametrize("rows", [18, 40, 64])
def test_block_diagonal_tiles_are_bit_exact(rows: int, form: str) -> None:
    # 12 depthwise channels of 9 taps, then 4 groups of 3 channels and 2 outputs; the last tile is not full with 40 and 64 rows.
    net = ConvNet(3, 9, 7).conv(12).conv(12, 3, 2, groups=12, padding_end=(2, 0)).relu().conv(8, 3, groups=4)
    report = check_functional(block_diagonal(rows), net.trace(form, payload=True))
    assert [check.message for check in report.layers] == ["bit-exact"] * 3
    tiles = {check.name: check.tiles for check in report.layers}
    assert (tiles["conv2"], tiles["conv4"]) == {18: (6, 4 * 2), 40: (3, 4), 64: (2, 2)}[rows]


def test_a_planar_image_meets_block_diagonal_tiles_bit_exactly() -> None:
    report = check_functional(block_diagonal(40), ConvNet(5, 6, 6).conv(5, 3, groups=5).trace(payload=True))
    assert [(check.message, check.tiles) for check in report.layers] == [("bit-exact", 2)]


def test_a_bit_flipped_among_the_zeros_of_a_tile_is_found_there() -> None:
    def flip(name: str, image: LayerImage) -> LayerImage:
        data = image.data.copy()
        data[int(image.first_bits[1, 0]) // 8 + 1] ^= (
            4  # row 0, column 1 of the second tile: a weight of its first channel lies in column 0
        )
        return replace(image, data=data)

    report = check_functional(block_diagonal(40), ConvNet(5, 6, 6).conv(5, 3, groups=5).trace(payload=True), tamper=flip)
    assert "tile 1, tile (nt=1, kt=0): weight [0,1] decodes to 4, not 0" in report.layers[0].message


def test_pools_are_what_their_definition_says_in_both_ways_of_working_them_out() -> None:
    # 2 x 3 positions of one channel: 1 2 3 / 4 5 6; 2 x 2 windows by 1, padded at the top alone
    image = np.array([[1], [2], [3], [4], [5], [6]], np.int8)
    fields = {"inputs": ("x",), "image": (2, 3), "taps": (2, 2), "strides": (1, 1), "padding": (1, 0), "padding_end": (0, 0)}
    for op, wanted in (("max_pool2d", [2, 3, 5, 6]), ("avg_pool2d", [1 + 2, 2 + 3, 1 + 2 + 4 + 5, 2 + 3 + 5 + 6])):
        layer = PoolLayer.model_validate({"name": "p", "op": op, "output": {"rows": 4, "width": 1}, **fields})
        assert layer.unit_sums(image)[:, 0].tolist() == wanted
        assert layer.exact_sums(image)[:, 0].tolist() == wanted
