"""Every format that the registry finds: streams, packing, bit accounting, errors."""

from __future__ import annotations

from math import lcm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compression.encoder import encode, reconstruct
from accelsim.errors import FormatError
from accelsim.formats.bits import pack_bits, unpack_bits
from accelsim.formats.catalog import describe_format, format_examples, format_kinds, parse_format
from accelsim.formats.decode_path import DecodePath, raw_path
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat
from accelsim.registry import members
from tests import naive_formats as naive
from tests.random_weights import random_arrays

EXAMPLES = format_examples()
ENCODED = [text for text in EXAMPLES if parse_format(text).kind in members("accelsim.compression")]


def shape(spec: WeightFormat, rows: int, columns: int) -> tuple[int, int]:
    """A matrix of so many eights, and of whole steps along K."""
    return lcm(8, spec.k_step) * rows, 8 * columns


def test_every_registered_format_gives_examples() -> None:
    assert {parse_format(text).kind for text in EXAMPLES} == set(format_kinds())
    assert {"uniform", "ssvq"} <= {parse_format(text).kind for text in ENCODED}


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_format_survives_its_own_description(text: str) -> None:
    spec = parse_format(text)
    assert parse_format(describe_format(spec)) == spec


@pytest.mark.parametrize("text", EXAMPLES)
@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 4), columns=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_pack_and_unpack_return_the_same_arrays(text: str, rows: int, columns: int, seed: int) -> None:
    spec = parse_format(text)
    k, n = shape(spec, rows, columns)
    arrays = random_arrays(spec, k, n, np.random.default_rng(seed))
    packed = spec.pack(arrays, k, n)
    table = spec.streams(k, n)
    assert {name: data.size for name, data in packed.items()} == {name: -(-s.count * s.bits // 8) for name, s in table.items()}
    back = spec.unpack(packed, k, n)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        if table[name].number != "float":
            assert packed[name].tobytes() == naive.stream_bytes(array.reshape(-1).tolist(), table[name].bits)


@pytest.mark.parametrize("text", EXAMPLES)
def test_total_bits_are_eight_times_the_packed_bytes_of_the_layers_own_streams(text: str) -> None:
    spec = parse_format(text)
    k, n = shape(spec, 2, 3)
    packed = spec.pack(random_arrays(spec, k, n, np.random.default_rng(1)), k, n)
    own = [data.size for name, data in packed.items() if name != "codebook" or spec.codebook_scope != "shared"]
    assert spec.bits_per_weight(k, n).total * k * n == pytest.approx(8 * sum(own), abs=1e-9)


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_stream_too_short_too_long_or_missing_is_refused(text: str) -> None:
    spec = parse_format(text)
    k, n = shape(spec, 2, 3)
    packed = spec.pack(random_arrays(spec, k, n, np.random.default_rng(1)), k, n)
    for name, data in packed.items():
        for wrong in (data[:-1], np.append(data, np.uint8(0))):
            with pytest.raises(FormatError, match=name):
                spec.unpack({**packed, name: wrong}, k, n)
        with pytest.raises(FormatError, match="needs the streams"):
            spec.unpack({other: value for other, value in packed.items() if other != name}, k, n)
    with pytest.raises(FormatError, match="needs the streams"):
        spec.unpack({**packed, "extra": packed[next(iter(packed))]}, k, n)


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_the_chip_loads_has_the_bits_that_are_stored_and_the_shapes_of_its_table(text: str) -> None:
    spec = parse_format(text)
    k, n = shape(spec, 2, 3)
    chip, stored = spec.chip_streams(k, n), spec.streams(k, n)
    assert sum(item.total_bits for item in chip.values() if item.place != "chip") == sum(
        item.total_bits for item in stored.values() if item.place != "chip"
    )
    arrays = spec.chip_arrays(random_arrays(spec, k, n, np.random.default_rng(1)), k, n)
    assert {name: array.shape for name, array in arrays.items()} == {name: stream.shape for name, stream in chip.items()}


@pytest.mark.parametrize("text", EXAMPLES)
def test_integers_have_the_bits_that_the_decode_path_states_and_weights_are_finite(text: str) -> None:
    spec = parse_format(text)
    k, n = shape(spec, 2, 3)
    arrays = random_arrays(spec, k, n, np.random.default_rng(1))
    path = spec.decode_path()
    integers, weights, bits = spec.dequantize(arrays, k, n), spec.reconstruct(arrays, k, n), path.lane_bits + bool(path.less)
    assert integers.shape == weights.shape == (k, n)
    assert np.isfinite(weights).all()
    if bits < 32:
        assert -(1 << bits - 1) <= int(integers.min()) <= int(integers.max()) < 1 << bits - 1


@pytest.mark.parametrize("text", ENCODED)
def test_encoded_weights_survive_packing_and_lie_near_the_weights(text: str) -> None:
    spec = parse_format(text)
    weights = np.random.default_rng(2).standard_normal((48, 64)).astype(np.float32)
    arrays = encode(spec, weights, np.random.default_rng(0))
    back = spec.unpack(spec.pack(arrays, 48, 64), 48, 64)
    again = encode(spec, weights, np.random.default_rng(0))
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        np.testing.assert_array_equal(again[name], array)
    error = ((weights - reconstruct(spec, back, 48, 64)) ** 2).sum() / (weights.astype(np.float64) ** 2).sum()
    assert error < 1  # better than all zeros


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 16), signed=st.booleans(), data=st.data())
def test_bits_pack_as_one_big_integer_does(width: int, signed: bool, data: st.DataObject) -> None:
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    values = data.draw(st.lists(st.integers(low, high), max_size=40))
    packed = pack_bits(np.array(values, dtype=np.int32), width)
    assert packed.tobytes() == naive.stream_bytes(values, width)
    assert unpack_bits(packed, len(values), width, signed).tolist() == values
    assert naive.stream_values(packed.tobytes(), len(values), width, signed) == values


class Halves(WeightFormat):
    """Scales in IEEE 754 binary16, and nothing else."""

    kind: str = "halves"

    def decode_path(self) -> DecodePath:
        return raw_path(1)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        return {"scales": Stream(shape=(k, n), bits=16, number="float", place="header", in_paper_count=False)}

    def dequantize(self, arrays: Arrays, k: int, n: int) -> np.ndarray:
        return np.zeros((k, n), np.int8)


def test_binary16_is_packed_little_endian_and_rounded_to_even() -> None:
    """IEEE 754: 1.0 is 0x3C00, 65504 (the largest) 0x7BFF, 2^-24 (the smallest) 0x0001; 1 + 2^-11 lies between 1.0 and 0x3C01."""
    values = np.array([[1.0, 65504.0, 2.0**-24, 1 + 2.0**-11]])
    packed = Halves().pack({"scales": values}, 1, 4)
    assert packed["scales"].tobytes() == bytes.fromhex("003c ff7b 0100 003c")
    back = Halves().unpack(packed, 1, 4)["scales"]
    assert back.dtype == np.float16
    assert back.tolist() == [[1.0, 65504.0, 2.0**-24, 1.0]]


@pytest.mark.parametrize(
    ("value", "words"),
    [(65520.0, "does not fit a float of 16 bits; allowed: magnitudes of at most 65504"), (2.0**-25, "not a positive finite number")],
)
def test_a_scale_that_binary16_cannot_hold_is_refused(value: float, words: str) -> None:
    """65520 would round to infinity, and 2^-25 to 0."""
    with pytest.raises(FormatError, match=words):
        Halves().pack({"scales": np.array([[value]])}, 1, 1)


def test_a_binary16_stream_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(FormatError, match="holds 3 bytes, but 2 float16 values take 4"):
        Halves().unpack({"scales": np.zeros(3, np.uint8)}, 1, 2)


@pytest.mark.parametrize(("number", "bits"), [("float", 8), ("float", 64), ("unsigned", 0), ("signed", 17)])
def test_a_stream_of_a_width_that_is_not_packed_is_refused(number: str, bits: int) -> None:
    with pytest.raises(FormatError, match=f"a {number} stream has {bits} bits per value; allowed: 1"):
        Stream(shape=(1,), bits=bits, number=number, place="header", in_paper_count=False)  # type: ignore[arg-type]


def test_packing_across_chunks_keeps_every_bit() -> None:
    values = np.random.default_rng(0).integers(0, 8, (1 << 20) + 13)
    packed = pack_bits(values, 3)
    bits = np.unpackbits(packed, count=values.size * 3, bitorder="little").reshape(-1, 3)
    np.testing.assert_array_equal(bits @ np.array([1, 2, 4]), values)
    np.testing.assert_array_equal(unpack_bits(packed, values.size, 3), values)


def test_padding_that_is_not_zero_is_refused() -> None:
    with pytest.raises(FormatError, match="padding"):
        unpack_bits(np.array([0b1000_0111], dtype=np.uint8), 3, 1)


@settings(max_examples=20, deadline=None)
@given(axis=st.integers(0, 1), codewords=st.integers(1, 20), d=st.sampled_from([1, 2, 4, 8]), seed=st.integers(0, 2**32 - 1))
def test_ssvq_weights_are_signed_codeword_lanes(axis: int, codewords: int, d: int, seed: int) -> None:
    spec = parse_format(f"ssvq:k={codewords},d={d},axis={axis}")
    arrays = random_arrays(spec, 8, 16, np.random.default_rng(seed))
    weights = spec.dequantize(spec.unpack(spec.pack(arrays, 8, 16), 8, 16), 8, 16)
    lists = [arrays[name].tolist() for name in ("indices", "signs", "codebook")]
    assert weights.dtype == np.int8
    assert weights.tolist() == [[naive.ssvq_weight(*lists, axis, row, column) for column in range(16)] for row in range(8)]


def test_uniform_weights_are_the_stored_integers() -> None:
    for bits, dtype in ((3, np.int8), (8, np.int8), (12, np.int16)):
        spec = parse_format(f"uniform:bits={bits}")
        arrays = random_arrays(spec, 4, 6, np.random.default_rng(bits))
        weights = spec.dequantize(spec.unpack(spec.pack(arrays, 4, 6), 4, 6), 4, 6)
        assert weights.dtype == dtype
        np.testing.assert_array_equal(weights, arrays["weights"])


def test_ssvq_bits_are_those_of_the_paper() -> None:
    # arXiv 2503.08668, DeiT-tiny: k=16 d=8 is 4/8 + 1 = 1.5 bit; k=64 d=8 1.75; k=256 d=8 2.0; k=256 d=4 3.0.
    for text, bits in (("k=16,d=8", 1.5), ("k=64,d=8", 1.75), ("k=256,d=8", 2.0), ("k=256,d=4", 3.0)):
        assert parse_format(f"ssvq:{text}").bits_per_weight(192, 192).paper == bits
    # k=256 d=8 adds 256*8*8 / 192^2 = 0.4444 bit to a 192x192 layer, and its scale 32 / 192^2.
    assert parse_format("ssvq:k=256,d=8").bits_per_weight(192, 192).total == pytest.approx(2 + (256 * 8 * 8 + 32) / 192**2)


def deit_tiny_blocks(fused: bool) -> list[tuple[int, int]]:
    """(K, N) of the matrices of 12 blocks: q, k, v (or one of 576 outputs), o, fc1, fc2."""
    qkv = [(192, 576)] if fused else [(192, 192)] * 3
    return [*qkv, (192, 192), (192, 768), (768, 192)] * 12


@pytest.mark.parametrize(
    ("text", "fused", "ratio", "bits"),
    [("ssvq:k=16,d=8", False, 21.1, 1.51), ("ssvq:k=16,d=8", True, 21.2, 1.51), ("ssvq:k=256,d=8", False, 14.4, 2.22)],
)
def test_deit_tiny_blocks_compress_as_derived_from_the_paper(text: str, fused: bool, ratio: float, bits: float) -> None:
    shapes = deit_tiny_blocks(fused)
    weights = sum(k * n for k, n in shapes)
    assert weights == 5_308_416
    spec = parse_format(text)
    stored = sum(8 * stream.bytes for k, n in shapes for name, stream in spec.streams(k, n).items() if name != "scales")
    assert round(32 * weights / stored, 1) == ratio
    assert round(stored / weights, 2) == bits


def test_decode_path_states_the_record_of_the_core() -> None:
    path = parse_format("ssvq:k=16,d=8").decode_path()
    assert (path.decode, path.sign, path.codewords, path.d, path.index_bits, path.record_bits(8)) == (True, True, 16, 8, 4, 12)
    assert parse_format("ssvq:k=1,d=8").decode_path().index_bits == 1  # max(1, ceil(log2 KCB))
    assert parse_format("ssvq:k=17,d=8").decode_path().index_bits == 5
    assert parse_format("uniform").decode_path().record_bits(8) == 64
    with pytest.raises(FormatError, match="d=8"):
        path.record_bits(4)


@pytest.mark.parametrize(
    ("paper", "kind"),
    [("vq4all:k=16,d=4", "universal_vq:k=16,d=4"), ("huffman-mvq:k=16,d=8,keep=2,of=4", "huffman-masked_vq:k=16,d=8,keep=2,of=4")],
)
def test_a_format_is_found_by_the_name_of_its_paper(paper: str, kind: str) -> None:
    assert parse_format(paper) == parse_format(kind)
    assert describe_format(parse_format(paper)) == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vq4al:k=4,d=4", "did you mean 'vq4all'"),
        ("ssvqq:k=4,d=4", "did you mean 'ssvq'"),
        ("ssvq:k=16", "'d' is missing"),
        ("ssvq:k=16,d=8,dd=1", "unknown parameter 'dd'"),
        ("ssvq:k=0,d=8", "'k' has value 0"),
        ("ssvq:k=99999999999999999999999,d=8", "'k' has value"),
        ("ssvq:k=16,d=8,axis=2", "'axis' has value 2"),
        ("ssvq:k=16,k=16,d=8", "given twice"),
        ("uniform:bits", "name=value"),
        ("uniform:bits=17", "'bits' has value 17"),
        ("", "unknown format ''"),
    ],
)
def test_a_wrong_format_text_is_one_clear_message(text: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_format(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_codeword_length_that_divides_nothing_is_refused() -> None:
    with pytest.raises(FormatError, match=r"d=8 does not divide N=1001 \(axis=0\)"):
        parse_format("ssvq:k=16,d=8").streams(192, 1001)
    with pytest.raises(FormatError, match=r"d=8 does not divide K=12 \(axis=1\)"):
        parse_format("ssvq:k=16,d=8,axis=1").streams(12, 16)


def test_values_that_the_parameters_do_not_allow_are_refused() -> None:
    spec = parse_format("ssvq:k=5,d=4")
    arrays = random_arrays(spec, 8, 8, np.random.default_rng(0))
    bad_index = np.full((8, 2), 7)  # fits the 3 bits of an index, not the 5 codewords
    for name, value, message in (
        ("indices", bad_index, "past the codebook"),
        ("codebook", np.full((5, 4), -1, dtype=np.int8), "negative"),
        ("scales", np.array([np.nan], dtype=np.float32), "positive finite"),
        ("scales", np.array([0.0], dtype=np.float32), "positive finite"),
        ("signs", np.full((8, 8), 2), "0..1"),
        ("signs", np.zeros((8, 4), dtype=np.uint8), "shape"),
        ("signs", np.zeros((8, 8)), "not an integer type"),
    ):
        with pytest.raises(FormatError, match=message):
            spec.pack({**arrays, name: value}, 8, 8)
    packed = spec.pack(arrays, 8, 8)
    with pytest.raises(FormatError, match="past the codebook"):
        spec.unpack({**packed, "indices": pack_bits(bad_index, 3)}, 8, 8)
    with pytest.raises(FormatError, match="NaN"):
        parse_format("float32").pack({"weights": np.full((2, 2), np.nan, dtype=np.float32)}, 2, 2)
