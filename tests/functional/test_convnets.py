"""A small convolutional network in several formats: every product and pool is bit-exact, and its pools are what their definition says."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.functional import check_functional
from accelsim.ops.pool import PoolLayer
from tests.tiny_convnets import every_layer
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


def test_pools_are_what_their_definition_says_in_both_ways_of_working_them_out() -> None:
    # 2 x 3 positions of one channel: 1 2 3 / 4 5 6; 2 x 2 windows by 1, padded at the top alone
    image = np.array([[1], [2], [3], [4], [5], [6]], np.int8)
    fields = {"inputs": ("x",), "image": (2, 3), "taps": (2, 2), "strides": (1, 1), "padding": (1, 0), "padding_end": (0, 0)}
    for op, wanted in (("max_pool2d", [2, 3, 5, 6]), ("avg_pool2d", [1 + 2, 2 + 3, 1 + 2 + 4 + 5, 2 + 3 + 5 + 6])):
        layer = PoolLayer.model_validate({"name": "p", "op": op, "output": {"rows": 4, "width": 1}, **fields})
        assert layer.unit_sums(image)[:, 0].tolist() == wanted
        assert layer.exact_sums(image)[:, 0].tolist() == wanted
