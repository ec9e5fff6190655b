"""Drift of entropy codes from equal shares: lengths by definition, the most that the first tiles take more or less, notes and warnings."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.compiler.code_lengths import CodeLengths, drift_bytes
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.lru_cache import LruCache
from accelsim.compiler.target import target_of
from accelsim.errors import FormatError
from accelsim.formats.catalog import parse_format
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from accelsim.what_if import with_overrides
from tests.contract.test_entropy_codes import TEXTS, K, N, chip, fitted
from tests.contract.test_weight_traffic import product
from tests.packed_products import packed_product


def geometry(trace: Trace) -> CoreGeometry:
    return weight_geometry(target_of(chip(), [trace]), trace.weighted_layers()[0])


def halves(rows: int, n: int) -> Trace:
    """Weights 0, whose code of parameter 1 has 2 bits, and behind `rows` rows 3, which count as 6, and whose code has 5."""
    weights = np.repeat(np.array([0, 3]), rows)[:, None] * np.ones((1, n), np.int64)
    return packed_product("rice-uniform:bits=4", 1, 2 * rows, n, weights=weights)


@pytest.mark.parametrize("text", TEXTS)
def test_lengths_of_all_symbols_add_up_to_the_stream(text: str) -> None:
    spec, arrays = fitted(text)
    bits = spec.code_bits(arrays, K, N)
    stream = "indices" if "indices" in arrays else "weights"
    assert bits.shape == spec.inside.streams(K, N)[stream].shape
    assert int(bits.sum()) == spec.coded_bits
    if text.startswith("huffman"):  # an equal symbol has an equal code
        assert all(np.unique(bits[arrays[stream] == symbol]).size == 1 for symbol in np.unique(arrays[stream]))


def test_a_format_without_codes_has_no_lengths() -> None:
    with pytest.raises(FormatError, match="uniform: no stream has an entropy code"):
        parse_format("uniform").code_bits({}, 8, 8)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (16, 16 * 16 * 3 // 2 // 8),  # two tiles of 256 weights, 2 and 5 bits long where the mean is 3.5: 384 bits less behind the first
        (32, 16 * 16 * 3 // 2 // 8),  # a second stripe begins where the first is even again
        (8, 16 * 8 * 3 // 2 // 8),  # half a stripe: columns without weights have no codes
    ],
)
def test_the_drift_of_two_kinds_of_tiles_is_that_counted_by_hand(n: int, expected: int) -> None:
    trace = halves(16, n)
    assert drift_bytes(trace, trace.weighted_layers()[0], geometry(trace)) == expected


def test_codes_of_one_length_do_not_drift() -> None:
    trace = packed_product("rice-uniform:bits=4", 1, 64, 32, weights=np.full((64, 32), 3))
    assert drift_bytes(trace, trace.weighted_layers()[0], geometry(trace)) == 0


def test_a_result_tells_the_drift_of_real_values_and_nothing_of_shapes() -> None:
    trace = halves(16, 16)
    result = simulate(chip(), trace)
    assert "codes lead or lag equal shares by at most 48 B" in result.layers[0].lowering
    assert not any("equal shares" in warning for warning in result.warnings)
    shapes = simulate(chip(), product(fitted("rice-uniform:bits=5")[0]))
    assert "equal shares" not in shapes.layers[0].lowering


def test_a_drift_beyond_the_weight_buffer_is_a_warning() -> None:
    trace = halves(16, 16)
    layer = trace.weighted_layers()[0]
    within, beyond = CodeLengths(48, LruCache(4)), CodeLengths(47, LruCache(4))
    for lengths in (within, beyond):
        assert lengths.note(trace, layer, geometry(trace)) == "codes lead or lag equal shares by at most 48 B"
    assert within.warnings() == []
    (warning,) = beyond.warnings()
    assert (
        "entropy codes of 1 layers lead or lag equal shares of their bits by more than the weight buffer's 47 B ('layer0': 48 B)" in warning
    )


@pytest.mark.parametrize("cores", [2, 3])
def test_the_codes_of_a_layer_that_several_cores_share_are_told_of_the_whole_layer(cores: int) -> None:
    """The trace holds the values of all stripes, a core's part of the layer has some of them."""
    trace = halves(16, 64)
    alone = simulate(chip(), trace)
    shared = simulate(with_overrides(chip(), [f"cores={cores}", "control.core_split=stripes"]), trace)
    assert shared.macs == alone.macs
    (note,) = (part for part in alone.layers[0].lowering.split("; ") if part.startswith("codes lead or lag"))
    assert note in shared.layers[0].lowering
    assert "stripes over" in shared.layers[0].lowering
