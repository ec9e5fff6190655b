"""Findings of `accelsim run`: the result, area and energy in a technology, and the requested checks.

One record goes to the screen, to JSON and to a folder, so the three agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from accelsim.cost.area import AreaReport
from accelsim.cost.compare_costs import RunCost
from accelsim.cost.energy import EnergyReport
from accelsim.report.export.run import network_rows, to_csv, write_run
from accelsim.report.metrics import summarize
from accelsim.report.plots.picture_style import PAPER, PictureStyle
from accelsim.report.tables.area import render_area_groups
from accelsim.report.tables.check import render_energy
from accelsim.report.tables.run import CheckedLayer, render_functional, render_run, render_what_if
from accelsim.report.tables.summary import render_summary
from accelsim.report.verdict import IdealizedRun, decide
from accelsim.result import Result, Verdict


class FunctionalCheck(Protocol):
    """Outcome of the functional check of every layer."""

    @property
    def layers(self) -> Sequence[CheckedLayer]: ...
    @property
    def ok(self) -> bool: ...
    @property
    def codebook_error(self) -> float | None: ...


@dataclass(frozen=True)
class Findings:
    """Findings of one run; `what_if` and `functional` are None unless requested."""

    cost: RunCost
    what_if: Sequence[IdealizedRun] | None = None
    functional: FunctionalCheck | None = None

    def __repr__(self) -> str:
        asked = [name for name, found in (("idealizations", self.what_if), ("functional check", self.functional)) if found is not None]
        return f"<Findings of {self.result!r}: {', '.join(['area', 'energy', *asked])}>"

    @property
    def result(self) -> Result:
        """The simulated result."""
        return self.cost.result

    @cached_property
    def verdict(self) -> Verdict:
        """The limiting resource: that of the result, or an estimate."""
        return decide(self.result)

    @property
    def area(self) -> AreaReport:
        """Of the run's chip."""
        return self.cost.cost.area

    @property
    def energy(self) -> EnergyReport:
        """Of the whole run."""
        return self.cost.cost.energy

    @property
    def ok(self) -> bool:
        """Whether every requested check passed."""
        return self.functional is None or self.functional.ok

    def to_dict(self) -> dict[str, Any]:
        """The output of `accelsim run --json`; `result` is a record that `stored_result.parse_result` reads."""
        out: dict[str, Any] = {
            "summary": summarize(self.result).to_dict(),
            "verdict": self.verdict.to_dict(),
            "result": self.result.to_dict(),
            "area": self.area.to_dict(),
            "energy": self.energy.to_dict(),
        }
        if networks := network_rows(self.result):
            out["networks"] = networks
        if self.what_if is not None:
            out["what_if"] = what_if_rows(self.what_if)
        if self.functional is not None:
            out["functional"] = {
                "ok": self.functional.ok,
                "codebook_error": self.functional.codebook_error,
                "layers": functional_rows(self.functional),
            }
        return out

    def write(self, folder: Path, style: PictureStyle = PAPER) -> Path:
        """The run's folder with its pictures, all or nothing; OutputError as `write_run`."""
        from accelsim.report.plots.picture import files_of  # loading Matplotlib takes longer than a run
        from accelsim.report.plots.pictures import run_pictures

        files = files_of(run_pictures(self.cost), style)
        files["area.csv"] = to_csv(self.area.rows()).encode()
        files["energy.csv"] = to_csv(self.energy.rows()).encode()
        if self.what_if is not None:
            files["what_if.csv"] = to_csv(what_if_rows(self.what_if)).encode()
        if self.functional is not None:
            files["functional.csv"] = to_csv(functional_rows(self.functional)).encode()
        return write_run(folder, self.result, files)

    def render(self, console: Console, *, all_layers: bool) -> None:
        """Everything as tables."""
        render_run(console, self.result, all_layers=all_layers)
        render_energy(console, self.energy, len(self.result.frames) * self.result.batch)
        render_area_groups(console, self.area)
        if self.what_if is not None:
            render_what_if(console, self.what_if)
        if self.functional is not None:
            render_functional(console, self.functional.layers, self.functional.ok, self.functional.codebook_error)

    def render_summary(self, console: Console, *, elsewhere: str) -> None:
        """At most 20 lines, the functional check included; `elsewhere` says where the rest is."""
        checked = [("checked", checked_in_words(self.functional))] if self.functional is not None else []
        render_summary(console, self.cost, elsewhere=elsewhere, checked=checked)


def what_if_rows(runs: Sequence[IdealizedRun]) -> list[dict[str, Any]]:
    """One row per idealized run, as CSV and JSON have it."""
    return [
        {
            "resource": item.resource,
            "speed_up": item.speedup,
            "total_cycles": item.result.total_cycles,
            "replanned": item.replanned,
            "note": item.explanation,
        }
        for item in runs
    ]


def checked_in_words(check: FunctionalCheck) -> str:
    """'18 layers decoded and multiplied, bit-exact', or the layers that are wrong; then the error of codebooks that were rounded."""
    wrong = [layer for layer in check.layers if not layer.ok]
    text = f"{len(check.layers)} layers decoded and multiplied, "
    text += f"{len(wrong)} of them WRONG: {wrong[0].name}: {wrong[0].message}" if wrong else "bit-exact"
    if len(wrong) > 1:
        text += f"; {', '.join(layer.name for layer in wrong[1:])}"
    if check.codebook_error is not None:
        text += f"; codebooks are integers here: the floats that they were rounded from differ by up to {check.codebook_error:.2%}"
        text += " of their root mean square"
    return text


def functional_rows(check: FunctionalCheck | None) -> list[dict[str, Any]]:
    """One row per layer of the functional check, as CSV and JSON have it; none without a check."""
    layers = check.layers if check else ()
    return [{"layer": item.name, "bit_exact": item.ok, "tiles": item.tiles, "message": item.message} for item in layers]
