"""Formats per layer of a PyTorch model: errors against PyTorch's own, and the recipe into fine-tuning and export."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

import accelsim  # noqa: E402
from accelsim import finetune  # noqa: E402
from accelsim.compression.recipe import recipe_of_layers  # noqa: E402
from tests.finetune.tiny_models import tiny_data, tiny_network  # noqa: E402

CHIP = "mcu-16x16"
FORMATS = ["uniform:bits=2", "uniform:bits=4", "vq:k=8,d=2"]


def outputs(model, images) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(images).numpy().astype(np.float64)


def test_errors_are_those_of_pytorch_with_one_layer_in_its_format():
    model, images = tiny_network(), tiny_data()[0][:16]
    found = finetune.choose_formats(model, CHIP, FORMATS, images)
    reference = outputs(copy.deepcopy(model), images)
    rows = [row for row in found.options() if row["format"] != "uniform"]
    assert {row["layer"] for row in rows} == {"stem", "blocks.0.0", "blocks.0.2", "head"}
    for row in rows:
        packed = accelsim.compress(float_trace(model, images), {row["layer"]: row["format"]})
        changed = copy.deepcopy(model)
        module = dict(changed.named_modules())[row["layer"]]
        with torch.no_grad():
            module.weight.copy_(torch.tensor(packed.weights(row["layer"]).T.copy()).reshape(module.weight.shape))
        error = ((outputs(changed, images) - reference) ** 2).sum() / (reference**2).sum()
        assert row["error"] == pytest.approx(error, rel=1e-3, abs=1e-9)  # PyTorch computes in float32


def float_trace(model, images) -> accelsim.Trace:
    return accelsim.import_model(torch.export.export(copy.deepcopy(model).eval(), (images[:1],)), name="again")


def test_the_recipe_is_fine_tuned_and_exported():
    model, (images, labels) = tiny_network(), tiny_data()
    free = finetune.choose_formats(model, CHIP, FORMATS, images[:16])
    slow = max(free.choices()["milliseconds"])
    found = finetune.choose_formats(model, CHIP, FORMATS, images[:16], milliseconds=0.99 * slow, name="tiny")
    finetune.prepare(model, found.recipe)
    finetune.finetune(model, images, labels, settings=finetune.Settings(epochs=1))
    trace = finetune.export(model, images[:1], name="tuned")
    formats = {layer.name: layer.weight.format for layer in trace.record.weighted_layers()}
    assert formats == {layer.name: layer.weight.format for layer in found.trace.record.weighted_layers()}
    assert accelsim.simulate(found.accelerator, trace).cycles == found.result.cycles  # no banks: values cost no time


def test_a_tuned_model_is_chosen_for_the_weights_that_it_has_now():
    model, images = tiny_network(), tiny_data()[0][:8]
    finetune.prepare(model, recipe_of_layers("uniform:bits=4", ["stem", "blocks.0.0", "blocks.0.2", "head"]))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = finetune.choose_formats(model, CHIP, ["uniform:bits=4", "uniform:bits=2"], images)
    assert set(found.formats.values()) == {"uniform:bits=4"}
    assert found.record.mix.error == pytest.approx(0, abs=1e-9)  # they are multiples of their scales already
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
