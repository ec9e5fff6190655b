"""The reference page of the Python face, made of its docstrings; `python -m tests.python_page` regenerates it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import accelsim
from accelsim.api.plots import ComparisonPlots, RunPlots
from accelsim.api.sweep import SweepPlots

PLOTS = {"Result": RunPlots, "Comparison": ComparisonPlots, "SweepTable": SweepPlots}
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"
HEAD = """# The Python face

`import accelsim` offers these names and no others; they are loaded when they are first used. Parameters, errors and units are in
the docstrings (`help(accelsim.simulate)`, or the pages that `make docs` leaves in `out/docs`). Chips, traces and technologies are
given by name, by path or as objects, and every error is an `AccelsimError` whose message is the command line's.

This page is made of the docstrings: `python -m tests.python_page` regenerates it.
"""


def python_page() -> str:
    """The page: functions with their parameters, then classes with what they offer, one line each."""
    found = {name: getattr(accelsim, name) for name in accelsim.__all__ if name != "__version__"}
    functions = {name: item for name, item in found.items() if inspect.isfunction(item)}
    lines = [HEAD, "## Functions\n", "| function | in a line |", "|---|---|"]
    lines += [f"| `{name}({_parameters(item)})` | {_first_line(item)} |" for name, item in functions.items()]
    lines += ["\n## Classes"]
    for name, item in found.items():
        if name in functions:
            continue
        lines.append(f"\n### {name}\n\n{_first_line(item)}")
        members = list(_members(item))
        if members:
            lines += ["\n| member | in a line |", "|---|---|", *members]
        if name in PLOTS:
            lines += [f"\n`{name}.plot`: {_first_line(PLOTS[name])}", "\n| picture | in a line |", "|---|---|", *_members(PLOTS[name])]
    return "\n".join(lines) + "\n"


def _members(kind: type[Any]) -> Iterator[str]:
    """Public methods and properties of a class of the face itself, in the order of its source."""
    if not kind.__module__.startswith("accelsim.api"):
        return
    for name, item in vars(kind).items():
        if name.startswith("_") or not (inspect.isfunction(item) or (hasattr(item, "__get__") and inspect.getdoc(item))):
            continue
        shown = f"{name}({_parameters(item)})" if inspect.isfunction(item) else name
        yield f"| `{shown}` | {_first_line(item)} |"


def _parameters(function: Any) -> str:
    """Names of the parameters; optional ones have '=' behind them."""
    out = []
    for item in inspect.signature(function).parameters.values():
        if item.name != "self":
            star = "*" if item.kind is item.VAR_POSITIONAL else ""
            out.append(f"{star}{item.name}" + ("" if item.default is item.empty else "="))
    return ", ".join(out)


def _first_line(item: Any) -> str:
    return (inspect.getdoc(item) or "").splitlines()[0].replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(python_page())
