"""Conventional vector quantization: the format against a plain twin, the encoder against its definition, and the papers' bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compression.encoder import encode, reconstruct
from accelsim.errors import FormatError
from accelsim.formats.bits import pack_bits
from accelsim.formats.catalog import parse_format
from tests import naive_formats as naive


def gaussian(k: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((k, n)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(axis=st.integers(0, 1), codewords=st.integers(1, 20), d=st.sampled_from([1, 2, 4, 8]), seed=st.integers(0, 2**32 - 1))
def test_weights_are_lanes_of_signed_codewords(axis: int, codewords: int, d: int, seed: int) -> None:
    spec = parse_format(f"vq:k={codewords},d={d},axis={axis}")
    rng = np.random.default_rng(seed)
    arrays = {
        "indices": rng.integers(0, codewords, spec.streams(8, 16)["indices"].shape),
        "codebook": rng.integers(-128, 128, (codewords, d)),
        "scales": np.ones(1, np.float32),
    }
    packed = spec.pack(arrays, 8, 16)
    assert packed["indices"].tobytes() == naive.stream_bytes(arrays["indices"].reshape(-1).tolist(), max(1, (codewords - 1).bit_length()))
    weights = spec.dequantize(spec.unpack(packed, 8, 16), 8, 16)
    assert weights.dtype == np.int8
    lists = (arrays["indices"].tolist(), arrays["codebook"].tolist())
    assert weights.tolist() == [[naive.codeword_weight(*lists, axis, row, column) for column in range(16)] for row in range(8)]


def test_bits_are_those_of_the_papers() -> None:
    # Papers count ceil(log2 k)/d: MVQ's baseline k=1024 d=8 is 1.25; k=256 d=4 is 2; k=300 needs 9-bit indices.
    for text, bits in (("k=1024,d=8", 1.25), ("k=256,d=4", 2.0), ("k=256,d=8", 1.0), ("k=300,d=8", 9 / 8)):
        assert parse_format(f"vq:{text}").bits_per_weight(192, 192).paper == bits
    # k=1024 d=8 int8 is 65,536 bits beside 46,080 of indices on a 192x192 layer, and a float32 scale
    assert parse_format("vq:k=1024,d=8").bits_per_weight(192, 192).total == pytest.approx((46_080 + 65_536 + 32) / 192**2)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scale", ["tensor", "channel"])
def test_every_subvector_takes_the_codeword_that_is_nearest(axis: int, scale: str) -> None:
    weights = gaussian(16, 24) * np.linspace(0.5, 2, 24, dtype=np.float32)
    spec = parse_format(f"vq:k=8,d=4,axis={axis},scale={scale}")
    arrays = encode(spec, weights, np.random.default_rng(0))
    assert np.abs(arrays["codebook"].astype(int)).max() == 127
    integers = weights.astype(np.float64) / arrays["scales"]  # what the codewords stand for, exactly
    rows = integers if axis == 0 else integers.T
    indices = arrays["indices"] if axis == 0 else arrays["indices"].T
    for row in range(rows.shape[0]):
        for place in range(rows.shape[1] // 4):
            distances = ((arrays["codebook"].astype(np.float64) - rows[row, 4 * place : 4 * place + 4]) ** 2).sum(axis=1)
            assert distances[indices[row, place]] == pytest.approx(distances.min(), rel=1e-5)


def test_as_many_codewords_as_subvectors_leave_the_rounding_of_int8() -> None:
    weights = gaussian(16, 16)
    spec = parse_format("vq:k=64,d=4")
    arrays = encode(spec, weights, np.random.default_rng(0))
    assert np.abs(weights - reconstruct(spec, arrays, 16, 16)).max() <= 0.5001 * float(arrays["scales"][0])


DEGENERATE = [np.zeros((8, 16), np.float32), np.full((8, 16), 1e-42, np.float32), gaussian(8, 16) * np.float32(1e30)]


@pytest.mark.parametrize("weights", DEGENERATE)
def test_degenerate_weights_stay_within_the_format(weights: np.ndarray) -> None:
    spec = parse_format("vq:k=4,d=8")
    arrays = encode(spec, weights, np.random.default_rng(0))
    assert np.isfinite(reconstruct(spec, spec.unpack(spec.pack(arrays, 8, 16), 8, 16), 8, 16)).all()


def test_what_does_not_fit_is_one_clear_message() -> None:
    rng = np.random.default_rng(0)
    for text, message in (("vq:k=17,d=8", "k=17 codewords for 16 subvectors"), ("vq:k=4,d=5", r"vq: d=5 does not divide N=16 \(axis=0\)")):
        with pytest.raises(FormatError, match=message):
            encode(parse_format(text), gaussian(8, 16), rng)
    for text, message in (("vq:k=4", "'d' is missing"), ("vq:k=65537,d=8", "'k' has value 65537"), ("vq:k=4,d=65", "'d' has value 65")):
        with pytest.raises(FormatError, match=message):
            parse_format(text)
    spec = parse_format("vq:k=5,d=4")
    packed = spec.pack(encode(spec, gaussian(8, 16), rng), 8, 16)
    with pytest.raises(FormatError, match=r"vq stream 'indices': index 7 is past the codebook; allowed: 0\.\.4"):
        spec.unpack({**packed, "indices": pack_bits(np.full((8, 4), 7), 3)}, 8, 16)
