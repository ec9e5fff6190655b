"""Zero points and wide rows in a whole network: each layer's integers are its definition on the values that its operands stand for."""

from __future__ import annotations

import zlib

import numba
import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.errors import TraceError
from accelsim.execution.network import execute
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.trace.layers import MatmulLayer, Operand
from accelsim.trace.manifest import CalibrationRecord, Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, with_payload
from tests.execution.test_network import run_on, tiny_vit
from tests.naive_execution import check_every_layer, with_constants, with_shapes
from tests.tiny_convnets import every_layer

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def asymmetric(name: str, shape: TensorShape) -> TensorShape:
    """A zero point of each activation, both ends of the range among them."""
    return shape.with_fields(zero_point=(-128, 127, 0, -7, 54)[zlib.crc32(name.encode()) % 5])


def wide(_: str, shape: TensorShape) -> TensorShape:
    return shape.with_fields(bits=16)


@pytest.mark.parametrize("form", ["uniform", "ssvq:k=16,d=8"])
def test_each_layer_of_a_vit_with_zero_points_is_its_definition(form: str) -> None:
    run = run_on("edge-64x64", with_shapes(tiny_vit(form), asymmetric))
    assert run.report.ok
    zeros = {grid.zero for grid in run.grids.values()}
    assert zeros == {-128, 127, 0, -7, 54}
    assert check_every_layer(run) > 0.49


def test_sums_of_scaled_groups_take_zero_points() -> None:
    check_every_layer(run_on("edge-64x64", with_shapes(tiny_vit("int_group:bits=4,group=32,zero=1"), asymmetric)))


def test_a_padded_convolution_reads_its_zero_point_around_the_image() -> None:
    run = run_on("mcu-16x16", with_shapes(with_constants(every_layer().trace(payload=True)), asymmetric))
    assert run.report.ok
    check_every_layer(run)


@pytest.mark.parametrize("form", ["uniform", "int_group:bits=4,group=32,zero=1"])
def test_each_layer_of_a_vit_of_16_bit_activations_is_its_definition(form: str) -> None:
    run = run_on("edge-64x64", with_shapes(tiny_vit(form), wide))
    assert all(grid.bits == 16 for grid in run.grids.values())
    assert run.report.ok
    check_every_layer(run)


def test_convolutions_of_16_bit_activations_are_their_definition() -> None:
    run = run_on("edge-32x32", with_shapes(with_constants(every_layer().trace(payload=True)), wide))
    assert run.report.ok
    check_every_layer(run)


def one_product(zeros: tuple[int, int], transposed: bool, split: str, shared: int = 1, heads: int = 2) -> Trace:
    """A (m, k) x B (k, n) per head, steps of 1 all over, sums of 32 bits."""
    m, k, n = 3 * shared, 5, 4
    second = (n, k) if transposed else (k, n)

    def of(count: int, rows: int, width: int, zero: int) -> TensorShape:
        columns = split == "columns"
        return TensorShape(groups=1 if columns else count, rows=rows, width=width * count if columns else width, zero_point=zero)

    layer = MatmulLayer(
        name="y", inputs=("a", "b"), bounds=LoopBounds(K=n, C=k, OX=m, G=heads), a=Operand(split=split), b=Operand(split=split),
        transposed_b=transposed, merge="groups", shared=shared, output=TensorShape(groups=heads * shared, rows=3, width=n, bits=32),
    )  # fmt: skip
    inputs = (
        ModelInput(name="a", shape=of(heads * shared, 3, k, zeros[0])),
        ModelInput(name="b", shape=of(heads, *second, zeros[1])),
    )
    record = CalibrationRecord(method="max", samples=1, scales={"a": 1.0, "b": 1.0, "y": 1.0})
    manifest = Manifest(name="one", source=seeded_source(1), inputs=inputs, outputs=("y",), layers=(layer,), calibration=record)
    return with_payload(manifest, {})


@pytest.mark.parametrize("zeros", [(0, 0), (-128, 0), (0, 127), (-128, 127), (5, -9)])
@pytest.mark.parametrize(
    ("transposed", "split", "shared"), [(True, "columns", 1), (False, "columns", 1), (False, "groups", 1), (True, "groups", 2)]
)
def test_a_product_of_two_asymmetric_activations_is_onnx_definition(
    zeros: tuple[int, int], transposed: bool, split: str, shared: int
) -> None:
    """MatMulInteger: the sum over k of (a - za)(b - zb), in integers."""
    trace, rng = one_product(zeros, transposed, split, shared), np.random.default_rng(3)
    inputs = {source.name: rng.integers(-128, 128, (2, *source.shape.dims), np.int8) for source in trace.manifest.inputs}
    run = execute(load_accelerator("edge-64x64"), trace, inputs)
    assert run.report.ok
    for sample in range(2):
        a, b = (inputs[name][sample].astype(np.int64) - zero for name, zero in zip("ab", zeros, strict=True))
        heads = 2 * shared
        a = a if split == "groups" else np.stack(np.split(a[0], heads, axis=1))
        b = b if split == "groups" else np.stack(np.split(b[0], 2, axis=1))
        wanted = [a[head] @ (b[head // shared].T if transposed else b[head // shared]) for head in range(heads)]
        assert np.array_equal(run.outputs["y"][sample], np.stack(wanted))


def test_only_8_bit_activations_have_zero_points() -> None:
    with pytest.raises(TraceError, match="zero_point=3 of 16 bits; allowed: 0, or 8 bits"):
        TensorShape(rows=1, width=1, bits=16, zero_point=3)
