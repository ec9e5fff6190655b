"""NAME@FORMAT: the shapes of a float trace in another format take the cycles of the trace that was really compressed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.api.pairs import pairs
from accelsim.compression.open_trace import open_float_trace, open_trace
from accelsim.errors import AccelsimError, CompileError, TraceError
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace


@pytest.mark.parametrize(
    ("text", "committed"), [("tiny_vit_float@ssvq:k=16,d=8", "tiny_vit_ssvq"), ("tiny_vit_float@uniform:bits=8", "tiny_vit_int8")]
)
def test_shapes_alone_take_the_cycles_and_the_traffic_of_the_encoded_trace(text: str, committed: str):
    chip = load_accelerator("edge-32x32")
    shapes, encoded = open_trace(text), open_trace(committed)
    if [layer.weight.format for layer in shapes.weighted_layers()] != [layer.weight.format for layer in encoded.weighted_layers()]:
        pytest.fail("the committed trace was made by another recipe")
    first, second = simulate(chip, shapes), simulate(chip, encoded)
    assert (first.cycles, first.traffic, first.trace_name) == (second.cycles, second.traffic, text)
    assert not shapes.has_payload


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiny_vit_float@mvqq", "unknown format 'mvqq'"),
        ("tiny_vit_float@ssvq:k=16,d=7", "d=7 does not divide"),
        ("tiny_vit_int8@ssvq:k=16,d=8", "compressed already"),
        ("tiny_vit_flaot@ssvq:k=16,d=8", "did you mean 'tiny_vit_float'"),
        ("tiny_vit_float@", "unknown format ''"),
        ("tiny_vit_float@vq:k=9999,d=8", "layer 'vit.layers.0.attention.q_proj': k=9999 codewords for 288 subvectors"),
    ],
)
def test_what_cannot_be_is_one_message(text: str, words: str):
    with pytest.raises(AccelsimError) as caught:
        open_trace(text)
    assert words in str(caught.value)


def test_a_format_that_no_array_takes_is_refused_by_the_machine():
    with pytest.raises(CompileError, match="32-bit weights do not fit the 8-bit array"):
        simulate(load_accelerator("edge-32x32"), open_trace("tiny_vit_float@float32"))


def test_a_directory_whose_name_holds_the_sign_is_a_directory(tmp_path):
    folder = tmp_path / "a@b"
    folder.mkdir()
    with pytest.raises(AccelsimError, match=r"trace\.json"):
        open_trace(str(folder))


def test_compare_takes_the_colon_of_a_format_for_what_it_is():
    assert pairs(["edge-32x32:a@ssvq:k=16,d=8", "b@vq:k=256,d=8", "mcu-16x16:c@vecq:bits=4"]) == [
        ("edge-32x32", "a@ssvq:k=16,d=8"),
        ("edge-32x32", "b@vq:k=256,d=8"),
        ("mcu-16x16", "c@vecq:bits=4"),
    ]


@pytest.mark.parametrize("name", ["tiny_vit_float@presets", "llama_1b_float@presets@step:context=9"])
@pytest.mark.parametrize("opened", [open_trace, open_float_trace])
def test_a_name_of_several_traces_says_which_command_takes_them(name: str, opened: Callable[[str], Trace]) -> None:
    with pytest.raises(
        TraceError, match=r"@presets\S* is 9 traces, of which this takes one; allowed: .*: accelsim formats ACCEL .*@presets"
    ):
        opened(name)
