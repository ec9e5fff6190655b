"""Weights that leave the decoder, and the lookups for them, counted by hand: 64 x 40 weights on a 16x16 array are 3 stripes of 4 tiles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accelsim.accelerator import Accelerator
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.target import target_of
from accelsim.cost.action_counts import LOOKUP, SHADOW_WRITE, SIGN, add_counts, count_actions
from accelsim.cost.gemv_gates import gemv_lanes
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.result import Result
from accelsim.simulation import simulate
from tests.contract.test_weight_traffic import machine, product
from tests.tiny_machines import Net, tiny_accelerator

PADDED = 3 * 64 * 16  # weights of all tiles, padded columns included


def chip(ports: int) -> Accelerator:
    return tiny_accelerator(
        array={"rows": 16, "cols": 16, "max_m": 32, "raw_weights_per_cycle": 16},
        codebook={"ports": ports, "codeword_length": 8, "codewords": 512},
        weight_buffer={"capacity": 65536, "word_bits": 64},
    )


def ran(text: str, ports: int) -> Result:
    return simulate(chip(ports), product(parse_format(text)))


@pytest.mark.parametrize(
    ("text", "ports", "weights", "lookups"),
    [
        ("ssvq:k=16,d=8", 4, PADDED, PADDED // 8),
        ("palette:bits=4", 4, PADDED, PADDED),  # a lookup yields one weight, not the chip's eight
        ("ssvq:k=16,d=4", 4, PADDED, PADDED // 4),
        ("aqlm:books=2,bits=8", 4, PADDED, PADDED // 8 * 2),  # two lookups per vector
        ("vptq:bits=8,residual_bits=4", 4, PADDED, PADDED // 8 * 2),
        ("aqlm:books=2,bits=8", 5, PADDED, PADDED // 8 * 2),  # the fifth port is not used
        ("ssvq:k=16,d=8", 3, 12 * 11 * 24, 12 * 11 * 3),  # 32 records of a tile take 11 groups of 3
        ("uniform", 4, PADDED, 0),
    ],
)
def test_a_shadow_register_is_written_once_per_weight_and_a_codeword_read_once_per_lookup(
    text: str, ports: int, weights: int, lookups: int
) -> None:
    result = ran(text, ports)
    counts = add_counts(count_actions(result, chip(ports)))
    assert counts[SHADOW_WRITE].nominal == weights
    assert (counts[LOOKUP].nominal if LOOKUP in counts else 0) == lookups
    assert (SIGN in counts) == text.startswith("ssvq")
    assert (result.layers[0].decoded_weights, result.layers[0].lookups) == (weights, lookups)


def test_activations_that_are_loaded_as_weights_are_counted_by_the_loader() -> None:
    """16 x 16 keys on a 16x16 array: all 256 activations of a tile are written."""
    net = Net(16, 16)
    query, key = net.gemm("x", 16), net.gemm("x", 16)
    net.scores(query, key, 1)
    layer = simulate(chip(4), net.trace()).layers[-1]
    assert (layer.decoded_weights, layer.lookups) == (256, 0)


def test_a_result_of_an_earlier_version_counts_codewords_of_the_chips_length() -> None:
    result = ran("palette:bits=4", 4)
    (frame,) = result.frames
    older = replace(
        result, frames=(replace(frame, layers=tuple(replace(item, decoded_weights=None, lookups=None) for item in frame.layers)),)
    )
    assert add_counts(count_actions(older, chip(4)))[SHADOW_WRITE].nominal == 8 * PADDED


@pytest.mark.parametrize("text", [text for text in format_examples() if parse_format(text).decode_path().lane_bits <= 8])
def test_the_width_of_the_decoder_is_what_the_compiler_gives_a_group(text: str) -> None:
    spec = parse_format(text)
    own, trace = machine(spec), product(spec)
    geometry = weight_geometry(target_of(own, [trace]), trace.weighted_layers()[0])
    assert own.decode_width.weights(spec.decode_path()) == geometry.group_weights
    assert own.decode_width.records(spec.decode_path()) == geometry.ports


def test_lanes_behind_the_decoder_take_the_most_of_any_format_but_no_more_than_a_tile() -> None:
    assert gemv_lanes(chip(4)) == 32  # 4 codewords of 8; 16 raw weights
    assert gemv_lanes(chip(1)) == 16
    assert gemv_lanes(chip(64)) == 256  # 512 codeword elements, 16 x 16 PEs
