"""The notebooks run from their first cell to their last, use the public face alone, and are committed with their outputs."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

import accelsim

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = 600
MAX_BYTES = 1 << 20
OTHERS = {"copy", "csv", "examples", "logging", "matplotlib", "numpy", "pathlib", "sklearn", "tempfile", "torch", "warnings", "yaml"}


def test_there_are_the_six_notebooks_that_the_front_page_names():
    readme = (FOLDER.parent / "README.md").read_text()
    assert len(NOTEBOOKS) == 6
    assert [path.name for path in NOTEBOOKS if path.name not in readme] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_committed_with_its_outputs(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = code_cells(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))  # run once, from the first to the last
    assert any(cell.outputs for cell in code)
    assert path.stat().st_size < MAX_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_hold_no_warnings_errors_or_paths_of_a_machine(path: Path):
    outputs = [output for cell in code_cells(nbformat.read(path, as_version=4)) for output in cell.outputs]
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    assert [text for text in texts for word in ("Warning", "/tmp", "/home", "/root", "/work") if word in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_only_the_face(path: Path):
    plain = [
        line for cell in code_cells(nbformat.read(path, as_version=4)) for line in cell.source.splitlines() if not line.startswith("%")
    ]
    tree = ast.parse("\n".join(plain))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "accelsim" in imported
    assert {name.partition(".")[0] for name in imported - {"accelsim"}} <= OTHERS
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "accelsim"}
    assert used <= set(accelsim.__all__)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.notebook
@pytest.mark.filterwarnings("default")  # what the kernel's own process and its sockets warn of is not ours
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(path: Path):
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}})
    client.execute()  # a cell that raises fails the test with its traceback
    prose = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert prose > 150
    assert any(cell.get("outputs") for cell in notebook.cells)
