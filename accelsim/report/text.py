"""How numbers and names are written for people: grouped digits, decimal prefixes, percent; names from files made harmless.

Traffic is given in decimal units (1 MB = 10^6 bytes), as bandwidths are; buffer sizes elsewhere in binary ones.
"""

from __future__ import annotations

import textwrap
import unicodedata

LABEL_CHARS = 24  # of a name in a picture at a paper's column width
LINE_CHARS = 42  # of a sentence below the axes there
_KEPT = {" "}


def clean(text: str) -> str:
    """`text` with control, format and surrogate characters written as escapes, so that no name can steer a terminal."""
    return "".join(
        char if char in _KEPT or unicodedata.category(char)[0] not in "CZ" else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def tail(text: str, width: int) -> str:
    """The end of a dotted name, whole parts where they fit: ('vit.encoder.layer.*.output.dense', 22) -> '…layer.*.output.dense'."""
    shown = clean(text)
    if len(shown) <= width:
        return shown
    cut = shown[len(shown) - width + 1 :]
    dot = cut.find(".")
    return "…" + (cut[dot + 1 :] if 0 <= dot <= width // 2 else cut)


def shorten(text: str) -> str:
    """A name that fits beside a bar or a tile."""
    return tail(text, LABEL_CHARS)


def folded(text: str) -> str:
    """A sentence on as many lines as it takes in a picture at a paper's column width."""
    return textwrap.fill(clean(text), LINE_CHARS)


def count(value: int) -> str:
    """1234567 -> '1,234,567'."""
    return f"{value:,}"


def percent(part: float, whole: float) -> str:
    """'12.3 %' of a whole; '-' where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def decimal_bytes(value: float) -> str:
    """1708544 -> '1.709 MB'."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3f} {unit}"
    return f"{value:.0f} B"


def hertz(value: int) -> str:
    """800000000 -> '800 MHz'."""
    for unit, size in (("GHz", 10**9), ("MHz", 10**6), ("kHz", 10**3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value} Hz"


def times(ratio: float) -> str:
    """2.2 -> '2.20x'."""
    return f"{ratio:.2f}x"


def duration(milliseconds: float) -> str:
    """12.3456 -> '12.346 ms', 0.008809 -> '8.809 us', 61000 -> '61.000 s': the unit in which a person reads it."""
    for unit, size in (("s", 1e3), ("ms", 1.0), ("us", 1e-3)):
        if milliseconds >= size:
            return f"{milliseconds / size:.3f} {unit}"
    return f"{milliseconds * 1e6:.0f} ns"


def milliseconds(value: float) -> str:
    """12.3456 -> '12.346', 0.0012345 -> '0.001234': three decimals, or four digits below 1 ms."""
    return f"{value:,.3f}" if value >= 1 else f"{value:.4g}"
