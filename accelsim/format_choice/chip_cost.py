"""A chip that serves a set of formats: its codebook and its area.

Disputable assumption: the decoder parts that the chip's own area does not count (entropy decoders, level tables, adders) are built for each
format of the set, and shared between formats only where they are the same to the gate.
"""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.accelerator import Accelerator
from accelsim.compiler.codebook_fit import codebook_fields_for
from accelsim.cost.area import area_of
from accelsim.cost.decoder_parts import decoder_parts
from accelsim.cost.span import Span, total
from accelsim.cost.technology import Technology
from accelsim.formats.catalog import parse_format
from accelsim.what_if import with_overrides


def chip_for(accelerator: Accelerator, formats: Iterable[str], fit: bool) -> Accelerator:
    """The chip with the codebook that these formats need together; as it is without `fit`."""
    if not fit:
        return accelerator
    fields = codebook_fields_for(accelerator, [parse_format(text) for text in formats])
    return with_overrides(accelerator, tuple(f"{path}={value}" for path, value in fields.items()))


def area_with(chip: Accelerator, formats: Iterable[str], technology: Technology) -> Span:
    """Placed um2 of a chip, and of the decoder parts of these formats that its own report lacks."""
    area = area_of(chip, technology)
    paths = [parse_format(text).decode_path() for text in formats]
    parts = {(part.name, part.gates, part.notes): part for path in paths for part in decoder_parts(path, chip, technology)}
    return total((area.placed_um2, *(area.placed(part) for part in parts.values())))
