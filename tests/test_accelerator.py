"""What an accelerator's description must say, and what is said of one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from accelsim.accelerator import load_accelerator
from accelsim.errors import ConfigError
from accelsim.presets import preset_names


@pytest.mark.parametrize("name", preset_names("accelerators"))
def test_a_resolved_configuration_gives_the_same_accelerator_again(name: str) -> None:
    accelerator = load_accelerator(name)
    assert load_accelerator(yaml.safe_load(accelerator.dump_yaml())) == accelerator


def test_an_override_replaces_one_field_and_leaves_the_others() -> None:
    changed = load_accelerator("edge-32x32", ["weight_buffer.capacity=32 KiB", "dram.device=lpddr5-6400-x16"])
    assert (changed.weight_buffer.capacity, changed.dram and changed.dram.device) == (32768, "lpddr5-6400-x16")
    assert changed.array == load_accelerator("edge-32x32").array


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("array.rowz=3", "field `array.rowz`: unknown field; allowed: .*did you mean 'rows'"),
        ("array.rows=-3", "field `array.rows`: .*got -3"),
        ("array.rows=7", "codeword_length = 8 must divide array.rows = 7"),
        ("array.rows=true", "rows is true, a truth value"),
        ("control.overlap=off", "overlap is false, a truth value"),
        ("array=[1]", "field `array`: must be a group of fields"),
        ("array={rows: 8, rows: 9}", "field 'rows' is given twice"),
        ("clock=3 furlongs", "field `clock`: .*allowed: Hz, kHz, MHz, GHz"),
        ("clock=1 Hz", "field `clock`"),
        ("clock.x=3", "'clock' is a value, not a group"),
        ("nonsense", "must look like path.to.field=value"),
        ("dram.device=foo", "field `dram.device`: unknown DRAM device 'foo'; known: .*or 'ideal'"),
        ("dram.mapping=RoBaCo", "field `dram.mapping`: .*did you mean 'RoBaBgCo'"),
        ("dram.policy=frfc", "field `dram.policy`: .*did you mean 'frfcfs'"),
        ("dram.latency=3 ns", "belong to device 'ideal'"),
        ("dram.background={bandwidth: 9 GB/s}", "leaves nothing of the memory's 6400000000 B/s"),
        ("dram=null", "placement.weights = 'dram' needs `dram`"),
        ("placement.weights=flash", "needs `flash`"),
        ("weight_buffer.word_bits=12", "must be a multiple of 8"),
        ("weight_buffer.capacity=1", "exceeds weight_buffer.capacity = 1 B"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_what_is_allowed(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_accelerator("edge-32x32", [override])
    assert "--set" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_accelerator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown accelerator 'edge-32x23'; known: .*did you mean 'edge-32x32'"):
        load_accelerator("edge-32x23")
    with pytest.raises(ConfigError, match=r"no such file; allowed: a .yaml file$"):
        load_accelerator("there/is/none.yaml")
    with pytest.raises(
        ConfigError, match=r"no such file; the preset 'edge-32x32' is named as text, without a folder; allowed: a .yaml file$"
    ):
        load_accelerator("./edge-32x32")
    with pytest.raises(ConfigError, match="must be a mapping"):
        load_accelerator(str(_written(tmp_path, "- 1\n- 2\n")))
    with pytest.raises(ConfigError, match="field 'name' is given twice"):
        load_accelerator(str(_written(tmp_path, "name: a\nname: b\n")))
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_accelerator(str(_written(tmp_path, "a: [1,\n")))


def _written(folder: Path, text: str) -> Path:
    path = folder / "chip.yaml"
    path.write_text(text)
    return path


def test_deskew_registers_need_lanes_for_a_whole_row() -> None:
    for lanes in (32, 64, 0):
        load_accelerator("edge-32x32", ["array.accumulator_read=deskew", f"vector_unit.lanes={lanes}"])
    with pytest.raises(ConfigError, match=r"deskew needs vector_unit.lanes of at least array.cols = 32, is 16: .*second_port, stall"):
        load_accelerator("edge-32x32", ["array.accumulator_read=deskew", "vector_unit.lanes=16"])
