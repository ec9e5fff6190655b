"""Samples of a model as its trace takes them: of a model of tokens the rows of its embedding, whose table is no part of the trace."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch

from accelsim.api.trace import Trace


def rows_of(model: torch.nn.Module, trace: Trace, samples: torch.Tensor) -> npt.NDArray[Any]:
    """Samples [samples, ...] for a trace of the model; tokens become rows where its only input is an `nn.Embedding` of the model."""
    names = [item.name for item in trace.record.manifest.inputs]
    table = dict(model.named_modules()).get(names[0]) if len(names) == 1 and not samples.is_floating_point() else None
    if isinstance(table, torch.nn.Embedding):
        with torch.no_grad():
            samples = table(samples.to(table.weight.device))
    found: npt.NDArray[Any] = samples.detach().cpu().numpy()
    return found
