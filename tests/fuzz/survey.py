"""Fuzz every reader and count the ends: `python -m tests.fuzz.survey --count 2000`; findings go to a folder, the table to a page.

The inputs follow from the seed alone, whatever the number of processes. Exit status 1 if anything but refusals and results was found.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import pkgutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.functional import check_functional
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from tests.fuzz.case import Case
from tests.fuzz.fork_server import CPU_SECONDS, Outcome, run_cases
from tests.fuzz.readers import readers

FINDINGS = ("traceback", "hang", "memory", "crash", "escape", "control", "no message")
_LAZY = ("__main__", "torch", "finetune", "huggingface", "models", "cluster")  # start a framework, or threads
BEGIN, END = "<!-- survey -->", "<!-- end of the survey -->"


def draw(count: int, seed: int, only: str = "") -> Iterator[Case]:
    """`count` mutated inputs, reader by reader in turn."""
    table = [reader for reader in readers() if only in reader.name]
    for number in range(count):
        yield table[number % len(table)].draw(Random(f"{seed}/{number}"))


def corpus() -> Iterator[Case]:
    """Every input that once was a finding."""
    return map(Case.load, sorted((Path(__file__).parent / "corpus").glob("*.json")))


def seeds() -> Iterator[Case]:
    """The valid inputs of every reader."""
    return (reader.case(content) for reader in readers() for content in reader.seeds)


def warm_up() -> None:
    """Import and load what children would otherwise each load: kernels, readers, importers."""
    for module in pkgutil.walk_packages(accelsim.__path__, "accelsim."):
        if not any(name in module.name for name in _LAZY):
            importlib.import_module(module.name)
    chip, trace = load_accelerator("mcu-16x16"), load_trace(find_trace("tiny_vit_ssvq"))
    simulate(chip, trace)
    check_functional(chip, trace)
    readers()


def table(outcomes: dict[str, Counter[str]], slowest: dict[str, float], largest: dict[str, int]) -> str:
    """Markdown: inputs, results and refusals, findings, most CPU time and memory of each reader."""
    head = ("reader", "inputs", "done", "check failed", "refused", *FINDINGS, "most CPU s", "most MiB")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    total: Counter[str] = Counter()
    for name, counts in outcomes.items():
        total.update(counts)
        lines.append(_row(name, counts, slowest[name], largest[name]))
    lines.append(_row("all", total, max(slowest.values()), max(largest.values())))
    return "\n".join(lines)


def _row(name: str, counts: Counter[str], seconds: float, memory: int) -> str:
    figures = [f"{counts[kind]:,}" for kind in ("done", "check failed", "refused", *FINDINGS)]
    return "| " + " | ".join((name, f"{counts.total():,}", *figures, f"{seconds:.1f}", f"{memory >> 20:,}")) + " |"


def _keep(outcome: Outcome, folder: Path) -> None:
    """Write the first case of each finding's site."""
    site = hashlib.sha256(f"{outcome.case.reader} {outcome.kind} {outcome.detail.split(': ')[0]}".encode()).hexdigest()[:10]
    path = folder / f"{outcome.kind.replace(' ', '_')}-{site}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        outcome.case.save(path)
        print(f"{path.name}: {outcome.case.reader}: {outcome.kind}: {outcome.detail}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="readers with this in their name")
    parser.add_argument("--corpus", action="store_true", help="the inputs that once were findings")
    parser.add_argument("--seeds", action="store_true", help="the valid inputs; one that is refused is a finding too")
    parser.add_argument("--findings", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--page", type=Path, help="write the table into this page")
    given = parser.parse_args()
    warm_up()
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    slowest: dict[str, float] = defaultdict(float)
    largest: dict[str, int] = defaultdict(int)
    cases = corpus() if given.corpus else seeds() if given.seeds else draw(given.count, given.seed, given.only)
    refused = 0
    for outcome in run_cases(cases, given.jobs):
        name = outcome.case.reader
        outcomes[name][outcome.kind] += 1
        slowest[name] = max(slowest[name], outcome.cpu_seconds)
        largest[name] = max(largest[name], outcome.memory_bytes)
        refused += outcome.kind == "refused"
        if outcome.is_finding or (given.seeds and outcome.kind == "refused"):
            _keep(outcome, given.findings)
    text = table(dict(sorted(outcomes.items())), slowest, largest)
    print(text)
    if given.page is not None:
        before, _, rest = given.page.read_text().partition(BEGIN)
        stated = f"{given.count:,} inputs of seed {given.seed}; a hang is more than {CPU_SECONDS} s of CPU time.\n"
        given.page.write_text(f"{before}{BEGIN}\n{stated}\n{text}\n{END}{rest.partition(END)[2]}")
    return int(given.seeds and refused > 0) or int(any(counts[kind] for counts in outcomes.values() for kind in FINDINGS))


if __name__ == "__main__":
    sys.exit(main())
