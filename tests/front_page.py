"""The simulated tables of the front page; `python -m tests.front_page` writes them into it anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from accelsim.accelerator import load_accelerator
from accelsim.cost.technology import load_technology
from accelsim.format_comparison import compare_formats
from accelsim.presets import find_trace, trace_names
from accelsim.report.format_points import markdown_table, speedup
from accelsim.report.tables.text import milliseconds, times
from accelsim.trace.trace import Trace, load_trace

PAGE = Path(__file__).parents[1] / "README.md"
BASELINE, COMPRESSED = "deit_tiny_int8", "deit_tiny_ssvq_k16d8"
CHIPS = ("edge-32x32", "edge-32x32-x32", "edge-64x64", "edge-64x64-x16", "mcu-16x16")
STARVED = "edge-64x64-x16"
CHIP_HEADINGS = "| chip | description | int8, ms | SSVQ, ms | speed-up | tightest bound: int8 → SSVQ |"


def chips_table() -> str:
    """int8 against SSVQ on the presets."""
    lines = [CHIP_HEADINGS, "|---|---|---|---|---|---|"]
    for name in CHIPS:
        chip = load_accelerator(name)
        first, other = compare_formats(chip, [_trace(BASELINE), _trace(COMPRESSED)], load_technology("nangate45"), fit=False)
        ms = " | ".join(milliseconds(point.result.milliseconds) for point in (first, other))
        bounds = " → ".join(f"{resource} {100 * share:.0f} %" for resource, share in (first.limiter, other.limiter))
        lines.append(f"| `{name}` | {chip.description} | {ms} | {times(speedup(first, other))} | {bounds} |")
    return "\n".join(lines) + "\n"


def formats_table() -> str:
    """All packed traces of DeiT-tiny on the starved chip."""
    names = [BASELINE, *(name for name in trace_names() if name.startswith("deit_tiny_") and name not in (BASELINE, "deit_tiny_float"))]
    return markdown_table(compare_formats(load_accelerator(STARVED), [_trace(name) for name in names], load_technology("nangate45")))


def _trace(name: str) -> Trace:
    return load_trace(find_trace(name))


TABLES: dict[str, Callable[[], str]] = {"| chip |": chips_table, "| trace |": formats_table}


def table_on(page: str, start: str) -> str:
    """The table of `page` whose first line begins with `start`."""
    begin = page.index(f"\n{start}") + 1
    return page[begin : page.index("\n\n", begin) + 1]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for start, made in TABLES.items():
        page = page.replace(table_on(page, start), made())
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
