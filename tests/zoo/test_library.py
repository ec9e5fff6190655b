"""Networks that transformers defines, small and with random weights: they import, compute PyTorch's values, and run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.trace import save_trace
from tests import naive_graph

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch
T: Any = transformers
EPSILON = 1e-5

# A network, the shape of its input, and operations that it must have.
NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...], dict[str, int]]] = {
    "Swin": (
        lambda: T.SwinModel(T.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4)),
        (1, 3, 32, 32), {"concat": 7, "softmax": 3},
    ),
    "BEiT": (
        lambda: T.BeitModel(
            T.BeitConfig(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
                         use_relative_position_bias=True)
        ),
        (1, 3, 32, 32), {"softmax": 1},
    ),
    "SegFormer": (
        lambda: T.SegformerForSemanticSegmentation(
            T.SegformerConfig(depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 12], num_encoder_blocks=2, patch_sizes=[7, 3],
                              strides=[4, 2],
                              num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=10, num_labels=3)
        ),
        (1, 3, 32, 32), {"resize": 1, "concat": 1},
    ),
    "PoolFormer": (
        lambda: T.PoolFormerModel(T.PoolFormerConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1])), (1, 3, 32, 32), {"groupnorm": 8},
    ),
    "RegNetY": (
        lambda: T.RegNetForImageClassification(
            T.RegNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], groups_width=4, num_labels=5)
        ),
        (1, 3, 32, 32), {"multiply": 3, "sigmoid": 3},
    ),
    "MobileViT": (
        lambda: T.MobileViTModel(
            T.MobileViTConfig(image_size=64, hidden_sizes=[8, 12, 16], neck_hidden_sizes=[4, 8, 8, 8, 8, 8, 16], num_attention_heads=2),
            expand_output=False,
        ),
        (1, 3, 64, 64), {"concat": 3},
    ),
    "LeViT": (
        lambda: T.LevitForImageClassification(
            T.LevitConfig(image_size=64, hidden_sizes=[16, 24, 32], num_attention_heads=[2, 3, 4], depths=[1, 1, 1], key_dim=[4, 4, 4],
                          down_ops=[["Subsample", 4, 4, 2, 2, 2], ["Subsample", 4, 6, 2, 2, 2]], num_labels=5)
        ),
        (1, 3, 64, 64), {},
    ),
    "wav2vec 2.0": (
        lambda: T.Wav2Vec2Model(
            T.Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, conv_dim=(8, 8),
                             conv_stride=(5, 2), conv_kernel=(10, 3), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2)
        ),
        (1, 200), {"groupnorm": 1},
    ),
    "Whisper's encoder": (
        lambda: T.WhisperModel(
            T.WhisperConfig(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=24, decoder_layers=1,
                            decoder_attention_heads=2, decoder_ffn_dim=24, num_mel_bins=6, max_source_positions=20, vocab_size=50,
                            pad_token_id=0,
                            bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)
        ).encoder,
        (1, 6, 40), {"gelu": 3},
    ),
}  # fmt: skip


def randomized(network: Any) -> Any:
    """Every parameter and running statistic random, and one epsilon: nothing is left at 0 or 1, which would hide an error."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(2, parameter[0].numel()) ** 0.5)
        for module in network.modules():
            if hasattr(module, "running_var") and module.running_var is not None:
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
            elif hasattr(module, "eps"):
                module.eps = EPSILON
    return network.eval()


class Answer(torch.nn.Module):
    """The first tensor of a network's answer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        answer = self.network(x)
        return answer.logits if "logits" in answer else answer[0]


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # LeViT keeps its biases beside its buffers
@pytest.mark.parametrize("name", NETWORKS)
def test_a_library_s_network_computes_what_pytorch_computes_and_runs(name: str, tmp_path: Path) -> None:
    make, shape, operations = NETWORKS[name]
    torch.manual_seed(2)
    network = Answer(randomized(make()))
    torch.export.save(torch.export.export(network, (torch.zeros(*shape),)), tmp_path / "m.pt2")
    trace = import_model(str(tmp_path / "m.pt2"))
    given = torch.randn(*shape)
    with torch.no_grad():
        expected = network(given)[0].numpy()
    source = trace.manifest.inputs[0]
    (found,) = naive_graph.run_float(trace, {source.name: given.numpy().reshape(source.shape.dims)}, EPSILON)[trace.manifest.outputs[0]]
    wanted = expected.reshape(expected.shape[0], -1).T if expected.ndim == 3 else expected
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    count = Counter(layer.op for layer in trace.layers)
    assert {op: count[op] for op in operations} == operations
    save_trace(trace, tmp_path / "float")
    assert simulate(load_accelerator("edge-64x64"), open_trace(f"{tmp_path / 'float'}@uniform:bits=8")).macs == trace.macs
