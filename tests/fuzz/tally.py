"""What a survey has counted, kept in a file from which it can continue."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.fork_server import FINDINGS, Outcome

_ENDS = ("done", "check failed", "refused", *FINDINGS)
_ROOT = Path(__file__).parents[2]


@dataclass
class Counts:
    """Of one reader: inputs by how they ended, CPU seconds of all and of the slowest, bytes of the largest."""

    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    most_seconds: float = 0.0
    most_bytes: int = 0

    def add(self, other: Counts) -> None:
        """Count what the other has counted too."""
        self.ends.update(other.ends)
        self.seconds += other.seconds
        self.most_seconds = max(self.most_seconds, other.most_seconds)
        self.most_bytes = max(self.most_bytes, other.most_bytes)

    def row(self, name: str) -> str:
        """A row of the Markdown table."""
        ends = [f"{self.ends[end]:,}" for end in _ENDS]
        figures = (f"{self.ends.total():,}", *ends, f"{self.seconds:,.0f}", f"{self.most_seconds:.1f}", f"{self.most_bytes >> 20:,}")
        return f"| {name} | {' | '.join(figures)} |"


class Tally:
    """Counts by reader of the inputs that `origin` describes; `inputs` of them, in the order of their numbers, are counted."""

    def __init__(self, origin: dict[str, object]) -> None:
        self.origin = {**origin, "sources": _sources()}
        self.inputs = 0
        self.readers: dict[str, Counts] = {}

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        counts = Counts(Counter([outcome.kind]), outcome.cpu_seconds, outcome.cpu_seconds, outcome.memory_bytes)
        self.readers.setdefault(outcome.case.reader, Counts()).add(counts)

    @property
    def total(self) -> Counts:
        """All readers together."""
        total = Counts()
        for counts in self.readers.values():
            total.add(counts)
        return total

    @property
    def findings(self) -> int:
        """Inputs that ended neither in a result nor in a refusal."""
        return sum(self.total.ends[kind] for kind in FINDINGS)

    def table(self) -> str:
        """Markdown: how the inputs of each reader ended, their CPU time and memory."""
        head = ("reader", "inputs", *_ENDS, "CPU s", "most CPU s", "most MiB")
        rows = [counts.row(name) for name, counts in sorted(self.readers.items())]
        return "\n".join(("| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows, self.total.row("all")))

    def save(self, path: Path) -> None:
        """Write the counts beside their place and rename them."""
        content = {"origin": self.origin, "inputs": self.inputs, "readers": {name: vars(counts) for name, counts in self.readers.items()}}
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from the counts of a file; ValueError if they are of other inputs or of other code."""
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["origin"] != self.origin:
            differing = [name for name in self.origin if content["origin"].get(name) != self.origin[name]]
            raise ValueError(f"{path}: made with another {' and '.join(differing)}; begin anew, without --resume")
        self.inputs = content["inputs"]
        self.readers = {name: Counts(**{**counts, "ends": Counter(counts["ends"])}) for name, counts in content["readers"].items()}


def _sources() -> str:
    """First 16 hex digits of the SHA-256 of the package and the fuzzer: counts of different code are not added."""
    digest = hashlib.sha256()
    for path in sorted([*(_ROOT / "accelsim").rglob("*.py"), *Path(__file__).parent.glob("*.py")]):
        digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
