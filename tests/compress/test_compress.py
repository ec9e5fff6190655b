"""Compression of whole traces: recipes, bit counts by hand, errors by definition, and the same bits every time."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import numba
import numpy as np
import pytest

from accelsim.compression.compress_trace import Recipe, Rule, compress_trace, make_recipe, materialize
from accelsim.compression.encoder import encode, reconstruct
from accelsim.compression.open_trace import open_trace
from accelsim.compression.recipe import BLOCK_PATTERN
from accelsim.errors import FormatError, TraceError
from accelsim.formats.catalog import parse_format
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.seeded import seeded_weights
from accelsim.trace.trace import Trace, load_trace

whole_model = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="k-means of 5.3 M weights takes minutes as plain Python; `make test` runs this folder compiled"
)
TRACES = Path(__file__).parents[2] / "traces"


def gaussian(k: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((k, n)).astype(np.float32)


COMMITTED = {
    "deit_tiny_int8": "uniform:bits=8",
    "deit_tiny_uniform_b4": "uniform:bits=4",
    "deit_tiny_vecq_b2": "vecq:bits=2",
    "deit_tiny_vecq_b3": "vecq:bits=3",
    "deit_tiny_vecq_b4": "vecq:bits=4",
    "deit_tiny_ssvq_k16d8": "ssvq:k=16,d=8",
    "deit_tiny_universal_vq_k4096d8": "universal_vq:k=4096,d=8",
}
SLOW = {
    "deit_tiny_ssvq_k256d8": "ssvq:k=256,d=8",
    "deit_tiny_vq_k1024d8": "vq:k=1024,d=8",
    "deit_tiny_masked_vq_k512d16": "masked_vq:k=512,d=16,keep=4,of=16",
}


def recipe_of(name: str) -> Recipe:
    """The recipe in traces/README.md: 4-bit integers go to the blocks alone, as every format but int8 does."""
    return make_recipe({**COMMITTED, **SLOW}[name], BLOCK_PATTERN if name == "deit_tiny_uniform_b4" else None)


@whole_model
@pytest.mark.parametrize("name", COMMITTED)
def test_committed_traces_are_what_the_encoders_make(name: str, tmp_path: Path) -> None:
    compress_trace(load_trace(TRACES / "deit_tiny_float"), recipe_of(name), tmp_path / name, payload=name == "deit_tiny_ssvq_k16d8")
    for file in (TRACES / name).iterdir():
        assert (tmp_path / name / file.name).read_bytes() == file.read_bytes(), file


def alone(trace: Trace, name: str) -> Trace:
    """One layer of a trace as a network of its own."""
    layer, fields = trace.layer(name), {field: getattr(trace.manifest, field) for field in Manifest.model_fields}
    inputs = tuple(ModelInput(name=item, shape=trace.shapes[item]) for item in layer.inputs)
    return Trace(Manifest(**{**fields, "inputs": inputs, "layers": (layer,), "outputs": (name,)}))


@whole_model
@pytest.mark.parametrize("name", SLOW)
def test_committed_traces_that_take_long_are_checked_by_layers(name: str) -> None:
    # A layer's bits depend on the seed and its own name alone.
    source, committed = load_trace(TRACES / "deit_tiny_float"), load_trace(TRACES / name)
    for layer in ("vit.layers.0.attention.q_proj", "vit.layers.11.mlp.fc2"):
        packed, _ = compress_trace(alone(source, layer), Recipe((Rule("*", parse_format(SLOW[name])),)))
        assert packed.layer(layer).weight == committed.layer(layer).weight  # type: ignore[union-attr]
    formats = {layer.name: layer.weight.format for layer in committed.weighted_layers()}
    assert formats == {layer: recipe_of(name).format_of(layer) for layer in formats}
    assert set(committed.manifest.metrics) == set(load_trace(TRACES / "deit_tiny_int8").manifest.metrics)


def test_every_committed_trace_is_checked() -> None:
    found = {path.parent.name for path in TRACES.glob("deit_tiny_*/trace.json")}
    assert found - {"deit_tiny_float"} == {*COMMITTED, *SLOW}


@whole_model
def test_deit_tiny_is_counted_as_the_paper_counts_it() -> None:
    _, report = compress_trace(load_trace(TRACES / "deit_tiny_float"), make_recipe("ssvq:k=16,d=8"))
    blocks = report.by_format["ssvq:k=16,d=8"]
    assert (blocks.weights, blocks.paper_bits_per_weight, blocks.padding_bits) == (5_308_416, 1.5, 0)
    # 72 codebooks of 16 x 8 int8 and 72 float32 scales beside the 1.5 bits
    assert blocks.stored_bits == 5_308_416 * 3 // 2 + 72 * (16 * 8 * 8 + 32)
    assert round(blocks.compression_ratio, 1) == 21.1
    assert report.total.weights == 5_308_416 + 768 * 192 + 192 * 1000


def test_materialize_regenerates_the_committed_int8_manifest() -> None:
    trace = load_trace(TRACES / "deit_tiny_int8")
    assert not trace.has_payload
    whole = materialize(trace)
    whole.verify_payload()
    weights = seeded_weights(1, "classifier", 192, 1000)
    scale = np.abs(weights).max(axis=0) / np.float32(127)
    np.testing.assert_array_equal(whole.weights("classifier"), np.rint(weights / scale).astype(np.int8))
    assert materialize(whole) is whole


def test_materialize_gives_a_trace_of_shapes_the_bits_of_its_recipe() -> None:
    shapes = open_trace("tiny_vit_float@ssvq:k=16,d=8")
    whole, packed = materialize(shapes), load_trace(TRACES / "tiny_vit_ssvq")
    for layer in packed.weighted_layers():
        assert whole.layer(layer.name) == layer
        np.testing.assert_array_equal(whole.weights(layer.name), packed.weights(layer.name))
    whole.verify_payload()


def test_materialize_refuses_what_it_cannot_regenerate(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="float trace"):
        materialize(load_trace(TRACES / "tiny_vit_float"))
    compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("uniform"), tmp_path / "t", payload=False)
    manifest = tmp_path / "t" / "trace.json"
    manifest.write_text(manifest.read_text().replace('"seed": 1,', '"seed": 2,'))
    with pytest.raises(TraceError, match="differ from the manifest's checksums"):
        materialize(load_trace(tmp_path / "t"))


def test_another_process_makes_the_same_bits(tmp_path: Path) -> None:
    code = (
        "import sys; from accelsim.compression.compress_trace import *; from accelsim.trace.trace import load_trace\n"
        "compress_trace(load_trace(sys.argv[1]), make_recipe('ssvq:k=16,d=8'), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(TRACES / "tiny_vit_float"), str(tmp_path / "tiny_vit_ssvq")], check=True)
    for file in (TRACES / "tiny_vit_ssvq").iterdir():
        assert (tmp_path / "tiny_vit_ssvq" / file.name).read_bytes() == file.read_bytes()


def test_the_default_recipe_leaves_patch_embedding_and_classifier_at_8_bit() -> None:
    packed, _ = compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("ssvq:k=4,d=8"))
    kinds = {layer.name: layer.weight.format.kind for layer in packed.weighted_layers()}
    rest = {name for name, kind in kinds.items() if kind == "uniform"}
    assert rest == {"vit.embeddings.patch_embeddings.projection", "classifier"}
    assert len(kinds) - len(rest) == 12


def test_rules_hold_in_order() -> None:
    fine, coarse, rest = (parse_format(text) for text in ("uniform:bits=8", "uniform:bits=3", "uniform:bits=2"))
    recipe = Recipe((Rule("*.fc1", fine), Rule("vit.layers.*", coarse), Rule("*", rest)))
    assert [recipe.format_of(name) for name in ("vit.layers.0.mlp.fc1", "vit.layers.0.mlp.fc2", "classifier")] == [fine, coarse, rest]
    with pytest.raises(FormatError, match="no rule of the recipe matches layer 'classifier'"):
        Recipe((Rule("vit.*", fine),)).format_of("classifier")


def test_progress_counts_every_layer_in_order() -> None:
    seen: list[tuple[str, int, int]] = []
    compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("uniform"), progress=lambda *step: seen.append(step))
    assert seen == [("layers encoded", position, 14) for position in range(14)]
    again: list[tuple[str, int, int]] = []
    materialize(open_trace("tiny_vit_float@uniform"), lambda *step: again.append(step))
    assert again == [("layers regenerated", position, 14) for position in range(14)]


@pytest.mark.parametrize(
    "text", ["uniform", "uniform:bits=4,scale=tensor", "ssvq:k=16,d=4", "ssvq:k=16,d=4,axis=1", "ssvq:k=7,d=2,scale=channel"]
)
def test_the_reported_error_is_the_error(text: str) -> None:
    spec = parse_format(text)
    packed, report = compress_trace(
        load_trace(TRACES / "tiny_vit_float"), Recipe((Rule("*q_proj", spec), Rule("*", parse_format("uniform"))))
    )
    name = "vit.layers.1.attention.q_proj"
    exact = seeded_weights(1, name, 48, 48).astype(np.float64)
    approximate = packed.weights(name).astype(np.float64) * packed.arrays(name)["scales"].astype(np.float64)
    row = next(row for row in report.layers if row.name == name)
    assert row.relative_mse == pytest.approx(((exact - approximate) ** 2).sum() / (exact**2).sum())
    assert row.relative_mse < {"uniform": 1e-4, "uniform:bits=4,scale=tensor": 0.05}.get(text, 0.2)


@pytest.mark.parametrize("axis", [0, 1])
def test_ssvq_signs_are_those_of_the_weights_and_codewords_are_nearest(axis: int) -> None:
    weights = gaussian(16, 24)
    spec = parse_format(f"ssvq:k=8,d=4,axis={axis}")
    arrays = encode(spec, weights, np.random.default_rng(0))
    np.testing.assert_array_equal(arrays["signs"], weights < 0)
    codebook = arrays["codebook"].astype(np.float64) * float(arrays["scales"][0])
    assert arrays["codebook"].max() == 127
    magnitudes = np.abs(weights) if axis == 0 else np.abs(weights).T
    indices = arrays["indices"] if axis == 0 else arrays["indices"].T
    for row in range(magnitudes.shape[0]):
        for place in range(magnitudes.shape[1] // 4):
            distances = ((codebook - magnitudes[row, 4 * place : 4 * place + 4]) ** 2).sum(axis=1)
            assert distances[indices[row, place]] == pytest.approx(distances.min(), rel=1e-5)


def test_more_codewords_never_make_gaussian_weights_much_worse() -> None:
    weights = gaussian(64, 64)
    errors = []
    for k in (2, 8, 32, 128):
        spec = parse_format(f"ssvq:k={k},d=8")
        arrays = encode(spec, weights, np.random.default_rng(0))
        errors.append(float(((weights - reconstruct(spec, arrays, 64, 64)) ** 2).sum()))
    assert errors == sorted(errors, reverse=True)


DEGENERATE = {
    "zeros": np.zeros((8, 16)),
    "zeros with a sign": -np.zeros((8, 16)),
    "equal": np.full((8, 16), -0.3),
    "one weight": np.where(np.arange(128).reshape(8, 16) == 5, 1.0, 0.0),
    "one row again and again": np.tile(gaussian(1, 16), (8, 1)),
    "subnormal": 1e-42 * gaussian(8, 16),
    "equal and subnormal": np.full((8, 16), 1e-42),
    "nearly subnormal": 1e-37 * gaussian(8, 16),
    "a channel that is subnormal": gaussian(8, 16) * np.where(np.arange(16) == 3, 1e-42, 1),
    "large": 1e38 * np.clip(gaussian(8, 16), -3, 3),
    "the largest floats": np.where(gaussian(8, 16) < 0, -1, 1) * float(np.finfo(np.float32).max),
}
EVERY_FORMAT = (
    *("uniform", "uniform:bits=2,scale=tensor", "uniform:bits=16", "vecq:bits=2", "vecq:bits=8", "vq:k=16,d=8", "vq:k=4,d=8,scale=channel"),
    *("ssvq:k=4,d=8", "ssvq:k=16,d=8,axis=1,scale=channel", "masked_vq:k=4,d=8,keep=2,of=4", "universal_vq:k=16,d=8"),
)


@pytest.mark.parametrize("text", EVERY_FORMAT)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_weights_lose_no_more_than_all_of_themselves(text: str, name: str) -> None:
    spec, weights = parse_format(text), DEGENERATE[name].astype(np.float32)
    arrays = encode(spec, weights, np.random.default_rng(0))
    found = reconstruct(spec, spec.unpack(spec.pack(arrays, 8, 16), 8, 16), 8, 16)
    exact = weights.astype(np.float64)
    assert ((exact - found) ** 2).sum() <= (exact**2).sum() + 1e-80  # VecQ has no level at zero


def test_weights_and_formats_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    bad = gaussian(8, 16)
    bad[3, 3] = np.nan
    for spec, weights, message in (
        ("uniform", bad, "NaN"),
        ("ssvq:k=4,d=8", bad, "NaN"),
        ("ssvq:k=17,d=8", gaussian(8, 16), "k=17 codewords for 16 subvectors"),
        ("ssvq:k=4,d=5", gaussian(8, 16), "d=5 does not divide N=16"),
        ("float32", gaussian(8, 16), "unknown encoder 'float32'"),
    ):
        with pytest.raises(FormatError, match=message):
            encode(parse_format(spec), weights, rng)


def test_a_trace_is_compressed_once(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="allowed: a float trace"):
        compress_trace(load_trace(TRACES / "tiny_vit_ssvq"), make_recipe("uniform"), tmp_path / "t")
    with pytest.raises(FormatError, match=r"layer 'vit\.layers\.0\.attention\.q_proj': ssvq: d=7 does not divide N=48"):
        compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("ssvq:k=4,d=7"), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_seeded_weights_have_the_stated_distribution() -> None:
    weights = seeded_weights(1, "a", 256, 1024).astype(np.float64) * 16  # standard deviation 1/sqrt(256)
    assert abs(weights.mean()) < 0.01
    assert weights.std() == pytest.approx(1, abs=0.01)
    assert (weights**4).mean() == pytest.approx(3 - 1.2 / 16, abs=0.05)  # excess kurtosis of a sum of n uniforms is -1.2/n


def test_seeded_weights_are_fixed_for_ever() -> None:
    # worked from the definition: 16 little-endian 16-bit integers of PCG64's raw words, centred, times 1/sqrt(variance * K)
    first = seeded_weights(5, "x", 3, 2)
    raw = np.random.PCG64(np.random.SeedSequence([5, zlib.crc32(b"x")])).random_raw(4 * 6)
    for position, value in enumerate(first.reshape(-1).tolist()):
        total = sum(int(word) >> (16 * part) & 0xFFFF for word in raw[4 * position : 4 * position + 4] for part in range(4))
        assert value == pytest.approx((total - 8 * 65535) / (16 * (65536**2 - 1) / 12 * 3) ** 0.5, rel=1e-6)
    assert not np.array_equal(first, seeded_weights(6, "x", 3, 2))
    assert not np.array_equal(first, seeded_weights(5, "y", 3, 2))
