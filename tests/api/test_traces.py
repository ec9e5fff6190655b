"""Traces of the face: dequantized weights, models in, compressed traces out."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim

SOURCE = "tiny_vit_float"


def test_weights_are_integers_times_scales():
    trace = accelsim.load_trace("tiny_vit_int8")
    name = trace.weighted_layers[0]
    found = trace.weights(name)
    arrays = trace.record.arrays(name)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, arrays["weights"].astype(np.float64) * arrays["scales"], rtol=1e-6)


def test_weights_of_codewords_are_looked_up_signed_and_scaled():
    trace = accelsim.load_trace("tiny_vit_ssvq")
    record = next(layer for layer in trace.record.weighted_layers() if layer.weight.format.kind == "ssvq")
    arrays = trace.record.arrays(record.name)
    assert trace.weights(record.name).shape == (record.weight.k, record.weight.n)
    levels = np.abs(trace.weights(record.name) / arrays["scales"])
    known = np.unique(np.abs(arrays["codebook"]))
    assert np.abs(levels[..., None] - known).min(axis=-1).max() < 1e-3


def test_weights_of_shapes_alone_are_refused():
    shapes = accelsim.load_trace(f"{SOURCE}@ssvq:k=16,d=8")
    with pytest.raises(accelsim.AccelsimError, match="has no payload"):
        shapes.weights(shapes.weighted_layers[0])


def test_a_seeded_trace_gets_its_bits_again():
    source = accelsim.compress(SOURCE, "uniform:bits=8", payload=False, out=None)
    assert source.regenerate().weights(source.weighted_layers[0]).any()


def test_compressing_says_bits_and_errors_and_brings_back_the_weights(tmp_path):
    packed = accelsim.compress(SOURCE, "vecq:bits=3", out=tmp_path / "packed", seed=3)
    total = packed.compression()[-1]
    assert total["name"] == "total"
    assert 3 <= total["stored_bits_per_weight"] < 9
    again = accelsim.load_trace(tmp_path / "packed")
    assert again.record.sha256 == packed.record.sha256
    assert len(again.compression()) == 0
    name = packed.weighted_layers[1]
    np.testing.assert_array_equal(again.weights(name), packed.weights(name))


def test_a_mapping_gives_each_pattern_its_format():
    packed = accelsim.compress(SOURCE, {"*.[0-9]*.*": "vecq:bits=3"})
    kinds = {row["format"].partition(":")[0] for row in packed.compression()[:-1]}
    assert kinds == {"vecq", "uniform"}


def test_a_table_of_layers_is_imported_saved_and_inspected(tmp_path):
    file = tmp_path / "net.csv"
    file.write_text("Layer, M, N, K\nfirst, 4, 16, 8\nsecond, 4, 8, 16\n")
    trace = accelsim.import_model(file, seed=1)
    assert [layer.name for layer in trace.layers] == ["first", "second"]
    assert repr(trace.layers).startswith("<2 layers\n  first: gemm, output ")
    assert trace.macs == 4 * 16 * 8 * 2 == trace.inspect()["macs"]
    assert accelsim.load_trace(trace.save(tmp_path / "saved")).record.sha256 == trace.record.sha256


@pytest.mark.torch
def test_an_exported_program_is_imported_with_its_weights():
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(8, 4)).eval()
    program = torch.export.export(net, (torch.zeros(1, 2, 8),))
    trace = accelsim.import_model(program, name="tiny")
    assert (trace.name, trace.source) == ("tiny", "checkpoint")
    np.testing.assert_array_equal(trace.weights(trace.weighted_layers[0]), net[0].weight.detach().numpy().T)
