"""VecQ: its table is the argmin that it claims to be, its length the best one, its odd integers what a plain reading gives."""

from __future__ import annotations

from math import erf, exp, inf, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import load_accelerator
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.target import target_of
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.compression.compression_report import LayerCompression
from accelsim.compression.encoder import encode, reconstruct
from accelsim.compression.vecq import LAMBDA
from accelsim.errors import CompileError, FormatError
from accelsim.formats.catalog import parse_format
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.trace.layers import GemmLayer
from accelsim.trace.seeded import float_weights
from accelsim.trace.trace import load_trace
from tests import naive_formats as naive

TRACES = Path(__file__).parents[2] / "traces"


def gaussian(k: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((k, n)).astype(np.float32)


def vector_loss(weights: np.ndarray, approximate: np.ndarray) -> tuple[float, float]:
    """VecQ's loss as the paper defines it: 1 - cos of the angle, and the squared difference of the lengths."""
    exact, found = weights.astype(np.float64).reshape(-1), approximate.reshape(-1)
    lengths = sqrt(exact @ exact), sqrt(found @ found)
    return 1 - float(exact @ found) / (lengths[0] * lengths[1]), (lengths[0] - lengths[1]) ** 2


def density(x: float) -> float:
    return exp(-x * x / 2) / sqrt(2 * pi) if x < inf else 0.0


def distribution(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


def orientation_loss(step: float, bits: int) -> float:
    """J_o on N(0,1) in closed form: level m + 1/2 takes [m*step, (m+1)*step), the last one the tail; both signs alike."""
    last = 2 ** (bits - 1) - 1
    inner = squares = 0.0
    for m in range(last + 1):
        low, high = m * step, (m + 1) * step if m < last else inf
        inner += 2 * (m + 0.5) * (density(low) - density(high))  # the integral of x * density(x)
        squares += 2 * (m + 0.5) ** 2 * (distribution(high) - distribution(low))
    return 1 - inner / sqrt(squares)


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_table_of_steps_is_the_argmin_of_the_orientation_loss(bits: int) -> None:
    # A scan in the table's own last digit, 10 % to both sides; the minimum is flat, so its place is known to 1e-4 at best.
    steps = [round(place * 1e-4, 4) for place in range(int(0.9e4 * LAMBDA[bits]), int(1.1e4 * LAMBDA[bits]) + 2)]
    best = min(steps, key=lambda step: orientation_loss(step, bits))
    assert best == pytest.approx(LAMBDA[bits], abs=1.01e-4)
    # The least losses that the paper's table reaches, as printed there for 2..8 bits.
    paper = {2: 0.0613, 3: 0.0189, 4: 0.00579, 5: 0.00175, 6: 0.00052, 7: 0.00015, 8: 0.000044}[bits]
    assert orientation_loss(LAMBDA[bits], bits) == pytest.approx(paper, rel=0.02)


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_encoder_loses_as_much_orientation_as_the_closed_form_says(bits: int) -> None:
    weights = 0.03 * gaussian(512, 512)
    spec = parse_format(f"vecq:bits={bits}")
    orientation, _ = vector_loss(weights, reconstruct(spec, encode(spec, weights, np.random.default_rng(0)), 512, 512))
    assert orientation == pytest.approx(orientation_loss(LAMBDA[bits], bits), rel=0.03)


def test_the_driven_length_is_the_best_one() -> None:
    weights = gaussian(32, 24)
    spec = parse_format("vecq:bits=3")
    arrays = encode(spec, weights, np.random.default_rng(0))
    approximate = reconstruct(spec, arrays, 32, 24)
    error = ((weights - approximate) ** 2).sum()
    for factor in (0.99, 1.01):
        assert ((weights - factor * approximate) ** 2).sum() > error
    # Least squares shortens a vector by the cosine of the angle: |w_q| = |w| cos, so J_m = |w|^2 J_o^2.
    orientation, modulus = vector_loss(weights, approximate)
    assert modulus == pytest.approx((weights.astype(np.float64) ** 2).sum() * orientation**2, rel=1e-4)


def test_a_compressed_layer_reports_the_cosine_and_the_loss_of_its_vectors() -> None:
    packed, report = compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("vecq:bits=3"))
    row = next(row for row in report.layers if row.format == "vecq:bits=3")
    exact = float_weights(load_trace(TRACES / "tiny_vit_float"), row.name)
    approximate = packed.weights(row.name).astype(np.float64) * float(packed.arrays(row.name)["scales"][0])
    orientation, modulus = vector_loss(exact, approximate)
    assert row.cosine == pytest.approx(1 - orientation)
    assert row.vector_loss == pytest.approx(orientation + modulus)
    assert report.total.cosine > row.cosine  # the rest are int8


@pytest.mark.parametrize(
    ("weights", "became", "cosine", "loss"),
    [
        ([3.0, 4.0], [6.0, 8.0], 1.0, 25.0),  # same direction, lengths 5 and 10
        ([2.0, 0.0], [0.0, 1.0], 0.0, 2.0),  # right angle, lengths 2 and 1
        ([0.0, 0.0], [1.0, 1.0], 0.0, 3.0),  # no direction, lengths 0 and the square root of 2
    ],
)
def test_the_vector_loss_of_vectors_worked_by_hand(weights: list[float], became: list[float], cosine: float, loss: float) -> None:
    exact, found = np.array(weights), np.array(became)
    sums = [float((item**2).sum()) for item in (exact - found, exact, found)]
    row = LayerCompression("fc", "vecq", 2, 8, 40, 0, *sums)
    assert (row.cosine, row.vector_loss) == (pytest.approx(cosine), pytest.approx(loss))


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(2, 8), data=st.data())
def test_weights_are_odd_integers_of_the_stored_bits(bits: int, data: st.DataObject) -> None:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    values = data.draw(st.lists(st.integers(low, high), min_size=12, max_size=12))
    spec = parse_format(f"vecq:bits={bits}")
    packed = spec.pack({"weights": np.array(values).reshape(3, 4), "scales": np.ones(1, np.float32)}, 3, 4)
    plain = naive.stream_values(packed["weights"].tobytes(), 12, bits, signed=True)
    weights = spec.dequantize(spec.unpack(packed, 3, 4), 3, 4)
    assert weights.reshape(-1).tolist() == [2 * value + 1 for value in plain]
    assert weights.dtype == (np.int8 if bits < 8 else np.int16)


def test_bits_are_those_of_the_paper() -> None:
    for bits in range(2, 9):
        assert parse_format(f"vecq:bits={bits}").bits_per_weight(192, 192).paper == bits
    assert parse_format("vecq:bits=2").bits_per_weight(192, 192).total == pytest.approx(2 + 32 / 192**2)  # one scale


def layer_of(text: str) -> GemmLayer:
    bounds = LoopBounds(K=16, C=16, OX=4)
    record = WeightRecord(format=parse_format(text), k=16, n=16)
    return GemmLayer(name="fc", inputs=("x",), output=TensorShape(rows=4, width=16), bounds=bounds, weight=record)


def test_odd_integers_of_eight_bits_do_not_fit_an_8_bit_array() -> None:
    chip = target_of(load_accelerator("edge-32x32"), ())
    assert weight_geometry(chip, layer_of("vecq:bits=7")).raw_bits == 7
    with pytest.raises(CompileError, match=r"layer 'fc' \(vecq\): 9-bit weights .* 8-bit array.*more than the 8 that are stored"):
        weight_geometry(chip, layer_of("vecq:bits=8"))


def test_a_wrong_text_is_one_clear_message() -> None:
    wrong = {"vecq:bits=1": "'bits' has value 1", "vecq:bits=9": "'bits' has value 9", "vecq:k=4": "unknown parameter 'k'"}
    for text, message in wrong.items():
        with pytest.raises(FormatError, match=message):
            parse_format(text)
