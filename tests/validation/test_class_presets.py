"""Presets of a product's class: their decoder and array never limit a decode step at 4 bits, so half the bytes take half the time."""

from __future__ import annotations

import numba
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import in_format
from accelsim.compression.recipe import make_recipe
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.studies.networks.catalog import network
from accelsim.trace.token_step import at_tokens

LAYER = "llama_layer:hidden=1024,ffn=4096,heads=16,kv_heads=4"
WEIGHTS = 2 * 1024 * 1024 + 2 * 1024 * 256 + 3 * 1024 * 4096
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="15 million weights are too many for plain Python")


def step(chip: str, form: str) -> Result:
    return simulate(load_accelerator(chip), at_tokens(in_format(network(LAYER), make_recipe(form), form), 1, 128))


@compiled
@pytest.mark.parametrize(("chip", "tera", "gigabytes"), [("sbc-6tops", 6.1, 25.6), ("soc-1tops", 1.0, 12.8)])
def test_memory_alone_limits_a_decode_step_at_8_and_4_bits(chip: str, tera: float, gigabytes: float) -> None:
    machine = load_accelerator(chip)
    assert 2 * machine.array.rows * machine.array.cols * machine.clock / 1e12 == pytest.approx(tera, rel=0.03)
    eight, four = (step(chip, f"uniform:bits={bits}") for bits in (8, 4))
    for result, size in ((eight, WEIGHTS), (four, WEIGHTS // 2)):
        assert max(result.bounds, key=lambda name: result.bounds[name]) == "dram"
        assert result.cycles["decode"] + result.cycles["swap"] < 0.03 * result.total_cycles
        assert (
            size / gigabytes / 1e6 < result.milliseconds < 1.4 * size / gigabytes / 1e6
        )  # peak rate; refresh and row changes take the rest
    assert eight.total_cycles / four.total_cycles == pytest.approx(2, rel=0.05)


@compiled
@pytest.mark.parametrize("chip", ["sbc-6tops", "soc-1tops"])
@pytest.mark.parametrize(("form", "bits"), [("int_group:bits=4,group=128", 4.125), ("gguf:type=Q4_0", 4.5), ("nf4:group=64", 4.5)])
def test_groups_of_4_bits_take_the_time_of_their_bytes_or_of_half_a_wave_per_tile(chip: str, form: str, bits: float) -> None:
    """Their sums are scaled in the array, whose two shadow sets take turns: a tile takes half of R + C - 1 cycles where bytes take less."""
    array = load_accelerator(chip).array
    waves = WEIGHTS / array.rows / array.cols * (array.rows + array.cols - 1) / 2
    eight, four = step(chip, "uniform:bits=8"), step(chip, form)
    assert four.total_cycles == pytest.approx(max(bits / 8 * eight.total_cycles, waves), rel=0.06)
    assert eight.total_cycles / four.total_cycles > 1.7


@compiled
@pytest.mark.parametrize("chip", ["sbc-6tops", "soc-1tops"])
def test_blocks_of_2_bits_are_faster_than_4_bits_with_the_same_scales(chip: str) -> None:
    fitted = load_accelerator(chip, ["codebook.store=rom", "codebook.circuit=logic_rom"])
    trace = in_format(network(LAYER), make_recipe("gguf:type=IQ2_XXS"), "iq2")
    two = simulate(fitted, at_tokens(trace, 1, 128))
    assert two.total_cycles < step(chip, "gguf:type=Q4_0").total_cycles
