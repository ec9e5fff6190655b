"""The tiny network in each format: every product is bit-exact on every preset, and the machine runs it to the end."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numba
import pytest

from accelsim.accelerator import FOLDER, Accelerator, load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.functional import check_functional
from accelsim.presets import preset_names
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace

TRACES = Path(__file__).parents[2] / "traces"
PRESETS = ("edge-64x64", "edge-64x64-x16", "edge-32x32", "edge-32x32-x32", "mcu-16x16", "sbc-6tops", "soc-1tops")
FORMATS = (
    "uniform",
    "uniform:bits=4",
    "uniform:bits=3,scale=tensor",
    "ssvq:k=16,d=8",
    "ssvq:k=11,d=4,axis=1",
    "vq:k=16,d=8",
    "vq:k=11,d=4,axis=1",
    "vecq:bits=2",
    "vecq:bits=7",
    "universal_vq:k=256,d=8",
    "palette:bits=4",
    "palette:bits=5,d=4,axis=1",
    "aqlm:books=1,bits=5,d=4,element_bits=8",
    "vptq:bits=5,residual_bits=0,d=4",
    "masked_vq:k=16,d=8,keep=3,of=8",
    "masked_vq:k=9,d=4,keep=1,of=2,axis=1",
    "masked_vq:k=40,d=16,keep=4,of=16",
)

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def chip(preset: str, trace: Trace) -> Accelerator:
    """A preset with the codebook that a trace asks for."""
    return load_accelerator(preset, codebook_overrides(load_accelerator(preset), trace))


@cache
def tiny(text: str) -> Trace:
    return compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe(text))[0]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("text", FORMATS)
def test_each_format_is_bit_exact_on_every_preset(text: str, preset: str) -> None:
    report = check_functional(chip(preset, tiny(text)), tiny(text))
    assert [layer.message for layer in report.layers] == ["bit-exact"] * 18  # 1 convolution, 13 linear, 4 matmuls


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("text", FORMATS)
def test_each_format_runs_on_every_preset(text: str, preset: str) -> None:
    trace = tiny(text)
    result = simulate(chip(preset, trace), trace)
    assert {layer.name for layer in trace.weighted_layers()} <= {layer.name for layer in result.layers}


def test_no_format_and_no_preset_is_left_out() -> None:
    exact = {parse_format(text).kind for text in format_examples() if not parse_format(text).decode_path().beyond_core}
    assert {parse_format(text).kind for text in FORMATS} == exact - {"float32"}
    assert set(PRESETS) == set(preset_names(FOLDER))
