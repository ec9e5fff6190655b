"""The image and its decoding against the bit-by-bit twin, for every record form; products against exact integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler.image import LayerImage, group_bank_cycles, image_bits, layer_image, tile_of_weight
from accelsim.compiler.merged_groups import stripe_count
from accelsim.errors import CompileError
from accelsim.formats.catalog import format_from_mapping
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.block_diagonal import BlockDiagonal
from accelsim.kernels.decode import codeword_words, decode_records, stream_words
from accelsim.kernels.decode_masked import NO_MASKS
from accelsim.kernels.stripe import EXACT_K, append_one, decode_stripes, multiply, place_records
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.trace.layers import ConvLayer, GemmLayer, WeightedLayer
from tests import naive_decode
from tests.naive_decode import NaiveRecords


@st.composite
def cores(draw: st.DrawFn) -> NaiveRecords:
    """Any form of record on a small array."""
    axis = draw(st.integers(0, 1))
    decode = draw(st.integers(0, 1))
    d = draw(st.sampled_from([1, 2, 3, 4, 8, 12, 16]))
    along = d * draw(st.integers(1, 3))
    across = draw(st.integers(1, 9))
    rows, cols = (across, along) if axis == 0 else (along, across)
    return NaiveRecords(
        R=rows, C=cols, D=d, KCB=draw(st.integers(1, 40)), P=draw(st.integers(1, 5)), W=8 * draw(st.integers(1, 20)),
        DECODE=decode, SIGN=draw(st.integers(0, 1)) if decode else 0, AXIS=axis, b=draw(st.integers(2, 8)),
        PAD=draw(st.integers(0, 1)),
    )  # fmt: skip


def geometry_of(core: NaiveRecords) -> CoreGeometry:
    return CoreGeometry(
        rows=core.R, cols=core.C, codeword_length=core.D, codewords=core.KCB, ports=core.P, word_bits=core.W,
        decode=bool(core.DECODE), sign=bool(core.SIGN), axis=core.AXIS, max_m=256, raw_bits=core.b,
        padded_index=bool(core.PAD),
    )  # fmt: skip


class _Case:
    """Random weights in the form that a core takes, as a layer, its arrays, and functions for the twin."""

    def __init__(self, core: NaiveRecords, record_rows: int, record_columns: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        ragged = not core.DECODE  # raw lanes need not fill a record
        self.k = record_rows * (core.D if core.AXIS == 1 and not ragged else 1)
        self.n = record_columns * (core.D if core.AXIS == 0 and not ragged else 1)
        self.codebook = rng.integers(0 if core.SIGN else -128, 128, (core.KCB, core.D)).astype(np.int8)
        self.indices = rng.integers(0, core.KCB, (record_rows, record_columns)).astype(np.uint16)
        self.signs = rng.integers(0, 2, (self.k, self.n)).astype(np.uint8)
        self.raw = rng.integers(-(1 << core.b - 1), 1 << core.b - 1, (self.k, self.n)).astype(np.int8)
        self.core = core
        if core.DECODE:
            self.arrays = {"indices": self.indices, "signs": self.signs, "codebook": self.codebook}
            kind = "ssvq" if core.SIGN else "vq"
            fields: dict[str, object] = {"kind": kind, "k": core.KCB, "d": core.D, "axis": core.AXIS}
        else:
            self.arrays = {"weights": self.raw}
            fields = {"kind": "uniform", "bits": core.b}
        self.layer = gemm(self.k, self.n, fields)

    def index(self, row: int, column: int) -> int:
        d = self.core.D
        return int(self.indices[row, column // d] if self.core.AXIS == 0 else self.indices[row // d, column])

    def value(self, row: int, column: int) -> int:
        return int(self.signs[row, column] if self.core.DECODE else self.raw[row, column])

    def naive_image(self, stripe_words: bool = False) -> tuple[list[int], list[int]]:
        return naive_decode.image_bits(self.core, self.k, self.n, self.index, self.value, stripe_words)


def gemm(k: int, n: int, fields: dict[str, object]) -> GemmLayer:
    return GemmLayer(
        name="layer",
        inputs=("x",),
        output=TensorShape(rows=3, width=n),
        bounds=LoopBounds(K=n, C=k, OX=3),
        weight=WeightRecord(format=format_from_mapping(fields), k=k, n=n),
    )


def decoded(core: NaiveRecords, layer: WeightedLayer, image: LayerImage) -> np.ndarray:
    """The weights of an image through the kernels, with columns padded: (K, stripes * C)."""
    geometry = geometry_of(core)
    words, book = stream_words(image.data), codeword_words(image.codebook)
    assert image.first_bits.shape[0] == stripe_count(geometry, layer)
    panel = np.full((layer.k, core.C * image.first_bits.shape[0]), np.nan, np.float32)
    raw_bits = 0 if core.DECODE else core.b
    past = decode_stripes(
        words, image.first_bits, core.R, core.D, core.AXIS, geometry.index_field_bits, bool(core.SIGN),
        raw_bits, book, *NO_MASKS, panel,
    )  # fmt: skip
    assert past == 0
    return panel


@given(cores(), st.integers(1, 20), st.integers(1, 12), st.integers(0, 2**32))
def test_image_equals_the_layout_written_bit_by_bit(core: NaiveRecords, record_rows: int, record_columns: int, seed: int) -> None:
    case = _Case(core, record_rows, record_columns, seed)
    for packing, stripe_words in (("layer", False), ("stripe", True)):
        image = layer_image(geometry_of(core), case.layer, case.arrays, packing)  # type: ignore[arg-type]
        bits, indices = case.naive_image(stripe_words)
        assert np.unpackbits(image.data, bitorder="little").tolist() == bits
        assert image.words * core.W == len(bits)
        assert image.indices.reshape(-1).tolist() == indices


@given(cores(), st.integers(1, 20), st.integers(1, 12), st.integers(0, 2**32))
def test_bits_of_an_image_in_closed_form_equal_those_of_the_built_one(core: NaiveRecords, rows: int, columns: int, seed: int) -> None:
    case = _Case(core, rows, columns, seed)
    for packing, stripe_words in (("layer", False), ("stripe", True)):
        counted = image_bits(geometry_of(core), case.layer, packing)  # type: ignore[arg-type]
        assert counted.total == len(case.naive_image(stripe_words)[0])
        if core.DECODE:
            signs = {"signs": case.k * case.n} if core.SIGN else {}
            assert counted.streams == {"indices": rows * columns * core.IDXW, **signs}
        else:
            assert counted.streams == {"weights": case.k * case.n * core.b}
        assert counted.padding >= 0


@given(cores(), st.integers(1, 20), st.integers(1, 12), st.integers(0, 2**32))
def test_decoded_stripes_equal_the_bit_by_bit_decoder(core: NaiveRecords, record_rows: int, record_columns: int, seed: int) -> None:
    case = _Case(core, record_rows, record_columns, seed)
    image = layer_image(geometry_of(core), case.layer, case.arrays)
    panel = decoded(core, case.layer, image)
    expected = naive_decode.decode(core, case.k, case.n, case.naive_image()[0], case.codebook.tolist())
    assert panel[:, : case.n].tolist() == expected


def multiplied(a: np.ndarray, b: np.ndarray) -> list[list[int]]:
    """a x b of int8 matrices through BLAS."""
    sums = np.full((a.shape[0], b.shape[1]), 7, np.int32)
    multiply(a.astype(np.float32), b.astype(np.float32), sums, np.full(sums.shape, np.nan, np.float32))
    return sums.tolist()  # type: ignore[no-any-return]


@given(st.integers(1, 11), st.integers(1, 40), st.integers(1, 11), st.integers(0, 2**32))
def test_products_of_full_range_int8_are_exact(m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (m, k)).astype(np.int8), rng.integers(-128, 128, (k, n)).astype(np.int8)
    assert multiplied(a, b) == [[sum(int(x) * int(y) for x, y in zip(row, column, strict=True)) for column in b.T] for row in a]


@pytest.mark.parametrize("k", [EXACT_K, EXACT_K + 1, 2 * EXACT_K + 1, 4 * EXACT_K])
def test_the_largest_products_are_exact_in_every_block_of_the_reduction(k: int) -> None:
    # 1024 products of 2^14 are 2^24, up to which float32 holds every integer. One product is odd, so that a rounded sum would show.
    a, b = np.full((5, k), -128, np.int8), np.full((k, 6), -128, np.int8)
    a[:, 0], b[0] = 1, 127
    assert multiplied(a, b) == [[127 + (k - 1) * 2**14] * 6] * 5


def test_an_index_past_the_codebook_is_counted_and_decodes_as_zeros() -> None:
    # Two records of 4 index bits, d = 8, a codebook of 3: index 2, then index 9.
    records = np.full((2, 1), 7, np.uint64)
    book = codeword_words(np.arange(24, dtype=np.int8).reshape(3, 8))
    past = decode_records(stream_words(np.array([0x92], np.uint8)), 0, 8, 4, False, 0, book, records)
    assert past == 1
    assert records.view(np.int8).tolist() == [[*range(16, 24)], [0] * 8]


def test_minus_128_negates_to_itself_as_eight_bits_do() -> None:
    records = np.zeros((1, 1), np.uint64)
    book = codeword_words(np.array([[-128, 127, 0, 1, -1, -127, 5, -128]], np.int8))
    # Index 0 in 1 bit, then signs of lanes 0..6 set and of lane 7 clear: 0b01111111 << 1.
    decode_records(stream_words(np.array([0xFE], np.uint8)), 0, 8, 1, True, 0, book, records)
    assert records.view(np.int8)[0].tolist() == [-128, -127, 0, -1, 1, 127, -5, -128]


NO_BOOK = codeword_words(np.zeros((0, 8), np.int8))


def test_a_stream_that_ends_before_the_records_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before the records"):
        decode_records(stream_words(np.zeros(15, np.uint8)), 8, 8, 0, False, 8, NO_BOOK, np.zeros((2, 1), np.uint64))


def test_shapes_that_do_not_fit_are_refused() -> None:
    words, records, panel = stream_words(np.zeros(64, np.uint8)), np.zeros((2, 1), np.uint64), np.zeros((2, 8), np.float32)
    with pytest.raises(ValueError, match="do not fit the codeword length"):
        decode_records(words, 0, 9, 0, False, 8, NO_BOOK, records)
    with pytest.raises(ValueError, match="do not fit the codeword length"):
        decode_records(words, 0, 8, 4, False, 0, NO_BOOK, records)
    with pytest.raises(ValueError, match="does not fit its panel"):
        place_records(records.view(np.int8), 8, 0, 1, 2, 0, 8, panel)
    with pytest.raises(ValueError, match="does not fit its panel"):
        place_records(records.view(np.int8), 8, 0, 0, 2, 1, 8, panel)
    with pytest.raises(ValueError, match="does not fit its records"):
        place_records(records.view(np.int8)[:1], 8, 0, 0, 2, 0, 8, panel)
    with pytest.raises(ValueError, match="do not fit together"):
        multiplied(np.zeros((3, 4), np.int8), np.zeros((5, 2), np.int8))


def test_a_one_is_appended_to_raw_values() -> None:
    panel = np.array([[-4, -1], [0, 3]], np.float32)
    append_one(panel)
    assert panel.tolist() == [[-7, -1], [1, 7]]


def test_a_group_takes_the_cycles_of_its_most_loaded_bank_and_equal_indices_merge() -> None:
    indices = np.array([[0, 1, 2, 3], [0, 4, 8, 1], [5, 5, 5, 5], [2, 2, 6, 6]], np.int32)
    # 4 banks: 0 1 2 3 lie apart; 0 4 8 share bank 0; one codeword; 2 and 6 share bank 2.
    assert group_bank_cycles(indices, 4).tolist() == [1, 3, 1, 2]
    assert group_bank_cycles(indices, 1).tolist() == [4, 4, 1, 2]


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32))
def test_bank_cycles_equal_a_count_one_lookup_at_a_time(ports: int, banks: int, seed: int) -> None:
    indices = np.random.default_rng(seed).integers(0, 12, (20, ports)).astype(np.int32)
    expected = []
    for group in indices.tolist():
        loads = [0] * banks
        for index in set(group):
            loads[index % banks] += 1
        expected.append(max(loads))
    assert group_bank_cycles(indices, banks).tolist() == expected


def conv(channels: int, filters: int, groups: int, layout: str, fields: dict[str, object]) -> ConvLayer:
    """A 2 x 3 convolution of a 5 x 6 image with stride 1: 4 x 4 positions."""
    k = channels * 6
    return ConvLayer(
        name="conv",
        inputs=("x",),
        output=TensorShape(rows=16, width=filters * groups),
        bounds=LoopBounds(K=filters, C=channels, OY=4, OX=4, FY=2, FX=3, G=groups),
        weight=WeightRecord(format=format_from_mapping(fields), k=k, n=filters * groups),
        image=(5, 6),
        input_layout=layout,  # type: ignore[arg-type]
    )


RAW = NaiveRecords(R=4, C=4, D=2, KCB=1, P=3, W=16, DECODE=0, SIGN=0, AXIS=0)


def test_rows_of_an_interleaved_convolution_follow_taps_then_channels() -> None:
    layer = conv(3, 5, 1, "interleaved", {"kind": "uniform"})
    order = layer.reduction_order
    assert order is not None
    # Step (fy, fx, c) takes row (c, fy, fx): 2 x 3 taps, so row c*6 + fy*3 + fx.
    assert order.tolist() == [c * 6 + fy * 3 + fx for fy in range(2) for fx in range(3) for c in range(3)]
    raw = np.arange(18 * 5).reshape(18, 5).astype(np.int8)
    panel = decoded(RAW, layer, layer_image(geometry_of(RAW), layer, {"weights": raw}))
    assert panel[:, :5].tolist() == raw[order].tolist()


def test_rows_keep_their_order_when_planar_or_covered_by_codewords_along_k() -> None:
    assert conv(3, 5, 1, "planar", {"kind": "uniform"}).reduction_order is None
    assert conv(4, 5, 1, "interleaved", {"kind": "ssvq", "k": 4, "d": 4, "axis": 1}).reduction_order is None
    assert conv(1, 5, 1, "interleaved", {"kind": "uniform"}).reduction_order is None


def test_each_group_of_a_convolution_has_stripes_of_its_own() -> None:
    layer = conv(2, 5, 3, "planar", {"kind": "uniform"})
    geometry = geometry_of(RAW)
    raw = (np.arange(12 * 15) % 251).reshape(12, 15).astype(np.int8)
    assert stripe_count(geometry, layer) == 6  # 5 outputs a group on 4 columns: 2 stripes, 3 groups
    image = layer_image(geometry, layer, {"weights": raw})
    expected = np.zeros((12, 24), np.int8)
    for group in range(3):
        expected[:, 8 * group : 8 * group + 5] = raw[:, 5 * group : 5 * group + 5]
    assert (decoded(RAW, layer, image) == expected).all()
    assert (image.first_bits[::2, 0] % 16 == 0).all()
    counted = image_bits(geometry, layer)
    assert (counted.total, counted.streams) == (image.words * 16, {"weights": 12 * 15 * 8})


@pytest.mark.parametrize("layout", ["planar", "interleaved"])
def test_groups_that_share_a_tile_lie_on_its_diagonal_with_zeros_elsewhere(layout: str) -> None:
    # 3 groups of 2 channels x 6 taps and 1 output: 2 in a tile of 24 of 25 rows and 4 columns; the second tile holds one of them.
    layer = conv(2, 1, 3, layout, {"kind": "uniform"})
    geometry = replace(geometry_of(replace(RAW, R=25)), mapping=BlockDiagonal(2))
    raw = np.arange(1, 12 * 3 + 1).reshape(12, 3).astype(np.int8)
    expected = np.zeros((24, 8), np.int8)
    for group in range(3):
        for channel in range(2):
            for tap in range(6):
                place = 2 * (group % 2) + channel  # among the 4 channels of the tile
                row = place * 6 + tap if layout == "planar" else tap * 4 + place
                expected[row, 4 * (group // 2) + group % 2] = raw[channel * 6 + tap, group]
    for packing in ("layer", "stripe"):
        image = layer_image(geometry, layer, {"weights": raw}, packing)  # type: ignore[arg-type]
        # a tile is 24 rows x 2 records in 16 groups of 3, of 48 bits: 48 words of 16 bits
        assert (image.words, image.first_bits.tolist()) == (96, [[0], [768]])
        assert (image.data.view(np.int8).reshape(2, 24, 4) == np.stack([expected[:, :4], expected[:, 4:]])).all()
        counted = image_bits(geometry, layer, packing)  # type: ignore[arg-type]
        assert (counted.total, counted.streams) == (96 * 16, {"weights": 36 * 8})
    assert [tile_of_weight(geometry, layer, 7, column) for column in range(3)] == [(0, 0), (0, 0), (1, 0)]


def test_tile_of_a_weight_counts_groups_and_permuted_rows() -> None:
    layer = conv(2, 5, 3, "interleaved", {"kind": "uniform"})
    # Row 7 is channel 1, tap (0, 1): step 1*2 + 1 = 3, K-tile 0; column 9 is output 4 of group 1: stripe 2 + 1.
    assert tile_of_weight(geometry_of(RAW), layer, 7, 9) == (3, 0)
    # Row 5 is channel 0, tap (1, 2): step 5*2 = 10, K-tile 2.
    assert tile_of_weight(geometry_of(RAW), layer, 5, 0) == (0, 2)


def test_codewords_that_cross_groups_are_refused() -> None:
    core = NaiveRecords(R=4, C=4, D=2, KCB=4, P=1, W=16, DECODE=1, SIGN=1, AXIS=0)
    layer = conv(2, 1, 4, "planar", {"kind": "ssvq", "k": 4, "d": 2})
    arrays = {"indices": np.zeros((12, 2), np.uint8), "signs": np.zeros((12, 4), np.uint8), "codebook": np.zeros((4, 2), np.int8)}
    with pytest.raises(CompileError, match="cross its 4 groups of 1 outputs"):
        layer_image(geometry_of(core), layer, arrays)
