"""The HTML report: whole, self-contained, sums as in the result, and harmless whatever a trace calls its layers."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.report.compare_costs import costs_of
from accelsim.report.html_report import html_report
from accelsim.report.technology import load_technology
from tests.synthetic_results import int8, ssvq

HOSTILE = "<script>alert(1)</script>\x1b[31m&\"'"


def on_a_chip(run, **changes):
    chip = load_accelerator("edge-32x32")
    return dataclasses.replace(run, accelerator=chip.dump_yaml(), accelerator_name=chip.name, **changes)


def hostile():
    run = int8()
    first = dataclasses.replace(run.frames[0].layers[0], name=HOSTILE)
    frame = dataclasses.replace(run.frames[0], layers=(first, *run.frames[0].layers[1:]))
    return on_a_chip(run, frames=(frame,), trace_name=HOSTILE, warnings=(HOSTILE,))


class Reader(HTMLParser):
    """Tags, attributes and table cells of a page, by a parser that is not the one that wrote it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._into: str | None = None
        self._caption = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._into = tag
        if tag == "tr":
            self.tables[self._caption].append([])
        elif tag in ("td", "th"):
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag):
        self._into = None

    def handle_data(self, data):
        if self._into == "caption":
            self._caption = data
            self.tables[data] = []
        elif self._into in ("td", "button"):
            self.tables[self._caption][-1][-1] += data


def written(*runs):
    return html_report(costs_of(runs, load_technology("nangate45")))


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


@pytest.fixture(scope="module")
def single():
    return written(on_a_chip(int8()))


@pytest.fixture(scope="module")
def pair():
    return written(on_a_chip(int8()), on_a_chip(ssvq()))


@pytest.fixture(scope="module")
def nasty():
    return written(hostile())


def cycles(cell):
    return int(cell.replace(",", ""))


def test_the_tables_say_what_the_result_says(single):
    tables = read(single).tables
    _, *causes, total = tables["Where the cycles go"]
    assert sum(cycles(row[1]) for row in causes) == cycles(total[1]) == 1000
    _, *layers, whole = tables["Layers, all frames summed"]
    assert [cycles(row[3]) for row in layers] == [400, 400, 200]
    assert [cycles(row[5]) for row in layers] == [600, 600, 440]
    assert (cycles(whole[3]), cycles(whole[5])) == (1000, 1640)


def test_a_comparison_splits_the_difference_by_cause_and_by_layer(pair):
    tables = read(pair).tables
    splits = [rows for caption, rows in tables.items() if "against run 0" in caption]
    assert len(splits) == 2
    for _, *parts, whole in splits:
        assert sum(cycles(row[3]) for row in parts) == cycles(whole[3]) == 500


def test_names_from_a_trace_are_text_and_cannot_steer_anything(nasty):
    reader = read(nasty)
    assert reader.tags.count("script") == 1
    assert "\x1b" not in nasty
    assert reader.tables["Layers, all frames summed"][1][0].startswith("<script>alert(1)</script>\\x1b[31m&")


def test_the_page_asks_for_nothing_from_outside(nasty):
    reader = read(nasty)
    for tag, name, value in reader.attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:image/svg+xml;base64,", "#")), (tag, name, value)
        assert not name.startswith("on")
    policy = next(value for tag, name, value in reader.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_ids_are_unique_and_every_link_has_its_target(pair):
    attributes = read(pair).attributes
    ids = [value for _, name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, name, value in attributes if name == "href"} == set(ids)


def test_the_validation_table_is_that_of_the_documentation(single):
    _, *rows = read(single).tables["Validation (docs/validation.md)"]
    page = (Path(__file__).parents[2] / "docs" / "validation.md").read_text().replace("`", "")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    assert len(rows) >= 7
    for row in rows:
        assert row in lines


def test_equal_results_give_an_equal_page(single):
    assert written(on_a_chip(int8())) == single


def report(*words):
    return CliRunner().invoke(app, ["report", *map(str, words)])


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(on_a_chip(int8()).to_json())
    return path


def test_the_command_writes_one_file_and_says_so(saved, tmp_path):
    outcome = report(saved, "-o", tmp_path / "r.html")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout == f"{tmp_path / 'r.html'}: 1 run in nangate45\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "result.json"]


def test_the_command_is_silent_if_asked(saved, tmp_path):
    assert report(saved, "-o", tmp_path / "r.html", "--quiet").output == ""


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (None, "r.html", "cannot be read"),
        ("{", "r.html", "not a result file"),
        ('{"schema_version": 99}', "r.html", "field `schema_version`: 99 cannot be read"),
        ("good", "r.pdf", "must end with .html"),
        ("good", "no/such/r.html", "cannot be written"),
        ("good", "folder.html", "is not a file"),
    ],
)
def test_a_wrong_input_is_one_message_and_leaves_nothing(content, target, message, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "folder.html").mkdir()
    if content is not None:
        (tmp_path / "run" / "result.json").write_text(on_a_chip(int8()).to_json() if content == "good" else content)
    outcome = report(tmp_path / "run", "-o", tmp_path / target)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.html", "run"]


def test_a_mistyped_technology_is_answered_with_a_suggestion(saved):
    assert "did you mean 'nangate45'?" in report(saved, "--technology", "nangate54").stderr
