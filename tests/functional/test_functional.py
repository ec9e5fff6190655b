"""The functional check: bit-exact where it should be, and a flipped bit is found where it lies."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from math import comb
from pathlib import Path

import numba
import numpy as np
import pytest

from accelsim import functional_twin
from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.image import LayerImage
from accelsim.compression.open_trace import open_trace
from accelsim.errors import TraceError
from accelsim.formats.catalog import format_from_mapping
from accelsim.functional import check_functional, row_passes
from accelsim.functional.products import gather, panels
from accelsim.kernels.stripe import multiply
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import StreamRecord, WeightRecord
from accelsim.trace.layers import ConvLayer, GemmLayer, Layer
from accelsim.trace.manifest import CheckpointSource, Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace, with_payload
from tests import naive_formats

TRACES = Path(__file__).parents[2] / "traces"
SSVQ = TRACES / "tiny_vit_ssvq"
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


# -- small networks made here


def weight(name: str, k: int, n: int, fields: dict[str, object], rng: np.random.Generator) -> tuple[WeightRecord, dict[str, np.ndarray]]:
    """Random weights over the whole range of every stream."""
    spec = format_from_mapping(fields)
    arrays: dict[str, np.ndarray] = {}
    for stream_name, stream in spec.streams(k, n).items():
        if stream.number == "float":
            arrays[stream_name] = np.ones(stream.shape, np.float32)
        elif stream_name == "codebook":
            arrays[stream_name] = rng.integers(0, 128, stream.shape).astype(np.int8)
        elif stream_name == "indices":
            arrays[stream_name] = rng.integers(0, spec.decode_path().codewords, stream.shape).astype(np.uint16)
            arrays[stream_name].reshape(-1)[:1] = spec.decode_path().codewords - 1
        elif stream_name == "masks":
            arrays[stream_name] = rng.integers(0, comb(*reversed(spec.decode_path().mask or ())), stream.shape).astype(np.uint16)
        else:
            low, high = (-(1 << stream.bits - 1), 1 << stream.bits - 1) if stream.number == "signed" else (0, 1 << stream.bits)
            arrays[stream_name] = rng.integers(low, high, stream.shape).astype(np.int16)
    packed = spec.pack(arrays, k, n)
    table = spec.streams(k, n)
    records = {stream: StreamRecord.of(f"{name}.{stream}", table[stream].total_bits, data) for stream, data in packed.items()}
    return WeightRecord(format=spec, k=k, n=n, streams=records), {f"{name}.{stream}": data for stream, data in packed.items()}


def network(inputs: TensorShape, makers: list[Callable[[WeightRecord, str, str], Layer]], weights: list[tuple[int, int, dict]]) -> Trace:
    """A chain of layers with weights of (k, n, format)."""
    rng = np.random.default_rng(7)
    layers: list[Layer] = []
    tensors: dict[str, np.ndarray] = {}
    source = "image"
    for index, (make, (k, n, fields)) in enumerate(zip(makers, weights, strict=True)):
        record, packed = weight(f"layer{index}", k, n, fields, rng)
        tensors |= packed
        layers.append(make(record, f"layer{index}", source))
        source = f"layer{index}"
    manifest = Manifest(
        name="small", source=seeded_source(1), inputs=(ModelInput(name="image", shape=inputs),), outputs=(source,), layers=tuple(layers)
    )
    return with_payload(manifest, tensors)


def conv(c: int, k: int, g: int, taps: tuple[int, int], stride: int, padding: int, image: tuple[int, int], layout: str, dilation: int = 1):
    """A maker of one convolution, and the (k, n) of its weights."""
    oy, ox = ((size + 2 * padding - dilation * (tap - 1) - 1) // stride + 1 for size, tap in zip(image, taps, strict=True))

    def make(record: WeightRecord, name: str, source: str) -> ConvLayer:
        return ConvLayer(
            op="depthwise_conv2d" if k == c == 1 and g > 1 else "conv2d",
            name=name,
            inputs=(source,),
            output=TensorShape(rows=oy * ox, width=k * g),
            bounds=LoopBounds(K=k, C=c, OY=oy, OX=ox, FY=taps[0], FX=taps[1], G=g),
            strides=(stride, stride),
            padding=(padding, padding),
            dilation=(dilation, dilation),
            image=image,
            input_layout=layout,  # type: ignore[arg-type]
            weight=record,
        )

    return make, (c * taps[0] * taps[1], k * g)


def convolutions() -> Trace:
    """3 planes of 7 x 6 -> planar 3x3 -> interleaved 3x3 stride 2 (ssvq) -> depthwise 2x2 -> 2 groups of 1x1 (ssvq, axis 1)."""
    ssvq = {"kind": "ssvq", "k": 6, "d": 4}
    steps = [
        (conv(3, 8, 1, (3, 3), 1, 1, (7, 6), "planar"), {"kind": "uniform"}),
        (conv(8, 8, 1, (3, 3), 2, 1, (7, 6), "interleaved"), ssvq),
        (conv(1, 1, 8, (2, 2), 1, 0, (4, 3), "interleaved"), {"kind": "uniform", "bits": 5}),
        (conv(4, 4, 2, (1, 1), 1, 0, (3, 2), "interleaved"), {**ssvq, "axis": 1}),
    ]
    makers = [make for (make, _), _ in steps]
    return network(TensorShape(groups=3, rows=7, width=6), makers, [(*size, fields) for (_, size), fields in steps])


def small_chip(**array: int) -> Accelerator:
    overrides = [f"array.{name}={value}" for name, value in ({"rows": 8, "cols": 8} | array).items()]
    return load_accelerator("mcu-16x16", overrides)


# -- bit-exact


@compiled
@pytest.mark.parametrize("preset", ["edge-64x64", "edge-64x64-x16", "edge-32x32", "mcu-16x16"])
@pytest.mark.parametrize("trace", ["tiny_vit_ssvq", "tiny_vit_int8"])
def test_committed_traces_are_bit_exact_on_every_preset(preset: str, trace: str) -> None:
    report = check_functional(load_accelerator(preset), load_trace(TRACES / trace))
    assert [layer.message for layer in report.layers] == ["bit-exact"] * 18  # 1 convolution, 13 linear, 4 matmuls
    assert report.ok


@compiled
def test_every_tile_is_decoded() -> None:
    report = check_functional(load_accelerator("mcu-16x16"), load_trace(SSVQ))
    tiles = {layer.name: layer.tiles for layer in report.layers}
    # Width 48 and MLP 96 on 16 x 16: fc1 has 6 stripes of 3 K-tiles.
    assert next(count for name, count in tiles.items() if name.endswith("fc1")) == 18


@pytest.mark.parametrize("max_m", [256, 5])
def test_convolutions_are_bit_exact_in_both_layouts_and_in_groups(max_m: int) -> None:
    report = check_functional(small_chip(max_m=max_m), convolutions())
    assert [(layer.op, layer.message) for layer in report.layers] == [
        ("conv2d", "bit-exact"),
        ("conv2d", "bit-exact"),
        ("depthwise_conv2d", "bit-exact"),
        ("conv2d", "bit-exact"),
    ]
    # 27 x 8: 4 tiles; 72 x 8: 9; 8 groups of 4 x 1: 8; 2 groups of 4 x 4: 2.
    assert [layer.tiles for layer in report.layers] == [4, 9, 8, 2]


def gemm_trace(m: int, k: int, n: int, fields: dict[str, object]) -> Trace:
    def make(record: WeightRecord, name: str, source: str) -> GemmLayer:
        bounds = LoopBounds(K=n, C=k, OX=m)
        return GemmLayer(name=name, inputs=(source,), output=TensorShape(rows=m, width=n), bounds=bounds, weight=record)

    return network(TensorShape(rows=m, width=k), [make], [(k, n, fields)])


@pytest.mark.parametrize("fields", [{"kind": "ssvq", "k": 5, "d": 2}, {"kind": "ssvq", "k": 9, "d": 8, "axis": 1}, {"kind": "uniform"}])
@pytest.mark.parametrize("ports", [1, 3])
def test_ragged_sizes_are_bit_exact(fields: dict[str, object], ports: int) -> None:
    chip = load_accelerator("mcu-16x16", ["array.rows=8", "array.cols=16", f"codebook.ports={ports}", "weight_buffer.word_bits=24"])
    assert check_functional(chip, gemm_trace(3, 24, 22, fields)).ok


def test_activations_follow_the_seed() -> None:
    seen: list[np.ndarray] = []

    def spy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        seen.append(a.copy())
        return original(a, b)

    original = functional_twin.product
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional_twin, "product", spy)
        for seed in (0, 0, 1):
            check_functional(small_chip(), gemm_trace(3, 9, 9, {"kind": "uniform"}), seed=seed)
    assert (seen[0] == seen[1]).all()
    assert (seen[0] != seen[2]).any()


@compiled
def test_progress_shows_the_layers_that_a_seed_makes_again() -> None:
    calls: list[tuple[str, int, int]] = []
    check_functional(small_chip(), open_trace("tiny_vit_float@uniform"), progress=lambda *call: calls.append(call))
    assert calls[:14] == [("layers regenerated", done, 14) for done in range(14)]
    assert {what for what, _, _ in calls[14:]} == {"functional check"}


def test_progress_counts_layers() -> None:
    calls: list[tuple[str, int, int]] = []
    check_functional(small_chip(), convolutions(), progress=lambda *call: calls.append(call))
    assert calls == [("functional check", done, 4) for done in range(5)]


# -- the twin itself, against plain Python


@pytest.mark.parametrize("axis", [0, 1])
def test_twin_reads_the_weights_that_the_formats_definition_gives(axis: int) -> None:
    trace = gemm_trace(2, 12, 8, {"kind": "ssvq", "k": 11, "d": 4, "axis": axis})
    found = functional_twin.weights(trace, trace.layers[0])  # type: ignore[arg-type]
    arrays = trace.arrays("layer0")
    plain = (arrays["indices"].tolist(), arrays["signs"].tolist(), arrays["codebook"].tolist(), axis)
    assert found.tolist() == [[naive_formats.ssvq_weight(*plain, row, column) for column in range(8)] for row in range(12)]


@pytest.mark.parametrize(("layout", "groups", "dilation"), [("planar", 1, 1), ("interleaved", 1, 2), ("interleaved", 2, 1)])
def test_patches_equal_a_convolution_read_one_element_at_a_time(layout: str, groups: int, dilation: int) -> None:
    make, (k, n) = conv(2, 3, groups, (3, 2), 2, 1, (7, 6), layout, dilation)
    layer = make(WeightRecord(format=format_from_mapping({"kind": "uniform"}), k=k, n=n), "conv", "image")
    planes = np.random.default_rng(3).integers(-128, 128, (2 * groups, 7, 6), np.int8)
    for group in range(groups):
        expected = np.zeros((layer.m, k), np.int8)
        for oy, ox, c, fy, fx in itertools.product(range(layer.bounds.OY), range(layer.bounds.OX), range(2), range(3), range(2)):
            y, x = 2 * oy - 1 + dilation * fy, 2 * ox - 1 + dilation * fx
            if 0 <= y < 7 and 0 <= x < 6:
                expected[oy * layer.bounds.OX + ox, c * 6 + fy * 2 + fx] = planes[group * 2 + c, y, x]
        assert (functional_twin.patches(layer, planes, group) == expected).all()
        assert (gather(layer, planes, group, None) == expected).all()
        order = np.random.default_rng(4).permutation(k)
        assert (gather(layer, planes, group, order) == expected[:, order]).all()


def test_sums_past_32_bits_wrap_in_int32_and_are_exact_in_int64_and_in_the_twin() -> None:
    a, b = np.full((1, 1 << 17), -128, np.int8), np.full((1 << 17, 1), -128, np.int64)
    sums = np.zeros((1, 1), np.int32)
    multiply(a.astype(np.float32), b.astype(np.float32), sums, np.empty((1, 1), np.float32))
    assert sums.tolist() == [[-(2**31)]]  # 2^14 * 2^17 = 2^31
    wide = np.zeros((1, 1), np.int64)
    multiply(a.astype(np.float32), b.astype(np.float32), wide, np.empty((1, 1), np.float32))
    assert wide.tolist() == functional_twin.product(a, b).tolist() == [[2**31]]


# -- flipped bits


def flip(bit: int) -> Callable[[str, LayerImage], LayerImage]:
    def tamper(name: str, image: LayerImage) -> LayerImage:
        data = image.data.copy()
        data[bit // 8] ^= np.uint8(1 << bit % 8)
        return replace(image, data=data)

    return tamper


@pytest.mark.parametrize(("nt", "kt", "record", "bit"), [(0, 0, 0, 0), (0, 2, 3, 5), (1, 1, 12, 2), (2, 2, 4, 6)])
def test_a_bit_flipped_in_the_image_is_reported_as_its_layer_and_tile(nt: int, kt: int, record: int, bit: int) -> None:
    # 20 x 20 on 8 x 8 with d = 4 and 8 codewords: records of 3 + 4 bits, 2 a row; K-tiles of 16, 16 and 8 records, a stripe 40 records.
    # Bits 0..2 are of the index, 3..6 are signs; record 4 of the last stripe is row 2, columns 16..19.
    trace = gemm_trace(4, 20, 20, {"kind": "ssvq", "k": 8, "d": 4})
    report = check_functional(small_chip(), trace, tamper=flip((nt * 40 + kt * 16 + record) * 7 + bit))
    assert not report.ok
    (layer,) = report.layers
    assert layer.message.startswith(f"layer 'layer0', tile (nt={nt}, kt={kt}): weight [{record // 2},")


def test_a_bit_flipped_in_the_padding_of_the_image_changes_nothing() -> None:
    # As above: in the last stripe (columns 16..23 of 20) record 1 is columns 20..23 of row 0.
    trace = gemm_trace(4, 20, 20, {"kind": "ssvq", "k": 8, "d": 4})
    assert check_functional(small_chip(), trace, tamper=flip((2 * 40 + 1) * 7)).ok


def test_a_wrong_sum_of_right_weights_names_the_stripe(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(rows: np.ndarray, panel: np.ndarray, sums: np.ndarray, scratch: np.ndarray) -> None:
        multiply(rows, panel, sums, scratch)
        sums[-1, 11] += 1

    monkeypatch.setattr(row_passes, "multiply", forgetful)
    report = check_functional(small_chip(), gemm_trace(4, 20, 20, {"kind": "uniform"}))
    assert "stripe nt=1: the weights are right, but sum [3,3]" in report.layers[0].message


def test_stripes_are_parted_evenly_into_panels_that_fit() -> None:
    assert panels(64, 9) == [range(4), range(4, 9)]  # 576 columns: 256 and 320
    assert panels(512, 2) == [range(1), range(1, 2)]  # no stripe is cut
    assert panels(8, 3) == [range(3)]


def tampered_copy(tmp_path: Path, tensor: str, bits: list[int]) -> Trace:
    """A copy of the committed trace with bits of one tensor flipped in its payload file."""
    folder = tmp_path / "trace"
    shutil.copytree(SSVQ, folder)
    path = folder / "tensors.safetensors"
    data = bytearray(path.read_bytes())
    header = int.from_bytes(data[:8], "little")
    start = 8 + header + json.loads(data[8 : 8 + header])[tensor]["data_offsets"][0]
    for bit in bits:
        data[start + bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return load_trace(folder)


def fc1() -> str:
    return next(layer.name for layer in load_trace(SSVQ).weighted_layers() if layer.name.endswith("fc1"))


@compiled
@pytest.mark.parametrize(
    ("stream", "bit", "where"),
    [
        # fc1 is 48 x 96: weight 96*40 + 70 on 16 x 16 lies in stripe 70 // 16 and K-tile 40 // 16.
        ("signs", 96 * 40 + 70, "tile (nt=4, kt=2)"),
        # Index 12*20 + 11 of 4 bits covers row 20, columns 88..95: stripe 5, K-tile 1.
        ("indices", 4 * (12 * 20 + 11) + 3, "tile (nt=5, kt=1)"),
        ("codebook", 77, "every tile depends on it"),
    ],
)
def test_a_bit_flipped_in_the_payload_is_reported_as_layer_stream_and_tile(tmp_path: Path, stream: str, bit: int, where: str) -> None:
    report = check_functional(load_accelerator("mcu-16x16"), tampered_copy(tmp_path, f"{fc1()}.{stream}", [bit]))
    broken = [layer for layer in report.layers if not layer.ok]
    assert [layer.name for layer in broken] == [fc1()]
    assert f"layer {fc1()!r}, stream {stream!r}: bit {bit} is flipped" in broken[0].message
    assert where in broken[0].message


@compiled
def test_several_flipped_bits_are_reported_as_layer_and_stream(tmp_path: Path) -> None:
    report = check_functional(load_accelerator("mcu-16x16"), tampered_copy(tmp_path, f"{fc1()}.signs", [5, 9, 100]))
    broken = [layer.message for layer in report.layers if not layer.ok]
    assert broken == [f"layer {fc1()!r}, stream 'signs': several bits differ from those written"]


# -- no payload


@compiled
def test_a_seeded_trace_without_payload_is_regenerated() -> None:
    whole = load_trace(TRACES / "tiny_vit_int8")
    fields = {name: getattr(whole.manifest, name) for name in type(whole.manifest).model_fields}
    assert check_functional(load_accelerator("edge-32x32"), Trace(Manifest(**{**fields, "payload": None}))).ok


def test_weights_of_a_checkpoint_without_payload_are_an_error() -> None:
    whole = gemm_trace(2, 8, 8, {"kind": "uniform"})
    fields = {name: getattr(whole.manifest, name) for name in type(whole.manifest).model_fields}
    source = CheckpointSource(file="model.safetensors", sha256="0" * 64)
    with pytest.raises(TraceError, match="has no payload"):
        check_functional(small_chip(), Trace(Manifest(**{**fields, "payload": None, "source": source})))
