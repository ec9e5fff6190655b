"""The carried DRAM references: every group right under the default policy, and each simulator's rows close to its own preset."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import pytest

from accelsim.errors import AccelsimError, ConfigError, ReferenceDataError
from accelsim.hw.dram.memory_trace import read_memory_trace
from accelsim.hw.dram.synthetic import make_trace, read_cases, trace_sha256, write_trace, write_traces
from accelsim.validate.dram import compare_presets, validate_dram
from accelsim.validate.report import ValidationReport

DATA = Path(__file__).parent / "data" / "dram"


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference file beside its traces, made for the session."""
    folder = tmp_path_factory.mktemp("dram")
    write_traces(DATA / "cases.json", folder / "traces")
    (folder / "dram.csv").write_bytes((DATA / "dram.csv").read_bytes())
    return folder / "dram.csv"


@pytest.fixture(scope="session")
def groups(references: Path) -> ValidationReport:
    return validate_dram(references)


@pytest.fixture(scope="session")
def presets(references: Path) -> ValidationReport:
    return compare_presets(references)


def test_every_generated_trace_has_the_hash_that_the_reference_carries() -> None:
    expected = {row["trace"]: row["sha256_16"] for row in csv.DictReader((DATA / "dram.csv").read_text().splitlines())}
    made = {
        f"traces/{case.name}.{size}.txt": trace_sha256(make_trace(case, size))[:16]
        for case in read_cases(DATA / "cases.json")
        for size in (32, 64)
    }
    assert made == expected


def test_every_group_is_right_on_every_judged_column(groups: ValidationReport) -> None:
    assert [row for row in groups.rows if not row.ok] == []
    assert len({row.row for row in groups.rows}) == 128
    assert {row.column for row in groups.rows} == {"cycles", "lat_avg", "hit", "refreshes"}


def test_the_median_error_of_the_cycles_is_at_most_half_a_percent(groups: ValidationReport) -> None:
    assert statistics.median(row.error for row in groups.rows if row.column == "cycles") <= 0.5


def test_the_bank_queue_preset_is_exact_on_its_simulators_cycles(presets: ValidationReport) -> None:
    rows = [row for row in presets.rows if row.row.endswith("dramsim3 as bank-queues") and row.column in ("cycles", "refreshes")]
    assert len(rows) == 256
    assert {row.error for row in rows} == {0.0}


def test_the_frfcfs_presets_are_exact_but_for_lpddr5s_split_commands(presets: ValidationReport) -> None:
    rows = [row for row in presets.rows if "ramulator" in row.row and row.column == "cycles"]
    assert len(rows) == 192
    assert {row.error for row in rows if "lpddr5" not in row.row} == {0.0}
    # Ramulator fits ACT2 into other free command slots; the largest differences are loads that fill the command bus
    assert max(row.error for row in rows) < 1.2


def test_every_row_is_inside_its_groups_tolerance_under_its_own_preset(presets: ValidationReport) -> None:
    assert [row for row in presets.rows if not row.ok] == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One group on a short trace, with a wrong tolerance of nothing."""
    case = next(case for case in read_cases(DATA / "cases.json") if case.name == "seq_64k")
    (tmp_path / "traces").mkdir()
    write_trace(make_trace(case, 64), tmp_path / "traces" / "seq_64k.64.txt")
    lines = (DATA / "dram.csv").read_text().splitlines()
    rows = [line for line in lines if line.startswith("traces/seq_64k.64.txt,lpddr4-3200-x32,RoCoBaBg")]
    (tmp_path / "dram.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    return tmp_path / "dram.csv"


def replaced(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text().replace(old, new))
    return path


def test_a_figure_outside_the_references_and_their_tolerance_is_wrong(small: Path) -> None:
    assert validate_dram(small).ok
    wrong = validate_dram(replaced(replaced(small, ",8603,", ",8800,"), ",8616,", ",8900,"))
    assert [row.column for row in wrong.rows if not row.ok] == ["cycles"]


def test_without_tolerance_columns_the_callers_holds_and_else_the_figures_must_be_equal(small: Path) -> None:
    rows = [line.split(",")[:9] for line in small.read_text().splitlines()]
    rows[1][5] = rows[2][5] = "8610"  # both references 6 cycles below the model's 8616
    small.write_text("".join(",".join(row) + "\n" for row in rows))
    assert not validate_dram(small).ok
    assert validate_dram(small, tolerance_pct=0.1).rows[0].ok


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("refreshes", "refresh", "refreshes"),
        ("lpddr4-3200-x32", "lpddr4-3200-x23", "unknown DRAM device 'lpddr4-3200-x23'"),
        ("RoCoBaBg", "RoCo", "RoBaBgCo, RoCoBaBg"),
        (",32,dramsim3", ",0,dramsim3", "mo: '0' is not allowed"),
        ("8603", "fast", "cycles: 'fast' is not allowed"),
        ("seq_64k", "seq_65k", "cannot be read"),
        ("c", "d", "column"),
    ],
)
def test_a_wrong_reference_file_is_one_message_with_place_value_and_what_is_allowed(small: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(AccelsimError, match=message.replace("(", r"\(")) as caught:
        validate_dram(replaced(small, old, new))
    assert isinstance(caught.value, (ReferenceDataError, ConfigError))


def test_a_trace_that_is_not_the_references_is_refused(small: Path) -> None:
    trace = small.parent / "traces" / "seq_64k.64.txt"
    trace.write_text(trace.read_text().replace("0 R 0x40\n", "0 R 0x80\n"))
    with pytest.raises(ReferenceDataError, match="not the trace of the reference"):
        validate_dram(small)


def test_written_traces_read_back_as_they_were_made(tmp_path: Path) -> None:
    for case in read_cases(DATA / "cases.json"):
        if case.name in ("rand_8m_rw70", "bursts_gap12000", "streams_staggered"):
            made = make_trace(case, 32)
            write_trace(made, tmp_path / "trace.txt")
            assert trace_sha256(read_memory_trace(tmp_path / "trace.txt")) == trace_sha256(made)


@pytest.mark.parametrize("wrong", ["[", '{"cases": [{"kind": "spiral"}]}', '{"cases": [{"name": "../x", "kind": "seq", "bytes": 64}]}'])
def test_a_wrong_file_of_cases_is_one_message(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "cases.json").write_text(wrong)
    with pytest.raises(ReferenceDataError, match=r"cases\.json: not a file of trace cases"):
        read_cases(tmp_path / "cases.json")


def test_the_carried_cases_are_plain_json() -> None:
    assert len(json.loads((DATA / "cases.json").read_text())["cases"]) == 16


def test_a_trace_that_is_not_there_is_made_from_the_cases_beside_the_reference(tmp_path: Path) -> None:
    rows = (DATA / "dram.csv").read_text().splitlines()
    few = [rows[0], *(row for row in rows if row.startswith("traces/seq_64k.32.txt,lpddr4-3200-x16,RoBaBgCo"))]
    (tmp_path / "few.csv").write_text("\n".join(few) + "\n")
    with pytest.raises(ReferenceDataError, match=r"seq_64k\.32\.txt"):
        validate_dram(tmp_path / "few.csv")
    (tmp_path / "cases.json").write_bytes((DATA / "cases.json").read_bytes())
    assert validate_dram(tmp_path / "few.csv").ok
