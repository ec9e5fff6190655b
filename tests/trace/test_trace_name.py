"""NAME@FORMAT@step:...: the parts of a name, and that all that take a trace's name resolve the same step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.cli.completion import traces
from accelsim.compression.open_trace import open_float_trace, open_trace
from accelsim.errors import AccelsimError, TraceError
from accelsim.report.format_points import short_names
from accelsim.simulation import simulate
from accelsim.sweeps.points import Dropped, Invalid, Point, expand
from accelsim.sweeps.spec import load_sweep
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import save_trace
from accelsim.trace.trace_name import TraceName, parse_step
from tests.trace.test_token_step import model

RUN = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    save_trace(model(), tmp_path / "lm")
    return str(tmp_path / "lm")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a", None, None)),
        ("a@ssvq:k=16,d=8", ("a", "ssvq:k=16,d=8", None)),
        ("a@step", ("a", None, "step")),
        ("a@vecq:bits=4@step:context=9", ("a", "vecq:bits=4", "step:context=9")),
        ("x/a@b@vq:k=16,d=8@step:tokens=2", ("x/a@b", "vq:k=16,d=8", "step:tokens=2")),
        ("a@*=ssvq:k=16,d=8@step", ("a", "*=ssvq:k=16,d=8", "step")),
        ("a@", ("a", "", None)),
        ("step:context=1", ("step:context=1", None, None)),
    ],
)
def test_a_name_has_three_parts(text: str, parts: tuple[str, str | None, str | None]) -> None:
    found = TraceName.parse(text)
    assert (found.source, found.format, found.step) == parts
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [("ssvq:k=16,d=8", (None, "ssvq:k=16,d=8")), ("*=ssvq:k=16,d=8", ("*", "ssvq:k=16,d=8")), ("*.q=vecq", ("*.q", "vecq"))],
)
def test_a_format_may_name_its_layers(text: str, said: tuple[str | None, str]) -> None:
    assert TraceName("a", text).layers_and_format == said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("step:contxt=1", "a step has no field 'contxt'; known: tokens, context, cache_bits; did you mean 'context'"),
        ("step:context=1,context=2", "'context' is given twice"),
        ("step:context=-1", "context has value '-1'; allowed: a whole number up to 1,048,576"),
        ("step:tokens", "tokens has value ''"),
        ("step:", "a step has no field ''"),
    ],
)
def test_a_step_that_cannot_be_read_is_one_message(text: str, words: str) -> None:
    with pytest.raises(TraceError) as caught:
        parse_step(text)
    assert words in str(caught.value)


def test_the_step_of_a_name_is_the_step_of_its_numbers(folder: str) -> None:
    chip = load_accelerator("edge-64x64")
    step, whole = at_tokens(model(), 3, 50), open_trace(f"{folder}@step:context=50,tokens=3")
    assert step.layers == whole.layers
    assert whole.name == f"{folder}@step:context=50,tokens=3"
    assert step.name == "lm@step:tokens=3,context=50"
    assert simulate(chip, whole).traffic == simulate(chip, step).traffic
    assert open_trace(f"{folder}@step").layers == at_tokens(model(), 1, 0).layers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiny_vit_float@step:context=9", "has no causal attention"),
        ("llama_1b_float@step:tokens=0", "a step's tokens = 0; allowed: 1 to 1,048,576"),
        ("llama_1b_float@step:context=1048577", "context = 1048577; allowed: 0 to 1,048,576"),
        ("llama_1b_float@output.x=vecq:bits=4", "the pattern 'output.x' matches no layer"),
    ],
)
def test_a_step_or_a_pattern_that_fits_no_trace_is_one_message(text: str, words: str) -> None:
    with pytest.raises(AccelsimError) as caught:
        open_trace(text)
    assert words in str(caught.value)


def test_a_step_has_no_weights_to_encode() -> None:
    with pytest.raises(TraceError, match="a step is shapes without weights to encode; allowed: a float trace, such as 'llama_1b_float'"):
        open_float_trace("llama_1b_float@step:context=9")


def test_the_head_takes_the_format_where_the_pattern_says_so() -> None:
    """By the usual recipe it keeps 8 bits; the blocks of 16 layers have 973,078,528 weights, the head 262,668,288."""
    usual, whole = open_trace("llama_1b_float@ssvq:k=16,d=8"), open_trace("llama_1b_float@*=ssvq:k=16,d=8")
    kinds = [{layer.weight.format.kind: layer.weight.count for layer in trace.weighted_layers()} for trace in (usual, whole)]
    assert kinds[0]["uniform"] == 128_256 * 2_048
    assert set(kinds[1]) == {"ssvq"}
    in_blocks = sum(layer.weight.count for layer in usual.weighted_layers() if layer.weight.format.kind == "ssvq")
    assert in_blocks == 16 * (2 * 2_048 * 2_048 + 2 * 2_048 * 512 + 3 * 2_048 * 8_192)


def test_run_compare_python_and_a_sweep_resolve_one_step(folder: str) -> None:
    name = f"{folder}@step:tokens=1,context=40"
    direct = simulate(load_accelerator("edge-64x64"), open_trace(name))
    run = json.loads(RUN.invoke(app, ["run", "edge-64x64", name, "--json"]).stdout)["summary"]
    assert (run["total_cycles"], run["trace"]) == (direct.total_cycles, name)
    assert accelsim.simulate("edge-64x64", name).cycles == direct.total_cycles
    compared = RUN.invoke(app, ["compare", f"edge-64x64:{folder}@step:context=60", name, "--json"])
    assert json.loads(compared.stdout)["side_by_side"][1]["total_cycles"] == direct.total_cycles
    sweep = load_sweep({"name": "s", "base": {"accelerator": "edge-64x64", "trace": folder}, "axes": {"step.context": [40, 400]}})
    first, second = (point for point in expand(sweep) if isinstance(point, Point))
    assert (first.run_id, first.axes) == (direct.run_id, {"step.context": 40})
    assert second.trace == f"{folder}@step:tokens=1,context=400"


def test_an_axis_replaces_the_numbers_of_a_written_step(folder: str) -> None:
    axes = {"trace": [f"{folder}@step:tokens=2,context=7"], "step.context": [None, 9], "step.tokens": [4]}
    found = [point.trace for point in expand(load_sweep({"name": "s", "base": {"accelerator": "edge-64x64"}, "axes": axes}))]  # type: ignore[union-attr]  # all are points
    assert found == [f"{folder}@step:tokens=4,context=7", f"{folder}@step:tokens=4,context=9"]


def test_constraints_read_the_step_and_a_wrong_value_concerns_its_point(folder: str) -> None:
    wanted = {"name": "s", "base": {"accelerator": "edge-64x64", "trace": folder}, "axes": {"step.context": [8, 16, "x"]}}
    found = list(expand(load_sweep({**wanted, "constraints": ["step.context == null or step.context < 10"]})))
    assert [type(item) for item in found] == [Point, Dropped, Invalid]
    assert "`step.context`: 'x' is not allowed; allowed: a whole number" in found[2].message  # type: ignore[union-attr]  # it is Invalid


def test_labels_and_completion_know_the_step() -> None:
    assert short_names(["a@vecq@step:context=9", "a@int8@step:context=9"]) == ["vecq", "int8"]
    assert "llama_1b_float@vecq:bits=4@step:context=" in traces("llama_1b_float@vecq:bits=4@st")
