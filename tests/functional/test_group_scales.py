"""Weights with a scale per group of inputs: decoded out of their image and summed in float32, bit for bit as an independent twin."""

from __future__ import annotations

import re
from dataclasses import replace

import numba
import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.image import LayerImage
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import CompileError
from accelsim.functional import check_functional
from accelsim.kernels.group_sums import add_scaled
from accelsim.presets import find_trace
from accelsim.trace.trace import Trace, load_trace

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def packed(text: str) -> Trace:
    return compress_trace(load_trace(find_trace("tiny_vit_float")), make_recipe(text))[0]


@pytest.mark.parametrize("overrides", [[], ["array.scale_taps=2"], ["array.scale_taps=16"]])
@pytest.mark.parametrize(
    "text",
    ["int_group:bits=4,group=32", "int_group:bits=3,group=24,zero=1", "int_group:bits=8,group=128", "int_group:bits=2,group=96,zero=1"],
)
def test_each_product_is_bit_exact_and_near_float64(text: str, overrides: list[str]) -> None:
    report = check_functional(load_accelerator("edge-64x64", overrides), packed(text))
    assert report.ok
    errors = [re.fullmatch(r"bit-exact; float32 sums within (\S+) of float64", layer.message) for layer in report.layers]
    found = [float(match[1]) for match in errors if match]
    assert len(found) == 12  # the linear layers of the blocks
    assert ("bits=8" in text) <= (max(found) > 0)  # sums of fewer bits times a binary16 scale may all fit 24 bits
    assert max(found) < 1e-6


def test_a_product_is_rounded_before_it_is_added() -> None:
    """1 + 2^-24 (1 + 2^-10) rounds down to 1 if 2^-24 is added at once; times 3: 3 (1 + 2^-10) 2^-24 rounds 1 up by one step."""
    sums = np.ones((1, 2), np.float32)
    add_scaled(np.array([[1, 3]], np.int32), np.array([2.0**-24, 2.0**-24], np.float32), sums)
    assert sums.tolist() == [[1.0, 1.0 + 2.0**-22]]  # 1 + 3 x 2^-24 lies between 2^-23 and 2^-22: to even


@pytest.mark.parametrize("bit", [0, 3 * 64])
def test_a_flipped_bit_of_a_scale_or_weight_is_found(bit: int) -> None:
    def flip(name: str, image: LayerImage) -> LayerImage:
        data = image.data.copy()
        data[bit // 8 + 1] ^= 0x10
        return replace(image, data=data)

    report = check_functional(load_accelerator("edge-64x64"), packed("int_group:bits=4,group=32"), tamper=flip)
    assert not report.ok


def test_scales_in_the_decoder_are_refused_by_name() -> None:
    chip = load_accelerator("edge-64x64", ["array.scale_at=channel"])
    with pytest.raises(CompileError, match=r"array\.scale_at = 'channel'"):
        check_functional(chip, packed("int_group:bits=4,group=32"))
