"""A run's time has one unit and one text wherever it is printed: a run of some microseconds in the terminal, on a page, in a comparison."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.cli import app
from accelsim.report.tables.text import duration, milliseconds

TIME = re.compile(r"(?<![\w.])(\d[\d,]*\.?\d*) (ns|us|µs|ms|s)\b(?!/)")
MARKS = re.compile(r"(?s)<(style|script|svg|pre).*?</\1>")


def call(*words: str) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000 ms"),
        (0.0060612, "0.006061 ms"),
        (0.99999, "1.000 ms"),
        (0.4469253, "0.4469 ms"),
        (1e-6, "0.000001 ms"),
        (61e3, "61,000.000 ms"),
    ],
)
def test_a_time_is_in_ms_with_four_digits_at_least(value: float, text: str) -> None:
    assert duration(value) == text == f"{milliseconds(value)} ms"


def test_every_output_of_a_run_has_its_time_in_one_unit(tmp_path: Path) -> None:
    chip, net = "edge-64x64", "tiny_vit_ssvq"
    result = accelsim.simulate(chip, net)
    written = f"{milliseconds(result.milliseconds)} ms"
    other = call("run", chip, "tiny_vit_int8", "-o", tmp_path / "b")
    shown = {
        "summary": call("run", chip, net, "-o", tmp_path / "a"),
        "full": call("run", chip, net, "--full"),
        "quiet": call("run", chip, net, "-q"),
        "repr": repr(result),
        "report": call("report", tmp_path / "a", "-o", tmp_path / "run.html"),
        "reports": call("report", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "both.html"),
        "comparison": call("compare", f"{chip}:{net}", f"{chip}:tiny_vit_int8"),
    }
    for name in ("run.html", "both.html"):
        shown[name] = re.sub(r"<[^>]+>", " ", MARKS.sub(" ", html.unescape((tmp_path / name).read_text())))
    for name, text in {**shown, "other": other}.items():
        assert {unit for _, unit in TIME.findall(text)} <= {"ms", "ns"}, (name, TIME.findall(text))  # ns: what an SRAM macro takes
    for name in ("summary", "full", "quiet", "repr", "run.html"):
        assert written in " ".join(shown[name].split()), name
