"""Weights per cycle of a decoder, counted by hand: 4 ports, codewords of 8, 24 raw weights, on 16 x 16 PEs."""

from __future__ import annotations

import pytest

from accelsim.formats.catalog import parse_format
from accelsim.hw.decode_width import DecodeWidth

WIDTH = DecodeWidth(ports=4, codeword_length=8, raw=24, activations=16, tile=256)


@pytest.mark.parametrize(
    ("text", "length", "records", "lookups"),
    [
        ("uniform:bits=4", 8, 3, 2),  # 24 raw weights; 16 of them are two records
        ("ssvq:k=16,d=8", 8, 4, 2),
        ("ssvq:k=16,d=4", 4, 4, 4),
        ("palette:bits=4", 1, 4, 16),
        ("aqlm:books=2,bits=8", 8, 2, 4),  # two lookups per vector
        ("aqlm:books=3,bits=8,element_bits=6", 8, 1, 6),  # one port is left over
        ("vptq:bits=8,residual_bits=4", 8, 2, 4),
    ],
)
def test_a_cycle_takes_whole_records(text: str, length: int, records: int, lookups: int) -> None:
    path = parse_format(text).decode_path()
    assert (WIDTH.length(path), WIDTH.records(path), WIDTH.weights(path)) == (length, records, length * records)
    assert WIDTH.lookups_for(path, 16) == lookups


def test_both_paths_are_as_wide_as_the_wider_one() -> None:
    assert (WIDTH.coded, WIDTH.widest, WIDTH.most, WIDTH.activation_records) == (32, 32, 32, 2)
    one = WIDTH.with_ports(1)
    assert (one.coded, one.widest, one.raw) == (8, 24, 24)
    many = WIDTH.with_ports(64)
    assert (many.widest, many.most) == (512, 256)  # no cycle takes more than a tile


def test_bits_of_a_cycle_are_those_of_raw_weights_or_of_records() -> None:
    assert WIDTH.group_bits(record_bits=16) == 8 * 24
    assert WIDTH.group_bits(record_bits=60) == 4 * 60
