"""Tables as Markdown and LaTeX: every cell is there as it was, whatever characters it holds; control characters are written as escapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.cli import app
from accelsim.report.tables.columns import TextTable
from accelsim.report.tables.markup import MARKUPS

HOSTILE = ["a|b", "under_score", "50 % & more", r"back\slash", "{x}^2~$#", "<b>", "*star*", '"quoted"', "two\nlines", "[link](x)"]
SIGNS = {
    r"\textbackslash{}": "\\",
    r"\textasciicircum{}": "^",
    r"\textasciitilde{}": "~",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
}


def table() -> TextTable:
    found = TextTable(("name", ">cycles"), 2)
    for place, name in enumerate(HOSTILE):
        found.add([name, f"{place:,}"])
    return found


def from_latex(cell: str) -> str:
    """The text that LaTeX sets, by its own rules of escapes."""
    pattern = "|".join([*map(re.escape, SIGNS), r"\\[{}$&#%_]"])
    return re.sub(pattern, lambda found: SIGNS.get(found[0], found[0][-1]), cell.strip())


def test_latex_sets_every_cell_as_it_was() -> None:
    markup = MARKUPS["latex"]
    assert markup is not None
    text = markup.table("A 5 % table", table())
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    cells = [re.split(r"(?<!\\)&", line.removesuffix(r" \\"))[0] for line in body.splitlines()]
    assert [from_latex(cell) for cell in cells] == [name.replace("\n", "\\n") for name in HOSTILE]
    assert r"\caption{A 5 \% table}" in text
    assert r"\begin{tabular}{lr}" in text
    assert not re.search(r"(?<!\\)[$#%^~_]", text.replace(r"\textasciicircum{}", "").replace(r"\textasciitilde{}", ""))


def test_markdown_keeps_every_cell_in_its_column() -> None:
    markup = MARKUPS["markdown"]
    assert markup is not None
    _, _, heading, rule, *lines = markup.table("t", table()).splitlines()
    assert (heading, rule) == ("| name | cycles |", "| --- | --: |")
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in lines if line]
    assert [re.sub(r"\\(.)", r"\1", cell) for cell in cells] == [name.replace("\n", "\\n") for name in HOSTILE]


@pytest.mark.parametrize("kind", ["markdown", "latex"])
def test_headings_of_several_lines_are_one(kind: str) -> None:
    folded = TextTable(("run", ">speed-up\nif free", ">speed-\nup"), 1)
    folded.add(["a", "1", "2"])
    markup = MARKUPS[kind]
    assert markup is not None
    between = {"markdown": " | ", "latex": " & "}[kind]
    assert between.join(["run", "speed-up if free", "speed-up"]) in markup.table("t", folded)


@pytest.mark.parametrize("words", [["run", "edge-32x32", "tiny_vit_int8", "--full"], ["run", "edge-32x32", "tiny_vit_int8"]])
def test_rows_of_markdown_have_the_columns_of_their_heading(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["--tables", "markdown", *words])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith("    ")]  # which would be code
    rules = [place for place, line in enumerate(lines) if re.fullmatch(r"\|( (---|--:) \|)+", line)]
    assert bool(rules) == ("--full" in words)
    for place in rules:
        table = [lines[place - 1]]
        while lines[place + len(table) - 1].startswith("|"):
            table.append(lines[place + len(table) - 1])
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {lines[place].count("|")}


@pytest.mark.parametrize(("kind", "comment"), [("markdown", None), ("latex", "%")])
def test_a_command_writes_one_valid_text(kind: str, comment: str | None) -> None:
    done = CliRunner().invoke(app, ["--tables", kind, "compare", "edge-32x32:tiny_vit_int8", "tiny_vit_ssvq"])
    assert done.exit_code == 0, done.output
    assert "8,761" in done.stdout
    outside = re.sub(r"\\begin\{table\}.*?\\end\{table\}", "", done.stdout, flags=re.DOTALL)
    if comment is not None:
        assert all(line.startswith(comment) for line in outside.splitlines() if line)
    plain = CliRunner().invoke(app, ["compare", "edge-32x32:tiny_vit_int8", "tiny_vit_ssvq"]).stdout
    assert "\\" not in plain  # the next command is as ever
    assert "| --- |" not in plain


def test_another_kind_is_refused() -> None:
    done = CliRunner().invoke(app, ["--tables", "html", "list", "formats"])
    assert (done.exit_code, done.stderr) == (2, "accelsim: --tables 'html'; allowed: text, markdown, latex\n")


@pytest.mark.parametrize(("name", "start"), [("t.md", "**Layers of edge-32x32"), ("t.tex", "\\begin{table}"), ("t.csv", "frame,")])
def test_a_table_of_the_api_is_saved_by_the_ending_of_its_file(name: str, start: str, tmp_path: Path) -> None:
    run = accelsim.simulate("edge-32x32", "tiny_vit_ssvq")
    text = run.layers.save(tmp_path / name).read_text()
    assert text.startswith(start)
    assert all(layer["layer"].replace("_", "\\_" if name != "t.csv" else "_") in text for layer in run.layers)
