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


class Bare(torch.nn.Module):
    """A matrix that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(8, 8)
        self.matrix = torch.nn.Parameter(torch.randn(8, 8))

    def forward(self, tokens: Any) -> Any:
        return torch.nn.functional.linear(self.first(tokens), self.matrix)


class Twice(torch.nn.Module):
    """A layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, tokens: Any) -> Any:
        return self.second(torch.relu(self.first(torch.relu(self.first(tokens)))))


class Scaled(torch.nn.Module):
    """A learned scale of one feature that starts at 1, whose product with the weights the importer stores."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scale = torch.nn.Linear(8, 8), torch.nn.Parameter(torch.ones(()))

    def forward(self, tokens: Any) -> Any:
        return torch.nn.functional.linear(tokens, self.first.weight * self.scale)


class Branching(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(8, 8)

    def forward(self, tokens: Any) -> Any:
        return self.first(tokens) if tokens.sum() > 0 else -self.first(tokens)


class Attention(torch.nn.Module):
    """Queries, keys and values of one matrix, which the importer parts."""

    def __init__(self) -> None:
        super().__init__()
        self.merged, self.out = torch.nn.Linear(8, 24), torch.nn.Linear(8, 4)

    def forward(self, tokens: Any) -> Any:
        return self.out(torch.nn.functional.scaled_dot_product_attention(*self.merged(tokens).split(8, dim=-1)))


REFUSED = (
    (Bare, accelsim.errors.TraceError, "of the trace is no prepared module; allowed"),
    (Twice, accelsim.errors.TraceError, "layer 'first_1' of the trace is no prepared module; allowed: .* each used once; prepared"),
    (Branching, accelsim.errors.ImportModelError, r"torch\.export cannot export Branching on an example of torch\.float32 \[1, 3, 8\]: "),
)


@pytest.mark.parametrize(("kind", "error", "text"), REFUSED)
def test_what_export_refuses_is_refused_by_the_same_sentence_before_training(kind: Any, error: type[Exception], text: str) -> None:
    from accelsim.finetune import export, finetune, prepare

    inputs = torch.ones(4, 3, 8)
    model = kind()
    before = list(model.state_dict())
    with pytest.raises(error, match=text) as early:
        prepare(model, "uniform:bits=4", example=inputs[:1])
    assert list(model.state_dict()) == before
    prepared = prepare(model, "uniform:bits=4")
    with pytest.raises(error, match=text) as late:
        export(prepared, inputs[:1])
    with pytest.raises(error, match=text) as at_the_start:
        finetune(prepared, inputs, inputs, loss=lambda *_: pytest.fail("a step was done"))
    assert str(early.value) == str(late.value) == str(at_the_start.value)


def test_a_scale_that_training_would_move_into_the_weights_is_found_before_it() -> None:
    """It starts at 1, where the stored product still is the weight."""
    from accelsim.finetune import finetune, prepare

    text = "layer 'first': the importer changes its weights|of the trace is no prepared module"
    with pytest.raises(TraceError, match=text):
        prepare(Scaled(), "uniform:bits=4", example=torch.zeros(1, 3, 8))
    with pytest.raises(TraceError, match=text):
        finetune(prepare(Scaled(), "uniform:bits=4"), torch.zeros(4, 3, 8), torch.zeros(4), loss=lambda *_: pytest.fail("a step was done"))


def test_the_dry_run_can_be_left_out_for_inputs_that_only_the_loss_understands() -> None:
    from accelsim.finetune import Settings, finetune, prepare

    model = prepare(torch.nn.Sequential(torch.nn.Linear(8, 8)), "uniform:bits=4", layers="*")
    places, vectors = torch.arange(4), torch.randn(4, 8)
    done = finetune(
        model,
        places,
        places,
        settings=Settings(epochs=1),
        loss=lambda model, inputs, targets: model(vectors[inputs]).square().mean(),
        check_export=False,
    )
    assert done.step == 1


def normed() -> Any:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 2, bias=False), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 2))
    model[1].running_var.uniform_(0.5, 4.0)
    model[1].running_mean.uniform_(-1.0, 1.0)
    with torch.no_grad():
        model[1].weight.uniform_(0.5, 2.0)
        model[1].bias.uniform_(-1.0, 1.0)
    return model.eval()


def test_a_batch_norm_needs_an_example() -> None:
    from accelsim.finetune import prepare

    with pytest.raises(accelsim.errors.ConfigError, match=r"layer '1' is a batch norm, .*; allowed: with `example`"):
        prepare(normed(), "uniform:bits=4")


def test_a_batch_norm_is_folded_into_the_weights_before_they_are_encoded() -> None:
    """y = (W x - mean) / sqrt(var + eps) * gamma + beta: W is scaled by gamma / sqrt(var + eps), and 16 bits hold it to 1e-4."""
    from accelsim.finetune import export, prepare

    model, images = normed(), torch.randn(5, 1, 4, 4)
    meant, weight, norm = model(images).detach(), model[0].weight.detach().clone(), model[1]
    prepare(model, "uniform:bits=16", example=images[:1])
    assert isinstance(model[1], torch.nn.Identity)
    factor = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(model[0].weight.detach(), weight * factor[:, None, None, None], rtol=0, atol=1e-4)
    torch.testing.assert_close(model[0].bias.detach(), norm.bias.detach() - norm.running_mean * factor)
    torch.testing.assert_close(model(images).detach(), meant, rtol=0, atol=1e-3)
    trace = export(model, images[:1])
    assert [layer.name for layer in trace.record.weighted_layers()] == ["0", "3"]


def test_a_batch_norm_that_follows_no_layer_stays_and_is_exported() -> None:
    from accelsim.finetune import export, prepare

    model = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 8, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 2)).eval()
    prepare(model, "uniform:bits=8", example=torch.randn(1, 1, 4, 4))
    assert isinstance(model[0], torch.nn.BatchNorm2d)
    assert len(export(model, torch.randn(1, 1, 4, 4)).record.weighted_layers()) == 2


@pytest.mark.parametrize("recipe", ["uniform:bits=4", "vq:k=8,d=4", "ssvq:k=4,d=4,axis=1,scale=channel", "int_group:bits=4,group=8"])
def test_the_parts_of_a_merged_projection_take_their_columns_of_its_arrays(recipe: str) -> None:
    from accelsim.finetune import export, prepare, prepared_layers

    torch.manual_seed(0)
    model = prepare(Attention(), recipe, layers="*", example=torch.randn(1, 3, 8))
    trace = export(model, torch.randn(1, 3, 8)).record
    assert [layer.name for layer in trace.weighted_layers()] == ["merged[0:8]", "merged[8:16]", "merged[16:24]", "out"]
    whole = prepared_layers(model)[0].module.weight.detach().numpy().T
    for place, layer in enumerate(trace.weighted_layers()[:3]):
        stored = layer.weight.format.reconstruct(trace.arrays(layer.name), layer.weight.k, layer.weight.n).astype(np.float32)
        np.testing.assert_array_equal(stored, whole[:, 8 * place : 8 * place + 8])


def test_parts_that_begin_within_a_codeword_are_refused() -> None:
    from accelsim.finetune import prepare

    with pytest.raises(accelsim.errors.FormatError, match=r"layer 'merged\[0:8\]', a part of 'merged' that runs by itself: vq: d=3"):
        prepare(Attention(), "vq:k=8,d=3", layers="merged", example=torch.randn(1, 3, 8))


def test_a_one_dimensional_convolution_is_exported() -> None:
    from accelsim.finetune import export, prepare

    model = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3), torch.nn.ReLU(), torch.nn.Conv1d(8, 4, 3)).eval()
    inputs = torch.randn(1, 4, 12)
    trace = export(prepare(model, "uniform:bits=4", example=inputs), inputs)
    assert [layer.name for layer in trace.record.weighted_layers()] == ["0", "2"]


def test_language_models_of_transformers_are_exported_with_their_cache_and_conv1d() -> None:
    """GPT-2's matrices are [inputs, outputs], its embedding is the output layer's weight, and both models return a cache."""
    transformers = pytest.importorskip("transformers")
    from accelsim.finetune import export, prepare, prepared_layers

    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "num_attention_heads": 2, "use_cache": True}
    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=16, vocab_size=64))
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_key_value_heads=2, **sizes)
    )
    tokens = torch.arange(8)[None]
    for model in (gpt.eval(), llama.eval()):
        exact = {name: item.detach().clone() for name, item in model.state_dict().items()}
        prepare(model, "uniform:bits=12", layers="*", example=tokens)
        for layer in prepared_layers(model):
            torch.testing.assert_close(layer.module.weight.detach(), exact[f"{layer.name}.weight"], rtol=0, atol=1e-3)
        trace = export(model, tokens)
        names = [layer.name for layer in trace.record.weighted_layers()]
        assert any(name.endswith(("c_attn[32:64]", "k_proj")) for name in names)
        assert len({name.partition("[")[0] for name in names}) == len(prepared_layers(model))


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
