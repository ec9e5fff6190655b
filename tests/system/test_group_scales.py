"""Scales of groups of weights on the machine: each chip serves a format as its `array.scale_at` says, or refuses it with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.target import target_of
from accelsim.errors import CompileError, ConfigError
from accelsim.formats.catalog import parse_format
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate
from tests.contract.test_weight_traffic import machine, product
from tests.naive_machine import NaiveMachine
from tests.recorded import run_recorded

SIXTEEN = {"rows": 16, "cols": 16, "max_m": 32}


def chip(text: str, **array: Any) -> Accelerator:
    """A 16x16 chip for a format."""
    return machine(parse_format(text), array={**SIXTEEN, **array})


def tiles_and_scales(accelerator: Accelerator, text: str) -> tuple[int, tuple[tuple[int, int], ...]]:
    trace = product(parse_format(text))
    geometry = weight_geometry(target_of(accelerator, [trace]), trace.weighted_layers()[0])
    return geometry.block_rows, geometry.scales


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("int_group:bits=4,group=8", {}),
        ("int_group:bits=4,group=8", {"scale_taps": 2}),
        ("int_group:bits=4,group=8,zero=1", {"scale_taps": 2, "shadow_sets": 2, "accumulator_banks": 2}),
        ("int_group:bits=4,group=24", {"accumulator_rule": "simple"}),
        ("int_group:bits=4,group=64", {"scale_taps": 4}),
        ("gguf:type=Q4_K", {}),
        ("gguf:type=IQ2_XXS", {"scale_at": "weight", "weight_bits": 12}),
        ("gguf:type=IQ1_M", {"shadow_sets": 2}),
        ("uniform", {"scale_taps": 4}),
        ("int_group:bits=4,group=8", {"mapping": "gemv", "gemv_max_m": 20, "scale_taps": 2}),
        ("int_group:bits=4,group=24,zero=1", {"mapping": "gemv", "gemv_max_m": 20}),
        ("gguf:type=Q4_K", {"mapping": "gemv", "gemv_max_m": 3, "shadow_sets": 2}),
        ("gguf:type=IQ2_XXS", {"mapping": "gemv", "scale_at": "weight", "weight_bits": 12}),
        ("gguf:type=MXFP4", {"mapping": "cheapest", "gemv_max_m": 20}),
    ],
)
@pytest.mark.parametrize("m", [1, 3, 20])
def test_the_machine_equals_its_clock_by_clock_twin(text: str, array: dict[str, Any], m: int) -> None:
    accelerator = chip(text, **array)
    program = compile_trace(accelerator, product(parse_format(text), m))
    outcome, landings = run_recorded(accelerator, program)
    cycles, runs = NaiveMachine(program, landings).simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    for twin, row in zip(runs, outcome.run_results.tolist(), strict=True):
        assert {name: count for name, count in zip(CATEGORIES, row, strict=False) if count} == twin


def test_the_finest_scale_ends_a_tile_and_every_level_travels() -> None:
    """Q4_K: 6 bits each of scale and minimum per 32, two binary16 per 256. IQ1_M: a shift per 8 goes with the sub-scale of 16."""
    assert tiles_and_scales(chip("gguf:type=Q4_K", rows=64), "gguf:type=Q4_K") == (32, ((32, 12), (256, 32)))
    assert tiles_and_scales(chip("gguf:type=Q4_K", rows=64, scale_taps=2), "gguf:type=Q4_K") == (64, ((32, 12), (256, 32)))
    assert tiles_and_scales(chip("gguf:type=IQ1_M"), "gguf:type=IQ1_M") == (16, ((16, 5), (256, 16)))
    assert tiles_and_scales(chip("int_group:bits=4,group=8,zero=1"), "int_group:bits=4,group=8,zero=1") == (8, ((8, 20),))
    assert tiles_and_scales(chip("uniform"), "uniform") == (16, ())


def test_the_decoder_multiplies_by_integer_scales_and_leaves_those_of_blocks_to_the_sums() -> None:
    wide = chip("gguf:type=IQ2_XXS", rows=64, scale_at="weight", weight_bits=12)
    assert tiles_and_scales(wide, "gguf:type=IQ2_XXS") == (64, ((32, 4), (256, 16)))


def test_taps_cost_the_drain_one_cycle_and_save_whole_tiles() -> None:
    cycles = {}
    for taps in (None, 1, 2):
        accelerator = chip("int_group:bits=4,group=8", scale_taps=taps)
        cycles[taps] = simulate(accelerator, product(parse_format("int_group:bits=4,group=8"))).total_cycles
    assert cycles[None] == cycles[1] > cycles[2]
    plain = [simulate(chip("uniform", scale_taps=taps), product(parse_format("uniform"))).total_cycles for taps in (None, 1, 2)]
    assert plain[0] == plain[1] == plain[2] - 1


@pytest.mark.parametrize("bits", [7, 8])
@pytest.mark.parametrize("offset", ["", ",zero=1", ",minimum=1"])
def test_unsigned_integers_run_up_to_8_bits_of_which_the_array_multiplies_8(bits: int, offset: str) -> None:
    text = f"int_group:bits={bits},group=32{offset}"
    assert parse_format(text).decode_path().lane_bits == 8 - (bits == 7 and not offset)
    assert simulate(chip(text, scale_at="group"), product(parse_format(text))).total_cycles > 0


@pytest.mark.parametrize(
    ("text", "array", "words"),
    [
        ("int_group:bits=4,group=32", {"scale_at": "channel"}, r"per group of 32 weights .*scale_at = 'channel'.*allowed: .*'group'"),
        ("gguf:type=Q8_0", {"scale_at": "weight"}, r"its scales are not integers, so array\.scale_at = 'weight'.*PEs for floats"),
        ("int_group:bits=4,group=32", {"scale_at": "weight"}, r"its scales are not integers"),
        ("gguf:type=IQ2_XXS", {"scale_at": "weight"}, r"has 12 bits, but array\.weight_bits = 8.*allowed: array\.weight_bits = 12 or more"),
        ("gguf:type=Q4_K", {"scale_at": "weight", "weight_bits": 10}, r"has 11 bits, but array\.weight_bits = 10"),
    ],
)
def test_what_a_chip_cannot_serve_is_refused_with_the_reason(text: str, array: dict[str, Any], words: str) -> None:
    with pytest.raises(CompileError, match=words):
        simulate(chip(text, **array), product(parse_format(text)))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["array.scale_taps=3"], "scale_taps = 3 must divide rows = 64"),
        (["array.scale_taps=2", "array.scale_at=channel"], "scale_taps = 2 needs scale_at = 'group'; allowed with 'channel': 1 or null"),
        (["array.weight_bits=12"], "weight_bits = 12 needs scale_at = 'weight'; allowed with 'group': 8"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_accelerator("edge-64x64", overrides)
