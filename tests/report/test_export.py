"""A run's folder: complete, loadable, and never in the way of anything else."""

from __future__ import annotations

import csv
import io
import json

import pytest

from accelsim.cost.compare_costs import costs_of
from accelsim.cost.technology import load_technology
from accelsim.errors import OutputError
from accelsim.report.compare import compare
from accelsim.report.export.compare import write_comparison
from accelsim.report.export.run import check_run_folder, layer_rows, run_files, to_csv, traffic_rows, write_run
from accelsim.report.plots.picture import files_of
from accelsim.report.plots.pictures import comparison_pictures, run_pictures
from accelsim.result import CATEGORIES
from accelsim.stored_result import load_result
from tests.synthetic_results import int8, layer, on_chip, result, ssvq


def test_a_written_run_loads_as_the_same_result(tmp_path):
    write_run(tmp_path / "deep" / "run", int8())
    assert load_result(tmp_path / "deep" / "run").to_json() == int8().to_json()
    assert (tmp_path / "deep" / "run" / "accelerator.yaml").read_text() == "name: chip\n"


def test_the_layer_table_adds_up_to_the_run():
    rows = layer_rows(int8())
    assert sum(row["total_cycles"] for row in rows) == 1000
    assert all(sum(row[f"{name}_cycles"] for name in CATEGORIES) == row["total_cycles"] for row in rows)


def test_the_traffic_table_adds_up_to_the_bus():
    assert sum(row["bits"] for row in traffic_rows(int8())) == 8 * 1640


def test_every_number_column_says_its_unit():
    units = ("cycles", "bits", "bytes", "macs", "hz", "ms", "milliseconds", "pct", "_s", "cycle", "mac", "inference")
    plain = ("frame", "trace", "layer", "op", "format", "lowering", "frames", "batch", "inferences", "milliseconds_per_inference")
    for name in ("layers.csv", "traffic.csv"):
        header = next(csv.reader(io.StringIO(run_files(int8())[name].decode())))
        assert [
            column for column in header if column not in (*plain, "operand", "memory", "direction") and not column.endswith(units)
        ] == []


def test_a_name_with_control_characters_stays_one_field_of_csv():
    text = to_csv(layer_rows(result((layer('evil\n",\x1b[31m', {"busy": 1}),))))
    assert [row["layer"] for row in csv.DictReader(io.StringIO(text))] == ['evil\\n",\\x1b[31m']


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(1)"])
def test_no_cell_is_a_formula(name):
    assert to_csv([{"layer": name, "cycles": -3}]) == f"layer,cycles\n'{name},-3\n"


def test_a_number_written_as_text_stays_a_number():
    assert to_csv([{"share": "-1.5e-3", "name": "a=b"}]) == "share,name\n-1.5e-3,a=b\n"


def test_earlier_results_are_replaced_whole(tmp_path):
    write_run(tmp_path / "run", int8(), {"what_if.csv": b"old"})
    write_run(tmp_path / "run", ssvq())
    assert load_result(tmp_path / "run").trace_name == "net_ssvq"
    assert not (tmp_path / "run" / "what_if.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    write_run(tmp_path, int8())
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.tex; allowed: a new folder"):
        write_run(tmp_path, ssvq())
    assert load_result(tmp_path).trace_name == "net_int8"


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "layers.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"no result\.json"):
        check_run_folder(tmp_path)


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is not a folder"):
        check_run_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be written: "):
        check_run_folder(tmp_path / "file" / "inside")


def test_a_write_that_fails_half_way_leaves_the_earlier_run(tmp_path):
    write_run(tmp_path / "run", int8())
    with pytest.raises(OutputError, match="cannot be written"):
        write_run(tmp_path / "run", ssvq(), {"x" * 300: b"a name that no file system takes"})
    assert load_result(tmp_path / "run").trace_name == "net_int8"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_comparisons_folder_holds_each_run_and_can_be_replaced(tmp_path):
    runs = [on_chip(item) for item in (int8(), ssvq(), ssvq())]
    found, costs = compare(runs[0], runs[1:]), costs_of(runs, load_technology("nangate45"))
    for _ in range(2):
        write_comparison(tmp_path / "cmp", found, files_of(comparison_pictures(found, costs)), costs)
    assert load_result(tmp_path / "cmp" / "runs" / "1").trace_name == "net_ssvq"
    content = json.loads((tmp_path / "cmp" / "comparison.json").read_text())
    assert [item["speed_up"] for item in content["others"]] == [2.0, 2.0]
    rows = list(csv.DictReader((tmp_path / "cmp" / "by_cause.csv").read_text().splitlines()))
    assert sum(int(row["saved_ticks"]) for row in rows if row["run"] == "1") == 500


def test_pictures_are_equal_to_the_byte_when_drawn_again():
    (cost,) = costs_of([on_chip(int8())], load_technology("nangate45"))
    assert files_of(run_pictures(cost)) == files_of(run_pictures(cost))
