"""Entropy-coded formats: codes read by a decoder from the definition, lengths from the values, traffic and cycles by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product as product_of
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.encoder import encode
from accelsim.compression.open_trace import open_trace
from accelsim.compression.recipe import make_recipe
from accelsim.compression.repack import repack
from accelsim.cost.decoder_parts import decoder_parts
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError, FormatError
from accelsim.formats.catalog import describe_format, format_from_mapping, parse_format
from accelsim.formats.entropy_coded import EntropyCodedFormat
from accelsim.formats.huffman import code_lengths
from accelsim.functional import check_functional
from accelsim.presets import find_trace
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.payload import MemoryPayload
from accelsim.trace.statistics import trace_statistics
from accelsim.trace.trace import load_trace, save_trace
from tests import naive_entropy as naive
from tests.contract.test_weight_traffic import product
from tests.packed_products import LAYER, packed_product
from tests.random_weights import random_arrays
from tests.tiny_machines import tiny_accelerator

TEXTS = (
    "huffman-uniform:bits=8",
    "huffman-ssvq:k=11,d=4",
    "huffman-vecq:bits=3",
    "huffman-aqlm:books=2,bits=5,d=4",
    "huffman-vptq:bits=6,residual_bits=4,d=8",
    "huffman-masked_vq:k=16,d=8,keep=2,of=4",
    "huffman-quip_e8p",
    "rice-uniform:bits=5",
    "rice-int_group:bits=3,group=16,zero=1",
    "rice-palette:bits=6,d=2,tables=2",
    "rice-universal_vq:k=64,d=8",
)
K, N = 64, 40


def fitted(text: str, seed: int = 1) -> tuple[EntropyCodedFormat, dict[str, Any]]:
    """A format and values, not evenly distributed, that it is fitted to."""
    spec = parse_format(text)
    rng = np.random.default_rng(seed)
    arrays = random_arrays(spec, K, N, rng)
    stream = "indices" if "indices" in arrays else "weights"
    arrays[stream] = (arrays[stream] * rng.random(arrays[stream].shape) ** 2).astype(np.int64)
    found = spec.fitted(arrays, K, N)
    assert isinstance(found, EntropyCodedFormat)
    return found, arrays


def numbers(text: str, values: np.ndarray, bits: int) -> list[int]:
    """Values as their code numbers them: two's complement for Huffman; 0, -1, 1, -2, ... for Rice."""
    if text.startswith("rice"):
        return [2 * value if value >= 0 else -2 * value - 1 for value in values.reshape(-1).tolist()]
    return [value % (1 << bits) for value in values.reshape(-1).tolist()]


@pytest.mark.parametrize("text", TEXTS)
def test_streams_of_codes_are_read_by_a_decoder_from_the_definition(text: str) -> None:
    spec, arrays = fitted(text)
    packed = spec.pack(arrays, K, N)
    stream = "indices" if "indices" in arrays else "weights"
    plain = spec.inside.streams(K, N)[stream]
    signed = plain.number == "signed"
    wanted = numbers(text, arrays[stream], plain.bits) if signed else arrays[stream].reshape(-1).tolist()
    bits = spec.streams(K, N)[stream].total_bits
    data = packed[stream].tobytes()
    assert len(data) == -(-bits // 8)
    if text.startswith("rice"):
        parameter = int(packed["rice_parameter"][0])
        assert naive.rice_symbols(data, bits, parameter) == wanted
        assert bits == min(sum((value >> low) + 1 + low for value in wanted) for low in range(plain.bits + 1))
    else:
        lengths = [packed["code_lengths"][place // 2] >> 4 * (place % 2) & 15 for place in range(spec.code_streams()["code_lengths"].count)]
        lengths = [int(length) for length in lengths]
        assert naive.huffman_symbols(data, bits, lengths) == wanted
        assert naive.kraft(lengths) == 1
        assert bits == naive.least_huffman_bits([wanted.count(symbol) for symbol in set(wanted)])
    back = spec.unpack(packed, K, N)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
    np.testing.assert_array_equal(spec.dequantize(back, K, N), spec.inside.dequantize(arrays, K, N))


def test_lengths_are_those_of_huffmans_algorithm_by_hand() -> None:
    """1 + 1 = 2, 2 + 2 = 4, 4 + 4 = 8: lengths 3, 3, 2, 1; one symbol alone has a code of one bit; none that is unused has any."""
    assert code_lengths(np.array([1, 1, 2, 4])).tolist() == [3, 3, 2, 1]
    assert code_lengths(np.array([0, 7, 0])).tolist() == [0, 1, 0]


def test_longer_codes_are_cut_to_15_bits() -> None:
    """Fibonacci counts have codes as long as there are symbols."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    lengths = code_lengths(np.array(counts)).tolist()
    assert max(lengths) == 15
    assert naive.kraft(lengths) == 1


@pytest.mark.parametrize("counts", [(1, 2, 4, 8, 16), (5, 5, 5, 5, 5), (1, 1, 1, 50, 3), (9, 1, 0, 30, 2)])
def test_a_cut_code_is_the_shortest_of_all_codes_of_its_lengths(counts: tuple[int, ...]) -> None:
    used = [count for count in counts if count]
    codes = [lengths for lengths in product_of(range(1, 4), repeat=len(used)) if naive.kraft(lengths) <= 1]
    least = min(sum(size * count for size, count in zip(lengths, used, strict=True)) for lengths in codes)
    assert int(code_lengths(np.array(counts), 3) @ np.array(counts)) == least


@settings(max_examples=30, deadline=None)
@given(data=st.data(), text=st.sampled_from(["huffman-uniform:bits=4", "rice-uniform:bits=6", "huffman-vq:k=5,d=8", "rice-vq:k=300,d=8"]))
def test_any_values_come_back(data: st.DataObject, text: str) -> None:
    spec = parse_format(text)
    arrays = random_arrays(spec, 8, 8, np.random.default_rng(0))
    stream = spec.inside.streams(8, 8)[spec._stream]
    low, high = (-(1 << stream.bits - 1), (1 << stream.bits - 1) - 1) if stream.number == "signed" else (0, spec._alphabet - 1)
    values = data.draw(st.lists(st.integers(low, high), min_size=stream.count, max_size=stream.count))
    arrays[spec._stream] = np.array(values).reshape(stream.shape)
    own = spec.fitted(arrays, 8, 8)
    back = own.unpack(own.pack(arrays, 8, 8), 8, 8)
    np.testing.assert_array_equal(back[spec._stream], arrays[spec._stream])


@pytest.mark.parametrize("text", TEXTS)
def test_damaged_streams_of_codes_are_refused_in_words(text: str) -> None:
    spec, arrays = fitted(text)
    packed = spec.pack(arrays, K, N)
    stream = spec._stream
    for wrong in (packed[stream][:-1], np.append(packed[stream], np.uint8(0)), np.full_like(packed[stream], 255)):
        with pytest.raises(FormatError, match=f"stream {stream!r}"):
            spec.unpack({**packed, stream: wrong}, K, N)
    with pytest.raises(FormatError, match="needs the streams"):
        spec.unpack({name: value for name, value in packed.items() if name != stream}, K, N)
    if "code_lengths" in packed:
        for wrong in (np.zeros_like(packed["code_lengths"]), np.full_like(packed["code_lengths"], 0x11)):
            with pytest.raises(FormatError, match=r"no complete prefix code|padding bits are not zero"):
                spec.unpack({**packed, "code_lengths": wrong}, K, N)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("huffman", "parameter 'inside' is missing"),
        ("huffman-uniform:bits=16", "'uniform' has symbols of 16 bits; allowed: whole bits, at most 12"),
        ("huffman-universal_vq:k=65536,d=8", "'universal_vq' has symbols of 16 bits"),
        ("rice-gguf:type=TQ1_0", "allowed: whole bits"),
        ("huffman-float32", "allowed: whole bits"),
        ("uniform-vecq", "unknown parameter 'inside'"),
        ("hufman-ssvq:k=16,d=8", "did you mean 'huffman'"),
        ("huffman-ssvqq:k=16,d=8", "did you mean 'ssvq'"),
        ("huffman-rice-uniform", "unknown format 'rice-uniform'"),
    ],
)
def test_a_wrong_text_is_one_clear_message(text: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_format(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_formats_that_keep_no_stream_to_code_are_refused() -> None:
    with pytest.raises(FormatError, match=r"huffman: 'gguf' keeps no stream 'weights' of its own"):
        parse_format("huffman-gguf:type=Q4_0").streams(64, 8)


def test_lengths_are_in_the_manifest_and_not_in_the_text() -> None:
    spec, _ = fitted("huffman-ssvq:k=11,d=4")
    assert describe_format(spec) == "huffman-ssvq:k=11,d=4"
    assert format_from_mapping(spec.model_dump()) == spec
    with pytest.raises(FormatError, match="symbols = 640, but a 64 x 80 matrix of 'ssvq' has 1280"):
        spec.streams(64, 80)


# Traffic and cycles.


def chip(**array: Any) -> Accelerator:
    return tiny_accelerator(
        array={"rows": 16, "cols": 16, "max_m": 32, "raw_weights_per_cycle": 16, **array},
        codebook={"ports": 4, "codeword_length": 8, "codewords": 16},
        weight_buffer={"capacity": 65536, "word_bits": 256},
    )


def read(result: Result) -> dict[str, int]:
    return {key.operand: bits for key, bits in result.traffic.items() if not key.write}


def test_traffic_is_the_codes_the_table_and_an_offset_per_tile() -> None:
    """64 x 40 weights in 3 stripes of 4 tiles: codes as long as these values need, 11 lengths of 4 bits, 12 offsets of 32 bits."""
    spec, _ = fitted("huffman-ssvq:k=11,d=4")
    bits = read(simulate(chip(), product(spec)))
    assert bits["indices"] == spec.coded_bits
    assert bits["signs"] == 2560
    assert bits["codebook"] == 11 * 4 * 8 + 11 * 4 + 12 * 32
    plain = read(simulate(chip(), product(spec.inside)))
    assert plain["indices"] == 640 * 4 > bits["indices"]


@pytest.mark.parametrize(
    ("text", "symbols", "changes"),
    [
        ("uniform:bits=4", 8, {"raw_weights_per_cycle": 8}),
        ("uniform:bits=4", None, {}),
        ("uniform:bits=4", 16, {}),
    ],
)
def test_codes_of_equal_lengths_take_the_cycles_of_fields_at_the_rate_of_the_decoder(
    text: str, symbols: int | None, changes: dict[str, Any]
) -> None:
    """16 symbols used evenly have codes of 4 bits; what differs is the rate, in words that are always there."""
    spec = parse_format(f"huffman-{text}").evenly_used(K, N)
    assert spec.coded_bits == 4 * K * N
    slow = simulate(chip(symbols_per_cycle=symbols), product(spec)).layers[0]
    plain = simulate(chip(**changes), product(spec.inside)).layers[0]
    assert slow.bounds["decode"] == plain.bounds["decode"] == 12 * 256 // (symbols or 16)
    busy = {name: count for name, count in slow.cycles.items() if name in ("busy", "decode", "swap", "fill_drain")}
    assert busy == {name: plain.cycles[name] for name in busy}


def test_a_decoder_of_two_symbols_per_cycle_is_two_codebook_ports() -> None:
    """Vectors of 8: 16 x 16 weights are 32 records, 16 cycles of two."""
    spec = parse_format("huffman-vq:k=16,d=8").evenly_used(K, N)
    slow = simulate(chip(symbols_per_cycle=2), product(spec)).layers[0]
    assert slow.bounds["decode"] == 12 * 16
    assert slow.decoded_weights == 3 * 64 * 16


def test_a_decoder_slower_than_a_record_shortens_raw_records() -> None:
    """Three symbols per cycle: records of two weights, one per cycle; one symbol: a weight per cycle."""
    for symbols, weights in ((3, 2), (1, 1), (4, 4)):
        layer = simulate(chip(symbols_per_cycle=symbols), product(parse_format("huffman-uniform:bits=4").evenly_used(K, N))).layers[0]
        assert layer.bounds["decode"] == 12 * 256 // weights


def test_more_symbols_per_vector_than_the_decoder_has_are_refused() -> None:
    with pytest.raises(CompileError, match=r"2 symbols per vector exceed array\.symbols_per_cycle = 1 .*allowed: at least 2"):
        simulate(
            tiny_accelerator(
                array={"rows": 16, "cols": 16, "max_m": 32, "symbols_per_cycle": 1},
                codebook={"ports": 4, "codeword_length": 8, "codewords": 512},
            ),
            product(parse_format("huffman-aqlm:books=2,bits=8")),
        )


def test_a_shorter_code_is_a_shorter_stream_and_its_mean_is_exact() -> None:
    spec, arrays = fitted("huffman-uniform:bits=8")
    path = spec.decode_path()
    assert path.raw_bits == Fraction(spec.coded_bits or 0, K * N)
    assert path.stream_bits(K * N) == {"weights": spec.coded_bits}
    assert path.lane_bits == 8
    count = spec.bit_count(K, N)
    assert count.paper == spec.coded_bits
    assert count.stored == 8 * (-(-(spec.coded_bits or 0) // 8) + 128 + 4 * N)
    assert spec.inside.bit_count(K, N).paper > count.paper
    del arrays


# Whole traces.


def test_compressed_traces_keep_codes_and_are_made_again_from_their_seed(tmp_path: Path) -> None:
    trace, report = compress_trace(load_trace(find_trace("tiny_vit_float")), make_recipe("huffman-ssvq:k=16,d=8"), out=tmp_path / "coded")
    coded = [layer for layer in trace.weighted_layers() if layer.weight.format.kind == "huffman"]
    assert coded
    for layer in coded:
        spec = layer.weight.format
        assert isinstance(spec, EntropyCodedFormat)
        assert layer.weight.streams["indices"].bits == spec.coded_bits
    loaded = load_trace(tmp_path / "coded")
    assert trace_statistics(loaded).indices.keys() == {"huffman-ssvq:k=16,d=8"}
    rows = {row.name: row for row in report.layers}
    for layer in coded:
        assert rows[layer.name].paper_bits == layer.weight.streams["indices"].bits + layer.weight.streams["signs"].bits
    name = coded[0].name
    arrays = loaded.arrays(name)
    arrays["indices"] = np.zeros_like(arrays["indices"])
    again = repack(loaded, {name: arrays}, "all of one codeword")
    spec = again.layer(name).weights.format  # type: ignore[union-attr]
    assert isinstance(spec, EntropyCodedFormat)
    assert spec.coded_bits == arrays["indices"].size  # a bit each
    np.testing.assert_array_equal(again.arrays(name)["indices"], 0)


def test_shapes_of_stored_weights_have_the_lengths_of_their_codes_and_say_so(tmp_path: Path) -> None:
    """A matrix of less than the sample is encoded whole, so its estimate is the length of the compressed trace."""
    stored = save_trace(packed_product("float32", 2, 64, 40), tmp_path / "floats")
    shapes = open_trace(f"{stored}@huffman-uniform:bits=6")
    exact, _ = compress_trace(load_trace(stored), make_recipe("huffman-uniform:bits=6"))
    assert any("lengths of entropy codes are estimates" in note for note in shapes.manifest.notes)
    assert shapes.weighted_layers()[0].weight.format == exact.weighted_layers()[0].weight.format
    assert simulate(chip(), shapes).total_cycles == simulate(chip(), exact).total_cycles


def test_seeded_layers_of_equal_shape_share_an_estimate_near_each_ones_length() -> None:
    shapes = open_trace("tiny_vit_float@huffman-uniform:bits=8")
    exact, _ = compress_trace(load_trace(find_trace("tiny_vit_float")), make_recipe("huffman-uniform:bits=8"))
    for layer, other in zip(shapes.weighted_layers(), exact.weighted_layers(), strict=True):
        assert layer.weight.format.bit_count(layer.weight.k, layer.weight.n).paper == pytest.approx(
            other.weight.format.bit_count(layer.weight.k, layer.weight.n).paper, rel=0.02
        )


def test_matrices_beyond_the_sample_take_the_same_bits_per_weight() -> None:
    """Seeded weights: the first outputs of a layer of 192 x 768 stand for all; near-Gaussian int8 weights take 7 to 7.6 bits."""
    shapes = open_trace("deit_tiny_float@huffman-uniform:bits=8")
    for layer in shapes.weighted_layers():
        spec = layer.weight.format
        if isinstance(spec, EntropyCodedFormat):
            assert 6.5 < (spec.coded_bits or 0) / layer.weight.count < 7.8
    shared = open_trace("deit_tiny_float@huffman-universal_vq:k=256,d=8").weighted_layers()[1].weight
    assert isinstance(shared.format, EntropyCodedFormat)
    assert shared.format.coded_bits == shared.count  # 256 codewords, used evenly: 8 bits for 8 weights


def test_the_functional_check_reads_codes_by_itself_and_names_a_flipped_bit() -> None:
    trace = packed_product("huffman-ssvq:k=16,d=8", 2, 64, 96)
    machine = tiny_accelerator(array={"rows": 16, "cols": 16, "max_m": 32}, codebook={"ports": 4, "codeword_length": 8, "codewords": 16})
    assert [layer.message for layer in check_functional(machine, trace).layers] == ["bit-exact"]
    tensors = {record.tensor: trace.stream(LAYER, name).copy() for name, record in trace.weighted_layers()[0].weight.streams.items()}
    tensors[f"{LAYER}.indices"][0] ^= 1
    flipped = replace(trace, payload=MemoryPayload(tensors))
    assert "bit 0 is flipped; every tile depends on it" in check_functional(machine, flipped).layers[0].message


def test_an_encoder_of_the_format_inside_encodes() -> None:
    weights = np.random.default_rng(2).standard_normal((48, 64)).astype(np.float32)
    inside, outside = parse_format("uniform:bits=4"), parse_format("huffman-uniform:bits=4")
    first, second = (encode(spec, weights, np.random.default_rng(0)) for spec in (inside, outside))
    np.testing.assert_array_equal(first["weights"], second["weights"])


def test_a_decoder_per_symbol_is_counted_by_hand() -> None:
    """Rice: 32 bits of input (FLOP_ENABLE each), two shifters of 32 x 5 multiplexers, a priority encoder of 3 GE per bit, an adder of 8."""
    node = load_technology("nangate45")
    path = parse_format("rice-uniform:bits=8").decode_path()
    parts = {symbols: decoder_parts(path, chip(symbols_per_cycle=symbols), node) for symbols in (8, 16)}
    found = {symbols: part.gates.nominal for symbols, (part,) in parts.items() if part.gates is not None}
    assert found[16] == pytest.approx(2 * found[8])
    assert found[8] / 8 == pytest.approx(32 * 8.0 + 2 * 2.15 * 32 * 5 + 3 * 32 + 8 * 6.1, rel=0.1)
