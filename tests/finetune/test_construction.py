"""VQ4ALL: candidates, ratios, progressive construction, and one codebook for several networks, by cases worked by hand and slow twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.errors import ConfigError, FormatError
from tests.finetune.test_quantizers import INPUTS, OUTPUTS, moved, prepared, universal_twin

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

RECIPES = ("universal_vq:k=9,d=4", "universal_vq:k=7,d=3,axis=1", "universal_vq:k=3,d=2")


@pytest.mark.parametrize("text", RECIPES)
def test_the_candidates_are_the_nearest_codewords_of_the_float_subvector(text: str) -> None:
    torch.manual_seed(3)
    exact = torch.nn.Linear(INPUTS, OUTPUTS).weight.detach().numpy().T.astype(np.float64)
    layer = prepared(text)
    spec, scale = layer.quantizer.spec, float(layer.quantizer.scale)
    codebook, candidates = layer.quantizer.codebook.numpy().astype(np.float64), layer.quantizer.candidates.numpy()
    assert candidates.shape[-1] == min(4, spec.k)
    for place in np.ndindex(candidates.shape[:-1]):
        row, column = place
        point = exact[row, column * spec.d : (column + 1) * spec.d] if spec.axis == 0 else exact[row * spec.d : (row + 1) * spec.d, column]
        distances = [float(((point / scale - codeword) ** 2).sum()) for codeword in codebook]
        found = [distances[index] for index in candidates[place]]
        np.testing.assert_allclose(found, sorted(distances)[: len(found)], rtol=1e-5)


def test_of_equally_near_codewords_the_encoders_is_the_first_candidate() -> None:
    layer = prepared("universal_vq:k=9,d=4")
    arrays = layer.arrays()
    alike = {**arrays, "codebook": np.repeat(arrays["codebook"][:1], 9, axis=0), "indices": np.full_like(arrays["indices"], 7)}
    layer.quantizer.start(np.ones((INPUTS, OUTPUTS), np.float32), alike)
    assert (layer.quantizer.candidates[..., 0] == 7).all()


@pytest.mark.parametrize("text", RECIPES)
def test_in_training_a_subvector_is_the_sum_of_its_candidates_under_a_softmax(text: str) -> None:
    layer = moved(prepared(text))
    layer.quantizer.train()
    np.testing.assert_allclose(layer.module.weight.detach().numpy(), universal_twin(layer, hard=False), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("text", RECIPES)
def test_the_gradient_of_a_ratio_is_that_of_the_slow_twin_by_finite_differences(text: str) -> None:
    layer, upstream = moved(prepared(text)), torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(1))
    layer.quantizer.train()
    (layer.module.weight * upstream).sum().backward()
    (logits,) = layer.parts
    gradient, start = logits.grad.clone(), logits.detach().double().clone()
    for place in np.ndindex(tuple(start.shape)):
        values = []
        for move in (1e-4, -1e-4):
            logits.data = start.clone()
            logits.data[place] += move
            values.append(float((universal_twin(layer, hard=False, dtype=np.float64) * upstream.numpy()).sum()))
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-3, abs=1e-6)


def test_the_regularizer_is_zero_for_decided_ratios_and_largest_for_equal_ones() -> None:
    layer = prepared("universal_vq:k=9,d=4")
    # four equal ratios: 4 * (1/4 * 3/4)
    assert float(layer.quantizer.penalty(*layer.parts).detach()) == pytest.approx(0.75)
    with torch.no_grad():
        layer.parts[0][..., 1] = 100.0
    assert float(layer.quantizer.penalty(*layer.parts).detach()) == pytest.approx(0.0, abs=1e-6)


def construct(layer: Any, alpha: float | None) -> None:
    from accelsim.finetune import Settings

    assert layer.quantizer.after_step(layer.parts, 1, 1, Settings(alpha=alpha)) == 0


def test_a_subvector_whose_largest_ratio_exceeds_alpha_keeps_that_codeword() -> None:
    """Logits (log 27, 0, 0, 0) are ratios of 0.9 and three times 1/30."""
    layer = prepared("universal_vq:k=9,d=4")
    layer.quantizer.train()
    with torch.no_grad():
        layer.parts[0][2, 1, 3] = float(np.log(27))
    construct(layer, None)
    construct(layer, 0.91)
    assert not layer.quantizer.frozen.any()
    construct(layer, 0.89)
    assert layer.quantizer.frozen.sum() == 1
    with torch.no_grad():
        layer.parts[0][2, 1] = torch.tensor([9.0, 0.0, 0.0, 0.0])  # the ratios no longer matter
    codeword = layer.quantizer.codebook[layer.quantizer.candidates[2, 1, 3]].float() * layer.quantizer.scale
    assert torch.equal(layer.module.weight[4:8, 2], codeword)
    assert layer.arrays()["indices"][2, 1] == layer.quantizer.candidates[2, 1, 3]
    layer.module.weight.square().sum().backward()
    assert not layer.parts[0].grad[2, 1].any()
    assert layer.parts[0].grad[2, 0].any()
    construct(layer, 0.5)
    assert layer.quantizer.chosen[2, 1] == 3


def network(seed: int) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(INPUTS, 16), torch.nn.Linear(16, OUTPUTS))


def codebook_of(model: Any) -> Any:
    from accelsim.finetune import prepared_layers

    first, second = (layer.quantizer.codebook for layer in prepared_layers(model))
    assert torch.equal(first, second)
    return first


def test_networks_share_one_codebook_whichever_of_them_is_prepared() -> None:
    from accelsim.finetune import prepare

    text = "universal_vq:k=12,d=4"
    one = codebook_of(prepare(network(1), text, layers="*", companions=(network(2), network(3))))
    two = codebook_of(prepare(network(2), text, layers="*", companions=(network(3), network(1))))
    alone = codebook_of(prepare(network(1), text, layers="*"))
    assert torch.equal(one, two)
    assert not torch.equal(one, alone)


def test_companions_that_share_nothing_or_are_no_longer_float_are_refused() -> None:
    from accelsim.finetune import prepare

    with pytest.raises(FormatError, match="the companions share nothing"):
        prepare(network(1), "vq:k=4,d=4", layers="*", companions=(network(2),))
    tuned = prepare(network(2), "universal_vq:k=4,d=4", layers="*")
    with pytest.raises(ConfigError, match="has a parametrization already"):
        prepare(network(1), "universal_vq:k=4,d=4", layers="*", companions=(tuned,))
