"""The outputs of an executed network as files: integers in `.npy`, one file per output, and their scales in `outputs.json`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.execution.network import Execution
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder

OUTPUT_FOLDER = FolderKind("outputs.json", ("outputs.json", "*.npy"))
_MOST_NAME = 80


def check_output_folder(folder: Path) -> None:
    """OutputError, before the work, if `folder` cannot take the outputs."""
    check_replaceable(folder, OUTPUT_FOLDER)


def outputs_dict(run: Execution) -> dict[str, Any]:
    """An execution as plain data: the content of `outputs.json`."""
    several = len(run.outputs) > 1
    return {
        "trace": run.trace.name,
        "trace_sha256": run.trace_sha256,
        "samples": run.samples,
        "scale_rule": run.scale_rule,
        "bit_exact": run.report.ok,
        "outputs": [
            {
                "name": name,
                "layer": layer,
                "file": f"{f'{place}_' if several else ''}{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:_MOST_NAME]}.npy",
                "shape": list(integers.shape),
                "bits": run.grids[layer].bits,
                "scale": run.grids[layer].scale,
                "zero_point": run.grids[layer].zero,
            }
            for place, ((name, integers), layer) in enumerate(zip(run.outputs.items(), run.layers.values(), strict=True))
        ],
    }


def write_outputs(folder: Path, run: Execution) -> Path:
    """Write the outputs' folder, all or nothing: a value is its integer, less `zero_point`, times `scale`.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    """
    content = outputs_dict(run)
    files = {"outputs.json": (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()}
    for output, integers in zip(content["outputs"], run.outputs.values(), strict=True):
        buffer = io.BytesIO()
        np.save(buffer, integers, allow_pickle=False)
        files[output["file"]] = buffer.getvalue()
    return write_folder(folder, OUTPUT_FOLDER, files)
