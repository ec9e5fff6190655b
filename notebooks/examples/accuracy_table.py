"""Accuracy of each format at equal bits, with confidence intervals: fine-tuning runs, one line of a CSV file each.

Every arm has the same budget: the same float networks, epochs, batches and optimizer, and three learning rates, of which the best on the
validation data of seed 0 is taken for all seeds. The command continues where it stopped; a line that is there is not measured again.

    python -m notebooks.examples.accuracy_table [--task digits] [--minutes 30]
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path

import torch

from accelsim import finetune
from notebooks.examples.accuracy_tasks import BATCH, TASKS, Data, accuracy, next_class_loss, trained

RATES = (3e-4, 1e-3, 3e-3)
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
LATENT = {"universal_vq": 100.0}  # the latents' rate over the others': logits of ratios have far to go
USUAL_LATENT = 10.0


@dataclass(frozen=True)
class Arm:
    """A format on a task; a `variant` changes how it is trained."""

    task: str
    bits: float
    format: str
    variant: str = ""

    def settings(self, rate: float, seed: int, epochs: int) -> finetune.Settings:
        """Settings of a run."""
        latent = rate * LATENT.get(self.format.partition(":")[0], USUAL_LATENT)
        usual = finetune.Settings(epochs=epochs, batch=BATCH, learning_rate=rate, latent_rate=latent, freezing=FREEZING, seed=seed)
        return {
            "": usual,
            "fixed signs": replace(usual, latent_rate=0.0),
            "no freezing": replace(usual, freezing=None),
            "average": replace(usual, freezing=replace(FREEZING, sign="average")),
            "no construction": replace(usual, alpha=None),
            "no construction, no regularizer": replace(usual, alpha=None, ratio_weight=0.0),
        }[self.variant]


@dataclass(frozen=True)
class Line:
    """A run: accuracies of the float network, of the format without training, and after it, on the validation or the test data."""

    task: str
    bits: float
    format: str
    variant: str
    seed: int
    rate: float
    data: str
    float32: float
    compressed: float
    tuned: float

    @property
    def key(self) -> tuple[str, str, str, int, float, str]:
        """What identifies a run."""
        return self.task, self.format, self.variant, self.seed, self.rate, self.data

    @property
    def arm(self) -> Arm:
        """The arm to which it belongs."""
        return Arm(self.task, self.bits, self.format, self.variant)


ABLATIONS = (
    *(
        (bits, text, variant)
        for bits, text in ((1.25, "ssvq:k=4,d=8"), (1.5, "ssvq:k=16,d=8"))
        for variant in ("fixed signs", "no freezing", "average")
    ),
    *((1.5, "universal_vq:k=64,d=4", variant) for variant in ("no construction", "no construction, no regularizer")),
)


def groups(task: str) -> tuple[tuple[Arm, ...], ...]:
    """The arms of a task that are measured together: those of equal bits, and on the digits the ablations."""
    main = tuple(tuple(Arm(task, bits, text) for text in texts) for bits, texts in FORMATS.items())
    return (*main, tuple(Arm(task, *row) for row in ABLATIONS)) if task == "digits" else main


@cache
def float_network(task: str, seed: int) -> tuple[torch.nn.Module, Data]:
    """The float network of a seed, and its data."""
    data = TASKS[task].load(seed)
    return trained(TASKS[task], data.train, seed), data


def run(arm: Arm, seed: int, rate: float, data_name: str) -> tuple[Line, tuple[int, ...]]:
    """Fine-tune once; the signs that each step flipped come with the line."""
    task = TASKS[arm.task]
    network, data = float_network(arm.task, seed)
    samples = getattr(data, data_name)
    shared = arm.format.startswith("universal_vq")
    others = tuple(float_network(arm.task, (seed + more) % task.seeds)[0] for more in (1, 2)) if shared else ()
    model = finetune.prepare(copy.deepcopy(network), arm.format, companions=others).eval()
    before = accuracy(model, samples)
    loss = finetune.distilled(network, loss=next_class_loss) if shared else next_class_loss
    done = finetune.finetune(model, *data.train, settings=arm.settings(rate, seed, task.epochs), loss=loss)
    figures = (accuracy(network, samples), before, accuracy(model, samples))
    return Line(arm.task, arm.bits, arm.format, arm.variant, seed, rate, data_name, *(round(value, 5) for value in figures)), done.flips


def best_rate(lines: Sequence[Line], arm: Arm) -> float | None:
    """The rate of the best validation accuracy, of equal ones the lowest; None before all were tried."""
    tried = sorted((line for line in lines if line.arm == arm and line.data == "validation"), key=lambda line: (-line.tuned, line.rate))
    return tried[0].rate if len(tried) == len(RATES) else None


def wanted(task: str, chosen: Sequence[Arm], seeds: int, lines: list[Line]) -> Iterator[tuple[Arm, int, float, str]]:
    """Runs that are still missing: rates first, then one seed after the other for all arms. `lines` grows while this runs."""
    for arm in chosen:
        for rate in RATES:
            if (task, arm.format, arm.variant, 0, rate, "validation") not in {line.key for line in lines}:
                yield arm, 0, rate, "validation"
    for seed in range(seeds):
        for arm in chosen:
            rate = best_rate(lines, arm)
            if rate is not None and (task, arm.format, arm.variant, seed, rate, "test") not in {line.key for line in lines}:
                yield arm, seed, rate, "test"


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
    for arm, seed, rate, data_name in wanted(task, chosen, seeds, lines):
        if time.monotonic() > until:
            break
        line, counts = run(arm, seed, rate, data_name)
        if seed == 0 and data_name == "test" and arm.format.startswith("ssvq") and arm.variant in FLIP_ARMS:
            head = {"task": task, "format": arm.format, "variant": arm.variant}
            append(flips, [{**head, "step": step, "flips": count} for step, count in enumerate(counts, start=1)])
        append(table, [asdict(line)])
        lines.append(line)
        print(
            f"{task} {arm.format} {arm.variant} seed {seed} rate {rate:g} {data_name}: {line.compressed:.4f} -> {line.tuned:.4f}",
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
