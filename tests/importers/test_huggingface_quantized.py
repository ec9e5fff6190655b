"""Folders with quantized weights: every weight is the one that is stored, in every scheme; what does not fit is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.errors import ImportModelError
from accelsim.execution.graph import constants_of, float_weights
from accelsim.formats.catalog import parse_format
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, save_trace
from tests.importers import stored_quantization as written

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 96, "vocab_size": 50, "max_position_embeddings": 16,
}  # fmt: skip
LINEAR = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (64, 32), "self_attn.v_proj": (64, 32), "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (64, 96), "mlp.up_proj": (64, 96), "mlp.down_proj": (96, 64),
}  # fmt: skip
LAYERS = dict(zip(LINEAR, ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"), strict=True))
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True, "checkpoint_format": "gptq"}


def compressed(**weights: Any) -> dict[str, Any]:
    fields = {"type": "int", "num_bits": 4, "symmetric": True, "strategy": "group", "group_size": 32, **weights}
    return {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": fields}},
    }  # fmt: skip


W8 = {**compressed(num_bits=8, strategy="channel", group_size=None), "format": "int-quantized"}
W8_TENSOR = {**compressed(num_bits=8, strategy="tensor", group_size=None), "format": "int-quantized"}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
AQLM = {"quant_method": "aqlm", "in_group_size": 8, "out_group_size": 1, "num_codebooks": 2, "nbits_per_codebook": 8}
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"}
SCHEMES: dict[str, tuple[dict[str, Any], written.Writer, str]] = {
    "gptq": (GPTQ, written.gptq(4, 32, True), "int_group:bits=4,group=32"),
    "gptq act-order": ({**GPTQ, "desc_act": True}, written.gptq(4, 32, True, ordered=True), "int_group:bits=4,group=32"),
    "gptq 3 bits": ({**GPTQ, "bits": 3}, written.gptq(3, 32, True), "int_group:bits=3,group=32"),
    "gptq 2 bits": ({**GPTQ, "bits": 2, "sym": False}, written.gptq(2, 32, False), "int_group:bits=2,group=32,zero=1"),
    "gptq 8 bits": ({**GPTQ, "bits": 8, "group_size": -1}, written.gptq(8, -1, True), "uniform:bits=8"),
    "gptq 8 bits asymmetric": (
        {**GPTQ, "bits": 8, "sym": False}, written.gptq(8, 32, False), "int_group:bits=8,group=32,zero=1",
    ),
    "gptq v2": (
        {**GPTQ, "sym": False, "checkpoint_format": "gptq_v2"}, written.gptq(4, 32, False, 0), "int_group:bits=4,group=32,zero=1",
    ),
    "gptq v2 by its other name": (
        {**GPTQ, "sym": False, "checkpoint_format": None, "format": "gptq_v2"}, written.gptq(4, 32, False, 0),
        "int_group:bits=4,group=32,zero=1",
    ),
    "awq": (AWQ, written.awq(32), "int_group:bits=4,group=32,zero=1"),
    "w4a16": (compressed(), written.packed(4, 32, True), "int_group:bits=4,group=32"),
    "w4a16 asymmetric": (compressed(symmetric=False), written.packed(4, 32, False), "int_group:bits=4,group=32,zero=1"),
    "w3 asymmetric": (compressed(symmetric=False, num_bits=3), written.packed(3, 32, False, False), "int_group:bits=3,group=32,zero=1"),
    "w4a16 act-order": (
        compressed(symmetric=False, actorder="group"), written.packed(4, 32, False, ordered=True), "int_group:bits=4,group=32,zero=1",
    ),
    "w4 per channel": (compressed(strategy="channel", group_size=None), written.packed(4, 0, True), "uniform:bits=4"),
    "w8a8": (W8, written.bytes_of(False), "uniform"),
    "w8a8 per tensor": (W8_TENSOR, written.bytes_of(True), "uniform"),
    "mlx": ({"group_size": 32, "bits": 4}, written.mlx(4, 32), "int_group:bits=4,group=32,minimum=1"),
    "mlx 3 bits": ({"group_size": 32, "bits": 3, "mode": "affine"}, written.mlx(3, 32), "int_group:bits=3,group=32,minimum=1"),
    "mlx 8 bits": ({"group_size": 32, "bits": 8}, written.mlx(8, 32), "int_group:bits=8,group=32,minimum=1"),
    "aqlm 2x8": (AQLM, written.aqlm(2, 8, 8), "aqlm:books=2,bits=8"),
    "nf4": (NF4, written.nf4(32, False), "nf4:group=32"),
    "nf4 double": ({**NF4, "bnb_4bit_use_double_quant": True}, written.nf4(32, True), "nf4:group=32"),
    "aqlm 1x10": ({**AQLM, "num_codebooks": 1, "nbits_per_codebook": 10}, written.aqlm(1, 10, 8), "aqlm:books=1,bits=10,element_bits=8"),
}  # fmt: skip


def folder(path: Path, settings: dict[str, Any], writer: written.Writer, change: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Write a folder; the weights of its linear layers by their names in the trace. `change` replaces tensors by their whole name."""
    rng = np.random.default_rng(5)
    field = "quantization_config" if "quant_method" in settings else "quantization"
    (path / "config.json").write_text(json.dumps({**CONFIG, field: settings}))
    stored: dict[str, np.ndarray] = {
        "model.embed_tokens.weight": rng.normal(size=(50, 64)).astype(np.float16),
        "lm_head.weight": rng.normal(size=(50, 64)).astype(np.float16),
    }
    for norm in ("norm", "layers.0.input_layernorm", "layers.0.post_attention_layernorm"):
        stored[f"model.{norm}.weight"] = np.ones(64, np.float16)
    weights = {}
    for name, (k, n) in LINEAR.items():
        parts, weights[f"blk.0.{LAYERS[name]}"] = writer(k, n, rng)
        stored |= {f"model.layers.0.{name}.{part}": tensor for part, tensor in parts.items()}
    for name, tensor in (change or {}).items():
        stored[name] = tensor
        if tensor is None:
            del stored[name]
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in stored.items()}, path / "model.safetensors")
    return weights


def imported(path: Path) -> Trace:
    return import_model(str(path), bind={"tokens": 3})


def meant(trace: Trace, name: str) -> np.ndarray:
    """The weights (K, N) that a layer, and those around it, stand for: their response to a one at each input, exact in float64."""
    found: dict[str, np.ndarray] = {}
    own = re.compile(re.escape(name) + r"(_(scale|inputs|shift|sum))?(_[0-9]+)?")
    for layer in (item for item in trace.layers if own.fullmatch(item.name)):
        operands = [found.get(source) for source in layer.inputs]
        if operands[0] is None:
            operands[0] = np.eye(trace.shapes[layer.inputs[0]].width)[None]
        if layer.weighted is not None:
            found[layer.name] = operands[0] @ float_weights(trace, layer)["weight"]
        else:
            found[layer.name] = layer.evaluate(operands, constants_of(trace, layer))
    return found[layer.name][0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_weight_is_the_one_that_is_stored(scheme: str, tmp_path: Path) -> None:
    """In float64, to the bit; AQLM's step is a float32, times a float16 scale as another one; NF4's levels are 127ths."""
    settings, writer, text = SCHEMES[scheme]
    tolerance = 2.0**-22 if scheme.startswith(("aqlm", "nf4")) else 0.0
    weights = folder(tmp_path, settings, writer)
    trace = imported(tmp_path)
    formats = {layer.name: layer.weight.format for layer in trace.weighted_layers()}
    for name, expected in weights.items():
        assert formats[name] == parse_format(text)
        np.testing.assert_allclose(meant(trace, name), expected, rtol=tolerance, atol=0, err_msg=name)


def test_a_head_of_floats_beside_quantized_matrices_takes_8_bits_and_is_named(tmp_path: Path) -> None:
    settings, writer, _ = SCHEMES["gptq"]
    folder(tmp_path, settings, writer)
    trace = imported(tmp_path)
    assert any(
        "1 matrices of floats beside quantized ones are quantized to 8 bits with a scale per output: output.weight" in note
        for note in trace.manifest.notes
    )
    (head,) = [layer for layer in trace.weighted_layers() if layer.name == "output"]
    assert head.weight.format == parse_format("uniform")
    result = simulate(load_accelerator("edge-64x64"), trace)
    assert any("quantized to 8 bits" in warning for warning in result.warnings)


def test_a_seed_takes_the_formats_and_reads_no_value(tmp_path: Path) -> None:
    settings, writer, text = SCHEMES["gptq"]
    folder(tmp_path, settings, writer, {"model.layers.0.mlp.up_proj.scales": np.full((2, 96), np.nan, np.float16)})
    trace = import_model(str(tmp_path), bind={"tokens": 3}, seed=1)
    assert {layer.weight.format for layer in trace.weighted_layers() if layer.name != "output"} == {parse_format(text)}


@pytest.mark.parametrize(
    ("activations", "note"),
    [
        ({"dynamic": True, "strategy": "token", "num_bits": 8}, "the folder finds the scales of activations as they come, per token;"),
        ({"dynamic": False, "strategy": "tensor", "num_bits": 8}, ""),
        (None, ""),
    ],
)
def test_dynamic_scales_of_activations_are_told(activations: dict[str, Any] | None, note: str, tmp_path: Path) -> None:
    settings = json.loads(json.dumps(W8))
    settings["config_groups"]["group_0"]["input_activations"] = activations
    folder(tmp_path, settings, written.bytes_of(False))
    notes = imported(tmp_path).manifest.notes
    assert any(text.startswith(note) for text in notes) if note else not any("as they come" in text for text in notes)


def test_requantized_codebooks_are_told_with_their_error(tmp_path: Path) -> None:
    settings, writer, _ = SCHEMES["aqlm 2x8"]
    codebooks = np.random.default_rng(1).normal(size=(2, 256, 1, 8)).astype(np.float16)
    folder(tmp_path, settings, writer, {"model.layers.0.mlp.up_proj.codebooks": codebooks})
    step = float(np.abs(codebooks).max()) / 63
    rounded = np.rint(codebooks.astype(np.float64) / step) * step
    error = np.sqrt(np.square(rounded - codebooks).mean() / np.square(codebooks.astype(np.float64)).mean())
    trace = imported(tmp_path)
    assert f"codebooks of 7 matrices are requantized to 7 bits, by up to {error:.2%} of their root mean square" in trace.manifest.notes
    assert trace.manifest.metrics["codebook_error"] == pytest.approx(error, rel=1e-6)
    save_trace(trace, tmp_path / "trace")
    chip = ["edge-32x32", str(tmp_path / "trace"), "--fit-codebook", "--functional"]
    outcome = CliRunner().invoke(app, ["run", *chip])
    assert outcome.exit_code == 0, outcome.output
    assert f"rounded from differ by up to {error:.2%} of their root mean square" in " ".join(outcome.stdout.split())
    found = json.loads(CliRunner().invoke(app, ["run", *chip, "--json"]).stdout)
    assert found["functional"]["codebook_error"] == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("scheme", ["nf4", "nf4 double"])
def test_the_levels_of_nf4_are_told_with_their_error_and_scales_with_their_bytes(scheme: str, tmp_path: Path) -> None:
    settings, writer, _ = SCHEMES[scheme]
    folder(tmp_path, settings, writer)
    trace, levels = imported(tmp_path), np.array(written.NF4)
    error = np.sqrt(np.square(np.rint(127 * levels) / 127 - levels).mean() / np.square(levels).mean())
    assert f"codebooks of 7 matrices are requantized to integers, by up to {error:.2%} of their root mean square" in trace.manifest.notes
    assert any("4 bytes are loaded for each" in note for note in trace.manifest.notes) == (scheme == "nf4 double")


UP = "model.layers.0.mlp.up_proj"


@pytest.mark.parametrize(
    ("scheme", "settings", "change", "message"),
    [
        ("nf4", {"load_in_4bit": False, "load_in_8bit": True}, {}, "load_in_4bit' has value false; allowed: True"),
        ("nf4", {"bnb_4bit_quant_type": "fp4"}, {}, "bnb_4bit_quant_type' has value 'fp4'; allowed: 'nf4'"),
        ("nf4", {"bnb_4bit_quant_storage": "bfloat16"}, {}, "bnb_4bit_quant_storage' has value 'bfloat16'; allowed: 'uint8' or null"),
        ("nf4", {}, {f"{UP}.weight.absmax": np.ones(95, np.float32)}, r"absmax' has the shape \(95,\); allowed: \(192,\)"),
        ("nf4", {}, {f"{UP}.weight.absmax": np.zeros(192, np.float32)}, "holds a scale that is not a positive finite number"),
        ("nf4", {}, {f"{UP}.weight.absmax": np.full(192, np.nan, np.float32)}, "'absmax' holds NaN or an infinity"),
        ("nf4", {}, {f"{UP}.weight.quant_map": np.linspace(-1, 1, 16, dtype=np.float32)}, "'quant_map' holds other levels than NF4's"),
        ("nf4", {}, {f"{UP}.weight.quant_state.bitsandbytes__nf4": np.frombuffer(b"{", np.uint8)}, "its 'quant_state' is not JSON"),
        (
            "nf4", {}, {f"{UP}.weight.quant_state.bitsandbytes__nf4": np.frombuffer(b'{"shape": [96, 1e9], "blocksize": 64}', np.uint8)},
            "has no 'shape' of two sizes and 'blocksize'; allowed: whole numbers from 1 to 16777216",
        ),
        (
            "nf4", {}, {f"{UP}.weight.quant_state.bitsandbytes__nf4": np.frombuffer(b'{"shape": [96, 64], "blocksize": 48}', np.uint8)},
            "blocks of 48 weights cross its outputs of 64 inputs; allowed: a divisor of 64",
        ),
        ("nf4", {}, {f"{UP}.weight.quant_state.bitsandbytes__nf4": None}, "has no tensor 'quant_state' beside absmax, quant_map, weight"),
        ("gptq", {"quant_method": "hqq"}, {}, "config.quant_method' has value 'hqq'; allowed: one of aqlm, awq"),
        ("gptq", {"quant_method": "fp8"}, {}, "config.quant_method' has value 'fp8'; allowed: one of aqlm, awq"),
        ("gptq", {"format": "marlin"}, {}, "'quantization_config.format' has value 'marlin'; allowed: 'gptq' or 'gptq_v2' or null"),
        ("gptq", {"checkpoint_format": "gptq", "format": "gptq_v2"}, {}, "format' has value 'gptq_v2'; allowed: 'gptq', as 'checkpoint"),
        ("w4a16", {"transform_config": {"config_groups": {"R4": {"type": "hadamard"}}}}, {}, "'config_groups' is {}"),
        ("w4a16", {"sparsity_config": {"format": "sparse-24-bitmask"}}, {}, "'format' is \"dense\""),
        ("mlx", {UP: {"group_size": 32, "bits": 4, "mode": "mxfp4"}}, {}, "up_proj.mode' has value 'mxfp4'; allowed: 'affine' or null"),
        ("gptq", {"bits": 5}, {}, "'quantization_config.bits' has value 5; allowed: 2 or 3 or 4 or 8"),
        ("gptq", {"group_size": 0}, {}, "'quantization_config.group_size' has value 0; allowed: -1, or"),
        ("gptq", {"group_size": 16}, {}, r"mlp.down_proj.scales' has the shape \(3, 64\); allowed: \(6, 64\)"),
        ("gptq", {}, {f"{UP}.g_idx": np.arange(64, dtype=np.int32)[::-1] // 32}, "up_proj': 'g_idx' permutes its inputs; allowed: groups"),
        ("gptq", {"desc_act": True}, {f"{UP}.g_idx": np.arange(64, dtype=np.int32) // 16}, "its inputs; allowed: 32 inputs per group"),
        ("w4a16", {}, {f"{UP}.weight_g_idx": np.arange(64)[::-1] // 32}, "'weight_g_idx' permutes its inputs; allowed: groups of 32 n"),
        ("w4a16", {}, {f"{UP}.weight_g_idx": np.arange(2)}, r"up_proj.weight_g_idx' has the shape \(2,\); allowed: \(64,\)"),
        ("w4a16", compressed(actorder="up"), {}, "weights.actorder' has value 'up'; allowed: 'group' or"),
        ("gptq", {}, {f"{UP}.qzeros": np.full((2, 12), 0x66666666, np.int32)}, "has the zero point 7, though 'sym' is true; allowed: 8"),
        ("gptq", {}, {f"{UP}.qzeros": None}, "up_proj': has no tensor 'qzeros' beside g_idx, qweight, scales"),
        (
            "gptq", {}, {f"{UP}.scales": np.zeros((2, 96), np.float16)},
            rf"model\.safetensors: module '{UP}': .* holds a scale that is not a positive finite number: 0 at \[0, 0\]",
        ),
        ("gptq", {}, {f"{UP}.scales": np.full((2, 96), 1e-3, np.float32)}, "scale 0.001 of group 0, output 0; allowed: numbers that bin"),
        ("gptq", {}, {f"{UP}.qweight": np.zeros((8, 96), np.float32)}, "has type F32; allowed: I8"),
        ("gptq 2 bits", {}, {f"{UP}.qzeros": np.full((2, 6), -1, np.int32)}, r"values must lie in 0\.\.3 to fit 2 bits"),
        ("awq", {"version": "gemv"}, {}, "'quantization_config.version' has value 'gemv'"),
        ("awq", {"zero_point": False}, {}, "'quantization_config.zero_point' has value false; allowed: True or null"),
        ("w4a16", {"format": "marlin-24"}, {}, "'quantization_config.format' has value 'marlin-24'"),
        ("w4a16", {"config_groups": {}}, {}, "'quantization_config.config_groups' has value {}; allowed: an object with one group"),
        ("w4a16", compressed(type="float"), {}, "'quantization_config.config_groups.group_0.weights.type' has value 'float'"),
        ("w4a16", {}, {f"{UP}.weight_shape": np.array([96, 640])}, r"'weight_shape' is \[96, 640\]; allowed: 96 outputs of as many"),
        ("mlx", {"bits": 7}, {}, "'quantization.bits' has value 7"),
        ("mlx", {"group_size": 64}, {}, "'quantization.group_size' has value 64; allowed: that of 12 words of 4-bit integers in 3 groups"),
        ("mlx", {"mode": "mxfp4"}, {}, "'quantization.mode' has value 'mxfp4'"),
        ("aqlm 2x8", {"out_group_size": 8}, {}, "'quantization_config.out_group_size' has value 8; allowed: 1"),
        ("mlx", {}, {f"{UP}.biases": np.full((96, 2), np.nan, np.float16)}, f"{UP}': the minimum nan of group 0, output 0; allowed"),
        ("aqlm 2x8", {"num_codebooks": 9}, {}, "'quantization_config.num_codebooks' has value 9"),
        (
            "aqlm 2x8", {}, {f"{UP}.codebooks": np.full((2, 256, 1, 8), np.nan, np.float16)},
            rf"model\.safetensors: module '{UP}': 'codebooks' holds NaN or an infinity; allowed: finite numbers",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(scheme: str, settings: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path) -> None:
    base, writer, _ = SCHEMES[scheme]
    folder(tmp_path, {**base, **settings}, writer, change)
    with pytest.raises(ImportModelError, match=message):
        imported(tmp_path)


def test_modules_of_mlx_may_have_settings_of_their_own(tmp_path: Path) -> None:
    """Its mixed recipes keep some modules at more bits, by their names in the configuration."""
    eight, own = written.mlx(8, 64)(64, 96, np.random.default_rng(3))
    settings = {**SCHEMES["mlx"][0], UP: {"group_size": 64, "bits": 8}}
    folder(tmp_path, settings, SCHEMES["mlx"][1], {f"{UP}.{part}": tensor for part, tensor in eight.items()})
    np.testing.assert_array_equal(meant(imported(tmp_path), "blk.0.ffn_up"), own)
