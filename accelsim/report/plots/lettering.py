"""Text metrics: the width of a line, and text broken into lines of a given width.

Disputable assumption: widths are those of the unhinted font; hinting can make a line a little wider, for which 4 % are kept free.
"""

from __future__ import annotations

from bisect import bisect_right

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"
_SHARE = 0.96  # of a width that a line may fill


def line_points(line: str, size: float) -> float:
    """Width of a line in a type size, both in points; to be measured within `look`, which draws a missing glyph as a box."""
    width, _, _ = text_to_path.get_text_width_height_descent(line, FontProperties(family=FONT, size=size), ismath=False)
    return float(width)


def broken(text: str, size: float, width: float) -> list[str]:
    """`text` in lines of at most `width` points: between words, and inside a word that is longer than a line."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and line_points(joined, size) <= _SHARE * width:
            lines[-1] = joined
            continue
        while len(word) > 1 and line_points(word, size) > _SHARE * width:
            end = max(1, bisect_right(range(1, len(word)), _SHARE * width, key=lambda count: line_points(word[:count], size)))
            lines.append(word[:end])
            word = word[end:]
        lines.append(word)
    return lines


def fitted(line: str, size: float, width: float) -> str:
    """The end of a line, as much as `width` points hold."""
    if line_points(line, size) <= _SHARE * width:
        return line
    kept = bisect_right(range(1, len(line)), _SHARE * width, key=lambda count: line_points(f"…{line[-count:]}", size))
    return f"…{line[-kept:]}" if kept else "…"
