"""What decoding costs: parts that add up to the runs, figures worked by hand, and the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.cost.ablation import Ablation, Usage, ablate
from accelsim.cost.recost import recost
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.result import Result
from tests.synthetic_results import int8, result, ssvq

NANGATE45 = load_technology("nangate45")


def on(run: Result, *overrides: str) -> Result:
    chip = load_accelerator("edge-32x32", overrides)
    return replace(run, accelerator=chip.dump_yaml(), accelerator_name=chip.name)


def ablation(*overrides: str) -> Ablation:
    return ablate(on(ssvq(), *overrides), on(int8(), *overrides), NANGATE45)


def usage(found: Ablation, name: str, run: str = "coded") -> Usage:
    (part,) = (part for part in found.parts if part.name == name)
    return part.coded if run == "coded" else part.raw


@pytest.mark.parametrize("overrides", [(), ("codebook.circuit=sram", "codebook.banks=4"), ("array.shadow_sets=2", "codebook.ports=8")])
def test_the_parts_of_the_coded_run_are_the_run(overrides: tuple[str, ...]) -> None:
    found, cost = ablation(*overrides), recost(on(ssvq(), *overrides), NANGATE45)
    whole = found.whole("coded")
    assert whole.cycles == ssvq().total_cycles
    assert whole.energy_uj.nominal == pytest.approx(cost.energy.energy_pj().nominal / 1e6)
    assert whole.area_mm2.nominal == pytest.approx(cost.area.placed_um2.nominal / 1e6)


def test_the_raw_run_lacks_the_decoder_and_nothing_else() -> None:
    found, cost = ablation(), recost(on(int8()), NANGATE45)
    # P x D = 16 lanes: sign decoder 16*38.3 GE and 16 registers of 8 GE; the codebook is 442 thousand um2 of cells, all logic.
    signs = (16 * 38.3 + 16 * 8) * 0.798 / 0.75
    codebook = sum(cost.area.placed(item).nominal for item in cost.area.components if item.group == "codebook")
    assert usage(found, "sign decoder").area_mm2.nominal == pytest.approx(signs / 1e6)
    for name in ("codebook", "sign decoder"):
        assert usage(found, name, "raw").area_mm2.nominal == usage(found, name, "raw").energy_uj.nominal == 0
    whole = found.whole("raw")
    assert whole.cycles == int8().total_cycles
    assert whole.area_mm2.nominal == pytest.approx((cost.area.placed_um2.nominal - signs - codebook) / 1e6)
    gates = sum(item.gates.nominal for item in cost.area.components if item.group == "codebook" and item.gates) + 16 * (38.3 + 8)
    leaked_uj = gates * 10e-9 * 1e-6 * 1e6  # 10 nW a gate for 1,000 cycles at 1 GHz
    held_uj = (2 * 256 * 64 + 2 * 64) * 0.004 * 0.15 * 1000 / 1e6  # flops of two sets and two output registers, clocked in 1,000 cycles
    assert whole.energy_uj.nominal == pytest.approx(cost.energy.energy_pj().nominal / 1e6 - leaked_uj - held_uj)


def test_stalls_stand_with_the_part_that_they_wait_for() -> None:
    found = ablation()  # synthetic_results: dram 600 and 70 cycles; decode 0 and 20; busy and vector with everything else
    assert [usage(found, "weight stream", run).cycles for run in ("raw", "coded")] == [600, 70]
    assert [usage(found, "codebook", run).cycles for run in ("raw", "coded")] == [0, 20]
    assert [usage(found, "everything else", run).cycles for run in ("raw", "coded")] == [400, 410]


def test_the_energy_of_signs_is_worked_by_hand_for_each_circuit() -> None:
    found = ablation()
    # Two layers of 155 groups of 2 records of 8 lanes = 4,960 lanes; 2 * 2,400 + 960 PE slots; of 38.3 and 2.0 GE, at 0.37 fJ a gate.
    expected = [4960 * 38.3, 4960 * 2.0, 5760 * 38.3]
    assert [item.energy_uj.nominal for item in found.signs] == pytest.approx([gates * 0.37e-9 for gates in expected])
    assert found.sign_bits == 2 * 75 * 8


def test_every_span_of_an_ablation_is_in_order() -> None:
    for item in ablation().rows():
        for key in [key for key in item if "_low_" in key]:
            assert 0 <= item[key] <= item[key.replace("_low_", "_")] <= item[key.replace("_low_", "_high_")]


@pytest.mark.parametrize(
    ("coded", "raw", "message"),
    [
        (on(int8()), on(int8()), "decodes no codeword; the first trace"),
        (on(ssvq()), on(ssvq()), "looks up codewords; the second trace"),
        (on(ssvq()), on(int8(), "codebook.ports=4"), "two runs of one accelerator"),
        (on(ssvq()), on(result(*[int8().frames[0].layers] * 2)), "same number of inferences"),
    ],
)
def test_runs_that_cannot_be_compared_are_one_message(coded: Result, raw: Result, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ablate(coded, raw, NANGATE45)


def test_the_command_prints_writes_and_says_the_same(tmp_path: Path) -> None:
    words = ["ablation", "edge-32x32", "tiny_vit_ssvq", "tiny_vit_int8", "--technology", "mvq40"]
    done = CliRunner().invoke(app, [*words, "--json", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert found["technology"] == "mvq40"
    rows = list(csv.DictReader((tmp_path / "out" / "parts.csv").read_text().splitlines()))
    assert [row["part"] for row in rows][-2:] == ["everything else", "whole"]
    assert "CACTI 7" in rows[0]["source"]  # the weight buffer's
    signs = list(csv.DictReader((tmp_path / "out" / "signs.csv").read_text().splitlines()))
    assert all(len(row["source"]) > 10 for row in rows)
    assert all("energy of a MAC over its 807 GE" in row["energy_source"] and row["source"] for row in signs)
    text = CliRunner().invoke(app, words).stdout
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    for word in ("codebook", "sign decoder", "shadow weights", "sign-magnitude", "sign carried"):
        assert word in text


def test_two_coded_traces_on_the_command_line_are_one_message() -> None:
    done = CliRunner().invoke(app, ["ablation", "edge-32x32", "tiny_vit_ssvq", "tiny_vit_ssvq"])
    assert done.exit_code == 2
    assert "the second trace of an ablation must hold raw weights" in done.output
