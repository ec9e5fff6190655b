"""A format per layer of a PyTorch model: its weights as they are, through the importer, to `accelsim.choose_formats`.

The chosen recipe goes to `prepare`, which needs a float model: of a prepared one, formats are chosen for the weights that were trained, and
the recipe is for another copy of the float model.
"""

from __future__ import annotations

from typing import Any

import torch

from accelsim.api.format_choice import FormatChoice
from accelsim.api.format_choice import choose_formats as choose_for_trace
from accelsim.api.models import import_model
from accelsim.finetune.checks import check_model, check_samples
from accelsim.finetune.dry_run import exported
from accelsim.finetune.plain_weights import with_plain_weights
from accelsim.finetune.token_rows import rows_of


def choose_formats(
    model: torch.nn.Module,
    accelerator: Any,
    formats: list[str] | tuple[str, ...],
    inputs: torch.Tensor,
    *,
    name: str = "model",
    **options: Any,
) -> FormatChoice:
    """Choose the format of each layer of a model by simulated cost.

    Parameters
    ----------
    model
        Float, or prepared and trained; it is not changed.
    accelerator, formats
        The chip and the candidates, as `accelsim.choose_formats` takes them.
    inputs
        Samples on which errors of the outputs are measured, [samples, ...], as the model takes them; the first gives the trace its shape.
    name
        Of the trace.
    options
        The budget (`milliseconds`, `area_mm2`, `stored_bytes`) and the other options of `accelsim.choose_formats`.

    Returns
    -------
    The choice; `prepare(model, choice.recipe)` makes a float model trainable in it.

    Raises
    ------
    ImportModelError
        The importer does not understand the model.
    AccelsimError
        As `accelsim.choose_formats`.
    """
    check_model("model", model)
    check_samples("inputs", inputs)
    samples = inputs.detach().cpu()
    source = import_model(exported(with_plain_weights(model), samples[:1]), name=name)
    return choose_for_trace(accelerator, source, formats, rows_of(model, source, samples), **options)
