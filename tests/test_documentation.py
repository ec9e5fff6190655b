"""What the pages say can be done, can be: links lead somewhere, commands parse, and the command line's page is that of --help."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from accelsim.cli import app
from accelsim.cli.names import accelerator_paths
from accelsim.report.metrics import CATEGORY_MEANING
from accelsim.result import BOUND_RESOURCES, CATEGORIES, OPERANDS
from tests.front_page import PAGE, TABLES, table_on
from tests.page_commands import commands

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), ROOT / "traces" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path):
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_named_by_the_first_one():
    first = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md" and f"({page.name})" not in first] == []


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_parses(page: Path):
    for line in commands(page):
        command = typer.main.get_command(app)
        words = shlex.split(line.partition(">")[0])
        if words[0] == "--tables":  # of all commands, before them
            del words[:2]
        while hasattr(command, "commands"):
            assert words, f"accelsim {line}"
            assert words[0] in command.commands, f"accelsim {line}"
            command = command.commands[words.pop(0)]
        command.make_context("accelsim", words)  # raises a usage error for an unknown option or a missing argument


def test_the_pages_name_commands():
    assert sum(len(commands(page)) for page in PAGES) > 20


@pytest.mark.parametrize("start", TABLES)
def test_the_simulated_tables_of_the_front_page_are_those_of_a_run(start: str):
    assert table_on(PAGE.read_text(encoding="utf-8"), start) == TABLES[start](), "run `python -m tests.front_page`"


def test_the_words_of_a_result_are_all_explained():
    text = (ROOT / "docs" / "reference" / "result.md").read_text()
    words = set(re.findall(r"`([^`]+)`", text))
    assert {*CATEGORIES, *OPERANDS, *BOUND_RESOURCES} <= words
    fields = {
        word.partition("=")[0] for word in words if re.fullmatch(r"(array|codebook|control|dram|flash|vector_unit|\w+_buffer)\.\w+.*", word)
    }
    assert fields <= set(accelerator_paths())
    for cause, meaning in CATEGORY_MEANING.items():
        assert f"| `{cause}` | {meaning.removeprefix('the array ')}" in text


def test_the_reference_of_the_command_line_is_what_help_says(tmp_path):
    page = tmp_path / "cli.md"
    done = subprocess.run(
        [sys.executable, "-m", "typer", "accelsim.cli", "utils", "docs", "--name", "accelsim", "--output", str(page)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert page.read_text() == (ROOT / "docs" / "reference" / "cli.md").read_text(), "run `make docs`"
