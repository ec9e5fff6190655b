"""Folders of QuIP#: every packed code, the transforms around each product, joined matrices, and the whole by its definition."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.errors import ImportModelError
from accelsim.execution.graph import constants_of, float_weights
from accelsim.execution.network import execute
from accelsim.formats.catalog import parse_format
from accelsim.functional import check_functional
from accelsim.importers.import_model import import_model
from accelsim.ops.hadamard_matrices import matrix_of_order, odd_part
from accelsim.trace.trace import Trace
from tests.contract.test_hadamard import sylvester
from tests.contract.test_quip_format import decoded
from tests.importers import stored_quantization as written

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 192, "vocab_size": 50, "max_position_embeddings": 16,
}  # fmt: skip
PARAMETERS = {
    "codebook": "E8P12", "codebook_version": 1, "codesz": 8, "idx_dtype": "torch.int64", "lora_rank": 0, "packsz": 4, "rescale_WH": False,
    "resid_scale_override": -1,
}  # fmt: skip
MODULES = {  # (inputs, outputs, parts): q, k and v of 64, 32 and 32 outputs; up and gate of 192 each
    "self_attn.qkv_proj": (64, 128, 3), "self_attn.o_proj": (64, 64, 1), "mlp.upgate_proj": (64, 384, 2), "mlp.down_proj": (192, 64, 1),
}  # fmt: skip
LAYERS = dict(zip(MODULES, ("attn_qkv", "attn_output", "ffn_up", "ffn_down"), strict=True))
SIZES = {3: (64, 32, 32), 2: (192, 192), 1: None}
DOWN = "model.layers.0.mlp.down_proj"


def folder(path: Path, change: dict[str, Any] | None = None, **parameters: Any) -> dict[str, dict[str, np.ndarray]]:
    """Write a folder; the tensors of its modules by their layers."""
    rng = np.random.default_rng(5)
    (path / "config.json").write_text(json.dumps({**CONFIG, "quip_params": {**PARAMETERS, **parameters}}))
    stored: dict[str, Any] = {
        "model.embed_tokens.weight": rng.normal(size=(50, 64)).astype(np.float16),
        "lm_head.weight": rng.normal(size=(50, 64)).astype(np.float16),
    }
    for norm in ("norm", "layers.0.input_layernorm", "layers.0.post_attention_layernorm"):
        stored[f"model.{norm}.weight"] = np.ones(64, np.float16)
    modules = {}
    for name, (k, n, parts) in MODULES.items():
        modules[f"blk.0.{LAYERS[name]}"] = written.quip(parts)(k, n, rng)
        stored |= {f"model.layers.0.{name}.{part}": tensor for part, tensor in modules[f"blk.0.{LAYERS[name]}"].items()}
    stored |= change or {}
    save_file({name: np.array(t, order="C") for name, t in stored.items() if t is not None}, path / "model.safetensors")
    return modules


def imported(path: Path) -> Trace:
    return import_model(str(path), bind={"tokens": 3})


def points(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The weights (K, N) between the transforms, by the definition of the lattice, in float64."""
    words, scale = tensors["Qidxs"], Fraction(float(tensors["Wscale"]))
    n, vectors = words.shape[0], 4 * words.shape[1]
    found = np.empty((8 * vectors, n))
    for output in range(n):
        for vector in range(vectors):
            index, signs = written.quip_code(words, output, vector)
            point = decoded(index, sum(sign << weight for weight, sign in enumerate(signs)))
            found[8 * vector : 8 * vector + 8, output] = [float(scale * value) for value in point]
    return found


def matrix(width: int) -> np.ndarray:
    """The transform ahead of a product, orthonormal."""
    m = odd_part(width) or 0
    return np.kron(matrix_of_order(m).T, sylvester(width // m)) / width**0.5


def layers_of(trace: Trace, name: str) -> list[Any]:
    return [layer for layer in trace.layers if layer.name in (name, f"{name}_turn", f"{name}_back")]


@pytest.mark.parametrize("name", LAYERS.values())
def test_every_weight_between_the_transforms_is_the_one_that_is_stored(name: str, tmp_path: Path) -> None:
    """A point in quarters times a float32 is exact in float64."""
    modules, trace = folder(tmp_path), imported(tmp_path)
    (weight,) = (layer.weight for layer in trace.weighted_layers() if layer.name == f"blk.0.{name}")
    assert weight.format == parse_format("quip_e8p")
    found = weight.format.reconstruct(trace.arrays(f"blk.0.{name}"), weight.k, weight.n)
    np.testing.assert_array_equal(found, points(modules[f"blk.0.{name}"]))


@pytest.mark.parametrize("name", LAYERS.values())
def test_a_row_is_turned_multiplied_and_turned_back(name: str, tmp_path: Path) -> None:
    """y = SV * (H^T (scale * points^T (H (SU * x)))), each part of a joined matrix times its factor."""
    modules, trace = folder(tmp_path), imported(tmp_path)
    tensors = modules[f"blk.0.{name}"]
    k, n = len(tensors["SU"]), len(tensors["SV"])
    x = np.random.default_rng(1).normal(size=(3, k))
    middle = (x * tensors["SU"]) @ matrix(k).T @ points(tensors)
    expected = middle @ matrix(n) * tensors["SV"]
    if "fuse_scales" in tensors:
        sizes = SIZES[len(tensors["fuse_scales"])]
        expected *= np.repeat(tensors["fuse_scales"], sizes)
    values = x[None]
    layers = layers_of(trace, f"blk.0.{name}")
    assert [layer.op for layer in layers] == ["hadamard", "gemm", "hadamard"]
    for layer in layers:
        constants = constants_of(trace, layer)
        values = values @ float_weights(trace, layer)["weight"] if layer.weighted else layer.evaluate([values], constants)
    np.testing.assert_allclose(values[0], expected, rtol=0, atol=1e-6 * np.abs(expected).max())  # signs times factors are float32


def test_readers_of_a_joined_product_take_their_outputs(tmp_path: Path) -> None:
    """Queries 0 to 63, keys 64 to 95, values 96 to 127; up 0 to 191, gate 192 to 383."""
    folder(tmp_path)
    trace = imported(tmp_path)
    moves = {layer.name: (layer.start, layer.output.width) for layer in trace.layers if layer.op == "move"}
    assert sum(layer.name == "blk.0.attn_qkv" for layer in trace.layers) == 1
    assert {(0, 64), (64, 32), (96, 32), (0, 192), (192, 192)} <= set(moves.values()), moves
    (gate,) = (layer for layer in trace.layers if layer.op == "silu")
    assert moves[gate.inputs[0]] == (192, 192)


def test_a_network_is_computed_bit_for_bit_on_edge_64x64(tmp_path: Path) -> None:
    """Each product by itself, and the whole on integers, its transforms included."""
    folder(tmp_path)
    trace = imported(tmp_path)
    chip = load_accelerator("edge-64x64", codebook_overrides(load_accelerator("edge-64x64"), trace))
    for report in (check_functional(chip, trace), execute(chip, trace).report):
        assert report.ok, [layer.message for layer in report.layers if not layer.ok]


def test_a_seed_takes_the_formats_and_reads_no_value(tmp_path: Path) -> None:
    folder(tmp_path, {f"{DOWN}.SU": np.full(192, np.nan, np.float16)})
    trace = import_model(str(tmp_path), bind={"tokens": 3}, seed=1)
    assert {layer.weight.format for layer in trace.weighted_layers() if layer.name != "output"} == {parse_format("quip_e8p")}


@pytest.mark.parametrize(
    ("parameters", "change", "message"),
    [
        ({"codebook": "E8P12RVQ4B"}, {}, "'quip_params.codebook' has value 'E8P12RVQ4B'; allowed: 'E8P12'"),
        ({"codebook_version": 0}, {}, "codebook_version' has value 0; allowed: 1"),
        ({"lora_rank": 16}, {}, "lora_rank' has value 16; allowed: 0"),
        ({"rescale_WH": True}, {}, "rescale_WH' has value true; allowed: False or null"),
        ({}, {f"{DOWN}.Qidxs": np.zeros((40, 6), np.int64)}, "packs 40 outputs of 192 inputs; allowed: multiples of 16 and of 64"),
        ({}, {f"{DOWN}.SU": np.ones(64, np.float16)}, r"down_proj.SU' has the shape \(64,\); allowed: \(192,\)"),
        ({}, {f"{DOWN}.SV": None}, "down_proj': has no tensor 'SV' beside Qidxs"),
        ({}, {f"{DOWN}.SV": np.full(64, np.inf, np.float16)}, "'SV' holds NaN or an infinity"),
        ({}, {f"{DOWN}.Wscale": np.array(0.0, np.float32)}, "holds a scale that is not a positive finite number"),
        ({}, {"model.layers.0.self_attn.qkv_proj.fuse_scales": np.ones(4, np.float32)}, "has 4 factors for 128 outputs; allowed: 2 of eq"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(parameters: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder(tmp_path, change, **parameters)
    with pytest.raises(ImportModelError, match=message):
        imported(tmp_path)
