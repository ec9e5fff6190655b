"""Area and energy of one format's decoder on a chip: unpack buffer, signs, masks, scales, and the parts that no chip's own figures count.

Those are entropy decoders, tables of levels, trees of parities, adders of codewords and of zero points: estimates, never synthesized.
Disputable assumption: each is built for as many weights per cycle as the format's path delivers at most, and all its gates switch for each
group of records.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.cost import entropy_gates, gate_counts
from accelsim.cost.action_counts import SCALE_SUM, SCALE_WEIGHT
from accelsim.cost.area import AreaReport
from accelsim.cost.components import AreaComponent, logic
from accelsim.cost.energy import EnergyReport
from accelsim.cost.logic_area import ESTIMATE
from accelsim.cost.span import Span, total
from accelsim.cost.technology import Technology
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Offset, Raw

_SIGN_PARTS = ("sign decoder",)
_MASK_PARTS = ("mask decoder", "weight compactor")
_SCALE_PARTS = ("group scales", "scale registers", "weight scales")
_COMPONENTS = ("unpack buffer", "sign decoder", "mask decoder")  # of an energy report
_ACTIONS = (SCALE_SUM, SCALE_WEIGHT)
_TABLE_ERROR = (0.6, 1.6)  # of a small table as logic, beyond the sizes that were synthesized


def decoder_parts(path: DecodePath, accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """The parts of a format's decode path that the area report of the chip lacks."""
    found: list[tuple[str, Span, str]] = []
    lanes = accelerator.decode_width.weights(path)
    if path.entropy is not None:
        symbols = accelerator.decode_width.records(path) * (path.lookup.books if path.lookup else accelerator.decode_width.length(path))
        found.append(("entropy decoder", entropy_gates.decoder(path.entropy) * symbols, path.entropy.words))
    if path.raw is not None and path.raw.levels is not None:
        found.append(("level tables", _levels(path.raw) * lanes, path.raw.words))
    if path.signs is not None and path.signs.group:
        group = path.signs.group
        found.append(("sign parities", Span.exact(gate_counts.SIGN_XOR * (group - 2) * (lanes / group)), path.signs.words))
    if path.parity_shift is not None:  # the two lowest bits of a shifted lane are its parity's: no adder
        group = path.parity_shift.group
        found.append(("parity shifts", Span.exact(gate_counts.SIGN_XOR * group * (lanes / group)), path.parity_shift.words))
    if path.lookup is not None and accelerator.decode_width.lookups(path.lookup) > 1:
        adders = (path.lookup.lookups - 1) * lanes
        found.append(("codeword adders", Span.exact(gate_counts.adder(path.lane_bits)) * adders, path.lookup.words))
    for part in path.group_parts:
        if isinstance(part, Offset) and part.what != "minimum" and not path.less:  # those of sums are in the range of what scales these
            gates = Span.exact(gate_counts.adder(path.lane_bits)) * lanes
            found.append((f"{part.what} adders", gates, part.words))
    return tuple(
        logic(name, "decoder", Span(gates.nominal, 0.5 * gates.low, 2 * gates.high), technology, ESTIMATE, (note,)).on_cores(
            accelerator.cores
        )
        for name, gates, note in found
    )


def decoder_area(path: DecodePath, area: AreaReport, parts: tuple[AreaComponent, ...]) -> Span:
    """Placed um2 of all that a format's weights pass, without the codebook: what it uses of the chip's decoder, and `parts`."""
    unused = (
        *(() if path.sign else _SIGN_PARTS),
        *(() if path.mask else _MASK_PARTS),
        *(() if path.scale_levels else _SCALE_PARTS),
    )
    own = [item for item in area.components if (item.group == "decoder" or item.name in _SCALE_PARTS) and item.name not in unused]
    return total(area.placed(item) for item in (*own, *parts))


def decoder_energy(energy: EnergyReport) -> Span:
    """Energy, pJ, of a run in all that weights pass, without the codebook and without `decoder_parts`."""
    scaled = {(action.component, action.name) for action in _ACTIONS}
    return total(line.energy_pj for line in energy.lines if line.component in _COMPONENTS or (line.component, line.action) in scaled)


def parts_energy(parts: tuple[AreaComponent, ...], groups: int, technology: Technology) -> Span:
    """Energy, pJ, of `decoder_parts` over so many groups of records: as much per gate as any logic that nobody measured."""
    return total(technology.energy.gate_pj.span * part.gates * groups for part in parts if part.gates is not None)


def _levels(raw: Raw) -> Span:
    """Gates per weight of what turns the number of a level into its integer; several base-3 digits share a table."""
    assert raw.levels is not None  # the caller's
    bits = raw.bits
    if isinstance(bits, int) and set(raw.levels) == set(range(min(raw.levels), max(raw.levels) + 1)):
        return Span(0.0, 0.0, gate_counts.adder(raw.lane_bits))  # a bit inverted, or an offset added
    together = 1 if isinstance(bits, int) else bits.denominator
    index_bits = bits if isinstance(bits, int) else bits.numerator
    gates = gate_counts.logic_rom(1 << index_bits, together * raw.lane_bits / 8) / together
    return Span(gates, *(error * gates for error in _TABLE_ERROR))
