"""A reader of value change dumps, from IEEE Std 1364-2005, clause 18: declarations, scopes, time steps, scalar and vector changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dump:
    """Time unit; name of each variable with its scopes -> its changes as (time, value), the last value lasts to `end`."""

    timescale: str
    comment: str
    changes: dict[str, list[tuple[int, int]]]
    widths: dict[str, int]
    end: int

    def at(self, name: str, times: list[int]) -> list[int]:
        """The value of a variable at each of rising times."""
        out, place, changes = [], 0, self.changes[name]
        for time in times:
            while place + 1 < len(changes) and changes[place + 1][0] <= time:
                place += 1
            assert changes[place][0] <= time, f"{name} has no value at {time}"
            out.append(changes[place][1])
        return out


def read_vcd(path: Path) -> Dump:
    """The content of a dump; an AssertionError says what the standard does not allow."""
    text = path.read_text(encoding="ascii")
    words = text.split()
    place = 0
    scopes: list[str] = []
    names: dict[str, list[str]] = {}
    widths: dict[str, int] = {}
    keywords: dict[str, str] = {}
    while True:  # 18.2.1: declaration commands, each up to its $end
        keyword = words[place]
        assert keyword.startswith("$"), f"{keyword!r} where a declaration must be"
        end = words.index("$end", place)
        body = words[place + 1 : end]
        place = end + 1
        if keyword == "$enddefinitions":
            break
        if keyword == "$scope":
            assert body[0] in ("module", "task", "function", "begin", "fork")
            scopes.append(body[1])
        elif keyword == "$upscope":
            scopes.pop()
        elif keyword == "$var":
            kind, size, code, name = body[:4]
            assert kind in ("wire", "reg", "integer", "parameter", "event", "tri", "supply0", "supply1", "real", "time")
            assert all("!" <= char <= "~" for char in code)
            full = ".".join([*scopes, name])
            assert full not in widths, f"{full} is declared twice"
            names.setdefault(code, []).append(full)
            widths[full] = int(size)
        else:
            assert keyword in ("$timescale", "$date", "$version", "$comment"), keyword
            keywords[keyword] = " ".join(body)
    assert not scopes
    changes: dict[str, list[tuple[int, int]]] = {name: [] for name in widths}
    time = -1
    while place < len(words):  # 18.2.2: simulation commands and value changes
        word = words[place]
        place += 1
        if word.startswith("#"):
            assert int(word[1:]) > time, f"time goes from {time} to {word}"
            time = int(word[1:])
        elif word in ("$dumpvars", "$end", "$dumpall", "$dumpon", "$dumpoff"):
            continue
        elif word[0] in "bB":
            for name in names[words[place]]:
                assert len(word) - 1 <= widths[name], f"{word} is wider than {name}"
                changes[name].append((time, int(word[1:], 2)))
            place += 1
        else:
            assert word[0] in "01", f"{word!r} is no value change"
            for name in names[word[1:]]:
                assert widths[name] == 1
                changes[name].append((time, int(word[0])))
    return Dump(keywords["$timescale"], keywords["$comment"], changes, widths, time)
