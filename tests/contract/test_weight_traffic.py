"""What a layer's weights cost on the bus is what their format's table says, for every format of the registry and for one added here.

One product of 8 x 64 by 64 x 40 on a 16x16 array: 2560 weights in 3 stripes, so 40 of 48 columns hold weights and the image is 6/5 of
its records, in words of 32 bits. The memory moves bursts of 32 bytes; 512 bytes of activations come in and 320 go out, whole bursts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from accelsim.accelerator import Accelerator
from accelsim.cost.action_counts import HEADER, WEIGHT_READ, WEIGHT_WRITE, add_counts, count_actions, moved
from accelsim.errors import CompileError, ConfigError, FormatError
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.formats.decode_path import DecodePath, raw_path
from accelsim.formats.weight_format import Stream, WeightFormat
from accelsim.functional import check_functional
from accelsim.result import OPERANDS, TRAINED_OPERANDS, Result
from accelsim.simulation import simulate
from accelsim.trace.layers import WeightRecord
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace
from tests.added_members import added_member
from tests.tiny_machines import REAL_DRAM, Net, tiny_accelerator
from tests.toy_format import SOURCE

M, N = 8, 40
CHANNELS = 64 * N  # bits: a multiplier and a bias of 32 bits each
RUN = [text for text in format_examples() if parse_format(text).decode_path().lane_bits <= 8]  # the others do not fit an 8-bit array


def reduction(spec: WeightFormat) -> int:
    """K: 64, or a block."""
    return max(64, spec.k_step)


def product(spec: WeightFormat, m: int = M) -> Trace:
    """x[m, K] by weights [K, N] in a format, without bits."""
    net = Net(m, reduction(spec))
    net.gemm("x", N)
    plain = net.trace()
    layer = plain.weighted_layers()[0].with_fields(weight=WeightRecord(format=spec, k=reduction(spec), n=N))
    fields = {name: getattr(plain.manifest, name) for name in Manifest.model_fields}
    return Trace(Manifest(**{**fields, "layers": (layer,)}))


def machine(spec: WeightFormat, **changes: Any) -> Accelerator:
    """A chip that takes `spec`: a codebook in ROM only for a format whose codebook is the chip's, and groups of whole bits."""
    path = spec.decode_path()
    lanes = path.d or Fraction(path.raw_bits).denominator
    record = sum(Fraction(bits) for part in path.parts for bits in part.record_bits(lanes).values())
    ports = record.denominator * (path.lookup.lookups if path.lookup else 1)
    book = {"ports": ports, "codeword_length": lanes, "codewords": max(2, path.entries_of_tile(16, 16))}
    if spec.codebook_scope == "shared":
        book |= {"store": "rom"}
    fields: dict[str, Any] = {
        "array": {"rows": 16, "cols": 16, "max_m": 32},
        "codebook": book,
        "weight_buffer": {"capacity": 65536, "word_bits": 32},
        "dram": REAL_DRAM,
    }
    return tiny_accelerator(**{**fields, **changes})


def read_bits(result: Result) -> dict[str, int]:
    """Operand -> bits read, of what is trained."""
    return {key.operand: bits for key, bits in result.traffic.items() if not key.write and key.operand in TRAINED_OPERANDS}


def table_bits(spec: WeightFormat) -> dict[str, int]:
    """Operand -> bits, read off the format's table."""
    bits = Counter(scales_bias=CHANNELS)
    for name, stream in spec.chip_streams(reduction(spec), N).items():
        size = prod(stream.shape) * stream.bits
        if stream.place == "record":
            bits[{"weights": "raw_weights", "residuals": "indices"}.get(name, name)] += size
        elif stream.place == "header":
            bits["codebook" if name == "codebook" else "side_data"] += size
        else:
            assert name in ("scales", "codebook"), "a stream that the chip holds itself is a scale or a shared codebook"
    return dict(bits)


def padded_records(records: int) -> int:
    """Bits of an image of records alone, in whole stripes and words."""
    return 32 * ceil(Fraction(records * 48, 40) / 32)


def tiles_with_headers(spec: WeightFormat, chip: Accelerator, k: int) -> int:
    """Bits of an image whose tiles of 16 rows follow the scales of the groups, or tables of the blocks, that begin in them.

    For groups of whole tiles, and blocks of whole tiles or equal parts of one.
    """
    lookup = spec.decode_path().lookup
    block = lookup.block if lookup else None
    table = spec.chip_streams(k, N)
    records = sum(stream.total_bits for stream in table.values() if stream.place == "record")
    lanes = chip.codebook.ports * chip.codebook.codeword_length if spec.decode_path().decode else chip.raw_weights_per_cycle
    group = Fraction(records * lanes, k * N)  # bits of a pop
    pops = 0
    for first in range(0, k, 16):
        bits = 0
        for name, stream in table.items():
            if stream.place == "header" and name != "codebook":
                over = -(-k // (stream.count // N))
                bits += 16 * stream.bits * sum(row % over == 0 for row in range(first, first + 16))
            if name == "codebook" and block is not None:
                begun = sum(row % block[0] == 0 for row in range(first, first + 16))
                bits += 16 // block[1] * begun * stream.bits * prod(stream.shape[2:])
        pops += ceil(bits / group) + 16 * 16 // lanes
    return 32 * ceil(3 * pops * group / 32)


def check_bus(result: Result, useful: Mapping[str, int], in_image: int, image: int, k: int = 64) -> None:
    """Bytes on the bus: what is useful, what an image of `image` bits adds to the `in_image` useful ones, what whole bursts add."""
    stream = (sum(useful.values()) - in_image + image) // 8
    traffic = {key.operand: bits for key, bits in result.traffic.items()}
    assert traffic["padding"] == image - in_image
    assert traffic.get("burst_rounding", 0) == 8 * (-stream % 32)
    assert result.bus_bytes == stream + -stream % 32 + M * k + 320
    assert result.useful_bytes == sum(useful.values()) // 8 + M * k + 320


@pytest.mark.parametrize("text", RUN)
def test_the_traffic_of_a_layer_is_what_the_table_of_its_format_says(text: str) -> None:
    spec = parse_format(text)
    result = simulate(machine(spec), product(spec))
    expected = table_bits(spec)
    assert read_bits(result) == expected
    k = reduction(spec)
    records = sum(prod(stream.shape) * stream.bits for stream in spec.chip_streams(k, N).values() if stream.place == "record")
    lookup = spec.decode_path().lookup
    ahead = expected.get("side_data", 0) + (expected["codebook"] if lookup and lookup.block else 0)
    image = tiles_with_headers(spec, machine(spec), k) if ahead else padded_records(records)
    check_bus(result, expected, records + ahead, image, k)


@pytest.mark.parametrize("text", sorted(set(format_examples()) - set(RUN)))
def test_what_an_8_bit_array_cannot_multiply_is_refused(text: str) -> None:
    spec = parse_format(text)
    with pytest.raises(CompileError, match="do not fit the 8-bit array"):
        simulate(machine(spec), product(spec))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform", {"raw_weights": 8 * 2560}),  # a scale per channel is part of the multiplier
        ("uniform:bits=2,scale=tensor", {"raw_weights": 2 * 2560}),
        ("ssvq:k=16,d=8", {"indices": 4 * 320, "signs": 2560, "codebook": 16 * 8 * 8}),
        ("ssvq:k=300,d=8,scale=channel", {"indices": 9 * 320, "signs": 2560, "codebook": 300 * 8 * 8}),
        ("masked_vq:k=16,d=8,keep=2,of=4", {"indices": 4 * 320, "masks": 3 * 640, "codebook": 16 * 8 * 8}),  # 6 patterns: 3 bits
        ("universal_vq:k=256,d=8", {"indices": 8 * 320}),  # its codebook is in ROM
        ("vecq", {"raw_weights": 4 * 2560}),
    ],
)
def test_bits_of_each_operand_equal_those_counted_by_hand(text: str, expected: dict[str, int]) -> None:
    spec = parse_format(text)
    assert read_bits(simulate(machine(spec), product(spec))) == {**expected, "scales_bias": 64 * 40}


def test_a_format_with_a_scale_per_32_weights_pays_for_them(tmp_path: Path) -> None:
    """2560 weights of 4 bits; 2 groups of 32 along K in each of 40 columns, 16 bits each; 8 bytes per channel.

    A group begins in every other tile of 16 x 16 weights: its 256 bits take 64 pops of a 4-bit record, ahead of the 256 of the weights.
    """
    expected = {"raw_weights": 10240, "side_data": 1280, "scales_bias": 2560}
    with added_member("accelsim.formats", tmp_path, "toy", SOURCE):
        spec = parse_format("toy")
        chip = machine(spec)
        result = simulate(chip, product(spec))
        actions = add_counts(count_actions(result, chip))
    assert read_bits(result) == expected
    image = 3 * 2 * (2 * 1024 + 256)
    check_bus(result, expected, 10240 + 1280, image)
    assert actions[moved("dram", "side_data")].nominal == 1280
    # The image and the header cross the weight buffer once each way, in words of 32 bits.
    assert actions[WEIGHT_WRITE].nominal == actions[WEIGHT_READ].nominal == (image + 2560) / 32


def test_scales_of_groups_come_as_often_as_their_records(tmp_path: Path) -> None:
    """20 rows on 8 accumulators: 3 M-chunks, and a buffer that does not hold a stripe's 576 bytes beside a header of 320."""
    with added_member("accelsim.formats", tmp_path, "toy", SOURCE):
        spec = parse_format("toy")
        chip = machine(spec, array={"rows": 16, "cols": 16, "max_m": 8}, weight_buffer={"capacity": 895, "word_bits": 32})
        assert read_bits(simulate(chip, product(spec, 20))) == {"raw_weights": 3 * 10240, "side_data": 3 * 1280, "scales_bias": 2560}


def test_the_chip_says_how_wide_a_multiplier_and_a_bias_are() -> None:
    spec = parse_format("ssvq:k=16,d=8,scale=channel")
    chip = machine(spec, vector_unit={"lanes": 4, "multiplier_bits": 16, "bias_bits": 24})
    assert read_bits(simulate(chip, product(spec)))["scales_bias"] == 40 * (16 + 24)


@pytest.mark.parametrize("field", ["multiplier_bits", "bias_bits"])
def test_words_of_a_channel_that_are_not_whole_bytes_are_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=rf"vector_unit\.{field}.*multiple of 8"):
        tiny_accelerator(vector_unit={"lanes": 4, field: 12})


def test_every_operand_of_a_header_is_trained() -> None:
    assert set(HEADER) <= set(TRAINED_OPERANDS) <= set(OPERANDS)


class Table(WeightFormat):
    """4-bit raw weights, and one more stream or none."""

    kind: Literal["table"] = "table"
    more: Any = None
    raw_bits: int = 4

    def decode_path(self) -> DecodePath:
        return raw_path(self.raw_bits)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        weights = Stream(shape=(k, n), bits=4, number="signed", place="record", in_paper_count=True)
        return {"weights": weights, **({} if self.more is None else {"more": self.more})}

    def dequantize(self, arrays: Mapping[str, npt.NDArray[Any]], k: int, n: int) -> npt.NDArray[Any]:
        return arrays["weights"].astype(np.int8)


def more(place: Any, *shape: int, bits: int = 3) -> Table:
    return Table(more=Stream(shape=shape, bits=bits, number="unsigned", place=place, in_paper_count=False))


def test_a_header_stream_fills_whole_bytes() -> None:
    """Five values of 3 bits: 15 bits in 2 bytes, the last bit padding beside the image's 64 x 8 columns of 4 bits."""
    traffic = {key.operand: bits for key, bits in simulate(machine(more("header", 5)), product(more("header", 5))).traffic.items()}
    assert (traffic["side_data"], traffic["padding"]) == (15, 64 * 8 * 4 + 1)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            more("requantization", 2, N),
            "table stream 'more': 80 values do not fold into the requantization of 40 outputs; allowed: a divisor of 40 values",
        ),
        (more("record", 64, N), r"its records of a 64 x 40 matrix have the bits .*'more': 7680.*, but its decode path reads .*10240"),
        (Table(raw_bits=5), r"have the bits .*10240.*, but its decode path reads .*12800"),
    ],
)
def test_a_table_that_the_chip_cannot_follow_is_refused(spec: Table, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        simulate(machine(spec), product(spec))


def test_the_functional_check_refuses_what_the_core_does_not_compute_with() -> None:
    spec = more("header", 2, N)
    with pytest.raises(CompileError, match=r"layer 'gemm0' \(table\): .* the 80 values of stream 'more'.*allowed: the same run without"):
        check_functional(machine(spec), product(spec))
