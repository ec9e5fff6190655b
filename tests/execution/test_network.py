"""A network as a whole: each layer's integers are its definition within the stated rounding, on every format and lowering."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numba
import numpy as np
import pytest

from accelsim import functional_twin
from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import AccelsimError, TraceError
from accelsim.execution.network import Execution, execute
from accelsim.formats.catalog import parse_format
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import StreamRecord, WeightRecord
from accelsim.presets import find_trace
from accelsim.trace.layers import GemmLayer
from accelsim.trace.manifest import CalibrationRecord, CheckpointSource, Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace, with_payload
from tests.naive_execution import check_every_layer, with_constants
from tests.tiny_convnets import ConvNet, every_layer
from tests.tiny_machines import tiny_accelerator

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


@cache
def tiny_vit(form: str) -> Trace:
    return with_constants(compress_trace(load_trace(find_trace("tiny_vit_float")), make_recipe(form))[0])


def run_on(chip: str, trace: Trace, samples: int = 2, **options: Any) -> Execution:
    """The network on random inputs, with all of its activations."""
    machine = load_accelerator(chip, codebook_overrides(load_accelerator(chip), trace))
    rng = np.random.default_rng(5)
    inputs = {source.name: rng.normal(size=(samples, *source.shape.dims)) for source in trace.manifest.inputs}
    return execute(machine, trace, inputs, keep=tuple(trace.shapes), **options)


@pytest.mark.parametrize(
    "form",
    [
        "uniform",
        "uniform:bits=4,scale=tensor",
        "ssvq:k=16,d=8",
        "vq:k=16,d=8",
        "vecq:bits=3",
        "masked_vq:k=16,d=8,keep=3,of=8",
        "palette:bits=4",
        "aqlm:books=1,bits=5,d=4,element_bits=8",
        "universal_vq:k=256,d=8",
    ],
)
def test_each_layer_of_a_vit_is_its_definition_within_half_a_step(form: str) -> None:
    run = run_on("edge-64x64", tiny_vit(form))
    assert run.report.ok
    assert len(run.report.layers) == len(run.trace.products())
    assert 0.49 < check_every_layer(run) < 0.6  # rounding there is, and hardly anything else


def test_sums_of_scaled_groups_are_requantized_within_half_a_step() -> None:
    check_every_layer(run_on("edge-64x64", tiny_vit("int_group:bits=4,group=32,zero=1")))


@pytest.mark.parametrize("chip", ["edge-32x32", "mcu-16x16"])
def test_each_layer_of_a_convolutional_network_is_its_definition_within_half_a_step(chip: str) -> None:
    run = run_on(chip, with_constants(every_layer().trace(payload=True)))
    assert run.report.ok
    check_every_layer(run)


def test_merged_groups_compute_the_same_integers() -> None:
    net = ConvNet(3, 9, 7).conv(12).conv(12, 3, 2, groups=12, padding_end=(2, 0)).relu().conv(8, 3, groups=4)
    trace = with_constants(net.trace(payload=True))
    image = np.random.default_rng(3).normal(size=(2, 3, 9, 7))
    found = []
    for depthwise in ("column", "block_diagonal", "column_feed"):
        array = {"rows": 40, "cols": 8, "max_m": 7, "depthwise": depthwise, "column_feed": 3}
        machine = tiny_accelerator(array=array, codebook={"ports": 2, "codeword_length": 2, "codewords": 64})
        found.append(execute(machine, trace, {"image": image}).outputs)
    assert all(np.array_equal(found[0][name], other[name]) for name in found[0] for other in found[1:])


def test_samples_do_not_depend_on_their_company(monkeypatch: pytest.MonkeyPatch) -> None:
    trace, together = tiny_vit("uniform"), run_on("edge-64x64", tiny_vit("uniform"), samples=3)
    monkeypatch.setattr("accelsim.execution.network._MOST_READS", 1)
    alone = run_on("edge-64x64", trace, samples=3)
    assert all(np.array_equal(together.kept[name], alone.kept[name]) for name in trace.shapes)


def test_a_seeded_network_runs_with_neutral_constants_and_a_seeded_input() -> None:
    trace, machine = load_trace(find_trace("tiny_vit_int8")), load_accelerator("edge-64x64")
    first, again, other = (execute(machine, trace, seed=seed) for seed in (1, 1, 2))
    (name,) = trace.manifest.outputs
    assert first.scale_rule == "not calibrated: scales cover these inputs"
    assert first.outputs[name].dtype == np.int8
    assert first.outputs[name].shape == (1, *trace.shapes[name].dims)
    assert np.array_equal(first.outputs[name], again.outputs[name])
    assert not np.array_equal(first.outputs[name], other.outputs[name])
    assert np.abs(first.outputs[name].astype(int)).max() > 100  # the scale covers the largest logit of the float network


# -- one product, worked here


def one_product(
    weights: Any = ((6, 127), (4, 127)), scales: Any = (0.5, 1.0), bits: int = 8, result: int = 16, step: float = 0.25, source: Any = None,
    **fields: Any,
) -> Trace:  # fmt: skip
    """One row x times weights (K, N); calibrated: a step of 1 in, `step` out."""
    spec, matrix = parse_format("uniform"), np.array(weights, np.int16)
    k, n = matrix.shape
    packed = spec.pack({"weights": matrix, "scales": np.array(scales, np.float32)}, k, n)
    records = {name: StreamRecord.of(name, spec.streams(k, n)[name].total_bits, data) for name, data in packed.items()}
    layer = GemmLayer(
        name="fc", inputs=("x",), output=TensorShape(rows=1, width=n, bits=result), bounds=LoopBounds(K=n, C=k),
        weight=WeightRecord(format=spec, k=k, n=n, streams=records), **fields,
    )  # fmt: skip
    manifest = Manifest(
        name="one", source=source or seeded_source(1), inputs=(ModelInput(name="x", shape=TensorShape(rows=1, width=k, bits=bits)),),
        outputs=("fc",), layers=(layer,), calibration=CalibrationRecord(method="max", samples=1, scales={"x": 1.0, "fc": step}),
    )  # fmt: skip
    return with_payload(manifest, packed)


def test_a_product_is_requantized_by_scale_and_step() -> None:
    run = execute(load_accelerator("edge-64x64"), one_product(), {"x": np.array([[5, -3], [1, 2]], np.int8)})
    # (3 x 5 - 2 x 3) / 0.25 = 36 and 127 x 2 / 0.25 = 1016; 7 / 0.25 = 28 and 381 / 0.25 = 1524
    assert run.outputs["fc"].reshape(2, 2).tolist() == [[36, 1016], [28, 1524]]
    assert run.outputs["fc"].dtype == np.int16
    assert run.real("fc").reshape(2, 2).tolist() == [[9.0, 254.0], [7.0, 381.0]]
    assert run.scale_rule == "scales of the trace: max of 1 samples"


def test_sums_wrap_at_the_stated_width_and_the_first_overflow_is_named() -> None:
    # 4 x 127 x 127 = 64516 = 65536 - 1020
    trace = one_product(np.full((4, 1), 127), (1.0,), result=32, step=1.0)
    wide, narrow = load_accelerator("edge-64x64"), load_accelerator("edge-64x64", ["array.psum_bits=16"])
    inputs = {"x": np.full((1, 4), 127, np.int8)}
    assert execute(wide, trace, inputs).outputs["fc"].reshape(-1).tolist() == [64516]
    wrapped = execute(narrow, trace, inputs)
    assert wrapped.outputs["fc"].reshape(-1).tolist() == [-1020]
    assert not wrapped.report.ok
    assert "sum [0,0] is 64516 and overflows 16 bits" in wrapped.report.layers[0].message


def test_rows_of_16_bits_are_the_sum_of_two_passes() -> None:
    # 6 x 517 - 4 x 300 = 1902 and 127 x (517 - 300) = 27559; 6 x -32768 + 4 x 32767 = -65540 and 127 x -1 = -127
    trace = one_product(bits=16, step=1.0, result=32, scales=(1.0, 1.0))
    run = execute(load_accelerator("edge-64x64"), trace, {"x": np.array([[517, -300], [-32768, 32767]], np.int16)})
    assert run.report.ok
    assert run.outputs["fc"].reshape(2, 2).tolist() == [[1902, 27559], [-65540, -127]]


def test_sums_of_two_passes_wrap_in_accumulators_that_would_hold_each() -> None:
    # 127 x 32767 = 2^22 - 32895 takes 23 bits with its sign, 127 x 127 and 127 x 255 of the bytes 15 and 16
    trace = one_product(np.full((1, 1), 127), (1.0,), result=32, step=1.0, bits=16)
    wide, narrow = (load_accelerator("edge-64x64", [f"array.psum_bits={bits}"]) for bits in (23, 20))
    inputs = {"x": np.full((1, 1), 32767, np.int16)}
    run = execute(wide, trace, inputs)
    assert run.report.ok
    assert run.outputs["fc"].reshape(-1).tolist() == [127 * 32767]
    wrapped = execute(narrow, trace, inputs)
    assert wrapped.outputs["fc"].reshape(-1).tolist() == [127 * 32767 - (1 << 22)]
    assert "sum [0,0] is 4161409 and overflows 20 bits" in wrapped.report.layers[0].message


def test_a_model_without_its_constants_is_refused_by_name() -> None:
    source = CheckpointSource(file="model.onnx", sha256="0" * 64)
    with pytest.raises(TraceError, match="layer 'fc': its constants bias are not stored"):
        execute(load_accelerator("edge-64x64"), one_product(bias=True, source=source), {"x": np.ones((1, 2))})


def test_a_corrupted_stream_is_named() -> None:
    trace = one_product()
    tensors = {name: trace.payload.read(name).copy() for name in trace.payload.sizes()}
    tensors["weights"][0] ^= 1
    with pytest.raises(AccelsimError, match="layer 'fc', stream 'weights'"):
        execute(load_accelerator("edge-64x64"), replace(trace, payload=replace(trace.payload, tensors=tensors)), {"x": np.ones((1, 2))})


def test_the_array_is_asked_and_not_the_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong expectation changes the verdict, not the integers."""
    product = functional_twin.product
    monkeypatch.setattr(functional_twin, "product", lambda a, b: product(a, b) + 1)
    run = execute(load_accelerator("edge-64x64"), one_product(), {"x": np.array([[5, -3]], np.int8)})
    assert run.outputs["fc"].reshape(-1).tolist() == [36, 1016]
    assert not run.report.ok
