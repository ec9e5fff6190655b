"""A trained model leaves as a trace whose weights are the model's to the bit, and which a chip runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.errors import TraceError
from accelsim.functional import check_functional
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def trained(recipe: str) -> Any:
    from accelsim.finetune import Settings, finetune, prepare
    from tests.finetune.tiny_models import tiny_data, tiny_network

    model = prepare(tiny_network(), recipe)
    finetune(model, *tiny_data(), settings=Settings(epochs=2, batch=10))
    return model


@pytest.mark.parametrize(
    "recipe",
    [
        *("uniform:bits=4", "vq:k=8,d=4", "ssvq:k=4,d=4", "ssvq:k=4,d=4,axis=1,scale=channel"),
        *("int_group:bits=4,group=8", "vecq:bits=3", "masked_vq:k=4,d=4,keep=2,of=4", "universal_vq:k=8,d=4"),
    ],
)
def test_the_weights_of_the_trace_are_the_models_to_the_bit_and_a_chip_runs_it(recipe: str, tmp_path: Path) -> None:
    model = trained(recipe)
    accelsim.finetune.export(model, torch.zeros(1, 1, 4, 4), out=tmp_path / "tuned", metrics={"top1_accuracy": 0.5})
    trace = load_trace(tmp_path / "tuned")
    trace.verify_payload()
    modules = dict(model.named_modules())
    assert [layer.name for layer in trace.weighted_layers()] == ["stem", "blocks.0.0", "blocks.0.2", "head"]
    for layer in trace.weighted_layers():
        weight = layer.weight
        stored = weight.format.reconstruct(trace.arrays(layer.name), weight.k, weight.n).astype(np.float32)
        module = modules[layer.name].weight.detach().numpy()
        assert module.reshape(weight.n, weight.k).T.tobytes() == stored.tobytes()
    assert trace.manifest.metrics == {"top1_accuracy": 0.5}
    chip = load_accelerator("edge-64x64", codebook_overrides(load_accelerator("edge-64x64"), trace))
    assert check_functional(chip, trace).ok
    assert simulate(chip, trace).total_cycles > 0


def test_export_leaves_the_model_prepared() -> None:
    from accelsim.finetune import export, prepared_layers

    model = trained("vq:k=8,d=4")
    before = [layer.module.weight.detach().clone() for layer in prepared_layers(model)]
    export(model, torch.zeros(1, 1, 4, 4))
    assert len(before) == 4
    for layer, weight in zip(prepared_layers(model), before, strict=True):
        assert torch.equal(layer.module.weight, weight)


def test_a_batch_norm_that_the_importer_folds_is_refused() -> None:
    from accelsim.finetune import export, prepare

    model = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 2), torch.nn.BatchNorm2d(8))
    model[1].running_var.fill_(4.0)
    prepare(model, "uniform:bits=4")
    with pytest.raises(TraceError, match="layer '0': the importer changes its weights"):
        export(model, torch.zeros(1, 1, 4, 4))


def test_a_matrix_outside_the_prepared_modules_is_refused() -> None:
    from accelsim.finetune import export, prepare

    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(8, 8)
            self.matrix = torch.nn.Parameter(torch.randn(8, 8))

        def forward(self, tokens: Any) -> Any:
            return torch.nn.functional.linear(self.first(tokens), self.matrix)

    with pytest.raises(TraceError, match="of the trace is no prepared module"):
        export(prepare(Bare(), "uniform:bits=4"), torch.zeros(1, 3, 8))


def test_fine_tuning_without_pytorch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.finetune.find_spec", lambda _: None)
    for name in accelsim.finetune.__all__:
        monkeypatch.delitem(vars(accelsim.finetune), name, raising=False)
    with pytest.raises(accelsim.AccelsimError, match=r"accelsim\[torch\]"):
        _ = accelsim.finetune.prepare


def test_one_format_goes_to_the_usual_layers_of_a_model_without_numbered_blocks() -> None:
    """As `accelsim compress` has it: all but the first and the last, and not where it does not fit, which the trace names."""
    model = torch.nn.Sequential(
        *(torch.nn.Linear(width, after) for width, after in ((8, 16), (16, 16), (16, 12), (12, 16), (16, 4)))
    ).eval()
    accelsim.finetune.prepare(model, "vq:k=4,d=8")
    found = {layer.name: layer.quantizer.spec.kind for layer in accelsim.finetune.prepared_layers(model)}
    assert found == {"0": "uniform", "1": "vq", "2": "uniform", "3": "vq", "4": "uniform"}
    trace = accelsim.finetune.export(model, torch.randn(1, 3, 8))
    assert {layer.name: layer.weight.format.kind for layer in trace.record.weighted_layers()} == found
    assert any("1 of 3 layers keep 8 bits, since vq:k=4,d=8 does not fit them: 2" in note for note in trace.record.manifest.notes)
