"""Accuracy of each format at equal bits, with confidence intervals: fine-tuning runs, one line of a CSV file each.

Every arm of a task has the same budget: the same float networks, epochs, batches and optimizer, and as many tries of its rates, of which
the best on the validation data of seed 0 is taken for all seeds. The command continues where it stopped; a line that is there is not
measured again.

    python -m notebooks.examples accuracy_table [--task digits] [--minutes 30]
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path

import torch

from accelsim import finetune
from notebooks.examples.accuracy_tasks import BATCH, TASKS, Data, accuracy, next_class_loss, train_on, trained

DOCS = Path(__file__).parents[2] / "docs"
TABLE, FLIPS = DOCS / "data" / "accuracy.csv", DOCS / "data" / "sign_flips.csv"
FREEZING = finetune.Freezing(every=10)  # of 76 to 188 steps; the paper's 500 would freeze none
FLIP_ARMS = ("", "no freezing")

# Formats at about 1.25, 1.5, 2, 3 and 4 bits per weight, as papers count: codebooks and scales apart.
FORMATS = {
    1.25: ("vq:k=32,d=4", "ssvq:k=4,d=8", "masked_vq:k=16,d=8,keep=2,of=4", "universal_vq:k=32,d=4"),
    1.5: ("vq:k=64,d=4", "ssvq:k=16,d=8", "masked_vq:k=64,d=8,keep=2,of=4", "universal_vq:k=64,d=4"),
    2.0: (
        *("vq:k=256,d=4", "ssvq:k=256,d=8", "masked_vq:k=32,d=4,keep=2,of=4", "universal_vq:k=256,d=4"),
        *("uniform:bits=2", "vecq:bits=2", "int_group:bits=2,group=32"),
    ),
    3.0: (
        *("vq:k=64,d=2", "ssvq:k=256,d=4", "masked_vq:k=512,d=4,keep=2,of=4", "universal_vq:k=64,d=2"),
        *("uniform:bits=3", "vecq:bits=3", "int_group:bits=3,group=32"),
    ),
    4.0: ("vq:k=256,d=2", "ssvq:k=64,d=2", "universal_vq:k=256,d=2", "uniform:bits=4", "vecq:bits=4", "int_group:bits=4,group=32"),
}
CEILINGS = ((8.0, "uniform:bits=8"), (32.0, "float32"))  # what the same further training gives with little or no loss of precision
FLOAT = "float32"
FIXED = "fixed signs"


@dataclass(frozen=True)
class Grid:
    """The tries of a task's arms, as many for each.

    Attributes
    ----------
    rates
        Learning rates of an arm without latents that learn.
    latent_rates
        Learning rates of the other weights of an arm with latents; each is tried with each of the factors.
    factors
        By kind of format: the rate of the latents over that of the others. Logits of ratios have farther to go than signs.
    """

    rates: tuple[float, ...]
    latent_rates: tuple[float, ...]
    factors: Mapping[str, tuple[float, ...]]

    def tries(self, arm: Arm) -> tuple[Try, ...]:
        """The tries of an arm."""
        factors = self.factors.get(arm.kind, ()) if arm.variant != FIXED else ()
        if not factors:
            return tuple(Try(rate, 0.0) for rate in self.rates)
        return tuple(Try(rate, factor) for rate in self.latent_rates for factor in factors)


@dataclass(frozen=True, order=True)
class Try:
    """A learning rate, and the latents' over it: 0 where none learn."""

    rate: float
    latent: float


@dataclass(frozen=True)
class Arm:
    """A format on a task; a `variant` changes how it is trained."""

    task: str
    bits: float
    format: str
    variant: str = ""

    @property
    def kind(self) -> str:
        """The kind of its format."""
        return self.format.partition(":")[0]

    def settings(self, tried: Try, seed: int, epochs: int) -> finetune.Settings:
        """Settings of a run."""
        latent = tried.rate * tried.latent
        usual = finetune.Settings(epochs=epochs, batch=BATCH, learning_rate=tried.rate, latent_rate=latent, freezing=FREEZING, seed=seed)
        return {
            "": usual,
            FIXED: usual,  # whose latents do not learn
            "no freezing": replace(usual, freezing=None),
            "average": replace(usual, freezing=replace(FREEZING, sign="average")),
            "no construction": replace(usual, alpha=None),
            "no construction, no regularizer": replace(usual, alpha=None, ratio_weight=0.0),
        }[self.variant]


@dataclass(frozen=True)
class Line:
    """A run: accuracies of the float network, of the format without training, and after it, on the validation or the test data.

    Attributes
    ----------
    latent
        Rate of the latents over `rate`; 0 where none learn.
    """

    task: str
    bits: float
    format: str
    variant: str
    seed: int
    rate: float
    latent: float
    data: str
    float32: float
    compressed: float
    tuned: float

    @property
    def key(self) -> tuple[Arm, int, Try, str]:
        """What identifies a run."""
        return self.arm, self.seed, self.tried, self.data

    @property
    def tried(self) -> Try:
        """Its rates."""
        return Try(self.rate, self.latent)

    @property
    def arm(self) -> Arm:
        """The arm to which it belongs."""
        return Arm(self.task, self.bits, self.format, self.variant)


ABLATIONS = (
    *(
        (bits, text, variant)
        for bits, text in ((1.25, "ssvq:k=4,d=8"), (1.5, "ssvq:k=16,d=8"))
        for variant in (FIXED, "no freezing", "average")
    ),
    *((1.5, "universal_vq:k=64,d=4", variant) for variant in ("no construction", "no construction, no regularizer")),
)


NARROW = Grid((3e-4, 1e-3, 3e-3), (3e-4, 1e-3, 3e-3), {"ssvq": (10.0,), "universal_vq": (100.0,)})
WIDE = Grid(
    (3e-4, 6e-4, 1e-3, 2e-3, 3e-3, 6e-3, 1e-2, 2e-2), (3e-4, 1e-3, 3e-3, 1e-2), {"ssvq": (1.0, 10.0), "universal_vq": (10.0, 100.0)}
)
NARROW_BITS = (3.0, 4.0)


def grid_of(arm: Arm) -> Grid:
    """The tries of an arm: eight on the digits, but for 3 and 4 bits and the variants; three elsewhere."""
    return WIDE if arm.task == "digits" and arm.bits not in NARROW_BITS and not arm.variant else NARROW


# Measured on test data though the usual arm's validation did not choose it: signs that learn at the rate of the other weights.
_RATES = {"": Try(3e-3, 1.0), FIXED: Try(3e-3, 0.0), "no freezing": Try(3e-3, 1.0), "average": Try(3e-3, 1.0)}
EXTRA = {Arm("digits", 1.25, "ssvq:k=4,d=8", variant): tried for variant, tried in _RATES.items()}


def groups(task: str) -> tuple[tuple[Arm, ...], ...]:
    """The arms of a task that are measured together: those of equal bits, and on the digits the ceilings and the ablations."""
    main = tuple(tuple(Arm(task, bits, text) for text in texts) for bits, texts in FORMATS.items())
    if task != "digits":
        return main
    return (*main, tuple(Arm(task, *row) for row in CEILINGS), tuple(Arm(task, *row) for row in ABLATIONS))


@cache
def float_network(task: str, seed: int) -> tuple[torch.nn.Module, Data]:
    """The float network of a seed, and its data."""
    data = TASKS[task].load(seed)
    return trained(TASKS[task], data.train, seed), data


def run(arm: Arm, seed: int, tried: Try, data_name: str) -> tuple[Line, tuple[int, ...]]:
    """Fine-tune once; the signs that each step flipped come with the line."""
    task = TASKS[arm.task]
    network, data = float_network(arm.task, seed)
    samples = getattr(data, data_name)
    shared = arm.kind == "universal_vq"
    others = tuple(float_network(arm.task, (seed + more) % task.seeds)[0] for more in (1, 2)) if shared else ()
    settings = arm.settings(tried, seed, task.epochs)
    model, flips = copy.deepcopy(network), ()
    if arm.format == FLOAT:
        before = accuracy(model, samples)
        train_on(model, data.train, settings)
    else:
        finetune.prepare(model, arm.format, companions=others).eval()
        before = accuracy(model, samples)
        loss = finetune.distilled(network, loss=next_class_loss) if shared else next_class_loss
        flips = finetune.finetune(model, *data.train, settings=settings, loss=loss, check_export=False).flips
    figures = (round(value, 5) for value in (accuracy(network, samples), before, accuracy(model, samples)))
    return Line(arm.task, arm.bits, arm.format, arm.variant, seed, tried.rate, tried.latent, data_name, *figures), flips


def best_try(lines: Sequence[Line], arm: Arm, grid: Grid | None = None) -> Try | None:
    """The try of the best validation accuracy, of equal ones that of the lowest rates; None before all of the grid were tried."""
    tries = (grid or grid_of(arm)).tries(arm)
    found = sorted((-line.tuned, line.tried) for line in lines if line.arm == arm and line.data == "validation" and line.tried in tries)
    return found[0][1] if len(found) == len(tries) else None


def reported(lines: Sequence[Line], grid: Grid | None = None) -> list[Line]:
    """The lines on test data of each arm's best try, of its own grid or another; an arm whose tries are not complete has none."""
    best = {arm: best_try(lines, arm, grid) for arm in dict.fromkeys(line.arm for line in lines)}
    return [line for line in lines if line.data == "test" and line.tried == best[line.arm]]


def wanted(chosen: Sequence[Arm], seeds: int, lines: list[Line]) -> Iterator[tuple[Arm, int, Try, str]]:
    """Runs that are still missing: tries first, then one seed after the other for all arms. `lines` grows while this runs."""
    for arm in chosen:
        for tried in grid_of(arm).tries(arm):
            if (arm, 0, tried, "validation") not in {line.key for line in lines}:
                yield arm, 0, tried, "validation"
    for seed in range(seeds):
        for arm in chosen:
            best = best_try(lines, arm)
            if best is not None and (arm, seed, best, "test") not in {line.key for line in lines}:
                yield arm, seed, best, "test"
            extra = EXTRA.get(arm)
            if extra is not None and best is not None and (arm, seed, extra, "test") not in {line.key for line in lines}:
                yield arm, seed, extra, "test"


def read(path: Path) -> list[Line]:
    """The lines of a table; none if there is no file."""
    if not path.exists():
        return []
    kinds = {field.name: {"int": int, "float": float, "str": str}[str(field.type)] for field in fields(Line)}
    with path.open(newline="") as file:
        return [Line(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(file)]


def append(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Add rows to a CSV file, which gets a header when it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def measure(task: str, chosen: Sequence[Arm], seeds: int, table: Path = TABLE, flips: Path = FLIPS, until: float = math.inf) -> list[Line]:
    """Add the missing runs of a task to a table, until a time of the monotonic clock."""
    lines = read(table)
    for arm, seed, tried, data_name in wanted(chosen, seeds, lines):
        if time.monotonic() > until:
            break
        line, counts = run(arm, seed, tried, data_name)
        drawn = arm.kind == "ssvq" and arm.variant in FLIP_ARMS and tried == best_try(lines, arm, NARROW)
        if seed == 0 and data_name == "test" and drawn:
            head = {"task": task, "format": arm.format, "variant": arm.variant}
            append(flips, [{**head, "step": step, "flips": count} for step, count in enumerate(counts, start=1)])
        append(table, [asdict(line)])
        lines.append(line)
        print(
            f"{task} {arm.format} {arm.variant} seed {seed} rate {line.rate:g} latent {line.latent:g} {data_name}: "
            f"{line.compressed:.4f} -> {line.tuned:.4f}",
            flush=True,
        )
    return lines


def main(arguments: Sequence[str]) -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--task", choices=TASKS, action="append", help="by default all")
    parser.add_argument("--minutes", type=float, help="stop after this time; a later call continues")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # matrices this small gain nothing from more
    end = math.inf if chosen.minutes is None else time.monotonic() + 60 * chosen.minutes
    for task in chosen.task or TASKS:
        for group in groups(task):
            measure(task, group, TASKS[task].seeds, until=end)


if __name__ == "__main__":
    main(sys.argv[1:])
