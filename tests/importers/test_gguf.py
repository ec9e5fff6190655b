"""GGUF files, written by the gguf package, as traces: the graph of each architecture, and weights with the very bits of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.errors import CompileError, ImportModelError
from accelsim.formats.gguf_blocks import LAYOUTS
from accelsim.functional import check_functional
from accelsim.importers.import_model import import_model
from accelsim.importers.language_models.families import FAMILIES
from accelsim.result import TRAINED_OPERANDS
from accelsim.simulation import simulate
from accelsim.trace.layers import MatmulLayer
from accelsim.trace.trace import Trace, load_trace
from tests.tiny_decoders import Sizes, random_tensors, write_gguf

TOKENS = 8
AS_RELEASED = {"": "IQ2_XXS", "attn_v": "Q4_K", "ffn_down": "Q2_K", "output": "Q5_K", "token_embd": "Q2_K"}  # as llama.cpp mixes them
Tensors = dict[str, tuple[str, np.ndarray]]
CAPS = {"attention.sliding_window": 3, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}


def imported(folder: Path, sizes: Sizes, tensors: Tensors, **changes: int | float | str) -> Trace:
    write_gguf(folder / "m.gguf", sizes, tensors, changes)
    return import_model(str(folder / "m.gguf"), bind={"tokens": TOKENS})


def stored(trace: Trace, layer: str) -> np.ndarray:
    return trace.stream(layer, "blocks")


def tensor_of(layer: str) -> str:
    return f"{layer}.weight"


@pytest.mark.parametrize("kind", LAYOUTS)
def test_each_type_keeps_its_blocks_and_decodes_as_the_gguf_package_does(kind: str, tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    tensors = random_tensors(sizes, {"": kind})
    trace = imported(tmp_path, sizes, tensors)
    for layer in trace.weighted_layers():
        blocks = tensors[tensor_of(layer.name)][1]
        assert stored(trace, layer.name).tobytes() == blocks.tobytes()
        weights = layer.weight.format.reconstruct(trace.arrays(layer.name), layer.weight.k, layer.weight.n)
        np.testing.assert_array_equal(weights.astype(np.float32).T, dequantize(blocks, GGMLQuantizationType[kind]))
    assert trace.weighted_layers()[-1].name == "output"


def test_the_weights_that_a_run_reads_have_the_bytes_of_the_file_and_the_padding_that_it_states(tmp_path: Path) -> None:
    sizes = Sizes()
    tensors = random_tensors(sizes, AS_RELEASED)
    trace = imported(tmp_path, sizes, tensors)
    chip = load_accelerator("edge-64x64", ["codebook.store=rom", "codebook.circuit=logic_rom"])
    (frame,) = simulate(chip, trace).frames
    weighted = {layer.name for layer in trace.weighted_layers()}
    reads = [item for layer in frame.layers if layer.name in weighted for item in layer.traffic if not item.write]
    read = sum(item.bits for item in reads if item.operand in TRAINED_OPERANDS and item.operand != "scales_bias")
    of_layers = [data for name, (_, data) in tensors.items() if data.ndim == 2 and name != "token_embd.weight"]
    assert read == 8 * sum(data.nbytes for data in of_layers)
    assert {trace.layer(name).weights.format.type for name in ("blk.0.attn_q", "blk.1.attn_v", "output")} == {"IQ2_XXS", "Q4_K", "Q5_K"}


@pytest.mark.parametrize(
    ("kinds", "together"),
    [
        ({"": "IQ2_S", "attn_v": "IQ3_S", "attn_output": "IQ3_S", "output": "Q5_K", "token_embd": "IQ3_S"}, 1024 + 512),  # IQ2_M
        ({"": "IQ1_S", "attn_output": "IQ2_XXS", "ffn_down": "Q2_K", "output": "Q5_K", "token_embd": "Q2_K"}, 2048 + 256),  # IQ1_S
        ({"": "IQ1_M", "ffn_down": "IQ1_S", "output": "Q6_K", "token_embd": "Q2_K"}, 2048),  # one grid for both
    ],
)
def test_grids_that_a_file_mixes_lie_in_one_rom_that_has_room_for_them(kinds: dict[str, str], together: int, tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    trace = imported(tmp_path, sizes, random_tensors(sizes, kinds))
    rom = ["codebook.store=rom", "codebook.circuit=rom_macro"]
    roomy = load_accelerator("edge-64x64", [*rom, f"codebook.codewords={together}"])
    assert check_functional(roomy, trace).ok
    assert not any(traffic.operand == "codebook" for layer in simulate(roomy, trace).layers for traffic in layer.traffic)
    assert f"codebook.codewords={together}" in codebook_overrides(roomy, trace)
    with pytest.raises(CompileError, match=rf"exceed codebook\.codewords = {together - 1}|but codebook\.codewords = {together - 1}"):
        simulate(load_accelerator("edge-64x64", [*rom, f"codebook.codewords={together - 1}"]), trace)


@pytest.mark.parametrize("architecture", [name for name, family in FAMILIES.items() if family.experts != "always"])
def test_the_multiply_accumulates_of_an_architecture_are_those_of_its_matrices(architecture: str, tmp_path: Path) -> None:
    sizes = Sizes(architecture, head_width=32, heads=8)
    trace = imported(tmp_path, sizes, random_tensors(sizes, {"": "Q8_0"}))
    query, kv = 8 * 32, 2 * 32
    matrices = 2 * query * 256 + 2 * kv * 256 + 3 * 256 * 512
    attention = 2 * TOKENS * TOKENS * 8 * 32  # scores and context, for every pair of tokens
    assert trace.macs == 2 * (TOKENS * matrices + attention) + TOKENS * 96 * 256
    shared = [layer.shared for layer in trace.layers if isinstance(layer, MatmulLayer)]
    assert shared == [4] * 4


@pytest.mark.parametrize("architecture", FAMILIES)
def test_each_architecture_runs(architecture: str, tmp_path: Path) -> None:
    experts = 4 if FAMILIES[architecture].experts == "always" else 0
    sizes = Sizes(architecture, experts=experts, shared=256 if architecture == "qwen2moe" else 0)
    caps = CAPS if architecture == "gemma2" else {}
    trace = imported(tmp_path, sizes, random_tensors(sizes, {"": "Q4_0"}), **caps)
    assert simulate(load_accelerator("edge-64x64"), trace).macs == trace.macs


def test_a_fused_matrix_is_parted_into_the_layers_that_it_holds(tmp_path: Path) -> None:
    sizes = Sizes("phi3")
    tensors = random_tensors(sizes, {"": "Q4_K"})
    trace = imported(tmp_path, sizes, tensors)
    qkv, up = (tensors[f"blk.1.{name}.weight"][1].tobytes() for name in ("attn_qkv", "ffn_up"))
    assert b"".join(stored(trace, f"blk.1.attn_{part}").tobytes() for part in "qkv") == qkv
    assert b"".join(stored(trace, f"blk.1.ffn_{part}").tobytes() for part in ("gate", "up")) == up


def test_a_tied_head_reads_the_embeddings(tmp_path: Path) -> None:
    sizes = Sizes(tied=True)
    tensors = random_tensors(sizes, {"": "Q6_K"})
    assert stored(imported(tmp_path, sizes, tensors), "output").tobytes() == tensors["token_embd.weight"][1].tobytes()


def test_a_sliding_window_leaves_the_blocks_that_see_all_tokens(tmp_path: Path) -> None:
    sizes = Sizes("gemma3", blocks=7)
    trace = imported(tmp_path, sizes, random_tensors(sizes, {"": "Q4_0"}), **{"attention.sliding_window": 3})
    assert [trace.layer(f"blk.{block}.softmax").reach for block in range(7)] == [3, 3, 3, 3, 3, 0, 3]


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_a_file_of_floats_is_a_float_trace(kind: str, tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    tensors = random_tensors(sizes, {"": kind})
    trace = imported(tmp_path, sizes, tensors)
    for layer in trace.weighted_layers():
        expected = dequantize(tensors[tensor_of(layer.name)][1], GGMLQuantizationType[kind])
        np.testing.assert_array_equal(trace.weights(layer.name).T, expected)
        assert layer.weight.format.kind == "float32"


def test_floats_beside_quantized_matrices_take_the_recipe_that_a_note_names(tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    tensors = random_tensors(sizes, {"": "Q4_K", "output": "F16", "token_embd": "F16"})
    trace = imported(tmp_path, sizes, tensors)
    head = trace.layer("output").weights
    assert head is not None
    assert head.format.type == "Q8_0"
    assert trace.manifest.notes[-1] == "1 matrices of floats beside quantized ones are quantized to Q8_0 by the gguf package: output.weight"
    error = np.abs(head.format.reconstruct(trace.arrays("output"), 256, 96).T - tensors["output.weight"][1].astype(np.float64))
    steps = np.abs(tensors["output.weight"][1].astype(np.float64)).reshape(96, 8, 32).max(axis=2) / 127
    assert (error.reshape(96, 8, 32) <= 0.57 * steps[:, :, None]).all()  # half a step, and 127 times the rounding of its scale to binary16


def test_a_saved_trace_is_the_imported_one_and_keeps_norms_and_angles(tmp_path: Path) -> None:
    sizes = Sizes("qwen2", blocks=1)
    tensors = random_tensors(sizes, AS_RELEASED)
    imported(tmp_path, sizes, tensors)
    import_model(str(tmp_path / "m.gguf"), tmp_path / "trace", bind={"tokens": TOKENS})
    trace = load_trace(tmp_path / "trace")
    trace.verify_payload()
    np.testing.assert_array_equal(trace.constant("blk.0.attn_norm", "gamma"), tensors["blk.0.attn_norm.weight"][1])
    np.testing.assert_array_equal(trace.constant("blk.0.attn_k", "bias"), tensors["blk.0.attn_k.bias"][1])
    cosines = trace.constant("blk.0.attn_k_rotary", "cos").reshape(TOKENS, 32)
    np.testing.assert_allclose(cosines[3], np.cos(3 * 10_000.0 ** (-np.arange(32) / 32)), rtol=1e-6)


def test_a_seed_takes_shapes_and_formats_alone(tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    write_gguf(tmp_path / "m.gguf", sizes, random_tensors(sizes, AS_RELEASED))
    trace = import_model(str(tmp_path / "m.gguf"), seed=3)
    assert not trace.has_payload
    assert trace.layer("blk.0.attn_q").weights.format.type == "IQ2_XXS"
    assert trace.manifest.inputs[0].shape.rows == 64  # the context, which is shorter than the default


def broken(tensors: Tensors, name: str, replacement: tuple[str, np.ndarray] | None) -> Tensors:
    return {key: value for key, value in {**tensors, name: replacement}.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("blk.1.ffn_up.weight", None), r"1 missing \(blk.1.ffn_up.weight\)"),
        (("blk.0.attn_q.bias", ("F32", np.ones(256, np.float32))), r"1 unexpected \(blk.0.attn_q.bias\)"),
        (
            ("blk.0.attn_k.weight", ("F32", np.ones((64, 256), np.float32))),
            r"1 of another shape \(blk.0.attn_k.weight \(64, 256\) for \(128, 256\)\)",
        ),
        (
            ("blk.0.attn_norm.weight", ("F32", np.full(256, np.nan, np.float32))),
            "tensor 'blk.0.attn_norm.weight': value 0 is nan; allowed: finite",
        ),
        (("output.weight", ("Q8_K", np.zeros((96, 292), np.uint8))), "tensor 'output.weight' is of type Q8_K; allowed: F32, "),
        (
            ("output.weight", ("Q4_0", np.full((96, 144), 0xFF, np.uint8))),
            "tensor 'output.weight': gguf stream 'blocks': block 0 .* is NaN or",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_architecture_are_named(
    change: tuple[str, tuple[str, np.ndarray] | None], message: str, tmp_path: Path
) -> None:
    sizes = Sizes()
    tensors = broken(random_tensors(sizes, {"": "Q4_0"}), *change)
    with pytest.raises(ImportModelError, match=message):
        imported(tmp_path, sizes, tensors)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"expert_count": 8}, "key 'llama.expert_used_count' is missing"),
        ({"attention.head_count_kv": 3}, "key 'llama.attention.head_count_kv' has value 3; allowed: a divisor of attention.head_count = 4"),
        ({"attention.head_count": 0}, "key 'llama.attention.head_count' has value 0; allowed: a whole number from 1 to"),
        ({"block_count": 1_000_000}, "key 'llama.block_count' has value 1000000; allowed: a whole number from 1 to 1,024"),
        ({"context_length": 0}, "key 'llama.context_length' has value 0; allowed: a whole number from 1 to 16,777,216"),
        ({"embedding_length": 2**32 - 1}, "key 'llama.embedding_length' has value 4294967295; allowed: a whole number from 1 to"),
        ({"rope.dimension_count": 65}, "key 'llama.rope.dimension_count' has value 65; allowed: a whole number from 1 to 64"),
        ({"rope.scaling.type": "yarn"}, "key 'llama.rope.scaling.type' has value 'yarn'; allowed: none, linear, longrope"),
        ({"embedding_length": "wide"}, "key 'llama.embedding_length' has value 'wide'; allowed: a whole number"),
        ({"attention.value_length": 32}, "key 'llama.attention.value_length' has value 32; allowed: 64, the width of keys"),
        ({"rope.freq_base": float("nan")}, "key 'llama.rope.freq_base' has value nan; allowed: a finite number"),
    ],
)
def test_keys_without_a_meaning_are_named(keys: dict[str, int | float | str], message: str, tmp_path: Path) -> None:
    sizes = Sizes()
    with pytest.raises(ImportModelError, match=message):
        imported(tmp_path, sizes, random_tensors(sizes, {"": "Q4_0"}), **keys)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    sizes = Sizes("lama")
    with pytest.raises(ImportModelError, match=r"'general.architecture' has value 'lama'; known: gemma, .*did you mean 'llama'"):
        imported(tmp_path, sizes, random_tensors(sizes, {"": "Q4_0"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bind": {"tokens": 65}}, "--bind tokens=65; allowed: 1 to the model's context of 64"),
        ({"bind": {"token": 8}}, "--bind token: not a size of a language model; known: tokens"),
        ({"fill": {"mask": 1}}, "inputs can be filled in a file named"),
        ({"weights": Path("w.safetensors")}, "--weights w.safetensors: allowed with a model that"),
    ],
)
def test_options_without_a_meaning_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    write_gguf(tmp_path / "m.gguf", sizes, random_tensors(sizes, {"": "Q4_0"}))
    with pytest.raises(ImportModelError, match=message):
        import_model(str(tmp_path / "m.gguf"), **options)
