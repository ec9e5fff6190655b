"""A trained network, imported and compressed: accuracies before and after, on images that it never saw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.recipe import make_recipe
from accelsim.functional import check_functional
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace, save_trace

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from notebooks.examples import digits_vit

    data = digits_vit.digits()
    network = digits_vit.train(data)
    source = digits_vit.to_trace(network, tmp_path_factory.mktemp("digits"))
    return {"module": digits_vit, "data": data, "network": network, "source": source}


@pytest.fixture(scope="module")
def measured(trained: dict[str, Any]) -> dict[str, Any]:
    found = trained["module"].measure(trained["network"], trained["data"], trained["source"])
    return {item.format: item for item in found}


def test_the_imported_weights_are_the_networks_own(trained: dict[str, Any]) -> None:
    network, copy = trained["network"], trained["module"].with_weights(trained["network"], trained["source"])
    for name, parameter in network.state_dict().items():
        np.testing.assert_array_equal(copy.state_dict()[name].numpy(), parameter.numpy())
    assert trained["source"].manifest.source.kind == "checkpoint"
    assert trained["source"].parameters == sum(item.numel() for item in network.parameters())


def test_the_network_names_digits_that_it_never_saw(measured: dict[str, Any]) -> None:
    assert measured["float32"].accuracy > 0.93


def test_eight_bits_cost_no_accuracy_and_four_hardly_any(measured: dict[str, Any]) -> None:
    before = measured["float32"].accuracy
    assert abs(measured["uniform:bits=8"].accuracy - before) <= 0.01
    for text in ("uniform:bits=4", "vecq:bits=4"):
        assert measured[text].accuracy > before - 0.05


def test_fewer_bits_move_the_weights_further(measured: dict[str, Any]) -> None:
    for texts in (
        ("uniform:bits=8", "uniform:bits=4"),
        ("vecq:bits=4", "vecq:bits=3", "vecq:bits=2"),
        ("ssvq:k=256,d=8", "ssvq:k=16,d=8"),
    ):
        errors = [measured[text].relative_mse for text in texts]
        assert errors == sorted(errors)
    for item in measured.values():
        assert item.accuracy > 0.2  # twice chance: every format keeps something


def test_the_bits_are_counted_both_ways(measured: dict[str, Any]) -> None:
    # 24 matrices in 4 blocks: 16 of 64 x 64 and 8 of 64 x 128, 131,072 weights, each with a codebook of 16 x 8 int8 and a scale
    item = measured["ssvq:k=16,d=8"]
    assert item.paper_bits_per_weight == 1.5
    assert item.stored_bits_per_weight == pytest.approx(1.5 + 24 * (16 * 8 * 8 + 32) / 131_072)


def test_a_trace_keeps_the_accuracy_that_was_measured_and_runs_bit_for_bit(measured: dict[str, Any], tmp_path: Path) -> None:
    item = measured["vq:k=256,d=4"]
    save_trace(item.trace, tmp_path / "t")
    trace = load_trace(tmp_path / "t")
    assert trace.manifest.metrics["top1_accuracy"] == pytest.approx(item.accuracy)
    assert trace.manifest.metrics["top1_accuracy_float32"] == pytest.approx(measured["float32"].accuracy)
    chip = load_accelerator("mcu-16x16", codebook_overrides(load_accelerator("mcu-16x16"), trace))
    assert check_functional(chip, trace).ok
    assert simulate(chip, trace).total_cycles > 0


def test_the_gradient_of_a_sign_is_that_of_the_weight_times_the_codeword(trained: dict[str, Any]) -> None:
    from notebooks.examples import fine_tune

    packed, _ = compress_trace(trained["source"], make_recipe("ssvq:k=16,d=8"))
    name = "vit.layers.0.mlp.fc1"
    coded = fine_tune.Coded(packed, name, trained["module"].weights_of(trained["source"], name))
    np.testing.assert_allclose(coded().detach().numpy().T, trained["module"].weights_of(packed, name), rtol=1e-6)
    upstream = torch.randn(coded().shape, generator=torch.Generator().manual_seed(0))
    coded().backward(upstream)
    codewords = np.abs(trained["module"].weights_of(packed, name))
    np.testing.assert_allclose(coded.latent.grad.numpy(), upstream.numpy().T * codewords, rtol=1e-5)


@pytest.mark.parametrize("text", ["ssvq:k=16,d=8", "vq:k=64,d=4"])
def test_fine_tuning_brings_accuracy_back_in_the_same_bits(trained: dict[str, Any], text: str) -> None:
    from notebooks.examples import fine_tune

    module, network, data = trained["module"], trained["network"], trained["data"]
    packed, _ = compress_trace(trained["source"], make_recipe(text))
    tuned = fine_tune.fine_tune(network, trained["source"], packed, data, epochs=4)
    before, after = (module.accuracy(module.with_weights(network, trace), data) for trace in (packed, tuned))
    assert after > max(0.9, before + 0.1)
    assert {layer.name: layer.weight.bytes for layer in tuned.weighted_layers()} == {
        layer.name: layer.weight.bytes for layer in packed.weighted_layers()
    }
    tuned.verify_payload()
