"""Products of activations wider than the multipliers are named in the result, with their share."""

from __future__ import annotations

from accelsim.accelerator import load_accelerator
from accelsim.compiler.operand_width import width_warnings
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace

TINY = load_trace(find_trace("tiny_vit_int8"))


def widened(*names: str) -> Trace:
    layers = tuple(layer.with_fields(output=layer.output.with_fields(bits=16)) if layer.name in names else layer for layer in TINY.layers)
    return Trace(TINY.manifest.with_fields(layers=layers))


def test_a_network_of_8_bits_has_no_such_line() -> None:
    assert width_warnings([TINY]) == ()


def test_the_layers_that_read_16_bits_are_named_with_their_share() -> None:
    reader = next(layer for layer in TINY.weighted_layers() if layer.inputs[0] in {other.name for other in TINY.layers})
    trace = widened(reader.inputs[0])
    readers = [layer for layer in trace.products() if layer.inputs[0] == reader.inputs[0]]
    (line,) = width_warnings([trace])
    share = 100 * sum(layer.macs for layer in readers) / trace.macs
    assert f"({', '.join(layer.name for layer in readers)}; {share:.0f} % of the products)" in line
    assert line in simulate(load_accelerator("edge-64x64"), trace).warnings
