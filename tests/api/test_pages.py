"""The pages that show the face: five lines of the README that run, and a reference page that is the docstrings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.python_page import PAGE, python_page

README = Path(__file__).parents[2] / "README.md"


def test_the_five_lines_of_the_front_page_simulate_compare_and_plot(tmp_path):
    text = README.read_text()
    code = text[text.index("```python\n") + len("```python\n") :].partition("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) == 5
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1.12x" in done.stdout  # as the front page's table says of edge-64x64
    assert (tmp_path / "layers.svg").read_bytes().startswith(b"<?xml")


def test_the_reference_page_is_made_of_the_docstrings():
    assert PAGE.read_text() == python_page()
