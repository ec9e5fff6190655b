"""Group formats, palettes and GGUF types from the command line: compressed, inspected and run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.compression.open_trace import open_trace
from accelsim.formats.catalog import describe_format

CLI = CliRunner()


def call(*words: object, status: int = 0) -> str:
    done = CLI.invoke(app, [str(word) for word in words], prog_name="accelsim")
    assert done.exit_code == status, done.output
    return done.stdout if status == 0 else done.stderr


@pytest.mark.parametrize("text", ["int_group:bits=4,group=32", "int_group:bits=3,group=64,zero=1", "palette:bits=4,tables=4"])
def test_a_network_is_compressed_and_run(tmp_path: Path, text: str) -> None:
    out = tmp_path / "packed"
    call("compress", "tiny_vit_float", "--format", text, "-o", out)
    assert text in {describe_format(layer.weight.format) for layer in open_trace(str(out)).weighted_layers()}
    call("inspect", out)
    found = json.loads(call("run", "edge-32x32", out, "--fit-codebook", "--json"))
    layers = found["result"]["frames"][0]["layers"]
    moved = {item["operand"] for layer in layers for item in layer["traffic"]}
    assert ("side_data" in moved) is text.startswith("int_group")
    assert "bit-exact" in call("run", "edge-32x32", out, "--fit-codebook", "--functional")


def test_scales_and_zero_points_of_groups_are_on_the_bus_to_the_bit(tmp_path: Path) -> None:
    """Of each matrix in blocks: 16 bits per 64 inputs and output, and a zero point of 3."""
    found = json.loads(call("run", "edge-32x32", "tiny_vit_float@int_group:bits=3,group=64,zero=1", "--json"))
    layers = found["result"]["frames"][0]["layers"]
    moved = sum(item["bits"] for layer in layers for item in layer["traffic"] if item["operand"] == "side_data")
    trace = open_trace("tiny_vit_float@int_group:bits=3,group=64,zero=1")
    weights = [layer.weight for layer in trace.weighted_layers() if layer.weight.format.kind == "int_group"]
    assert moved == sum(19 * -(-weight.k // 64) * weight.n for weight in weights) > 0


def test_a_gguf_type_is_run_by_its_shapes_alone() -> None:
    """MXFP4: 4.25 bits per weight, of which 8 per 32 weights are exponents."""
    found = json.loads(call("run", "edge-32x32", "deit_tiny_float@gguf:type=MXFP4", "--json"))
    layers = found["result"]["frames"][0]["layers"]
    totals: dict[str, int] = {}
    for layer in layers:
        if layer["format"] == "gguf":
            for item in layer["traffic"]:
                totals[item["operand"]] = totals.get(item["operand"], 0) + item["bits"]
    assert totals["raw_weights"] == 16 * totals["side_data"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "edge-32x32", "tiny_vit_float@gguf:type=IQ2_XXS"), "blocks of 256 weights (IQ2_XXS) do not fill K="),
        (("compress", "tiny_vit_float", "--format", "gguf:type=Q4_K", "-o", "x"), "encoder"),
        (("compress", "tiny_vit_float", "--format", "palette:bits=4,tables=7", "-o", "x"), "do not part N="),
    ],
)
def test_what_does_not_fit_is_one_message(words: tuple[str, ...], message: str) -> None:
    text = call(*words, status=2)
    assert message in text
    assert len(text.splitlines()) == 1
