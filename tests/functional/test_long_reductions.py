"""Reductions of up to 4096 in every format: past 1024, float32 no longer holds a sum of int8 products; the int32 sums are exact."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.formats.catalog import describe_format, format_kinds, format_module, parse_format
from accelsim.functional import check_functional
from accelsim.functional_twin import product
from accelsim.kernels.stripe import multiply
from accelsim.trace.trace import Trace
from tests.functional.test_functional import gemm_trace

EVERY = [text for kind in format_kinds() for text in format_module(kind).EXAMPLES]
PATHS = {text: parse_format(text).decode_path() for text in EVERY}
TEXTS = [text for text, path in PATHS.items() if path.lane_bits <= 8 and not path.beyond_core]  # of an 8-bit array that scales channels
K = (1023, 1025, 2048, 4095, 4096)


def long_trace(text: str, k: int) -> Trace:
    """A product of two rows; K is cut to whole codewords where they lie along it."""
    path = parse_format(text).decode_path()
    step = path.d if path.decode and path.axis == 1 else 1
    return gemm_trace(2, k // step * step, 16, parse_format(text).model_dump())


def chip(trace: Trace) -> Accelerator:
    base = load_accelerator("mcu-16x16")
    return load_accelerator("mcu-16x16", codebook_overrides(base, trace))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("k", K)
def test_every_format_is_bit_exact_at_long_reductions(text: str, k: int) -> None:
    trace = long_trace(text, k)
    report = check_functional(chip(trace), trace)
    assert [layer.message for layer in report.layers] == ["bit-exact"], describe_format(parse_format(text))


@pytest.mark.parametrize("k", K)
def test_sums_at_the_ends_of_int8_equal_python_integers_where_float32_does_not(k: int) -> None:
    # 127 x 127 = 16129: k of them pass 2^24 from k = 1041 on, and with a last product of 1 the sum is odd there: no float32 holds it.
    a, b = np.full((5, k), 127, np.int8), np.full((6, k), 127, np.int8)
    a[:, -1] = b[:, -1] = 1
    b[:, -2] = 126 if (k - 1) % 2 else 127  # 127 x 126 is even
    wanted = sum(int(x) * int(y) for x, y in zip(a[0], b[0], strict=True))
    out = np.zeros((5, 6), np.int32)
    multiply(a.astype(np.float32), b.T.astype(np.float32), out, np.empty((5, 6), np.float32))
    assert (out == wanted).all()
    assert (product(a, b.T) == wanted).all()
    assert wanted % 2 == 1
    assert (int(np.float32(wanted)) == wanted) is (wanted < 1 << 24)
