"""Tables for a page or a paper: Markdown, or LaTeX with the rules of the package booktabs.

Text between tables becomes paragraphs, or comments, so a command's whole output can be piped into a file. Nothing is fitted to a width,
and no name is shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelsim.report.tables.columns import TextTable

_IN_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_|[]<>#"})
_IN_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "{}$&#%_"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}"}
    | {"|": r"\textbar{}"}
)


@dataclass(frozen=True)
class Markup:
    """A way to write tables and the text between them as lines."""

    table: Callable[[str, TextTable], str]
    text: Callable[[str], str]


def _headings(table: TextTable) -> list[str]:
    """Headings as one line each; a terminal folds some, behind a hyphen or between words."""
    return [table.column(index)[0].replace("-\n", "-").replace("\n", " ") for index in range(len(table.headings))]


def _markdown(title: str, table: TextTable) -> str:
    return f"**{title.translate(_IN_MARKDOWN)}**\n\n{markdown_rows(table)}"


def markdown_rows(table: TextTable) -> str:
    """A table in Markdown without its title; a cell between backquotes remains code."""
    rule = ["--:" if table.numeric(index) else "---" for index in range(len(table.headings))]
    texts = [[_in_markdown(cell) for cell in cells] for cells in (_headings(table), *(cells for cells, _ in table.rows))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (texts[0], rule, *texts[1:]))


def _in_markdown(cell: str) -> str:
    code = len(cell) > 2 and cell.startswith("`") and cell.endswith("`") and not set("`|") & set(cell[1:-1])
    return cell if code else cell.translate(_IN_MARKDOWN)


def _latex(title: str, table: TextTable) -> str:
    columns = range(len(table.headings))
    lines = [" & ".join(cell.translate(_IN_LATEX) for cell in cells) + r" \\" for cells, _ in table.rows]
    heading = " & ".join(text.translate(_IN_LATEX) for text in _headings(table)) + r" \\"
    kinds = "".join("r" if table.numeric(index) else "l" for index in columns)
    head = [
        r"\begin{table}",
        rf"\caption{{{title.translate(_IN_LATEX)}}}",
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        heading,
        r"\midrule",
    ]
    return "\n".join([*head, *lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


MARKUPS: Mapping[str, Markup | None] = {
    "text": None,  # for a terminal
    "markdown": Markup(_markdown, lambda text: f"{text.translate(_IN_MARKDOWN)}\n"),
    "latex": Markup(_latex, lambda text: "\n".join(f"% {line}" for line in text.splitlines())),
}
MARKUP: ContextVar[Markup | None] = ContextVar("MARKUP", default=None)  # of this command's output; None: text for a terminal
