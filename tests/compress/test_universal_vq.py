"""Universal vector quantization: one codebook for layers and networks, drawn from a density of them; on chips with a ROM only."""

from __future__ import annotations

from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.compress_trace import Recipe, Rule, compress_trace, make_recipe, materialize
from accelsim.compression.encoder import Matrix, encode_with, make_codebook
from accelsim.compression.open_trace import open_trace
from accelsim.compression.shared_codebooks import shared_codebooks
from accelsim.errors import CompileError, FormatError, TraceError
from accelsim.formats.catalog import parse_format
from accelsim.functional import check_functional
from accelsim.ops.weight_record import StreamRecord
from accelsim.report.tables.trace import stream_totals
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.layers import WeightedLayer, WeightRecord
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace, with_payload
from tests import naive_formats as naive
from tests.tiny_convnets import ConvNet

TRACES = Path(__file__).parents[2] / "traces"
TEXT = "universal_vq:k=64,d=8"
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def gaussian(k: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((k, n)).astype(np.float32)


def matrices(*arrays: np.ndarray) -> list[Matrix]:
    return [Matrix(array.shape[0], array.shape[1], lambda array=array: array) for array in arrays]  # type: ignore[misc]


def rom(preset: str = "edge-32x32") -> Accelerator:
    return load_accelerator(preset, ["codebook.store=rom", "codebook.circuit=logic_rom"])


def network(seed: int, name: str) -> Trace:
    """The tiny network with weights of another seed: another network of the same shape."""
    trace = load_trace(TRACES / "tiny_vit_float")
    fields = {field: getattr(trace.manifest, field) for field in type(trace.manifest).model_fields}
    return Trace(type(trace.manifest)(**{**fields, "name": name, "source": seeded_source(seed), "payload": None}))


# -- the format


@settings(max_examples=30, deadline=None)
@given(axis=st.integers(0, 1), codewords=st.integers(1, 20), d=st.sampled_from([1, 2, 4, 8]), seed=st.integers(0, 2**32 - 1))
def test_weights_are_lanes_of_signed_codewords(axis: int, codewords: int, d: int, seed: int) -> None:
    spec = parse_format(f"universal_vq:k={codewords},d={d},axis={axis}")
    rng = np.random.default_rng(seed)
    arrays = {
        "indices": rng.integers(0, codewords, spec.streams(8, 16)["indices"].shape),
        "codebook": rng.integers(-128, 128, (codewords, d)),
        "scales": np.ones(1, np.float32),
    }
    weights = spec.dequantize(spec.unpack(spec.pack(arrays, 8, 16), 8, 16), 8, 16)
    lists = (arrays["indices"].tolist(), arrays["codebook"].tolist())
    assert weights.tolist() == [[naive.codeword_weight(*lists, axis, row, column) for column in range(16)] for row in range(8)]


def test_no_bit_a_weight_is_the_codebooks() -> None:
    # CR = 32 d / log2 k: k = 2^16, d = 8 is 2 bits and 16x; its ROM of 0.5 MB is no layer's. A layer adds its float32 scale.
    spec = parse_format("universal_vq:k=65536,d=8")
    bits = spec.bits_per_weight(192, 192)
    assert (bits.paper, bits.total) == (2.0, pytest.approx(2 + 32 / 192**2))
    assert spec.placed("header", 192, 192) == {}
    assert spec.streams(192, 192)["codebook"].bytes == 1 << 19


# -- the codebook


def test_codewords_spread_as_the_density_does() -> None:
    # Kernels of width h = n^(-1/(d+4)) deviations on points of variance 1 have variance 1 + h^2: here n = 65,536 and d = 2, so h = 0.157.
    spec = parse_format("universal_vq:k=20000,d=2")
    codebook = make_codebook(spec, [matrices(0.01 * gaussian(512, 512))], np.random.default_rng(0))
    assert (codebook / 32.0).var(axis=0) == pytest.approx([1 + 0.157**2] * 2, rel=0.03)
    assert np.abs((codebook / 32.0).mean(axis=0)).max() < 0.03


def test_each_network_counts_alike_whatever_its_size() -> None:
    # One network's weights are all near +1 deviation, those of the other, 64 times as large, near -1.
    small, large = 5 + 0.01 * gaussian(16, 16), -3 + 0.01 * gaussian(128, 128, 1)
    spec = parse_format("universal_vq:k=4000,d=4")
    codebook = make_codebook(spec, [matrices(small), matrices(large)], np.random.default_rng(0))
    assert (codebook.mean(axis=1) > 0).mean() == pytest.approx(0.5, abs=0.03)


def test_every_subvector_takes_the_codeword_that_is_nearest() -> None:
    weights = 0.02 * gaussian(16, 24)
    spec = parse_format("universal_vq:k=40,d=4,axis=1")
    codebook = make_codebook(spec, [matrices(gaussian(64, 64, 5))], np.random.default_rng(0))
    arrays = encode_with(spec, weights, codebook)
    assert arrays["codebook"] is codebook
    assert float(arrays["scales"][0]) == pytest.approx(np.sqrt((weights.astype(float) ** 2).mean()) / 32)
    integers = weights.astype(np.float64) / float(arrays["scales"][0])
    for column in range(24):
        for place in range(4):
            distances = ((codebook.astype(np.float64) - integers[4 * place : 4 * place + 4, column]) ** 2).sum(axis=1)
            assert distances[arrays["indices"][place, column]] == pytest.approx(distances.min(), rel=1e-5)


def test_what_does_not_fit_is_one_clear_message() -> None:
    rng = np.random.default_rng(0)
    bad = gaussian(8, 16)
    bad[0, 0] = np.inf
    spec = parse_format("universal_vq:k=4,d=8")
    narrow = matrices(gaussian(8, 12))
    for networks, message in (([], "at least one matrix"), ([matrices(bad)], "infinity"), ([narrow], "d=8 does not divide")):
        with pytest.raises(FormatError, match=message):
            make_codebook(spec, networks, rng)
    # Two networks of 3 and 16 subvectors: together they may have a codebook of 19.
    small, large = matrices(gaussian(3, 8)), matrices(gaussian(8, 16))
    assert make_codebook(parse_format("universal_vq:k=19,d=8"), [small, large], rng).shape == (19, 8)
    with pytest.raises(FormatError, match="k=20 codewords for 19 subvectors"):
        make_codebook(parse_format("universal_vq:k=20,d=8"), [small, large], rng)
    with pytest.raises(FormatError, match="'k' has value 65537"):
        parse_format("universal_vq:k=65537,d=8")


# -- networks


@compiled
def test_two_networks_carry_one_codebook_in_either_order(tmp_path: Path) -> None:
    first, second = network(1, "first"), network(2, "second")
    packed = [
        compress_trace(first, make_recipe(TEXT), tmp_path / "first", companions=[second])[0],
        compress_trace(second, make_recipe(TEXT), tmp_path / "second", companions=[first])[0],
    ]
    records = {
        layer.weight.streams["codebook"] for trace in packed for layer in trace.weighted_layers() if "codebook" in layer.weight.streams
    }
    assert len(records) == 1
    alone = compress_trace(first, make_recipe(TEXT))[0]
    assert alone.sha256 != packed[0].sha256
    back = load_trace(tmp_path / "first")
    back.verify_payload()
    assert sum(name.endswith("codebook") for name in back.payload.sizes()) == 1  # type: ignore[union-attr]
    assert ("universal_vq:k=64,d=8", "codebook") not in stream_totals(back)
    for trace in packed:
        assert check_functional(rom(), trace).ok


@compiled
def test_a_seeded_trace_without_payload_is_regenerated(tmp_path: Path) -> None:
    source = load_trace(TRACES / "tiny_vit_float")
    whole, report = compress_trace(source, make_recipe(TEXT), tmp_path / "t", payload=False)
    again = materialize(load_trace(tmp_path / "t"))
    name = whole.weighted_layers()[1].name
    np.testing.assert_array_equal(again.weights(name), whole.weights(name))
    assert report.by_format[TEXT].paper_bits_per_weight == 6 / 8
    with pytest.raises(TraceError, match="shares a codebook with 'second'"):
        compress_trace(source, make_recipe(TEXT), payload=False, companions=[network(2, "second")])


def test_a_network_without_a_shared_layer_is_refused() -> None:
    (matrix,) = matrices(gaussian(8, 16))
    shared, own = parse_format("universal_vq:k=4,d=8"), parse_format("uniform")
    assert set(shared_codebooks([[(shared, matrix), (own, matrix)], [(shared, matrix)]], seed=0)) == {shared}
    assert shared_codebooks([[(own, matrix)]], seed=0) == {}
    with pytest.raises(FormatError, match="a network has no layer in 'universal_vq:k=4,d=8'"):
        shared_codebooks([[(shared, matrix)], [(own, matrix)]], seed=0)


# -- chips


def codebook_bits(result: Result) -> int:
    return sum(item.bits for layer in result.layers for item in layer.traffic if item.operand == "codebook")


@compiled
def test_the_codebook_crosses_no_memory_and_lookups_are_those_of_vq() -> None:
    source = load_trace(TRACES / "tiny_vit_float")
    universal = simulate(rom(), compress_trace(source, make_recipe(TEXT))[0])
    plain = simulate(load_accelerator("edge-32x32"), compress_trace(source, make_recipe("vq:k=64,d=8"))[0])
    assert codebook_bits(universal) == 0
    # 12 matrices, each with a codebook of 64 x 8 int8
    assert codebook_bits(plain) == 12 * 64 * 8 * 8


def with_drawn_bits(shapes: Trace) -> Trace:
    """Shapes with indices, codebooks and integers drawn over all that their formats allow."""
    tensors: dict[str, np.ndarray] = {}
    layers = []
    for layer in shapes.layers:
        if isinstance(layer, WeightedLayer):
            spec, (k, n) = layer.weight.format, (layer.weight.k, layer.weight.n)
            rng = np.random.default_rng(0)  # one codebook for all
            arrays = {}
            for name, stream in sorted(spec.streams(k, n).items()):
                low, high = (-(1 << stream.bits - 1), 1 << stream.bits - 1) if stream.number == "signed" else (0, 1 << stream.bits)
                arrays[name] = np.ones(stream.shape, np.float32) if stream.number == "float" else rng.integers(low, high, stream.shape)
            packed = spec.pack(arrays, k, n)
            keys = {name: "codebook" if name == "codebook" else f"{layer.name}.{name}" for name in packed}
            tensors |= {keys[name]: data for name, data in packed.items()}
            records = {name: StreamRecord.of(keys[name], spec.streams(k, n)[name].total_bits, data) for name, data in packed.items()}
            layer = layer.with_fields(weight=WeightRecord(format=spec, k=k, n=n, streams=records))
        layers.append(layer)
    fields = {field: getattr(shapes.manifest, field) for field in type(shapes.manifest).model_fields}
    return with_payload(type(shapes.manifest)(**{**fields, "layers": tuple(layers)}), tensors)


@compiled
def test_the_largest_codebook_runs_on_a_chip_with_its_rom() -> None:
    packed = with_drawn_bits(open_trace("tiny_vit_float@universal_vq:k=65536,d=8"))
    with pytest.raises(CompileError, match=r"k = 65536 codewords exceed codebook\.codewords = 256"):
        compile_trace(rom(), packed)
    chip = load_accelerator("edge-32x32", ["codebook.store=rom", "codebook.circuit=rom_macro", "codebook.codewords=65536"])
    assert check_functional(chip, packed).ok
    assert simulate(chip, packed).layers


@compiled
def test_a_chip_without_a_rom_and_a_rom_for_two_codebooks_are_refused() -> None:
    source = load_trace(TRACES / "tiny_vit_float")
    with pytest.raises(CompileError, match=r"'ram' of 'edge-32x32' is loaded layer by layer; allowed: codebook\.store = 'rom'"):
        compile_trace(load_accelerator("edge-32x32"), compress_trace(source, make_recipe(TEXT))[0])
    for other in ("universal_vq:k=32,d=8", "vq:k=64,d=8"):
        rules = (Rule("*.fc1", parse_format(TEXT)), Rule("*.fc2", parse_format(other)), Rule("*", parse_format("uniform")))
        with pytest.raises(CompileError, match="need different codebooks, but the ROM of 'edge-32x32' holds one"):
            compile_trace(rom(), compress_trace(source, Recipe(rules))[0])


def test_more_codewords_than_all_networks_have_subvectors_are_one_message(tmp_path: Path) -> None:
    first, second = network(1, "first"), network(2, "second")  # 36,864 weights in blocks each: 4,608 subvectors of 8
    with pytest.raises(FormatError, match=r"'universal_vq:k=4609,d=8' for all layers and networks: k=4609 codewords for 4608 subvectors"):
        compress_trace(first, make_recipe("universal_vq:k=4609,d=8"), tmp_path / "out")
    with pytest.raises(FormatError, match="k=9217 codewords for 9216 subvectors"):
        compress_trace(first, make_recipe("universal_vq:k=9217,d=8"), tmp_path / "out", companions=[second])
    assert not (tmp_path / "out").exists()


def test_a_network_beside_itself_is_refused() -> None:
    with pytest.raises(TraceError, match="trace 'first': a network is given twice"):
        compress_trace(network(1, "first"), make_recipe(TEXT), companions=[network(2, "second"), network(1, "first")])


def test_a_companion_that_does_not_fit_is_named() -> None:
    narrow = ConvNet(4, 6, 6).conv(8).trace("float32")  # 8 outputs
    wide = parse_format("universal_vq:k=4,d=16")
    recipe = Recipe((Rule("*.fc?", wide), Rule("conv*", wide), Rule("*", parse_format("uniform"))))
    with pytest.raises(FormatError, match=r"trace 'convnet', layer 'conv1': universal_vq: d=16 does not divide N=8"):
        compress_trace(network(1, "first"), recipe, companions=[narrow])


def test_another_network_beside_a_format_that_shares_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="trace 'second' shares nothing"):
        compress_trace(network(1, "first"), make_recipe("ssvq:k=4,d=8"), tmp_path / "out", companions=[network(2, "second")])
    assert not (tmp_path / "out").exists()
