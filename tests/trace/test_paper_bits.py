"""`accelsim inspect` counts bits as the papers of the formats do; the figures are worked from the papers' formulas, not from our code."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from accelsim.formats.catalog import parse_format
from accelsim.report.tables.trace import inspect_trace
from accelsim.trace.layers import GemmLayer, LoopBounds, TensorShape, WeightRecord
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace

TRACES = Path(__file__).parents[2] / "traces"
BLOCK_WEIGHTS = 12 * (4 * 192 * 192 + 2 * 192 * 768)  # 5,308,416 in q, k, v, projection, fc1 and fc2 of DeiT-tiny's 12 blocks


def deit_tiny(text: str) -> dict[str, Any]:
    """DeiT-tiny with the 72 matrices of its blocks in a format, as shapes alone: the row of that format in `accelsim inspect --json`."""
    manifest = load_trace(TRACES / "deit_tiny_float").manifest
    spec = parse_format(text)
    layers = tuple(
        layer.with_fields(weight=WeightRecord(format=spec, k=layer.weight.k, n=layer.weight.n))
        if isinstance(layer, GemmLayer) and fnmatchcase(layer.name, "vit.layers.*")
        else layer
        for layer in manifest.layers
    )
    fields = {name: getattr(manifest, name) for name in Manifest.model_fields}
    return row(Trace(Manifest(**{**fields, "layers": layers})), text)


def fused(text: str) -> dict[str, Any]:
    """The same blocks with q, k and v as one matrix of 192 x 576 each: 48 matrices."""
    layers = []
    for block in range(12):
        for name, k, n in (("qkv", 192, 576), ("proj", 192, 192), ("fc1", 192, 768), ("fc2", 768, 192)):
            record = WeightRecord(format=parse_format(text), k=k, n=n)
            bounds = LoopBounds(K=n, C=k, OX=197)
            output = TensorShape(rows=197, width=n)
            layers.append(GemmLayer(name=f"blocks.{block}.{name}", inputs=(f"x{k}",), output=output, bounds=bounds, weight=record))
    inputs = tuple(ModelInput(name=f"x{width}", shape=TensorShape(rows=197, width=width)) for width in (192, 768))
    manifest = Manifest(name="fused", source=seeded_source(0), inputs=inputs, outputs=(layers[-1].name,), layers=tuple(layers))
    return row(Trace(manifest), text)


def row(trace: Trace, text: str) -> dict[str, Any]:
    return next(item for item in inspect_trace(trace)["formats"] if item["format"] == text)


def test_ssvq_of_16_codewords_is_one_and_a_half_bits_and_21_times_smaller() -> None:
    # log2(16) / 8 + 1 sign. A codebook of 16 x 8 int8 and a float32 scale a matrix: 1056 bits.
    found = deit_tiny("ssvq:k=16,d=8")
    assert (found["matrices"], found["weights"], found["paper_bits_per_weight"]) == (72, BLOCK_WEIGHTS, 1.5)
    assert found["stored_bits"] == BLOCK_WEIGHTS * 3 // 2 + 72 * (16 * 8 * 8 + 32)
    assert round(found["stored_ratio"], 1) == 21.1
    assert round(fused("ssvq:k=16,d=8")["stored_ratio"], 1) == 21.2
    assert fused("ssvq:k=16,d=8")["weights"] == BLOCK_WEIGHTS


def test_ssvq_of_256_codewords_is_two_bits_and_its_codebooks_a_fifth_of_a_bit() -> None:
    # 8 / 8 + 1; 72 codebooks of 256 x 8 int8 are 0.2222 bits per weight more.
    found = deit_tiny("ssvq:k=256,d=8")
    assert found["paper_bits_per_weight"] == 2.0
    assert found["stored_bits_per_weight"] == pytest.approx(2 + 72 * (256 * 64 + 32) / BLOCK_WEIGHTS)
    assert round(found["stored_bits_per_weight"], 2) == 2.22
    assert round(found["stored_ratio"], 1) == 14.4


def test_other_points_of_ssvq() -> None:
    assert deit_tiny("ssvq:k=64,d=8")["paper_bits_per_weight"] == 1.75  # 6 / 8 + 1
    assert deit_tiny("ssvq:k=256,d=4")["paper_bits_per_weight"] == 3.0  # 8 / 4 + 1


@pytest.mark.parametrize("bits", range(2, 9))
def test_vecq_takes_its_bits_and_a_scale_a_layer(bits: int) -> None:
    found = deit_tiny(f"vecq:bits={bits}" if bits != 4 else "vecq")
    assert found["paper_bits_per_weight"] == bits
    assert found["stored_bits"] - found["paper_bits"] == 72 * 32


def test_mvq_takes_one_and_a_quarter_bits() -> None:
    # log2(512) / 16 for the index, ceil(log2 C(16, 4)) = ceil(log2 1820) = 11 bits for the mask of 16 weights.
    assert deit_tiny("masked_vq:k=512,d=16,keep=4,of=16")["paper_bits_per_weight"] == 9 / 16 + 11 / 16 == 1.25


def test_plain_vq_is_counted_as_mvq_counts_its_baseline() -> None:
    # CR = N_G*d*b_f / (b_a + b_c): b_a = ceil(log2 k) * N_G, b_c = k*d*8 a layer; the float32 scale is ours.
    found = deit_tiny("vq:k=1024,d=8")
    assert found["paper_bits_per_weight"] == 10 / 8
    assert found["stored_bits"] == BLOCK_WEIGHTS // 8 * 10 + 72 * (1024 * 8 * 8 + 32)


def test_a_universal_codebook_is_counted_in_no_layer() -> None:
    # VQ4ALL: CR = 32 d / log2 k.
    found = deit_tiny("universal_vq:k=65536,d=8")
    assert (found["paper_bits_per_weight"], found["paper_ratio"]) == (2.0, 16.0)
    assert found["chip_codebook_bits"] == 65536 * 8 * 8
    assert found["stored_bits"] - found["paper_bits"] == 72 * 32
