"""Energy: counts from a result made by hand, figures worked on paper, sums, ranges, and re-costing without a run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.cost.action_counts import (
    ACCUMULATOR_WRITE,
    HELD,
    LOADER_READ,
    LOOKUP,
    MAC,
    PE_CYCLE,
    PE_IDLE,
    ROW_READ,
    SIGN,
    SKEW_CYCLE,
    SKEW_IDLE,
    WEIGHT_READ,
    WEIGHT_WRITE,
    add_counts,
    count_actions,
    moved,
)
from accelsim.cost.action_energy import action_energies
from accelsim.cost.energy import EnergyReport, accelerator_of, energy_of
from accelsim.cost.span import Span
from accelsim.cost.sram_grid import sram_point
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.presets import preset_names
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from accelsim.validate.energy_ratios import energy_ratios
from tests.synthetic_results import layer, read, result

NANGATE45 = load_technology("nangate45")


def chip(*overrides: str) -> Accelerator:
    """32 x 32 PEs at 1 GHz, P = 2 lookups of 8 weights, W = 128 bits, activation banks of 128 bits, 32 lanes."""
    return load_accelerator("edge-32x32", overrides)


def run() -> Result:
    """One compressed layer (200 busy cycles of 500) and one attention product (100 busy cycles of 150)."""
    return result(
        (
            layer(
                "fc",
                {"busy": 200, "dram": 300},
                format="ssvq",
                macs=150_000,
                pe_cycles=200 * 1024,
                vector_cycles=40,
                traffic=(read("indices", 1600), read("signs", 3200), read("codebook", 128), read("burst_rounding", 32)),
                bounds={"buffer_width": 300, "decode": 1600},
            ),
            layer(
                "scores",
                {"busy": 100, "decode": 50},
                op="matmul",
                format="",
                macs=90_000,
                pe_cycles=100 * 1024,
                bounds={"buffer_width": 64, "decode": 64},
            ),
        )
    )


def report(*overrides: str, technology: str = "nangate45") -> EnergyReport:
    return energy_of(run(), chip(*overrides), load_technology(technology))


def test_counts_are_those_worked_by_hand() -> None:
    counts = add_counts(count_actions(run(), chip()))
    assert counts[MAC] == Span.exact(240_000)
    assert counts[PE_CYCLE] == Span.exact(300 * 1024)
    assert counts[PE_IDLE] == Span.exact((650 - 300) * 1024)
    assert (counts[SKEW_CYCLE], counts[SKEW_IDLE]) == (Span.exact(300), Span.exact(350))
    assert [counts[action] for action in HELD] == [Span.exact(650)] * 4
    assert counts[ACCUMULATOR_WRITE] == Span.exact(300 * 32)
    assert counts[ROW_READ] == Span(600, 300, 600)  # a row of 32 bytes is 2 words of 128 bits
    assert counts[LOOKUP] == Span.exact(1600 * 2)  # of the compressed layer only
    assert counts[SIGN] == Span.exact(1600 * 2 * 8)
    assert counts[WEIGHT_READ] == Span.exact(300 + 4)  # its words, and 1024 bits of codebook
    assert counts[WEIGHT_WRITE] == Span.exact((1600 + 3200 + 128) * 8 / 256)  # burst rounding never reaches the buffer
    assert counts[LOADER_READ] == Span.exact(64)  # keys come as one 128-bit word a cycle
    assert counts[moved("dram", "burst_rounding")] == Span.exact(256)  # but its bits cross the pins


def test_parameters_of_a_layer_without_weights_are_read_once_too() -> None:
    norm = result((layer("norm", {"vector": 10}, op="layernorm", format="", traffic=(read("parameters", 160),)),))
    counts = add_counts(count_actions(norm, chip()))
    assert counts[WEIGHT_WRITE] == counts[WEIGHT_READ] == Span.exact(160 * 8 / 256)


def test_energies_of_actions_are_those_worked_by_hand() -> None:
    energies = action_energies(chip(), NANGATE45)
    assert energies["mac"].pj == Span(0.3, 0.2, 0.6)
    # A PE's activation and psum take a value; both weight registers hold theirs at 0.15 of a clocked bit's energy.
    assert energies["pe_cycle"].pj.nominal == pytest.approx(40 * 0.004 + 16 * 0.004 * 0.15)
    assert energies["pe_idle_cycle"].pj.nominal == pytest.approx(56 * 0.004 * 0.15)
    # 31 + 30 + ... + 1 activation registers in front of 32 rows, and 63 bits of the swap token's chain.
    assert energies["skew_cycle"].pj.nominal == pytest.approx((496 * 8 + 63) * 0.004)
    # Two sets of 256 codewords of 64 bits in flops, two output registers: 32,896 bits that hold.
    assert energies["codebook_held_cycle"].pj.nominal == pytest.approx(32_896 * 0.004 * 0.15)
    assert energies["vector_held_cycle"].pj.nominal == pytest.approx(32 * 200 * 0.004 * 0.15)
    assert energies["dma_held_cycle"].pj.nominal == pytest.approx((4 * 128 + 64 * 24 + 2 * 256) * 0.004 * 0.15)
    assert energies["unpack_held_cycle"].pj.nominal == pytest.approx((256 + 256 + 256) * 0.004 * 0.15)
    # A word of 128 bits of the activation buffer passes 4 x 128 multiplexer inputs of a bank and its arbitration: 2.15*512 + 24 GE.
    bare = sram_point(45, "lop", "1rw", 48 * 1024, 128).read_pj
    assert energies["activation_read"].pj.nominal == pytest.approx(bare + (2.15 * 512 + 24) * 0.00037)
    # 64 KiB, 256-bit words, 1R1W, CACTI 7, 45 nm lop: read 16.4514 pJ.
    assert energies["weight_read"].pj.nominal == pytest.approx(16.4514)
    assert energies["dram_bit"].pj == Span(12.0, 8.0, 20.0)


def test_the_drains_read_port_costs_as_much_as_the_second_port_and_deskew_registers_their_clock() -> None:
    # 1 KiB, 32-bit words, CACTI 7, 45 nm lop: read 0.583393 pJ as 1R1W, 0.496592 as 1RW; leakage 0.11942 and 0.0996897 mW.
    ports = action_energies(chip("array.accumulator_read=stall"), NANGATE45)["accumulator_read"].pj
    assert ports.nominal == pytest.approx(0.583393)
    assert action_energies(chip(), NANGATE45)["accumulator_read"].pj.nominal == pytest.approx(2 * 0.583393 - 0.496592)
    leakage = {
        way: next(
            line for line in report(f"array.accumulator_read={way}").lines if (line.component, line.kind) == ("accumulators", "leakage")
        )
        for way in ("second_port", "deskew")
    }
    ratio = leakage["second_port"].pj_each.nominal / leakage["deskew"].pj_each.nominal
    assert ratio == pytest.approx((2 * 0.11942 - 0.0996897) / 0.11942)
    # 31 + 30 + ... + 0 psums of 32 bits take a value in each of 300 busy cycles, and in 350 others 0.15 of that.
    registers = sum(line.energy_pj.nominal for line in report("array.accumulator_read=deskew").lines if line.action.startswith("deskew"))
    assert registers == pytest.approx(496 * 32 * 0.004 * (300 + 350 * 0.15))
    assert not [line for line in report().lines if line.action.startswith("deskew")]


def test_lines_add_up_by_component_by_operand_and_by_layer() -> None:
    energy = report()
    total = energy.energy_pj().nominal
    assert sum(span.nominal for span in energy.by_component.values()) == pytest.approx(total)
    assert sum(span.nominal for span in energy.by_operand.values()) == pytest.approx(total)
    kinds = [energy.energy_pj(kind=kind).nominal for kind in ("dynamic", "leakage", "background")]  # type: ignore[arg-type]
    assert sum(kinds) == pytest.approx(total)
    assert sum(span.nominal for _, span in energy.layers_pj) == pytest.approx(kinds[0])
    dram = sum(line.energy_pj.nominal for line in energy.lines if line.component == "dram")
    assert energy.energy_pj(off_chip=False).nominal == pytest.approx(total - dram)


def test_dram_energy_counts_every_bit_on_the_pins_and_background_over_the_time() -> None:
    dram = [line for line in report().lines if line.component == "dram"]
    assert sum(line.energy_pj.nominal for line in dram if line.kind == "dynamic") == pytest.approx(4960 * 8 * 12.0)
    (background,) = (line for line in dram if line.kind == "background")
    assert background.energy_pj.nominal == pytest.approx(50e-3 * 650e-9 * 1e12)  # 50 mW for 650 ns


@pytest.mark.parametrize("technology", preset_names("technology"))
def test_no_action_is_free_and_each_has_a_source_and_a_range(technology: str) -> None:
    for overrides in (
        (),
        ("codebook.circuit=sram",),
        ("codebook.store=rom", "codebook.circuit=logic_rom"),
        ("codebook.store=rom", "codebook.circuit=rom_macro"),
    ):
        for line in report(*overrides, technology=technology).lines:
            assert 0 < line.pj_each.low <= line.pj_each.nominal <= line.pj_each.high, line
            assert line.pj_each.low < line.pj_each.high
            assert len(line.source) > 10


def test_efficiency_and_delay_product_follow_from_energy_and_time() -> None:
    energy = report()
    joules = energy.energy_pj().nominal * 1e-12
    assert energy.tops_per_watt().nominal == pytest.approx(480_000 / joules / 1e12)
    assert energy.tops_per_watt(off_chip=False).nominal > energy.tops_per_watt().nominal
    assert energy.energy_delay_product_js.nominal == pytest.approx(joules * 650e-9)


def test_the_device_type_decides_the_leakage_and_is_named() -> None:
    fields = NANGATE45.model_dump()
    leakage = {}
    for device in ("hp", "lstp"):
        fields["memory"]["device"] = device
        energy = energy_of(run(), chip(), type(NANGATE45).model_validate(fields))
        lines = [line for line in energy.lines if line.kind == "leakage" and line.component == "activation buffer"]
        leakage[device] = lines[0].energy_pj.nominal
        assert f"device {device}" in lines[0].source
        assert energy.to_dict()["sram_device"] == device
    assert leakage["hp"] / leakage["lstp"] > 1000


def test_an_edited_constant_reaches_the_report() -> None:
    fields = NANGATE45.model_dump()
    fields["energy"]["mac_pj"] |= {"value": 0.6}
    dearer = energy_of(run(), chip(), type(NANGATE45).model_validate(fields))
    assert dearer.energy_pj().nominal - report().energy_pj().nominal == pytest.approx(240_000 * 0.3)


def test_a_saved_result_is_costed_anew() -> None:
    machine = load_accelerator("edge-32x32")
    saved = parse_result(simulate(machine, open_trace("tiny_vit_ssvq")).to_json(), "result.json")
    again = energy_of(saved, machine, load_technology("range28"))
    assert again.technology == "range28"
    assert json.loads(json.dumps(again.to_dict()))["rows"]


def test_a_result_carries_the_accelerator_that_it_ran_on() -> None:
    there = chip("codebook.ports=4")
    assert accelerator_of(replace(run(), accelerator=there.dump_yaml())) == there


@pytest.mark.parametrize(("text", "message"), [("[", "is not YAML"), ("12", "must be a mapping"), ("name: x", "clock")])
def test_a_result_with_another_configuration_is_one_message(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        accelerator_of(replace(run(), accelerator=text))


def test_a_lookup_in_banks_pays_for_its_crossbar() -> None:
    def lookup(*overrides: str) -> float:
        return action_energies(chip("codebook.circuit=sram", *overrides), NANGATE45)["lookup"].pj.nominal

    # 8 banks: 2.15*8*64 data, 2.15*8*8 routing, 6*8 arbitration and 3*8*7/2 comparators a port, at 0.37 fJ a gate.
    crossbar = (2.15 * 8 * 64 + 2.15 * 8 * 8 + 6 * 8 + 3 * 8 * 7 / 2) * 0.00037
    assert lookup("codebook.banks=8") == pytest.approx(lookup("codebook.codewords=32") + crossbar)


def test_ratios_stand_beside_the_published_ones_with_the_worst_explained() -> None:
    ratios = {check.name: check for check in energy_ratios(load_technology("mvq40"))}
    assert len(ratios) == 7
    # By hand: a bit of DRAM 12 pJ, a MAC 0.25 pJ: 384 a byte, 256-640; the published 200 is 6.25 pJ a bit.
    assert ratios["DRAM"].got == pytest.approx(384)
    assert ratios["activation register file"].got == pytest.approx(0.112)
    within = [name for name, check in ratios.items() if check.low <= check.expected <= check.high]
    assert within == ["L2, 2 MiB", "L1, 128 KiB", "activation register file", "weight register file"]
    assert max(ratios.values(), key=lambda check: abs(check.error_pct)).name == "codebook register file"
    assert "decoded word lines" in ratios["codebook register file"].note


def test_leakage_of_a_memory_outside_the_grid_says_what_was_extrapolated() -> None:
    energy = report("activation_buffer.capacity=32 MiB", "codebook.circuit=sram", "codebook.codewords=16")
    leakage = {line.component: line.source for line in energy.lines if line.kind == "leakage"}
    assert "beyond the grid" in leakage["activation buffer"]
    assert "below the grid" in leakage["codebook"]
    assert "grid" not in leakage["weight buffer"]


def test_banks_of_a_codebook_leak_as_many_small_macros_and_copies_as_many_whole_ones() -> None:
    def milliwatts(*overrides: str) -> float:
        (line,) = (
            line for line in report("codebook.circuit=sram", *overrides).lines if (line.component, line.kind) == ("codebook", "leakage")
        )
        return line.pj_each.nominal / 1e9

    # 256 x 8 bytes in two sets: two ports are 2 x 2 macros of 2 KiB, eight banks 8 x 2 macros of 256 B (words of 64 bits, 45 nm, lop).
    assert milliwatts() == pytest.approx(4 * sram_point(45, "lop", "1rw", 2048, 64).leakage_mw)
    assert milliwatts("codebook.banks=8") == pytest.approx(16 * sram_point(45, "lop", "1rw", 256, 64).leakage_mw)
