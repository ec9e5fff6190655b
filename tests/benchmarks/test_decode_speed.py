"""How fast stripes are decoded and multiplied, beside NumPy's float32 product of the same shape on one thread in the same run.

Both sides get their activations as float32; the weights of one are packed, and its sums are int32.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from accelsim.compiler.image import layer_image
from accelsim.formats.catalog import format_from_mapping, parse_format
from accelsim.formats.masks import mask_patterns, pattern_bits
from accelsim.functional.products import panels
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.decode import codeword_words, decode_records, stream_words
from accelsim.kernels.decode_masked import NO_MASKS, decode_masked_records, mask_table
from accelsim.kernels.stripe import decode_stripes, multiply
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.trace.layers import GemmLayer
from tests.benchmarks.speed import Speed
from tests.random_weights import random_arrays

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="targets are those of compiled kernels; `make test` runs this folder compiled"
)
GEOMETRY = CoreGeometry(64, 64, 8, 16, 4, 256, True, True, 0, 256)  # edge-64x64 with SSVQ k=16 d=8


@pytest.mark.parametrize(("m", "k", "n"), [(197, 192, 576), (197, 768, 192)])
def test_decode_and_mac_reach_four_fifths_of_numpys_float32_product(
    benchmark: BenchmarkFixture, speed: Speed, m: int, k: int, n: int
) -> None:
    rng = np.random.default_rng(0)
    weight = WeightRecord(format=format_from_mapping({"kind": "ssvq", "k": 16, "d": 8}), k=k, n=n)
    layer = GemmLayer(name="fc", inputs=("x",), output=TensorShape(rows=m, width=n), bounds=LoopBounds(K=n, C=k, OX=m), weight=weight)
    arrays = {
        "indices": rng.integers(0, 16, (k, n // 8), np.uint8),
        "signs": rng.integers(0, 2, (k, n), np.uint8),
        "codebook": rng.integers(0, 128, (16, 8), np.int8),
    }
    image = layer_image(GEOMETRY, layer, arrays)
    words, codebook = stream_words(image.data), codeword_words(image.codebook)
    activations = rng.integers(-128, 128, (m, k)).astype(np.float32)
    parts = [(image.first_bits[stripes.start : stripes.stop], 64 * len(stripes)) for stripes in panels(64, n // 64)]
    widest = max(columns for _, columns in parts)
    panel, scratch = np.zeros(k * widest, np.float32), np.zeros(m * widest, np.float32)
    sums = [np.zeros((m, columns), np.int32) for _, columns in parts]

    def run() -> None:
        for (first_bits, columns), out in zip(parts, sums, strict=True):
            weights = panel[: k * columns].reshape(k, columns)
            decode_stripes(words, first_bits, 64, 8, 0, 4, True, 0, codebook, *NO_MASKS, weights)
            multiply(activations, weights, out, scratch[: m * columns].reshape(m, columns))

    left, right = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
    run()  # compiles
    benchmark(run)
    with threadpool_limits(1):
        product, own = speed.seconds(lambda: left @ right, run, turns=15, calls=20)
    speed.judge(f"decode and MAC, {m}x{k}x{n}, of NumPy float32", product / own, at_least=0.8)


# (format, lanes, index bits, signs, bits of a raw lane, codewords)
RECORDS = {
    "SSVQ k=16 d=8": (8, 4, True, 0, 16),
    "VQ k=1024 d=8": (8, 10, False, 0, 1024),
    "universal VQ k=65536 d=8": (8, 16, False, 0, 65536),
    "VecQ or uniform, 3 bits": (8, 0, False, 3, 0),
}


def stream(rng: np.random.Generator, bits: int) -> np.ndarray:
    """A packed stream of at least so many random bits, as words."""
    return stream_words(rng.integers(0, 256, -(-bits // 8), np.uint8))


@pytest.mark.parametrize("name", RECORDS)
def test_unpacking_is_shown_beside_its_target(benchmark: BenchmarkFixture, speed: Speed, name: str) -> None:
    d, index_bits, sign, raw_bits, codewords = RECORDS[name]
    rng = np.random.default_rng(0)
    words = stream(rng, (1 << 15) * (raw_bits * d or index_bits + d * sign))
    codebook, records = codeword_words(rng.integers(0, 128, (max(1, codewords), d), np.int8)), np.zeros((1 << 15, 1), np.uint64)

    def run() -> object:
        return decode_records(words, 0, d, index_bits, sign, raw_bits, codebook, records)

    run()  # compiles
    benchmark(run)
    (seconds,) = speed.seconds(run)
    speed.show(f"unpack {name}, G weights/s", d * records.shape[0] / seconds / 1e9, at_least=2)


@pytest.mark.parametrize(("d", "codewords", "keep", "of"), [(16, 512, 4, 16), (8, 256, 4, 8), (8, 16, 2, 4)])
def test_unpacking_masks_is_shown_beside_its_target(
    benchmark: BenchmarkFixture, speed: Speed, d: int, codewords: int, keep: int, of: int
) -> None:
    rng = np.random.default_rng(0)
    index_bits, number_bits = (codewords - 1).bit_length(), pattern_bits(keep, of)
    words = stream(rng, (1 << 15) * (index_bits + d // of * number_bits))
    codebook, masks = codeword_words(rng.integers(-127, 128, (codewords, d), np.int8)), mask_table(mask_patterns(keep, of), d)
    records = np.zeros((1 << 15, d // 8), np.uint64)

    def run() -> object:
        return decode_masked_records(words, 0, d, masks.lanes, index_bits, masks.bits, codebook, masks.words, records)

    run()  # compiles
    benchmark(run)
    (seconds,) = speed.seconds(run)
    speed.show(f"unpack masked VQ k={codewords} d={d} {keep}:{of}, G weights/s", d * records.shape[0] / seconds / 1e9, at_least=2)


STORED = (
    "uniform:bits=4", "ssvq:k=256,d=8", "vecq:bits=4", "palette:bits=4", "int_group:bits=4,group=128", "aqlm:books=2,bits=8",
    "vptq:bits=16",
    "quip_e8p", "gguf:type=Q4_K", "gguf:type=Q6_K", "gguf:type=IQ2_XXS", "gguf:type=MXFP4", "huffman-uniform:bits=4", "rice-uniform:bits=8",
)  # fmt: skip


@pytest.mark.parametrize("text", STORED)
def test_integers_out_of_stored_streams_are_shown_beside_their_target(benchmark: BenchmarkFixture, speed: Speed, text: str) -> None:
    """From the bytes of a trace to the integers of 1 M weights; Gaussian ones for the codes, whose lengths depend on them."""
    spec, rng = parse_format(text), np.random.default_rng(0)
    k, n = 1024, 1024
    arrays = random_arrays(spec.quantizer, k, n, rng)
    coded = spec.quantizer is not spec
    if coded:
        top = (1 << spec.quantizer.streams(k, n)["weights"].bits - 1) - 1
        arrays["weights"] = np.clip(np.rint(rng.normal(size=(k, n)) * top / 3), -top, top).astype(np.int8)
    fitted = spec.fitted(arrays, k, n)
    streams = fitted.pack(arrays, k, n)

    def run() -> object:
        return fitted.dequantize(fitted.unpack(streams, k, n), k, n)

    run()  # compiles
    benchmark(run)
    (seconds,) = speed.seconds(run)
    speed.show(f"unpack {text} as stored, G weights/s", k * n / seconds / 1e9, at_least=0.1 if coded else 1)
