"""Folders of VPTQ: permuted inputs, outliers, residual codebooks, factors and biases of inputs, weight by weight and on a chip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.errors import ImportModelError
from accelsim.execution.network import execute
from accelsim.formats.catalog import parse_format
from accelsim.functional import check_functional
from accelsim.importers.import_model import import_model
from accelsim.trace.trace import Trace
from tests.importers import stored_quantization as written
from tests.importers.test_huggingface_quantized import CONFIG, LINEAR, folder, imported, meant

UP = "model.layers.0.mlp.up_proj"
SHAPES: dict[str, tuple[dict[str, int], dict[str, bool], str]] = {  # books of `vptq`, its flags, the format
    "residual": ({"main": 8, "residual": 4, "d": 8}, {}, "vptq:bits=8,residual_bits=4"),
    "wide indices": ({"main": 9, "residual": 8, "d": 8}, {}, "vptq:bits=9"),
    "main alone": ({"main": 6, "residual": 0, "d": 8}, {}, "vptq:bits=6,residual_bits=0,element_bits=8"),
    "outliers": ({"main": 5, "residual": 3, "d": 8, "outliers": 8}, {}, "vptq:bits=5,residual_bits=3"),
    "groups": ({"main": 5, "residual": 3, "d": 8, "groups": 2}, {}, "vptq:bits=5,residual_bits=3"),
    "outliers and groups": ({"main": 4, "residual": 4, "d": 8, "groups": 4, "outliers": 16}, {}, "vptq:bits=4,residual_bits=4"),
    "stored order": ({"main": 5, "residual": 3, "d": 8}, {"ordered": False}, "vptq:bits=5,residual_bits=3"),
    "codewords alone": ({"main": 5, "residual": 3, "d": 8}, {"ordered": False, "scaled": False}, "vptq:bits=5,residual_bits=3"),
    "not packed": ({"main": 5, "residual": 3, "d": 8, "outliers": 8}, {"packed": False}, "vptq:bits=5,residual_bits=3"),
}


def settings_of(shape: str, **fields: Any) -> tuple[dict[str, Any], written.Writer]:
    books, flags, _ = SHAPES[shape]
    own = {
        "enable_perm": flags.get("ordered", True),
        "enable_norm": flags.get("scaled", True),
        "is_indice_packed": flags.get("packed", True),
        **fields,
    }
    layers = {f"model.layers.0.{name}": written.vptq_settings(k, n, **books, **own) for name, (k, n) in LINEAR.items()}
    return {"quant_method": "vptq", "config_for_layers": layers}, written.vptq(**books, **flags)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_weight_is_the_one_that_is_stored(shape: str, tmp_path: Path) -> None:
    """In float64, to the bit: the test's codebooks are integers times a power of two."""
    weights = folder(tmp_path, *settings_of(shape))
    trace = imported(tmp_path)
    for name, expected in weights.items():
        np.testing.assert_array_equal(meant(trace, name), expected, err_msg=name)
    formats = {layer.weight.format for layer in trace.weighted_layers() if layer.name.startswith("blk.0.ffn_up")}
    outliers = {parse_format("vptq:bits=4,residual_bits=0,d=4,element_bits=8")} if "outliers" in SHAPES[shape][0] else set()
    assert formats - {parse_format("uniform")} == {parse_format(SHAPES[shape][2])} | outliers


def layers_of(trace: Trace, name: str) -> list[tuple[str, str]]:
    return [(layer.name.removeprefix(name), layer.op) for layer in trace.layers if layer.name.startswith(name)]


def test_a_matrix_becomes_factors_gathers_products_and_sums(tmp_path: Path) -> None:
    folder(tmp_path, *settings_of("outliers"))
    assert layers_of(imported(tmp_path), "blk.0.ffn_down") == [
        ("_scale", "affine"), ("_inputs", "gather"), ("_inputs_1", "gather"), ("", "gemm"), ("_1", "gemm"), ("_sum", "add"),
        ("_shift", "gemm"), ("_sum_1", "add"),
    ]  # fmt: skip


def test_codewords_alone_need_nothing_around_them(tmp_path: Path) -> None:
    folder(tmp_path, *settings_of("codewords alone"))
    assert layers_of(imported(tmp_path), "blk.0.ffn_down") == [("", "gemm")]


@pytest.mark.parametrize("shape", ["residual", "groups", "codewords alone", "main alone", "outliers and groups"])
def test_a_network_is_computed_bit_for_bit_on_edge_64x64(shape: str, tmp_path: Path) -> None:
    """Each product by itself, and the whole on integers, its gathers, factors and sums included."""
    folder(tmp_path, *settings_of(shape))
    trace = imported(tmp_path)
    chip = load_accelerator("edge-64x64", codebook_overrides(load_accelerator("edge-64x64"), trace))
    for report in (check_functional(chip, trace), execute(chip, trace).report):
        assert report.ok, [layer.message for layer in report.layers if not layer.ok]


def test_the_packages_own_folders_name_their_layers_apart(tmp_path: Path) -> None:
    settings, writer = settings_of("residual")
    weights = folder(tmp_path, settings, writer)
    config = {**CONFIG, "quant_config": settings["config_for_layers"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    np.testing.assert_array_equal(meant(imported(tmp_path), "blk.0.ffn_up"), weights["blk.0.ffn_up"])


def test_settings_may_be_shared_by_the_last_part_of_a_name(tmp_path: Path) -> None:
    settings, writer = settings_of("residual")
    layers = settings["config_for_layers"]
    shared = {name.rpartition(".")[2]: fields for name, fields in layers.items()}
    weights = folder(tmp_path, {"quant_method": "vptq", "shared_layer_config": shared}, writer)
    np.testing.assert_array_equal(meant(imported(tmp_path), "blk.0.ffn_up"), weights["blk.0.ffn_up"])


def test_a_seed_takes_the_formats_and_reads_no_value(tmp_path: Path) -> None:
    settings, writer = settings_of("outliers")
    folder(tmp_path, settings, writer, {f"{UP}.perm": np.zeros(64, np.int16), f"{UP}.weight_bias": np.full(64, np.nan, np.float16)})
    trace = import_model(str(tmp_path), bind={"tokens": 3}, seed=1)
    assert parse_format("vptq:bits=5,residual_bits=3") in {layer.weight.format for layer in trace.weighted_layers()}


@pytest.mark.parametrize(
    ("fields", "change", "message"),
    [
        ({"norm_dim": 1}, {}, r"'quantization_config.config_for_layers.model.layers.0.\S+.norm_dim' has value 1; allowed: 0 or null"),
        ({"vector_quant_dim": "in"}, {}, "vector_quant_dim' has value 'in'; allowed: 'out' or null"),
        ({"num_centroids": [-1, 30]}, {}, r"num_centroids' has value \[-1, 30\]; allowed: powers of two"),
        ({"num_centroids": [-1, 1 << 20]}, {}, r"num_centroids' has value .*'bits' has value 20"),
        ({"vector_lens": 8}, {}, "vector_lens' has value 8; allowed: two whole numbers"),
        ({"group_num": 0}, {}, "group_num' has value 0; allowed: a whole number from 1 to 1,024"),
        ({"num_centroids": [-1, 32]}, {}, "num_centroids' has value .* allowed: a codebook for the outliers that 'outlier_size' states"),
        ({"outlier_size": -8}, {}, "outlier_size' has value -8; allowed: a whole number from 0 to 16,777,216"),
        ({"out_features": 60}, {}, "its 60 outputs are padded to 8 vectors of 8; allowed: a multiple of 8"),
        ({"enable_perm": "yes"}, {}, "enable_perm' has value 'yes'; allowed: True or False"),
        ({}, {f"{UP}.perm": np.zeros(64, np.int16)}, "up_proj': 'perm' does not name each of 64 inputs once"),
        ({}, {f"{UP}.perm": None}, "up_proj': has no tensor 'perm' beside centroids.weight, indices"),
        ({}, {f"{UP}.weight_scale": np.full(64, np.inf, np.float16)}, "up_proj': 'weight_scale' holds NaN or an infinity"),
        ({}, {f"{UP}.centroids.weight": np.zeros((1, 8), np.float16)}, r"centroids.weight' has the shape \(1, 8\); allowed: \(1, 256\)"),
        ({}, {f"{UP}.indices": np.zeros((1, 12, 2), np.int32)}, r"indices' has the shape \(1, 12, 2\); allowed: \(1, 12, 14\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(fields: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path) -> None:
    settings, writer = settings_of("outliers", **fields)
    folder(tmp_path, settings, writer, change)
    with pytest.raises(ImportModelError, match=message):
        imported(tmp_path)


def test_a_module_without_settings_is_named(tmp_path: Path) -> None:
    settings, writer = settings_of("residual")
    del settings["config_for_layers"][UP]
    folder(tmp_path, settings, writer)
    with pytest.raises(ImportModelError, match=f"config_for_layers.{UP}' is missing; allowed: the settings of this module"):
        imported(tmp_path)
