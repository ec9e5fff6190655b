"""Matrix-vector layers whose weights are entries of a lookup table: two measured points fit a machine that predicts five more.

Disputable assumption: decoding takes equally long whatever the index's width, so below the width at which bandwidth limits the time
is one constant; the silicon is 25 % slower at 0.25 bit than at 1.5, which this model does not explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.formats.catalog import parse_format
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.layers import GemmLayer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

MACHINE = "vector-lut.yaml"  # in configs/validation
SIDE = 4096
# Bits per weight as the reference file writes them, and a format that stores them. Below 4 bit an index stands for 8 weights.
FORMATS = {
    "8": "uniform:bits=8",
    "4": "uniform:bits=4",
    "2": "vq:k=65536,d=8",
    "1.5": "vq:k=4096,d=8",
    "1": "vq:k=256,d=8",
    "0.5": "vq:k=16,d=8",
    "0.25": "vq:k=4,d=8",
}
BANDWIDTH_POINT, DECODE_POINT = "8", "1.5"
_SHORT, _LONG = 4, 8  # layers of two runs, whose difference has neither start nor end
_HZ_STEP = 10**6  # a clock is a whole number of MHz


def vector_lut_figures(measured_ms: Mapping[str, float]) -> Mapping[str, float]:
    """ms per layer for each row of FORMATS, on the machine fitted to the BANDWIDTH_POINT and DECODE_POINT of `measured_ms`."""
    machine = fitted(measured_ms[BANDWIDTH_POINT], measured_ms[DECODE_POINT])
    return {bits: float(1000 * _seconds_a_layer(machine, spec)) for bits, spec in FORMATS.items()}


def fitted(int8_ms: float, decode_ms: float) -> Accelerator:
    """The machine whose bandwidth gives `int8_ms` and whose decode rate, by its clock, gives `decode_ms`.

    Each parameter comes from its own point alone: the time at the first is the bytes over the bandwidth, the cycles at the second are
    the decoder's and do not depend on either parameter while the memory keeps up.
    """
    bits = sum(stream.total_bits for stream in parse_format(FORMATS[BANDWIDTH_POINT]).streams(SIDE, SIDE).values())
    bandwidth = round(bits / 8 / int8_ms * 1000)
    source = str(built_in().configs / "validation" / MACHINE)
    unhindered = load_accelerator(source, ("dram.bandwidth=0 B/s",))
    cycles = _seconds_a_layer(unhindered, FORMATS[DECODE_POINT]) * unhindered.clock
    clock = int(cycles * 1000 / Fraction(str(decode_ms))) // _HZ_STEP * _HZ_STEP
    return load_accelerator(source, (f"dram.bandwidth={bandwidth} B/s", f"clock={clock} Hz"))


def _seconds_a_layer(machine: Accelerator, spec: str) -> Fraction:
    """Steady time of one layer: of a long chain of them less a short one."""
    cycles = [simulate(machine, matrix_vector_layers(spec, count)).total_cycles for count in (_SHORT, _LONG)]
    return Fraction(cycles[1] - cycles[0], (_LONG - _SHORT) * machine.clock)


def matrix_vector_layers(spec: str, count: int) -> Trace:
    """`count` layers of one row by SIDE x SIDE weights, one after the other."""
    names = ["row", *(f"layer.{number}" for number in range(count))]
    record = WeightRecord(format=parse_format(spec), k=SIDE, n=SIDE)
    row = TensorShape(rows=1, width=SIDE)
    layers = tuple(
        GemmLayer(name=name, inputs=(before,), output=row, bounds=LoopBounds(K=SIDE, C=SIDE), weight=record)
        for before, name in pairwise(names)
    )
    inputs = (ModelInput(name=names[0], shape=row),)
    return Trace(Manifest(name=f"{count} layers as {spec}", source=seeded_source(0), inputs=inputs, outputs=(names[-1],), layers=layers))
