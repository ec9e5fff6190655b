"""House style that a search can check: docstrings name a thing or an action, rates say per, and banned phrases stay out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "accelsim").rglob("*.py"))
RENAMES = ROOT / "docs" / "reference" / "renames.md"  # quotes the old words
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted(
    {*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "traces/README.md"))} - {RENAMES}
)
BANNED = re.compile(
    r"\b(?:bits|bytes|cycles|lookups|MACs|rows|scales?|levels?|codewords?|multipliers?) a "
    r"(?:(?:core )?cycle|second|step|pass|weight|channel|group|run|tile|PE)\b"
    r"|\b(?:once|one|rank|queue|sign bit|rows?|lanes|words|bursts?) a (?:(?:core |memory )?cycle|channel|bank|direction|lane|record|word)\b"
    r"|nearest its bound|memory trace\b|that are borne|comes along|\b[Bb]y cause\b"
    r"|\b(?:anew|so many-th|lies? otherwise|stands? twice|parted by|(?:us|ms|uJ|time) an inference|(?:is|are|be) told as)\b"
    r"|\b(?:talks pickle|whoever (?:reaches|shows)|What a person sees|what is left out is the first's)",
)


def docstrings(path: Path) -> list[str]:
    """Every docstring of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstrings_open_with_a_verb_or_a_noun(path: Path) -> None:
    assert [text for text in docstrings(path) if text.startswith("What ")] == []


@pytest.mark.parametrize("path", SOURCES + PAGES + NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_phrases_of_the_glossary_are_used(path: Path) -> None:
    assert BANNED.findall(path.read_text(encoding="utf-8")) == []


NOMINAL = re.compile(r"(?:^[ #*]*|[.] )(What [a-z][^.?!:]*(?:[.?!:]|\Z))", re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES + PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_sentence_that_opens_with_what_is_a_question(path: Path) -> None:
    assert [text for text in NOMINAL.findall(path.read_text(encoding="utf-8")) if not text.endswith("?")] == []


def names_bound(path: Path) -> list[str]:
    """Names that a module gives to a class, a type or an import under another name."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ImportFrom):
            found += [item.asname for item in node.names if item.asname not in (None, item.name)]
    return found


def test_a_word_of_the_glossary_names_one_thing() -> None:
    bound = [name for path in (ROOT / "accelsim").rglob("*.py") for name in names_bound(path)]
    counts = {name: bound.count(name) for name in ("Record", "Stream", "Span", "Recorder", "Network", "Progress")}
    assert counts == {"Record": 1, "Stream": 1, "Span": 1, "Recorder": 0, "Network": 0, "Progress": 1}
