"""Write docs/silicon.md's tables and its picture from the carried rows: `python -m tests.silicon_page`, some minutes.

The page's other text is written by hand, and says what each board's file takes from its vendor, infers or fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from accelsim.presets import find_reference
from accelsim.report.plots.picture import files_of
from accelsim.report.plots.silicon import silicon_picture
from accelsim.validate.silicon import SiliconPair, SiliconReport, SiliconRow, validate_silicon

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURES = ROOT / "docs" / "silicon.md", ROOT / "docs" / "images"
NAMES = ("misses", "predicted", "fitted", "context", "pairs", "summary")
_ROWS = "| board | network | recipe | measured | simulated | error of the time |\n| --- | --- | --- | --- | --- | --- |"
_PAIRS = (
    "| board | network | encodings | role | measured | simulated | error | measured, ms saved | simulated, ms saved |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def tables(report: SiliconReport) -> dict[str, str]:
    """The page's generated parts by name."""
    missed = set(report.misses)
    predicted = [row for row in report.rows if row.role == "predict" and row not in missed]
    judged = [row for row in report.rows if row.role == "predict"]
    return {
        "misses": _rows(report.misses),
        "predicted": _rows(predicted),
        "fitted": _rows(row for row in report.rows if row.role == "fit"),
        "context": _rows(row for row in report.rows if row.role == "context" and row.simulated is not None),
        "pairs": "\n".join((_PAIRS, *map(_pair, report.pairs))),
        "summary": f"{len(predicted)} of {len(judged)} predicted rows are within {report.tolerance_pct:g} %, with a median error of "
        f"{report.median_error_pct('predict'):.1f} %; {sum(row.simulated is None for row in judged)} cannot be simulated. "
        f"The {sum(row.role == 'fit' for row in report.rows)} rows that parameters may be fitted to have a median error of "
        f"{report.median_error_pct('fit'):.1f} %.",
    }


def part(page: str, name: str) -> str:
    """A generated part of the page."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert found is not None, name
    return found[1]


def picture_files(report: SiliconReport) -> dict[str, bytes]:
    """The picture's files by name."""
    return files_of((silicon_picture("Measured and simulated times", report.rows),))


def _rows(rows: Iterable[SiliconRow]) -> str:
    return "\n".join((_ROWS, *map(_row, rows)))


def _row(row: SiliconRow) -> str:
    network = f"`{row.network_id}`" + (f" {row.context}" if row.context else "")
    measured = f"{row.measured:g} {row.unit}"
    if row.simulated is None or row.error_pct is None:
        return f"| {row.chip} | {network} | {row.recipe} | {measured} | - | not simulated |"
    return f"| {row.chip} | {network} | {row.recipe} | {measured} | {row.simulated:.4g} {row.unit} | {row.error_pct:+z.1f} % |"


def _pair(pair: SiliconPair) -> str:
    cells: Sequence[str] = (
        pair.chip, f"`{pair.network_id}` {pair.context}".strip(), " to ".join(pair.recipes), pair.role, f"{pair.measured_speedup:.2f}x",
        f"{pair.simulated_speedup:.2f}x", f"{pair.speedup_error_pct:+z.1f} %", f"{pair.measured_difference_ms:.4g}",
        f"{pair.simulated_difference_ms:.4g}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the page and the picture."""
    report = validate_silicon(find_reference("silicon", "measured"))
    page = PAGE.read_text()
    for name, text in tables(report).items():
        page = page.replace(f"<!-- {name} -->\n{part(page, name)}\n<!-- end -->", f"<!-- {name} -->\n{text}\n<!-- end -->")
    PAGE.write_text(page)
    for name, content in picture_files(report).items():
        if name.endswith(".svg"):
            (PICTURES / name).write_bytes(content)


if __name__ == "__main__":
    main()
