"""ResNet-18 on the decode-and-MAC core with a 64-bit weight load: above 32x32 the load width limits int8, and an index is narrower.

Disputable assumptions: a convolution is the matrix product of its definition, with all its rows in one run (accumulators as deep as the
largest output), and no memory stalls; with accumulators of 256 rows each stripe is loaded again for every 256 rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone

ARRAYS = (16, 32, 64)
CODEWORD_LENGTH = 8
CODEWORDS = 1024
LOAD_BITS = 64
IMAGE, CLASSES = 224, 1000
STAGE_CHANNELS = (64, 128, 256, 512)
BLOCKS_A_STAGE = 2


@dataclass(frozen=True)
class Gemm:
    """A layer as the product of (m x k) by (k x n)."""

    name: str
    m: int
    k: int
    n: int


def resnet18() -> Iterator[Gemm]:
    """The 20 convolutions and the classifier of ResNet-18 for a 224 x 224 image (He et al., CVPR 2016, table 1), in order."""
    side, channels = IMAGE // 2, STAGE_CHANNELS[0]
    yield Gemm("stem", side**2, 7 * 7 * 3, channels)
    side //= 2  # max pooling
    for stage, width in enumerate(STAGE_CHANNELS):
        for block in range(BLOCKS_A_STAGE):
            halves = stage > 0 and block == 0
            side = side // 2 if halves else side
            yield Gemm(f"stage {stage} block {block} first", side**2, 3 * 3 * channels, width)
            yield Gemm(f"stage {stage} block {block} second", side**2, 3 * 3 * width, width)
            if halves:
                yield Gemm(f"stage {stage} block {block} shortcut", side**2, channels, width)
            channels = width
    yield Gemm("classifier", 1, channels, CLASSES)


def core(array: int, decode: bool, max_m: int | None = None) -> CoreGeometry:
    """An array x array core with array/8 lookups per cycle and a 64-bit load; int8 through the same ports unless it decodes."""
    depth = max_m or max(gemm.m for gemm in resnet18())
    return CoreGeometry(
        rows=array, cols=array, codeword_length=CODEWORD_LENGTH, codewords=CODEWORDS, ports=array // CODEWORD_LENGTH,
        word_bits=LOAD_BITS, decode=decode, sign=False, axis=0, max_m=depth,
    )  # fmt: skip


def load_width_figures(max_m: int | None = None) -> Mapping[str, float]:
    """Speed-up of k=1024 d=8 over int8, by array side."""
    return {str(array): _cycles(core(array, False, max_m)) / _cycles(core(array, True, max_m)) for array in ARRAYS}


def _cycles(geometry: CoreGeometry) -> int:
    return sum(run_stand_alone(geometry, gemm.m, gemm.k, gemm.n).cycles for gemm in resnet18())
