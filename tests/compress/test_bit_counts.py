"""Bits a weight, counted twice, against the packed streams themselves; ratios and metrics by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import TraceError
from accelsim.trace.trace import load_trace

TRACES = Path(__file__).parents[2] / "traces"
COUNTED_BY_PAPERS = {"weights", "indices", "signs", "masks"}
TEXTS = (
    "uniform:bits=3",
    "vecq:bits=5",
    "ssvq:k=11,d=8",
    "vq:k=20,d=4,axis=1",
    "universal_vq:k=100,d=8",
    "masked_vq:k=9,d=8,keep=3,of=8",
)


@pytest.mark.parametrize("text", TEXTS)
def test_both_counts_are_eight_times_the_packed_bytes_less_the_stated_padding(text: str) -> None:
    packed, report = compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe(text))
    paper = stored = 0
    for row in report.layers:
        layer = packed.layer(row.name)
        bytes_of = {name: packed.stream(row.name, name).size for name in layer.weight.streams}  # type: ignore[union-attr]
        if text.startswith("universal_vq") and row.format != "uniform":
            del bytes_of["codebook"]  # the chip's, not the layer's
        padding = {name: 8 * size - layer.weight.streams[name].bits for name, size in bytes_of.items()}  # type: ignore[union-attr]
        assert row.padding_bits == sum(padding.values())
        assert row.stored_bits == 8 * sum(bytes_of.values())
        assert row.paper_bits == sum(8 * bytes_of[name] - padding[name] for name in bytes_of if name in COUNTED_BY_PAPERS)
        assert all(0 <= bits < 8 for bits in padding.values())
        paper, stored = paper + row.paper_bits, stored + row.stored_bits
    assert (report.total.paper_bits, report.total.stored_bits) == (paper, stored)


def test_the_ratio_of_the_whole_model_counts_what_is_not_compressed() -> None:
    # uniform:bits=8 with one float32 scale an output channel; 2,074 other parameters: 538 biases and the layernorms' as float32,
    # a class token and 17 positions of 48 as int8.
    trace = load_trace(TRACES / "tiny_vit_float")
    _, report = compress_trace(trace, make_recipe("uniform:bits=8"))
    outputs = 48 + 2 * (4 * 48 + 96 + 48) + 10
    embedded = 48 + 17 * 48
    others = trace.parameters - 46_560
    assert report.total.weights == 46_560
    assert report.total.stored_bits == 8 * 46_560 + 32 * outputs
    assert report.other_bits == 32 * (others - embedded) + 8 * embedded
    assert report.whole_model_ratio == pytest.approx(32 * trace.parameters / (report.total.stored_bits + report.other_bits))
    assert report.compressed == report.compressed.__class__(**{**report.total.__dict__, "name": "compressed"})


def test_the_manifest_keeps_the_error_for_whoever_compares_models(tmp_path: Path) -> None:
    packed, report = compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("vecq:bits=3"), tmp_path / "t", payload=False)
    found = load_trace(tmp_path / "t").manifest.metrics
    assert found == packed.manifest.metrics
    assert found["relative_mse"] == pytest.approx(report.total.relative_mse, rel=1e-5)
    assert found["cosine"] == pytest.approx(report.total.cosine, rel=1e-5)
    assert set(found) == {"relative_mse", "cosine", "vector_loss", "paper_bits_per_weight", "stored_bits_per_weight"}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [('{"a b": 1.0}', "metrics"), ('{"a": "1"}', "metrics"), ('{"a": NaN}', "metrics"), ("[1]", "metrics"), ('{"a": 1e999}', "metrics")],
)
def test_metrics_are_finite_numbers_under_plain_names(tmp_path: Path, metrics: str, message: str) -> None:
    text = (TRACES / "tiny_vit_float" / "trace.json").read_text(encoding="utf-8")
    (tmp_path / "trace.json").write_text(text.replace('"notes": []', f'"metrics": {metrics}, "notes": []'), encoding="utf-8")
    with pytest.raises(TraceError, match=message):
        load_trace(tmp_path)
