"""Fuzz every reader and count the ends: `python -m tests.fuzz.survey --count 2000`; findings go to a folder, the table to a page.

The inputs follow from the seed alone, whatever the number of processes. The counts are kept after each slice of inputs, and `--resume`
goes on from there. Exit status 1 if anything but refusals and results was found.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from tests.fuzz.case import Case
from tests.fuzz.fork_server import CPU_SECONDS, Outcome, rehearse, run_cases
from tests.fuzz.readers import readers
from tests.fuzz.tally import Tally

SLICE = 1000  # inputs
BEGIN, END = "<!-- survey -->", "<!-- end of the survey -->"


def draw(numbers: Iterable[int], seed: int, only: str = "") -> Iterator[Case]:
    """The mutated inputs with these numbers, reader by reader in turn."""
    table = [reader for reader in readers() if only in reader.name]
    for number in numbers:
        yield table[number % len(table)].draw(Random(f"{seed}/{number}"))


def corpus() -> Iterator[Case]:
    """Every input that once was a finding."""
    return map(Case.load, sorted((Path(__file__).parent / "corpus").glob("*.json")))


def seeds() -> list[Case]:
    """The valid inputs of every reader."""
    return [reader.case(content) for reader in readers() for content in reader.seeds]


def _keep(outcome: Outcome, folder: Path) -> None:
    """Write the first case of each finding's site."""
    site = hashlib.sha256(f"{outcome.case.reader} {outcome.kind} {outcome.detail.split(': ')[0]}".encode()).hexdigest()[:10]
    path = folder / f"{outcome.kind.replace(' ', '_')}-{site}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        outcome.case.save(path)
        print(f"{path.name}: {outcome.case.reader}: {outcome.kind}: {outcome.detail}", flush=True)


def _slices(cases: Iterable[Case]) -> Iterator[list[Case]]:
    ahead = iter(cases)
    return iter(lambda: list(itertools.islice(ahead, SLICE)), [])


def _survey(cases: Iterable[Case], tally: Tally, given: argparse.Namespace) -> None:
    """Run and count cases, keep the findings, and the counts after each slice."""
    for part in _slices(cases):
        for outcome in run_cases(part, given.jobs):
            tally.add(outcome)
            if outcome.is_finding or (given.seeds and outcome.kind == "refused"):
                _keep(outcome, given.findings)
        tally.inputs += len(part)
        tally.save(given.findings / "tally.json")
        print(f"{tally.inputs:,} inputs, {tally.findings:,} findings", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="readers with this in their name")
    parser.add_argument("--corpus", action="store_true", help="the inputs that once were findings")
    parser.add_argument("--seeds", action="store_true", help="the valid inputs; one that is refused is a finding too")
    parser.add_argument("--findings", type=Path, default=Path("out/fuzz"), help="folder of the findings and of tally.json")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's tally.json, if it is there")
    parser.add_argument("--page", type=Path, help="write the table into this page")
    given = parser.parse_args()
    tally = Tally({"seed": given.seed, "only": given.only, "corpus": given.corpus, "seeds": given.seeds})
    kept = given.findings / "tally.json"
    if given.resume and kept.exists():
        tally.resume(kept)
    rehearse(seeds())
    cases = corpus() if given.corpus else seeds() if given.seeds else draw(range(given.count), given.seed, given.only)
    _survey(itertools.islice(cases, tally.inputs, None), tally, given)
    print(tally.table())
    if given.page is not None:
        before, _, rest = given.page.read_text().partition(BEGIN)
        stated = f"{tally.inputs:,} inputs of seed {given.seed}; a hang is more than {CPU_SECONDS} s of CPU time.\n"
        given.page.write_text(f"{before}{BEGIN}\n{stated}\n{tally.table()}\n{END}{rest.partition(END)[2]}")
    return int(tally.findings > 0 or (given.seeds and tally.total.ends["refused"] > 0))


if __name__ == "__main__":
    sys.exit(main())
