"""Execute the notebooks and write their outputs into them: `python -m tests.notebooks.write_outputs [NAME...]`."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
CELL_SECONDS = 600


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs; a cell that raises fails with its traceback."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", coalesce_streams=True, resources=folder).execute()
    return notebook


def without_traces_of_the_run(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Only what a reader sees: no times of execution, no version of the kernel."""
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


if __name__ == "__main__":
    for item in sorted(FOLDER.glob("*.ipynb")):
        if not sys.argv[1:] or item.stem in sys.argv[1:]:
            nbformat.write(without_traces_of_the_run(executed(item)), item)
