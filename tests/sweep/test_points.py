"""From a sweep's file to its points: axes, ranges, linked axes, constraints, and what is refused."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from accelsim.accelerator import load_accelerator
from accelsim.errors import AccelsimError, ConfigError, TraceError
from accelsim.provenance import run_id
from accelsim.sweeps.axis import axis_values
from accelsim.sweeps.points import Dropped, Invalid, Point, expand
from accelsim.sweeps.spec import load_sweep
from accelsim.trace.trace import load_trace
from tests.sweep.small_sweeps import write_sweep

TRACES = Path(__file__).parents[2] / "traces"
BASE = {"accelerator": "edge-32x32", "trace": "tiny_vit_int8"}


def sweep(**fields: Any):
    return load_sweep({"name": "test", "base": BASE, **fields})


def refused(**fields: Any) -> str:
    with pytest.raises(AccelsimError) as error:
        list(expand(sweep(**fields)))
    return str(error.value)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("16..256 x2", (16, 32, 64, 128, 256)),
        ("1..8 +1", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("1..10 x2", (1, 2, 4, 8)),
        ("1..2 +0.5", (1, 1.5, 2)),
        ("4..4 x2", (4,)),
        ("16 KiB..64 KiB x2", ("16 KiB", "32 KiB", "64 KiB")),
        ("16..64 KiB x2", ("16 KiB", "32 KiB", "64 KiB")),
        ("512 KiB..2 MiB x2", ("0.5 MiB", "1 MiB", "2 MiB")),
        ("0.4..1.6 GB/s x2", ("0.4 GB/s", "0.8 GB/s", "1.6 GB/s")),
        ([3, 1], (3, 1)),
    ],
)
def test_the_values_of_an_axis(written, values):
    assert axis_values("a", written) == values


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([], "is empty"),
        (16, "is not a list"),
        ("many", "is not a list"),
        ("16..256", "is not a range"),
        ("16..256 x1", "never ends"),
        ("16..256 x0.5", "never ends"),
        ("0..256 x2", "never ends"),
        ("1..8 +0", "never ends"),
        ("256..16 x2", "falls"),
        ("1..100000000000 +1", "has 100000000000 values; allowed: at most 10000"),
        ("1..100 x1.0001", "more than 10000 values"),
        ("16 KiB..256 x2", "the last value has no unit"),
        ("1..4 furlong x2", "'furlong' is not a unit"),
        (list(range(10_001)), "has 10001 values"),
    ],
)
def test_an_axis_that_cannot_be_says_why(written, message):
    with pytest.raises(ConfigError) as error:
        axis_values("array.rows", written)
    assert str(error.value).startswith("axis `array.rows`: ")
    assert message in str(error.value)


def test_points_are_the_product_of_axes_and_linked_axes_in_order():
    found = [
        tuple(point.axes.values())
        for point in expand(
            sweep(
                base={"accelerator": "edge-32x32"},
                axes={"codebook.ports": [1, 2], "trace": ["tiny_vit_int8", "tiny_vit_ssvq"]},
                linked=[{"array.rows": [16, 32], "array.cols": [32, 16]}],
            )
        )
        if isinstance(point, Point)
    ]
    steps = [(16, 32), (32, 16)]
    assert found == [(*first, *step) for first in itertools.product([1, 2], ["tiny_vit_int8", "tiny_vit_ssvq"]) for step in steps]


def test_a_point_is_the_accelerator_that_run_would_load():
    (point,) = expand(sweep(axes={"weight_buffer.capacity": ["48 KiB"], "dram.device": ["lpddr5-6400-x16"], "batch": [2]}))
    by_hand = load_accelerator("edge-32x32", ["weight_buffer.capacity=48 KiB", "dram.device=lpddr5-6400-x16"])
    assert isinstance(point, Point)
    assert point.accelerator == by_hand
    assert point.run_id == run_id(by_hand, [load_trace(TRACES / "tiny_vit_int8")], {"frames": 1, "batch": 2, "seed": 0})
    assert point.axes == {"weight_buffer.capacity": 48 * 1024, "dram.device": "lpddr5-6400-x16", "batch": 2}


def test_equal_configurations_written_differently_have_one_run_id():
    first, second = expand(sweep(axes={"weight_buffer.capacity": ["64 KiB", 65536]}))
    assert isinstance(first, Point)
    assert isinstance(second, Point)
    assert first.run_id == second.run_id


def test_another_timing_in_a_device_file_is_another_run(tmp_path):
    fields = yaml.safe_load((TRACES.parent / "configs" / "dram" / "lpddr4-3200-x16.yaml").read_text())
    device = tmp_path / "device.yaml"
    ids = []
    for more in (0, 1):
        fields["n_rcd"] += more
        device.write_text(yaml.safe_dump(fields))
        accelerator = load_accelerator("edge-32x32", [f"dram.device={device}"])
        ids.append(run_id(accelerator, [load_trace(TRACES / "tiny_vit_int8")], {}))
    assert ids[0] != ids[1]


def test_constraints_drop_points_and_say_which_did():
    kinds = Counter(
        item.constraint if isinstance(item, Dropped) else type(item).__name__
        for item in expand(
            sweep(
                axes={"array.rows": [16, 32, 64], "array.cols": [16, 32], "frames": [1, 2]},
                constraints=["array.rows >= array.cols", "frames == 1 or array.rows == 64"],
            )
        )
    )
    # 16x32 falls by the first, in both frames; of the other five shapes the 64-row ones keep both frames.
    assert kinds == {"array.rows >= array.cols": 2, "frames == 1 or array.rows == 64": 3, "Point": 7}


def test_an_invalid_configuration_is_reported_unless_a_constraint_drops_it():
    axes = {"array.cols": [12, 16]}  # 12 is no multiple of the codeword's 8 elements
    bad, good = expand(sweep(axes=axes))
    assert isinstance(good, Point)
    assert isinstance(bad, Invalid)
    assert bad.axes == {"array.cols": 12}
    assert "codebook.codeword_length = 8 must divide array.cols = 12" in bad.message
    first, _ = expand(sweep(axes=axes, constraints=["array.cols % codebook.codeword_length == 0"]))
    assert isinstance(first, Dropped)


def test_a_wrong_value_in_an_axis_concerns_its_points_only():
    bad, good = expand(sweep(axes={"array.rows": ["many", 16]}))
    assert isinstance(bad, Invalid)
    assert "array.rows" in bad.message
    assert isinstance(good, Point)


def test_a_wrong_point_names_the_file_that_is_wrong(tmp_path: Path) -> None:
    """The sweep's and the chip's for what the sweep sets, the chip's for what its file alone has wrong too."""
    chip, file = tmp_path / "chip.yaml", tmp_path / "s.yaml"
    text = (TRACES.parent / "configs" / "accelerators" / "edge-32x32.yaml").read_text()
    base = {"accelerator": str(chip), "trace": "tiny_vit_int8"}
    wrong = {
        "array.rows": ("many", f"{file} with {chip}: field `array.rows`: must be a whole number (got 'many')"),
        "codebook.ports": (2, f"{chip}: field `clock`: 'fast' is not a frequency; allowed: a number and one of Hz, kHz, MHz, GHz"),
    }
    for axis, (value, message) in wrong.items():
        chip.write_text(text.replace("clock: 1 GHz", "clock: fast") if axis == "codebook.ports" else text)
        write_sweep(file, base=base, axes={axis: [value]}, constraints=[])
        (found,) = expand(load_sweep(str(file)))
        assert isinstance(found, Invalid)
        assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axes": {"trace": ["tiny_vit_int8"], "frames": [0]}}, "`frames`: 0 is not allowed"),
        ({"axes": {"accelerator": ["no-chip"]}, "base": {"trace": "tiny_vit_int8"}}, "unknown accelerator 'no-chip'"),
        ({"axes": {"trace": ["no-trace"]}}, "unknown trace 'no-trace'"),
        ({"constraints": ["clock == 'x' + 1"]}, "constraint"),
    ],
)
def test_a_sweep_that_cannot_be_expanded_is_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = write_sweep(tmp_path / "s.yaml", **changes)
    with pytest.raises(AccelsimError) as caught:
        list(expand(load_sweep(str(file))))
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)


def test_a_product_of_a_billion_points_costs_nothing_until_it_is_walked():
    many = list(range(1, 1001))
    huge = sweep(axes={"codebook.latency": many, "vector_unit.latency": many, "control.issue_overhead_cycles": many})
    assert huge.size == 10**9
    assert huge.at(10**9 - 1) == {"codebook.latency": 1000, "vector_unit.latency": 1000, "control.issue_overhead_cycles": 1000}
    assert isinstance(next(expand(huge)), Point)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"axes": {"array.row": [1]}}, "no field `array.row` to set; did you mean 'array.rows'?"),
        ({"axes": {"trace": ["tiny_vit_int8"]}}, "`trace` is given twice"),
        ({"axes": {"array.rows": [16]}, "linked": [{"array.rows": [16]}]}, "`array.rows` is given twice"),
        ({"linked": [{"array.rows": [16], "array.cols": [16, 32]}]}, "must have equally many values"),
        ({"linked": [{}]}, "a group is empty"),
        ({"base": {"accelerator": "edge-32x32"}}, "there is no `trace`"),
        ({"base": {"trace": "tiny_vit_int8"}}, "there is no `accelerator`"),
        ({"base": {**BASE, "trace": "tiny_vit"}}, "unknown trace 'tiny_vit'"),
        ({"base": {**BASE, "accelerator": "edge"}}, "unknown accelerator 'edge'"),
        ({"base": {**BASE, "batch": 0}}, "`batch`: 0 is not allowed; allowed: 1..1024"),
        ({"base": {**BASE, "frames": True}}, "`frames`: True is not allowed"),
        ({"base": {**BASE, "trace": 4}}, "`trace`: 4 is not the name of one"),
        ({"constraints": ["array.row == 4"]}, "there is no field 'array.row'; did you mean 'array.rows'?"),
        ({"constraints": ["dram.device < 4"]}, "has no meaning"),
        ({"axis": {}}, "unknown field; allowed: name, description"),
        ({"name": "../x"}, "field `name`"),
    ],
)
def test_a_sweep_that_cannot_be_says_why(fields, message):
    assert message in refused(**fields)


def test_a_key_given_twice_in_the_file_is_refused(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("name: x\naxes:\n  array.rows: [16]\n  array.rows: [32]\n")
    with pytest.raises(ConfigError, match="given twice"):
        load_sweep(str(path))


def test_a_file_is_named_in_the_message(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\nbase: {accelerator: edge-32x32, trace: tiny_vit_int8}\naxes: {array.rows: 16..256 x1}\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: axis `array.rows`: range '16..256 x1': never ends"):
        load_sweep(str(path))


def test_a_trace_that_is_not_there_is_an_error_of_the_sweep(tmp_path):
    with pytest.raises(TraceError, match="is not a directory"):
        next(expand(sweep(base={**BASE, "trace": f"{tmp_path}/gone"})))


def test_a_chip_that_fits_the_codebook_holds_what_its_trace_asks_for_and_an_axis_goes_before_it():
    sweep = load_sweep(
        {
            "name": "fit",
            "fit_codebook": True,
            "base": {"accelerator": "edge-64x64"},
            "axes": {
                "trace": ["deit_tiny_int8", "deit_tiny_float@universal_vq:k=4096,d=8"],
                "codebook.circuit": ["rom_macro", "logic_rom"],
            },
        }
    )
    found = [item for item in expand(sweep) if isinstance(item, Point)]
    fields = [point.accelerator.codebook for point in found]
    books = [(book.store, book.codewords, book.circuit) for book in fields]
    assert books[-2:] == [("rom", 4096, "rom_macro"), ("rom", 4096, "logic_rom")]
    assert [book[:2] for book in books[:-2]] in ([], [("ram", 1)] * 2)  # a RAM of ROM circuits may be refused


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ({"kind": "lines", "name": "a", "x": "trac", "y": "milliseconds", "lines": "trace"}, "did you mean 'trace'"),
        ({"kind": "lines", "name": "a", "x": "trace", "y": "milisecond", "lines": "trace"}, "did you mean 'milliseconds'"),
        ({"kind": "line", "name": "a"}, "lines"),
        ({"kind": "pareto", "name": "../a", "x": "area_mm2", "y": "milliseconds"}, "pictures"),
    ],
)
def test_a_picture_of_what_is_not_there_is_one_message(picture, words: str):
    with pytest.raises(ConfigError) as caught:
        load_sweep({"name": "p", "base": {"accelerator": "edge-64x64"}, "axes": {"trace": ["a"]}, "pictures": [picture]})
    assert words in str(caught.value)


def test_a_file_that_was_edited_is_read_again(tmp_path):
    file = tmp_path / "chip.yaml"
    text = (TRACES.parent / "configs" / "accelerators" / "edge-32x32.yaml").read_text()
    clocks = []
    for clock in ("1 GHz", "500 MHz"):
        file.write_text(text.replace("clock: 1 GHz", f"clock: {clock}"))
        (point,) = expand(sweep(base={"accelerator": str(file), "trace": "tiny_vit_int8"}, axes={"codebook.ports": [2]}))
        assert isinstance(point, Point)
        clocks.append(point.accelerator.clock)
    assert clocks == [10**9, 5 * 10**8]


def test_a_constraint_drops_points_whose_sums_can_overflow() -> None:
    found = list(expand(sweep(axes={"array.psum_bits": [16, 24, 32]}, constraints=["array.psum_bits >= psum_bits_needed"])))
    # tiny_vit_int8: its longest reduction is 256 or less, so 16 bits (K = 1) never do and 24 (K = 511) do.
    assert [type(item) for item in found] == [Dropped, Point, Point]


def test_bits_needed_of_an_invalid_configuration_are_not_asked_for() -> None:
    (found,) = expand(sweep(axes={"array.rows": [0]}, constraints=["array.psum_bits >= psum_bits_needed"]))
    assert isinstance(found, Invalid)
