"""Small networks of the zoo import with PyTorch's own counts, compute its values and run; `make zoo` surveys all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

from tests.zoo.survey import NETWORKS, surveyed  # noqa: E402  # after the checks that PyTorch and transformers are there

# One or two of each kind that is imported in a way of its own; the others differ in sizes and order.
KINDS = (
    "DINOv2 with registers", "BEiT", "SigLIP vision", "YOLOS", "ViTDet", "DPT",
    "Swin", "Swinv2", "Hiera", "FocalNet", "CvT", "PVT", "SegFormer", "PoolFormer", "LeViT", "SwiftFormer", "MobileViT", "MobileViTv2",
    "ConvNeXtV2", "RegNetY", "EfficientNet", "TextNet", "UperNet on Swin",
    "ALBERT", "RoBERTa", "GLPN", "SqueezeBERT", "T5's encoder", "BART's encoder", "GPT-2", "BLOOM",
    "MPNet", "MobileBERT", "DeBERTa", "ConvBERT", "RoFormer", "Funnel", "FNet", "Falcon", "XGLM", "CodeGen",
    "Wav2Vec2", "WavLM", "SEW", "Whisper's encoder", "ViViT", "TimeSformer", "Mamba", "DAC's encoder",
    "LSTM tagger", "GRU tagger", "nn.TransformerEncoderLayer", "nn.TransformerDecoderLayer",
    "MLPerf Tiny: keyword spotting", "MLPerf Tiny: anomaly detection", "diffusion U-Net block",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # LeViT and recurrent layers keep tensors beside their buffers
@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")  # PyTorch's exporter calls what PyTorch deprecates
@pytest.mark.parametrize("name", KINDS)
def test_a_small_network_has_pytorchs_counts_and_values_and_runs(name: str, tmp_path: Path) -> None:
    row = surveyed(name, published=False, folder=tmp_path)
    assert row.values is not None
    assert row.values < 1e-5
    assert row.macs == row.expected
    assert row.runs[0] == "runs"


def test_the_zoo_has_the_kinds() -> None:
    assert set(KINDS) <= set(NETWORKS)
