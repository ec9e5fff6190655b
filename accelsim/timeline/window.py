"""The window of a timeline: layers by a name pattern, and a half-open range of core cycles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.result import Result

_CYCLES = re.compile(r"^\s*(\d[\d_,]*)?\s*\.\.\s*(\d[\d_,]*)?\s*$")


@dataclass(frozen=True)
class Window:
    """Cycles first..end-1; of the layers, those in `layers` (by their index in the program).

    The items of a layer are shown whole if they lie in the window for a part of its time.

    Attributes
    ----------
    all_cycles : no cycles were chosen: the layers are shown whole, the rest of the machine for the same time
    all_layers : no layers were chosen
    """

    first: int
    end: int
    layers: frozenset[int]
    all_cycles: bool
    all_layers: bool

    @property
    def whole(self) -> bool:
        """Whether everything is shown."""
        return self.all_cycles and self.all_layers

    def holds(self, start: int, end: int) -> bool:
        """Whether cycles start..end-1 touch the window."""
        return start < self.end and (end > self.first or start == end == self.first)

    def part(self, start: int, end: int) -> int:
        """How many of a layer's cycles start..end-1 lie in the window."""
        return end - start if self.all_cycles else max(0, min(end, self.end) - max(start, self.first))

    def shows(self, layer: int, start: int, end: int) -> bool:
        """Whether work of a layer in cycles start..end-1 is shown."""
        return layer in self.layers and (self.all_cycles or self.holds(start, end))


def parse_cycles(text: str) -> tuple[int, int | None]:
    """'1000..5000' -> (1000, 5000); '1000..' -> (1000, None); '..5000' -> (0, 5000).

    Raises
    ------
    ConfigError
        The text has another form, or the range is empty.
    """
    match = _CYCLES.match(text)
    if match is None:
        raise ConfigError(f"--cycles {text!r}: allowed: FIRST..END, as in 1000..5000 (END is not shown); either may be left out")
    first, end = (int(part.replace("_", "").replace(",", "")) if part else None for part in match.groups())
    if end is not None and end <= (first or 0):
        raise ConfigError(f"--cycles {text!r}: holds no cycle; allowed: FIRST below END")
    return first or 0, end


def make_window(result: Result, pattern: str | None, cycles: tuple[int, int | None] | None) -> Window:
    """The window over a run.

    Raises
    ------
    ConfigError
        No layer has such a name, or no cycle of the run lies in it.
    """
    total = result.total_cycles
    first, end = cycles or (0, None)
    if first >= total:
        raise ConfigError(f"no cycle of the run lies in {first}..{'' if end is None else end}: it has {total} cycles, 0..{total}")
    names = [layer.name for layer in result.layers]
    chosen = frozenset(index for index, name in enumerate(names) if pattern is None or fnmatchcase(name, pattern))
    if not chosen:
        known = list(dict.fromkeys(names))
        shown = ", ".join(known[:3])
        raise ConfigError(
            f"--layers {pattern!r}: no layer has such a name; allowed: a shell pattern of names like {shown}{suggest(pattern or '', known)}"
        )
    end = total if end is None else min(end, total)
    return Window(first, end, chosen, first == 0 and end == total, pattern is None)
