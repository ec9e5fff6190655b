"""The accuracy of a sweep's points as `accelsim.finetune.export` left it in their traces: `accelsim sweep ... --accuracy FILE:accuracy`.

A trace keeps it where `export` was given `metrics={"top1_accuracy": ...}`; a point with another trace has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import accelsim

METRIC = "top1_accuracy"
CHIPS = ("mcu-16x16", "edge-32x32", "edge-64x64")


def accuracy(point: Mapping[str, Any]) -> float | None:
    """The metric of a point's trace; None where it has none."""
    return accelsim.load_trace(point["trace"]).record.manifest.metrics.get(METRIC)


def write_sweep(folder: Path, traces: Sequence[str], chips: Sequence[str] = CHIPS) -> Path:
    """Write `folder`/sweep.yaml: traces in `folder`, by their names, on chips that have the codebook of each."""
    paths = [str(folder / name) for name in traces]
    axes = {"accelerator": list(chips), "trace": paths}
    fields = {"name": "finetuned", "description": "fine-tuned traces on several chips", "fit_codebook": True, "base": {}, "axes": axes}
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(fields, sort_keys=False))
    return file
