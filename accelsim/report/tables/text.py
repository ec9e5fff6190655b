"""Formatting of numbers and names: grouped digits, decimal prefixes, percent; names from files escaped.

Traffic is given in decimal units (1 MB = 10^6 bytes), as bandwidths are; buffer sizes elsewhere in binary ones.
"""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from accelsim.cost.span import Span

LABEL_CHARS = 24  # of a name in a picture at a paper's column width
LINE_CHARS = 42  # of a sentence below the axes there
_KEPT = {" "}
_FORMULA = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?")
_PART = re.compile(r"[./@_]")  # ends a part of a name


def clean(text: str) -> str:
    """`text` with control, format and surrogate characters written as escapes, so that no name can steer a terminal."""
    return "".join(
        char if char in _KEPT or unicodedata.category(char)[0] not in "CZ" else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def cell(value: object) -> object:
    """`value` as a cell of a CSV file: text that a spreadsheet would run as a formula begins with an apostrophe, as it shows text."""
    if not isinstance(value, str):
        return value
    shown = clean(value)
    return f"'{shown}" if shown[:1] in _FORMULA and not _NUMBER.fullmatch(shown) else shown


def tail(text: str, width: int) -> str:
    """The end of a name, whole parts where they fit, and of a long NAME@FORMAT the beginning of the format.

    ('vit.encoder.layer.*.output.dense', 22) -> '…layer.*.output.dense'; ('deit_tiny_float@vptq:bits=12,d=8', 14) -> '…vptq:bits=12…'
    """
    shown = clean(text)
    if len(shown) <= width:
        return shown
    _, at, form = shown.rpartition("@")
    if at and len(form) >= width:
        return f"…{form[: width - 2]}…"
    cut = shown[len(shown) - width + 1 :]
    part = _PART.search(cut, 0, width // 2 + 1)
    return "…" + cut[part.end() if part else 0 :]


def shorten(text: str) -> str:
    """A name that fits beside a bar or a tile."""
    return tail(text, LABEL_CHARS)


def distinct(names: Sequence[str], width: int = LABEL_CHARS) -> list[str]:
    """Short distinct names: of those that would be cut to the same, the part that differs is kept.

    ('net_a/vit.layer.attention.output', 'net_b/vit.layer.attention.output') -> 'net_a…attention.output', 'net_b…attention.output'
    """
    out = [tail(name, width) for name in names]
    uses = Counter(out)
    alike: dict[str, list[int]] = {}
    for place, text in enumerate(out):
        alike.setdefault(text, []).append(place)
    for shown, places in alike.items():
        if len(places) == 1:
            continue
        for texts in _apart([clean(names[place]) for place in places], width):
            if len(set(texts)) == len(texts) and not any(uses[text] for text in texts if text != shown):
                break
        for place, text in zip(places, texts, strict=True):
            out[place] = text
        uses[shown] = 0
        uses.update(texts)
    return out


def _apart(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """Names cut to the same, told apart by ends of formats, by the part that differs, with whole parts of a common end, by numbers."""
    if all("@" in name for name in names):
        yield [f"…{name[1 - width :]}" for name in names]
    parts = [re.split(r"(?<=[./])", name) for name in names]
    begin = _common(parts)
    end = _common([found[begin:][::-1] for found in parts])
    own = [tail("".join(found[begin : len(found) - end]).rstrip("./"), width - 1) for found in parts]
    shared = parts[0][len(parts[0]) - end :]
    last = ["".join(shared[start:]) for start in range(end + 1)]
    yield [f"{text}…{next(piece for piece in last if len(text) + 1 + len(piece) <= width)}" for text in own]
    first = [f".{''.join(shared[:stop])}" for stop in range(end, 0, -1)] + [""]
    yield [f"{text}{next(piece for piece in first if len(text) + 1 + len(piece) <= width).rstrip('./')}…" for text in own]
    yield [f"{tail(name, width - 3 - len(str(number)))} ({number})" for number, name in enumerate(names, start=1)]


def _common(lists: Sequence[Sequence[str]]) -> int:
    """Length of the common prefix of all lists."""
    return next((place for place, items in enumerate(zip(*lists, strict=False)) if len(set(items)) > 1), min(map(len, lists)))


def folded(text: str) -> str:
    """A sentence on as many lines as it takes in a picture at a paper's column width."""
    return textwrap.fill(clean(text), LINE_CHARS)


_DECIMAL_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def count(value: int) -> str:
    """1234567 -> '1,234,567'."""
    return f"{value:,}"


def percent(part: float, whole: float) -> str:
    """'12.3 %' of a whole; '-' where there is no whole."""
    return f"{100 * part / whole:z.1f} %" if whole else "-"


def decimal_bytes(value: float) -> str:
    """1708544 -> '1.709 MB'."""
    for unit, size in _DECIMAL_UNITS:
        if abs(value) >= size:
            return f"{value / size:.3f} {unit}"
    return f"{value:.0f} B"


def bytes_column(values: Sequence[float]) -> list[str]:
    """Sizes of one column, all in the unit of the largest: [1708544, 4096] -> ['1.709 MB', '0.004 MB'].

    A size that three decimals would show as nothing has as many as its first digit needs.
    """
    unit, size = next(((unit, size) for unit, size in _DECIMAL_UNITS if max(map(abs, values), default=0) >= size), ("B", 1.0))
    if size == 1:
        return [f"{value:.0f} B" for value in values]
    digits = [max(3, math.ceil(-math.log10(abs(value) / size))) if value else 3 for value in values]
    return [f"{value / size:.{places}f} {unit}" for value, places in zip(values, digits, strict=True)]


def hertz(value: int) -> str:
    """800000000 -> '800 MHz'."""
    for unit, size in (("GHz", 10**9), ("MHz", 10**6), ("kHz", 10**3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value} Hz"


def times(ratio: float) -> str:
    """2.2 -> '2.20x'."""
    return f"{ratio:.2f}x"


def milliseconds(value: float) -> str:
    """12.3456 -> '12.346', 0.0012345 -> '0.001234', 0.00001 -> '0.00001': three decimals, or four digits below 1 ms, no exponent."""
    if value >= 0.99995 or not value:  # "1.000", not "1"
        return f"{value:,.3f}"
    return f"{value:.{3 - math.floor(math.log10(value))}f}".rstrip("0")


def duration(value: float) -> str:
    """12.3456 -> '12.346 ms', 0.008809 -> '0.008809 ms': a time in ms, whose unit is that of every table, page and picture of a run."""
    return f"{milliseconds(value)} ms"


def decimals(value: float, least: int) -> str:
    """`value` with at least `least` decimals, and two digits: (23044.3, 0) -> '23044', (3.14, 0) -> '3.1', (0.0519, 2) -> '0.052'."""
    return f"{value:.{max(least, 1 - math.floor(math.log10(value)))}f}" if value else "0"


def short(value: float) -> str:
    """Three significant digits, two below 0.001, no exponent: 1234.5 -> '1,234', 0.01234 -> '0.0123', 0.0000456 -> '0.000046'."""
    if not value:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def ends(span: Span) -> str:
    """Both ends of a range, as `short` writes them."""
    return f"{short(span.low)}-{short(span.high)}"
