"""Arrays that come back from fine-tuning: packed in the same formats, checked as any, and nothing else of the trace changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.compression.repack import repack
from accelsim.errors import AccelsimError, TraceError
from accelsim.trace.trace import load_trace, save_trace

TRACES = Path(__file__).parents[2] / "traces"
NAME = "vit.layers.0.mlp.fc1"


def test_a_layer_holds_the_new_bits_and_the_others_their_own(tmp_path: Path) -> None:
    packed = load_trace(TRACES / "tiny_vit_ssvq")
    arrays = dict(packed.arrays(NAME))
    arrays["signs"] = 1 - arrays["signs"]
    found = repack(packed, {NAME: arrays}, "signs flipped")
    save_trace(found, tmp_path / "t")
    found = load_trace(tmp_path / "t")
    found.verify_payload()
    for layer in packed.weighted_layers():
        before = packed.weights(layer.name)
        np.testing.assert_array_equal(found.weights(layer.name), -before if layer.name == NAME else before)
        assert found.layer(layer.name).weight.format == layer.weight.format  # type: ignore[union-attr]
    assert found.manifest.notes == (*packed.manifest.notes, "signs flipped")
    assert (found.manifest.metrics, bool(packed.manifest.metrics)) == ({}, True)  # they were measured on other weights
    assert found.sha256 != packed.sha256


def test_what_does_not_fit_the_format_is_one_message() -> None:
    packed = load_trace(TRACES / "tiny_vit_ssvq")
    good = packed.arrays(NAME)
    wrong = [
        ({NAME: {**good, "indices": good["indices"][1:]}}, f"layer '{NAME}': ssvq stream 'indices': shape"),
        ({NAME: {**good, "codebook": -good["codebook"]}}, "is negative; allowed: magnitudes"),
        ({NAME: {"indices": good["indices"]}}, "needs the streams"),
        ({NAME: {**good, "scales": np.array([np.nan], np.float32)}}, "not a positive finite number"),
        ({"vit.layers.0.mlp.fc3": good}, "has no layer 'vit.layers.0.mlp.fc3'; did you mean"),
        ({"vit.layers.0.add_1": good}, "it has no weights to replace"),
    ]
    for arrays, message in wrong:
        with pytest.raises(AccelsimError) as caught:
            repack(packed, arrays, "")
        assert message in str(caught.value)
    with pytest.raises(TraceError, match="has no payload"):
        repack(load_trace(TRACES / "deit_tiny_int8"), {}, "")


def test_a_codebook_that_layers_share_is_not_changed_for_one_of_them() -> None:
    packed, _ = compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("universal_vq:k=32,d=8"))
    arrays = packed.arrays(NAME)
    with pytest.raises(TraceError, match="is described differently by another layer"):
        repack(packed, {NAME: {**arrays, "codebook": -arrays["codebook"]}}, "")
