"""Each trainable weight: its forward pass equals a slow twin, its gradient is the one that its definition states."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from accelsim.compression.encoder import Matrix, encode, encode_with, layer_generator
from accelsim.compression.recipe import make_recipe
from accelsim.compression.shared_codebooks import shared_codebooks
from accelsim.registry import members

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

FORMATS = (
    *("uniform:bits=2", "uniform:bits=4,scale=tensor", "uniform:bits=8", "uniform:bits=12"),
    *("vq:k=6,d=4", "vq:k=5,d=3,axis=1", "vq:k=6,d=2,scale=channel", "vq:k=5,d=3,axis=1,scale=channel"),
    *("ssvq:k=6,d=4", "ssvq:k=5,d=3,axis=1", "ssvq:k=6,d=2,scale=channel", "ssvq:k=5,d=3,axis=1,scale=channel"),
    *("masked_vq:k=6,d=4,keep=1,of=2", "masked_vq:k=5,d=6,keep=2,of=3,axis=1"),
    *("int_group:bits=4,group=8", "int_group:bits=3,group=8,zero=1", "int_group:bits=2,group=12,minimum=1"),
    *("vecq:bits=2", "vecq:bits=5"),
    *("universal_vq:k=9,d=4", "universal_vq:k=7,d=3,axis=1", "universal_vq:k=3,d=2"),
)
FLOAT_KINDS = ("uniform", "int_group", "vecq")
CODED_KINDS = ("vq", "ssvq", "masked_vq")  # codewords learn
FLOAT = tuple(text for text in FORMATS if text.startswith(FLOAT_KINDS))
CODED = tuple(text for text in FORMATS if text.startswith(CODED_KINDS))
OUTPUTS, INPUTS = 8, 12


def prepared(text: str, seed: int = 3) -> Any:
    from accelsim.finetune import prepare, prepared_layers

    torch.manual_seed(seed)
    linear = torch.nn.Sequential(torch.nn.Linear(INPUTS, OUTPUTS))
    return prepared_layers(prepare(linear, text, layers="*").eval())[0]


def moved(layer: Any, seed: int = 5) -> Any:
    """The layer after a large random step of everything that learns, so that codewords, levels and signs have changed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in layer.parts:
            size = 1.0 if layer.quantizer.spec.kind == "universal_vq" else part.abs().mean()  # its logits start at 0
            part.add_(size * torch.randn(part.shape, generator=generator))
    return layer


def twin(layer: Any) -> np.ndarray:
    """The weights [N,K], element by element, in NumPy's float32, from the definition."""
    spec, parts = layer.quantizer.spec, [part.detach().numpy() for part in layer.parts]
    out = np.zeros((OUTPUTS, INPUTS), np.float32)
    if spec.kind == "uniform":
        (weights,) = parts
        top = np.float32(2 ** (spec.bits - 1) - 1)
        for n in range(OUTPUTS):
            column = weights[:, n] if spec.scale == "channel" else weights
            scale = max(abs(float(value)) for value in column.flat)
            scale = np.float32(scale) / top
            for k in range(INPUTS):
                out[n, k] = np.float32(round(float(weights[k, n] / scale))) * scale
        return out
    if spec.kind == "vecq":
        return vecq_twin(parts[0], spec.bits)
    if spec.kind == "int_group":
        return group_twin(parts[0], spec)
    if spec.kind == "universal_vq":
        return universal_twin(layer, hard=True)
    codewords = np.maximum(parts[0], 0) if spec.kind == "ssvq" else parts[0]
    indices = layer.quantizer.codebook.indices.numpy()
    unit = np.broadcast_to(layer.quantizer.codebook.unit.numpy(), (OUTPUTS,))
    step = np.float32(max(abs(value) for value in codewords.flat)) / np.float32(127)
    for n in range(OUTPUTS):
        scale = unit[n] * step
        for k in range(INPUTS):
            index, lane = (indices[k, n // spec.d], n % spec.d) if spec.axis == 0 else (indices[k // spec.d, n], k % spec.d)
            out[n, k] = np.float32(round(float(codewords[index, lane] / step))) * scale
            if spec.kind == "ssvq" and parts[1][k, n] < 0:
                out[n, k] = -out[n, k]
            if spec.kind == "masked_vq" and not kept(layer, k, n):
                out[n, k] = 0
    return out


def kept(layer: Any, k: int, n: int) -> bool:
    """Whether an N:M mask keeps a weight: its pattern is one of all of `keep` lanes, in the order of their bits as a number."""
    spec, masks = layer.quantizer.spec, layer.quantizer.masks.numpy()
    number, lane = (masks[k, n // spec.of], n % spec.of) if spec.axis == 0 else (masks[k // spec.of, n], k % spec.of)
    patterns = [bits for bits in range(2**spec.of) if bits.bit_count() == spec.keep]
    return bool(patterns[number] >> lane & 1)


def vecq_twin(weights: np.ndarray, bits: int) -> np.ndarray:
    """Steering, then driving (arXiv 2005.08501), weight by weight."""
    values = [float(value) for value in weights.flat]
    mean = math.fsum(values) / len(values)
    sigma = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    step = {2: 0.9957, 5: 0.1881}[bits] * sigma
    v = [round(min(max(value / step - 0.5, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)) + 0.5 for value in values]
    alpha = math.fsum(a * b for a, b in zip(values, v, strict=True)) / math.fsum(b * b for b in v)
    half = np.float32(alpha / 2)
    return np.array([np.float32(2 * b) * half for b in v], np.float32).reshape(weights.shape).T


def group_twin(weights: np.ndarray, spec: Any) -> np.ndarray:
    """Round to nearest in every group, scales in binary16, from the range of the group."""
    out = np.zeros((OUTPUTS, INPUTS), np.float32)
    for n in range(OUTPUTS):
        for first in range(0, INPUTS, spec.group):
            group = [float(value) for value in weights[first : first + spec.group, n]]
            low, high = min(group), max(group)
            if spec.minimum:
                base = float(np.float16(low))
                scale = float(np.float16((high - base) / (2**spec.bits - 1)))
                found = [base + scale * min(max(round((value - base) / scale), 0), 2**spec.bits - 1) for value in group]
            elif spec.zero:
                scale = float(np.float16((max(high, 0) - min(low, 0)) / (2**spec.bits - 1)))
                zero = round(-min(low, 0) / scale)
                found = [scale * (min(max(round(value / scale) + zero, 0), 2**spec.bits - 1) - zero) for value in group]
            else:
                top = 2 ** (spec.bits - 1) - 1
                scale = float(np.float16(max(-low, high) / top))
                found = [scale * min(max(round(value / scale), -top), top) for value in group]
            out[n, first : first + spec.group] = found
    return out


def universal_twin(layer: Any, hard: bool, dtype: type = np.float32) -> np.ndarray:
    """Each subvector as the sum of its candidates under a softmax, or as the candidate of the largest logit."""
    spec, logits = layer.quantizer.spec, layer.parts[0].detach().numpy().astype(np.float64)
    codebook, candidates, scale = (getattr(layer.quantizer, name).numpy() for name in ("codebook", "candidates", "scale"))
    out = np.zeros((OUTPUTS, INPUTS), dtype)
    for n in range(OUTPUTS):
        for k in range(INPUTS):
            place, lane = ((k, n // spec.d), n % spec.d) if spec.axis == 0 else ((k // spec.d, n), k % spec.d)
            shares = [math.exp(value) for value in logits[place]]
            if hard:
                shares = [float(value == max(shares)) for value in shares]
            mixed = sum(share * float(codebook[index, lane]) for share, index in zip(shares, candidates[place], strict=True))
            out[n, k] = dtype(mixed / sum(shares)) * dtype(scale[0])
    return out


def test_every_quantizer_of_the_folder_is_among_those_tested() -> None:
    assert set(members("accelsim.finetune.quantizers")) == {text.split(":")[0] for text in FORMATS}


@pytest.mark.parametrize("text", FORMATS)
def test_a_prepared_weight_is_its_post_training_encoding(text: str) -> None:
    torch.manual_seed(3)
    exact = torch.nn.Linear(INPUTS, OUTPUTS).weight.detach().numpy().T.copy()
    spec = make_recipe(text, "*").format_of("0")
    shared = shared_codebooks([[(spec, Matrix(INPUTS, OUTPUTS, lambda: exact))]], 0)
    arrays = encode_with(spec, exact, shared[spec]) if shared else encode(spec, exact, layer_generator(0, "0"))
    meant = spec.reconstruct(arrays, INPUTS, OUTPUTS)
    np.testing.assert_allclose(prepared(text).module.weight.detach().numpy().T, meant, rtol=3e-7)


@pytest.mark.parametrize("text", FORMATS)
def test_the_forward_pass_equals_a_slow_twin(text: str) -> None:
    layer = moved(prepared(text))
    np.testing.assert_array_equal(layer.module.weight.detach().numpy(), twin(layer))


@pytest.mark.parametrize("text", FORMATS)
def test_the_packed_streams_stand_for_the_forward_weight_bit_for_bit(text: str) -> None:
    layer = moved(prepared(text))
    spec = layer.quantizer.spec
    unpacked = spec.unpack(spec.pack(layer.arrays(), INPUTS, OUTPUTS), INPUTS, OUTPUTS)
    meant = spec.reconstruct(unpacked, INPUTS, OUTPUTS).astype(np.float32)
    assert layer.module.weight.detach().numpy().T.tobytes() == meant.tobytes()  # 0.0 is not -0.0


@pytest.mark.parametrize("text", FLOAT)
def test_the_gradient_of_a_float_weight_is_that_of_its_level(text: str) -> None:
    layer, upstream = moved(prepared(text)), torch.randn(OUTPUTS, INPUTS)
    layer.module.weight.backward(upstream)
    np.testing.assert_array_equal(layer.parts[0].grad.numpy(), upstream.numpy().T)


@pytest.mark.parametrize("text", CODED)
def test_the_gradient_of_a_codeword_is_that_of_the_unrounded_codebook_by_finite_differences(text: str) -> None:
    """The estimator passes rounding by, so the slope is that of sum(upstream * sign * unit * C[A]), in float64."""
    layer, upstream = prepared(text), torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(1))
    layer.module.weight.backward(upstream)
    spec, indices = layer.quantizer.spec, layer.quantizer.codebook.indices.numpy()
    unit = np.broadcast_to(layer.quantizer.codebook.unit.numpy().astype(np.float64), (OUTPUTS,))
    codewords = layer.parts[0].detach().numpy().astype(np.float64)

    def objective(book: np.ndarray) -> float:
        total = 0.0
        for n in range(OUTPUTS):
            for k in range(INPUTS):
                index, lane = (indices[k, n // spec.d], n % spec.d) if spec.axis == 0 else (indices[k // spec.d, n], k % spec.d)
                sign = -1.0 if spec.kind == "ssvq" and layer.parts[1][k, n] < 0 else 1.0
                if spec.kind == "masked_vq" and not kept(layer, k, n):
                    sign = 0.0
                total += float(upstream[n, k]) * sign * unit[n] * book[index, lane]
        return total

    for place in np.ndindex(codewords.shape):
        plus, minus = codewords.copy(), codewords.copy()
        plus[place] += 1e-3
        minus[place] -= 1e-3
        slope = (objective(plus) - objective(minus)) / 2e-3
        if spec.kind == "ssvq" and codewords[place] < 0:
            slope = 0.0
        assert float(layer.parts[0].grad[place]) == pytest.approx(slope, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("text", [text for text in CODED if text.startswith("ssvq")])
def test_the_gradient_of_a_latent_is_that_of_the_weight_times_the_codeword(text: str) -> None:
    layer, upstream = moved(prepared(text)), torch.randn(OUTPUTS, INPUTS)
    layer.module.weight.backward(upstream)
    np.testing.assert_array_equal(layer.parts[1].grad.numpy(), upstream.numpy().T * np.abs(twin(layer).T))


def test_a_negative_codeword_of_ssvq_is_zero_and_has_no_gradient() -> None:
    layer = prepared("ssvq:k=6,d=4")
    with torch.no_grad():
        layer.parts[0][2, 1] = -1.0
    layer.module.weight.sum().backward()
    assert layer.parts[0].grad[2, 1] == 0
    assert layer.arrays()["codebook"][2, 1] == 0


@pytest.mark.parametrize(
    "text", ["ssvq:k=6,d=4", "vq:k=6,d=4", "uniform:bits=4", "masked_vq:k=6,d=4,keep=1,of=2", "int_group:bits=4,group=8"]
)
def test_a_weight_of_zeros_keeps_a_positive_scale(text: str) -> None:
    layer = prepared(text)
    with torch.no_grad():
        for part in layer.parts:
            part.zero_()
    assert not layer.module.weight.any()
    layer.quantizer.spec.pack(layer.arrays(), INPUTS, OUTPUTS)


def test_a_convolution_is_coded_as_its_matrix_of_taps() -> None:
    from accelsim.finetune import prepare, prepared_layers

    torch.manual_seed(0)
    convolution = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 2))
    exact = convolution[0].weight.detach().clone()
    (layer,) = prepared_layers(prepare(convolution, "uniform:bits=12"))
    assert layer.module.weight.shape == (8, 3, 2, 2)
    assert layer.arrays()["weights"].shape == (12, 8)
    np.testing.assert_allclose(layer.module.weight.detach().numpy(), exact.numpy(), atol=1e-4)
