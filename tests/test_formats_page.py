"""The presets of decoders: the page's table is what the command prints, and the parts of a decoder are counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numba
import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.compression.decoder_presets import DECODER_PRESETS
from accelsim.compression.open_trace import open_trace
from accelsim.cost.area import area_of
from accelsim.cost.decoder_parts import decoder_area, decoder_parts
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.format_comparison import compare_formats
from accelsim.formats.catalog import format_kinds, parse_format
from accelsim.report.format_points import short_names
from accelsim.simulation import simulate
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import save_trace
from tests.trace.test_token_step import model

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
COMMAND = "formats edge-64x64-x16 deit_base_float@presets --set activation_buffer.capacity=1MiB --set array.scale_taps=2"
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def call(text: str):
    return CliRunner().invoke(app, text.split())


def gates(text: str, *overrides: str) -> dict[str, float]:
    """Name -> gate equivalents of the parts of a format's decoder on a chip: 4 ports, codewords of 8, 64 raw weights per cycle."""
    chip = load_accelerator("edge-64x64-x16", overrides)
    parts = decoder_parts(parse_format(text).decode_path(), chip, load_technology("nangate45"))
    return {part.name: part.gates.nominal for part in parts if part.gates is not None}


@compiled
@pytest.mark.parametrize("more", ["", " --set codebook.ports=64"])
def test_the_tables_of_the_page_are_what_its_commands_print(more: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"    accelsim {COMMAND}{more}\n" in page
    outcome = call(f"{COMMAND}{more} --markdown")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout in page
    if not more:
        front = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
        assert f"    accelsim {COMMAND}\n\n{outcome.stdout}" in front


@compiled
def test_the_table_of_entropy_codes_is_what_its_command_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (command,) = [
        line.split("accelsim ", 1)[1] for line in page.splitlines() if "huffman-ssvq" in line and line.startswith("    accelsim ")
    ]
    assert call(f"{command} --markdown").stdout in page
    slow = json.loads(call(f"{command} --set array.symbols_per_cycle=4 --json").stdout)["points"]
    coded = {item["trace"].partition("@")[2]: item["milliseconds"] for item in slow}
    assert f"{coded['huffman-uniform:bits=8']:.3f} {coded['huffman-uniform:bits=4']:.3f}" == "1.556 1.556"


@compiled
def test_the_table_of_tables_per_block_is_what_its_command_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("    accelsim ") and "block_palette" in line]
    command = line.split("accelsim ", 1)[1]
    assert call(f"{command} --markdown").stdout in page


@compiled
def test_every_preset_runs_and_what_is_shapes_alone_is_named() -> None:
    found = json.loads(call("formats edge-64x64 tiny_vit_ssvq tiny_vit_int8 tiny_vit_float@uniform:bits=4 --json").stdout)["points"]
    assert [item["values"] for item in found] == ["stored", "stored", "shapes"]
    assert [item["codebook_store"] for item in found] == ["ram", None, None]
    text = call("formats edge-64x64 deit_tiny_int8 deit_tiny_float@gguf:type=MXFP4").stdout
    assert "Shapes alone, never encoded: float@gguf:type=MXFP4." in " ".join(text.split())


def test_presets_stand_for_nine_formats_and_other_names_for_themselves() -> None:
    assert {parse_format(text).kind for text in DECODER_PRESETS} <= set(format_kinds())
    outcome = call("formats edge-64x64 none@presets")
    assert (outcome.exit_code, "unknown trace 'none'" in outcome.stderr) == (2, True)


def test_parts_that_no_chip_counts_are_those_counted_by_hand() -> None:
    """IQ2_XXS: 32 lanes, four groups of eight, six XOR of 2 GE each; AQLM 2x8: 16 lanes, an adder of 8 bits at 6.1 GE per bit."""
    assert gates("gguf:type=IQ2_XXS") == {"sign parities": pytest.approx(48)}
    assert gates("aqlm:books=2,bits=8") == {"codeword adders": pytest.approx(16 * 48.8)}
    assert gates("aqlm:books=2,bits=8", "codebook.ports=8") == {"codeword adders": pytest.approx(32 * 48.8)}
    assert gates("int_group:bits=4,group=32,zero=1") == {"level tables": 0, "zero point adders": pytest.approx(64 * 5 * 6.1)}
    assert set(gates("gguf:type=MXFP4")) == {"level tables"}  # 16 levels from -12 to 12 are no run of integers
    assert gates("gguf:type=Q4_0") == {"level tables": 0}  # -8 to 7 are
    for text in ("uniform:bits=8", "ssvq:k=256,d=8", "universal_vq:k=4096,d=8", "palette:bits=4", "int_group:bits=4,group=32"):
        assert gates(text) == {}


def test_a_decoder_holds_what_its_format_uses_of_the_chip() -> None:
    node = load_technology("nangate45")
    area = area_of(load_accelerator("edge-64x64-x16", ["array.scale_taps=2"]), node)

    def placed(*names: str) -> float:
        return sum(area.placed(area.component(name)).nominal for name in names)

    for text, names in (
        ("uniform:bits=8", ("unpack buffer",)),
        ("ssvq:k=16,d=8", ("unpack buffer", "sign decoder")),
        ("int_group:bits=4,group=32", ("unpack buffer", "group scales", "scale registers")),
    ):
        assert decoder_area(parse_format(text).decode_path(), area, ()).nominal == pytest.approx(placed(*names))


def test_names_of_one_network_are_cut_to_their_formats() -> None:
    assert short_names(["net_a@vq:k=16,d=8", "net_a@uniform:bits=8"]) == ["vq:k=16,d=8", "uniform:bits=8"]
    assert short_names(["net_a@vq:k=16,d=8", "net_b"]) == ["a@vq:k=16,d=8", "b"]


def test_the_energy_of_a_decoder_is_that_of_what_weights_pass_and_of_the_parts_that_no_chip_counts() -> None:
    """AQLM 2x8 on 4 ports: 16 adders of 48.8 GE switch once for each group, beside the unpack buffer."""
    node, chip = load_technology("nangate45"), load_accelerator("edge-64x64-x16", ["codebook.codewords=512"])
    trace = open_trace("tiny_vit_float@aqlm:books=2,bits=8")
    point = compare_formats(chip, [trace], node, fit=False)[0]
    coded = {layer.name for layer in trace.weighted_layers() if layer.weight.format.kind == "aqlm"}
    groups = sum(layer.bounds["decode"] for layer in point.result.layers if layer.name in coded)
    lines = energy_of(point.result, chip, node).rows()
    unpack = sum(1e6 * line["energy_uj"] for line in lines if line["component"] in ("unpack buffer", "sign decoder"))
    assert point.decoder_pj.nominal == pytest.approx(unpack + groups * 16 * 48.8 * node.energy.gate_pj.value)
    assert point.energy_pj.nominal == pytest.approx(
        sum(1e6 * line["energy_uj"] for line in lines) + groups * 16 * 48.8 * node.energy.gate_pj.value
    )


def test_multipliers_of_group_scales_that_the_chip_leaves_out_are_named() -> None:
    words = "formats edge-64x64-x16 tiny_vit_float@uniform:bits=4 tiny_vit_float@int_group:bits=4,group=32"
    said = "neither area nor energy of the multipliers of group scales is in the rows of int_group:bits=4,group=32."
    assert said in " ".join(call(words).stdout.split())
    assert "group scales is in" not in call(f"{words} --set array.scale_taps=2").stdout


def test_formats_are_compared_for_a_decode_step(tmp_path: Path) -> None:
    """One token at a time: weights are read once for it, and 5 cached keys and values of each layer beside them."""
    trace = model()
    node, chip = load_technology("nangate45"), load_accelerator("edge-64x64-x16")
    point = compare_formats(chip, [trace], node, decode_after=5)[0]
    assert point.trace == trace.name
    assert point.result.macs == simulate(chip, at_tokens(trace, 1, 5)).macs
    assert {item.operand for layer in point.result.layers for item in layer.traffic} >= {"kv_read", "kv_write"}
    assert point.paper_bits_per_weight == 8
    folder = save_trace(trace, tmp_path / "causal")
    assert json.loads(call(f"formats edge-64x64-x16 {folder} --decode --context 5 --json").stdout)["points"][0]["total_cycles"] == (
        point.result.total_cycles
    )


def test_a_decode_step_of_what_generates_nothing_and_a_context_without_a_step_are_refused() -> None:
    outcome = call("formats edge-64x64 tiny_vit_int8 --decode")
    assert (outcome.exit_code, "has no causal attention" in outcome.stderr) == (2, True)
    outcome = call("formats edge-64x64 tiny_vit_int8 --context 5")
    assert (outcome.exit_code, "--context 5: allowed with --decode" in outcome.stderr) == (2, True)
