"""Strike every command with every fault at random moments: `python -m tests.faults.table --tries 20 --page docs/faults.md`.

After each try the output is the earlier one or the new one (of a sweep: the earlier points and some of the new), and the same command
then gives the new one. Exit status 1 if anything was lost, half-written, or ended in a traceback.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.commands import COMMANDS, Command, copy
from tests.faults.strike import FAULTS, End, end_of, start
from tests.fuzz.fork_server import rehearse
from tests.fuzz.survey import seeds

BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
FINDINGS = ("lost", "half-written", "traceback")
_COLUMNS = ("tries", "struck", *FINDINGS, "left behind")


@dataclass(frozen=True)
class Range:
    """A command with its inputs and earlier output in a folder, and what it gives where nothing strikes.

    Attributes
    ----------
    before, after : states of the output; seconds : of a run
    """

    command: Command
    template: Path
    before: str | None
    after: str | None
    seconds: float


def measure(command: Command, scratch: Path) -> Range:
    """Prepare a command, and run it once without a fault."""
    template = scratch / f"{command.name}-template"
    template.mkdir(parents=True)
    command.prepare(template)
    if command.earlier:
        _expect_done(_undisturbed(command.earlier, template))
    before = command.state(template)
    reference = copy(template, scratch / f"{command.name}-reference")
    _expect_done(_undisturbed(command.words, reference))
    again = _undisturbed(command.words, copy(template, scratch / f"{command.name}-again"))
    _expect_done(again)
    after = command.state(reference)
    if before == after or after != command.state(scratch / f"{command.name}-again"):
        raise RuntimeError(f"{command.name}: two runs must give one output, and another than the earlier one")
    return Range(command, template, before, after, again.seconds)


def attempt(here: Range, fault: str, folder: Path, rng: Random) -> Counter[str]:
    """Strike a command once; counts of a row of the table."""
    command = here.command
    copy(here.template, folder)
    known = {item.name for item in folder.iterdir()}
    ends = FAULTS[fault](command.words, folder, rng, here.seconds)
    found = Counter({"tries": 1, "struck": int(any(end.status != 0 for end in ends))})
    found["traceback"] = int(not all(end.is_clean for end in ends))
    state = command.state(folder)
    if state is None:
        found["lost"] = 1
    elif not command.is_whole(state, here.before, here.after):
        found["half-written"] = 1
    made = {command.output, "tables", f"{command.output}-wal", f"{command.output}-shm"}
    found["left behind"] = int(bool({item.name for item in folder.iterdir()} - known - made))
    if _undisturbed(command.words, folder).status != 0 or command.state(folder) != here.after:
        found["lost"] = 1
    return found


def survey(names: Sequence[str], faults: Sequence[str], tries: int, seed: int) -> Iterator[tuple[str, str, Counter[str]]]:
    """(command, fault, counts) of each cell."""
    rehearse(seeds())
    gc.freeze()  # a child's collections then do not touch, and copy, the pages that it shares with this process
    with tempfile.TemporaryDirectory(prefix="accelsim-faults-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        for command in COMMANDS:
            if command.name not in names:
                continue
            here = measure(command, scratch)
            for fault in faults:
                counts: Counter[str] = Counter()
                for number in range(tries):
                    place = scratch / f"{command.name}-{fault}-{number}".replace(" ", "-")
                    counts += attempt(here, fault, place, Random(f"{seed}/{command.name}/{fault}/{number}"))
                yield command.name, fault, counts


def _undisturbed(words: tuple[str, ...], folder: Path) -> End:
    since = time.monotonic()
    return end_of(start(words, folder), folder, since)


def _expect_done(end: End) -> None:
    if end.status != 0:
        raise RuntimeError(end.message)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Print the table, and write it to a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=20, help="of each command with each fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", nargs="*", default=[command.name for command in COMMANDS])
    parser.add_argument("--fault", nargs="*", default=list(FAULTS))
    parser.add_argument("--page", type=Path, help="a page whose table is replaced")
    options = parser.parse_args()
    lines = [_row(("command", "fault", *_COLUMNS)), "|" + " --- |" * (2 + len(_COLUMNS))]
    total: Counter[str] = Counter()
    for name, fault, counts in survey(options.command, options.fault, options.tries, options.seed):
        lines.append(_row((name, fault, *(counts[column] for column in _COLUMNS))))
        total += counts
        print(lines[-1], flush=True)
    lines.append(_row(("all", "all", *(total[column] for column in _COLUMNS))))
    print(lines[-1])
    if options.page is not None:
        head, _, rest = options.page.read_text().partition(BEGIN)
        text = f"{options.tries} tries per cell, seed {options.seed}.\n\n" + "\n".join(lines)
        options.page.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    sys.exit(int(any(total[name] for name in FINDINGS)))


if __name__ == "__main__":
    main()
