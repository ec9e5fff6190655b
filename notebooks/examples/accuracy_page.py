"""The page of the accuracy table: means with confidence intervals, paired differences, ablations, and the picture of sign flips.

python -m notebooks.examples accuracy_page
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from notebooks.examples import accuracy_cost, accuracy_front
from notebooks.examples.accuracy_table import (
    ABLATIONS,
    CEILINGS,
    DOCS,
    EXTRA,
    FLIPS,
    FORMATS,
    NARROW,
    TABLE,
    WIDE,
    Arm,
    Line,
    Try,
    best_try,
    grid_of,
    read,
    reported,
)
from notebooks.examples.accuracy_tasks import TASKS
from notebooks.examples.confidence import half_width

HEAD = """# Accuracy at equal bits

Every format fine-tuned on float networks of {weights:,} weights in their blocks, which alone take it; the other
layers are int8, activations float. `make accuracy-table` measures the runs that are missing
in [accuracy.csv](data/accuracy.csv), continues where it stopped, and writes this page of them.

Budgets are equal: epochs, batches, AdamW under a cosine, the same float network per seed, and as many tries of the rates
per arm, of which the best on the validation data of seed 0 serves all seeds. `universal_vq` draws its codebook from
three networks and has block-wise distillation, which belongs to its method. Bits are those of indices, signs, masks
and integers, as papers count: without codebooks and scales. A cell is the mean of the test accuracy over the seeds,
with the half width of its 95 % confidence interval (Student's t) in points; without one, it is a single seed, which decides nothing.

On the digits, every arm but those at 3 and 4 bits and the variants of the ablations has {wide} tries: learning rates
from {least:g} to {most:g}. Where latents learn (SSVQ's signs, the ratios of `universal_vq`), it is half as many
rates, to {latent_most:g}, each with two rates of the
latents: {signs} times as high for signs, {ratios} times for ratios. {wide_edge} of these {wide_arms} arms take the highest
rate. All others have {narrow} tries, to {narrow_most:g}, with the latents' rate at 10 times (signs) and 100 times (ratios):
{narrow_edge} of {narrow_arms} take the highest, so wider tries may lift them, and a latents' rate of their own too. Tries are
judged on one seed's validation data, for the digits 200 images, where a point is two images.

The float32 column has had no further epochs: where a format exceeds it, the training that went on gains, not the format.
The fair ceilings are the last two rows of the digits: int8, and float32 that was trained on for the same epochs, with
tries of its own.
"""

CLAIMS_HEAD = """## Claims of the papers at this scale

Points of the arm that the paper prefers over the other, paired by seed; not decided where the 95 % interval holds 0. Each row is judged by
itself: of twenty without any effect, one would be decided by chance. Networks of a hundredth of the papers' sizes on small tasks say
nothing of the papers' own figures. Rows of the shapes and the characters hang on the three
tries of their arms (see above), and so do those of learned signs, freezing, vote and construction, on both sides. The
three reverses at 1.25 bits hold at the rates that three tries chose, where the latents' is ten times the other
weights'. At one other pair, both rates 0.003, none of the three is decided (see below the table of wider tries). Validation
data did not choose that pair for the usual arm, and test data of all variants exist at no third one. At the rates of
three tries SSVQ lost to VQ there too, by 3.00 ± 1.60 points, which eight tries no longer decide.

| claim | task | points | does it hold here |
|---|---|---|---|"""
_SSVQ = {1.25: "ssvq:k=4,d=8", 1.5: "ssvq:k=16,d=8", 2.0: "ssvq:k=256,d=8"}
_VQ = {1.25: "vq:k=32,d=4", 1.5: "vq:k=64,d=4", 2.0: "vq:k=256,d=4"}
_VQ4ALL = "universal_vq:k=64,d=4"
_PANELS = 4  # beside each other in a picture
# Claim, the arm that the paper prefers, the other, and the figure of a line; the task is filled in.
CLAIMS = (
    *((f"SSVQ gains over VQ at {bits:g} bits", Arm("", bits, _SSVQ[bits]), Arm("", bits, _VQ[bits]), "tuned") for bits in _SSVQ),
    *(
        (f"{claim} at {bits:g} bits", Arm("", bits, _SSVQ[bits]), Arm("", bits, _SSVQ[bits], variant), "tuned")
        for claim, variant in (
            ("SSVQ: learned signs gain over fixed ones", "fixed signs"),
            ("SSVQ: freezing gains over none", "no freezing"),
            ("SSVQ: the vote gains over the average", "average"),
        )
        for bits in (1.25, 1.5)
    ),
    ("VQ4ALL: progressive construction gains over none", Arm("", 1.5, _VQ4ALL), Arm("", 1.5, _VQ4ALL, "no construction"), "tuned"),
    (
        "VecQ's vector loss gains over uniform at 2 bits, untrained",
        Arm("", 2.0, "vecq:bits=2"),
        Arm("", 2.0, "uniform:bits=2"),
        "compressed",
    ),
    ("VecQ gains over uniform at 2 bits, fine-tuned", Arm("", 2.0, "vecq:bits=2"), Arm("", 2.0, "uniform:bits=2"), "tuned"),
)

FRONT = """## Accuracy, latency and area

Formats with all seeds, for the digits on three chips, each with the codebook that the format needs:
`python -m notebooks.examples accuracy_front` simulates them into [accuracy_front.csv](data/accuracy_front.csv). The table has the points
that none beats in accuracy, latency and area together; in the picture they are filled, and bars are the confidence
intervals of the means. Means that are closer than these are not told apart, so which of two formats is on the front at nearly the same
accuracy is chance.

![Accuracy against latency](images/accuracy_front.png)

"""


@dataclass(frozen=True)
class Verdict:
    """A claim on a task: the points (seeds,) that the preferred arm gains."""

    claim: str
    task: str
    points: np.ndarray

    @property
    def word(self) -> str:
        """Whether it holds."""
        mean = self.points.mean()
        return "not decided" if abs(mean) <= half_width(self.points) else "yes" if mean > 0 else "**no, the reverse**"


def page(lines: Sequence[Line]) -> str:
    """The page in Markdown."""
    tests, alike = reported(lines), reported(lines, NARROW)
    parts = [_head(tests), measured(tests)]
    for task in TASKS:
        mine = [line for line in tests if line.task == task]
        if mine:
            parts.append(f"## {task.capitalize()}\n\n{formats_table(mine)}")
            parts.extend(
                part for part in (differences(mine, task), ablations(alike, task), wider(lines, task), unchosen(lines, task)) if part
            )
    parts.append(claims(tests, alike))
    parts.append(front(accuracy_front.read_points()))
    if any(line.format.startswith("ssvq") for line in tests):
        parts.append("## Sign flips over time\n\nRates of the three tries.\n\n![Signs that flip per step](images/sign_flips.png)\n")
    parts.append(cost(lines))
    return "\n".join(part for part in parts if part)


def _head(tests: Sequence[Line]) -> str:
    chosen = {line.arm: line.tried for line in tests}
    wide = [_is_highest(arm, tried) for arm, tried in chosen.items() if grid_of(arm) is WIDE]
    narrow = [_is_highest(arm, tried) for arm, tried in chosen.items() if grid_of(arm) is NARROW]
    plain = Arm("digits", 2.0, "vq")
    return HEAD.format(
        weights=_weights(),
        wide=len(WIDE.tries(plain)),
        narrow=len(NARROW.tries(plain)),
        least=min(WIDE.rates),
        most=max(WIDE.rates),
        latent_most=max(WIDE.latent_rates),
        narrow_most=max(NARROW.rates),
        signs=" or ".join(f"{factor:g}" for factor in WIDE.factors["ssvq"]),
        ratios=" or ".join(f"{factor:g}" for factor in WIDE.factors["universal_vq"]),
        wide_edge=sum(wide),
        wide_arms=len(wide),
        narrow_edge=sum(narrow),
        narrow_arms=len(narrow),
    )


def _is_highest(arm: Arm, tried: Try) -> bool:
    return tried.rate == max(other.rate for other in grid_of(arm).tries(arm))


def measured(lines: Sequence[Line]) -> str:
    """What was run, of what the command would run."""
    rows = ["| task | test runs | of | seeds | epochs |", "|---|---|---|---|---|"]
    for name, task in TASKS.items():
        per_seed = sum(map(len, FORMATS.values())) + (len(ABLATIONS) + len(CEILINGS) if name == "digits" else 0)
        done = [line for line in lines if line.task == name]
        rows.append(
            f"| {name} | {len(done)} | {per_seed * task.seeds} | {len({line.seed for line in done})} of {task.seeds} | {task.epochs} |"
        )
    return "## Extent\n\nRuns that are measured; a table below has no row for an arm without one.\n\n" + "\n".join(rows) + "\n"


def formats_table(lines: Sequence[Line]) -> str:
    """A row per format: before and after fine-tuning, and the float networks."""
    rows = ["| bits | format | seeds | rate | float32 | compressed | fine-tuned |", "|---|---|---|---|---|---|---|"]
    for bits, text in (*((bits, text) for bits, texts in FORMATS.items() for text in texts), *CEILINGS):
        found = [line for line in lines if line.format == text and line.bits == bits and not line.variant]
        if found:
            cells = (mean_of(getattr(line, figure) for line in found) for figure in ("float32", "compressed", "tuned"))
            rows.append(f"| {bits:g} | `{text}` | {len(found)} | {_rate(found[0].tried)} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _rate(tried: Try) -> str:
    """'0.001', or '0.001, latents x 10'."""
    return f"{tried.rate:g}" + (f", latents x {tried.latent:g}" if tried.latent else "")


def wider(lines: Sequence[Line], task: str) -> str:
    """Means under the three tries and under the eight, of arms whose choice they changed; empty without any."""
    rows = []
    for arm in dict.fromkeys(line.arm for line in reported(lines) if line.task == task and grid_of(line.arm) is WIDE):
        chosen = [best_try(lines, arm, grid) for grid in (NARROW, WIDE)]
        tests = [line for line in lines if line.arm == arm and line.data == "test"]
        tuned = [{line.seed: line.tuned for line in tests if line.tried == item} for item in chosen]
        if chosen[0] != chosen[1] and tuned[0].keys() == tuned[1].keys():
            pairs = zip(chosen, tuned, strict=True)
            cells = [f"{_rate(item)} | {mean_of(found.values())}" for item, found in pairs if item is not None]
            rows.append(f"| `{arm.format}` | {arm.variant} | " + " | ".join(cells) + " |")
    head = "| format | variant | rate of three tries | fine-tuned | rate of eight | fine-tuned |"
    title = "Arms whose choice of a rate the wider tries changed, before and after:"
    notes = [
        f"Of its eight tries, the validation data did not choose {_rate(extra)} for `{arm.format}`, which has {mean_of(tuned)}:\n"
        "a choice by 200 images can cost an arm that many points.\n"
        for arm, extra in EXTRA.items()
        if not arm.variant
        and (tuned := [line.tuned for line in lines if (line.arm, line.tried, line.data, task) == (arm, extra, "test", arm.task)])
    ]
    return "\n".join([title, "", head, "|---|---|---|---|---|---|", *rows, "", *notes]) if rows else ""


def unchosen(lines: Sequence[Line], task: str) -> str:
    """The usual training less each variant at the rates of EXTRA; empty without any."""
    tests = [line for line in lines if line.data == "test" and line.tried == EXTRA.get(line.arm)]
    rows = [_paired(tests, replace(arm, variant=""), arm, arm.format) for arm in EXTRA if arm.variant and arm.task == task]
    return _differences(
        "Points that it gains over its variants with latents and other weights at that rate, 0.003 (with fixed signs, no latents learn):",
        "format",
        rows,
    )


def cost(lines: Sequence[Line]) -> str:
    """CPU hours of all lines; empty before all of their kinds are timed."""
    costs = accuracy_cost.read(accuracy_cost.COSTS)
    if any((line.task, line.arm.kind) not in costs for line in lines):
        return ""
    found = accuracy_cost.hours(lines, costs)
    tasks = ", ".join(f"{hours:.2f} for the {task}" for task, hours in found.items())
    return (
        f"## Cost\n\nThe {len(lines)} runs of the table, tries included, and their float networks cost\n"
        f"{sum(found.values()):.1f} CPU hours ({tasks}),\n"
        "of one thread each; the limit is 6. This is an estimate: one run of each kind of format on each task was timed\n"
        "([accuracy_cost.csv](data/accuracy_cost.csv), `python -m notebooks.examples accuracy_cost`; on the digits the\n"
        "mean of 5 to 34 runs), on a machine that other work shared, and multiplied by the number of runs.\n"
    )


def differences(lines: Sequence[Line], task: str) -> str:
    """SSVQ less each other format of equal bits, over the seeds that both have; empty without any."""
    rows = []
    for bits, texts in FORMATS.items():
        main = next(text for text in texts if text.startswith("ssvq"))
        rows += [_paired(lines, Arm(task, bits, main), Arm(task, bits, other), f"{bits:g}") for other in texts if other != main]
    return _differences("Points that SSVQ gains over another format of equal bits, paired by seed:", "bits", rows)


def ablations(lines: Sequence[Line], task: str) -> str:
    """The usual training less each variant of it; empty without any."""
    rows = [_paired(lines, Arm(task, bits, text), Arm(task, bits, text, variant), text) for bits, text, variant in ABLATIONS]
    title = "Points that the usual training (learned signs, frozen by vote; progressive construction) gains, all with three tries:"
    return _differences(title, "format", rows)


def claims(lines: Sequence[Line], alike: Sequence[Line] = ()) -> str:
    """The papers' claims against the measured differences, of variants in the lines of `alike` tries; empty without any."""
    verdicts = []
    for claim, better, worse, figure in CLAIMS:
        for task in TASKS:
            tests = alike if worse.variant else lines
            points = _points(tests, replace(better, task=task), replace(worse, task=task), figure)
            if len(points) > 1:
                verdicts.append(Verdict(claim, task, points))
    rows = [
        f"| {item.claim} | {item.task} | {item.points.mean():+.2f} ± {half_width(item.points):.2f} | {item.word} |" for item in verdicts
    ]
    return "\n".join([CLAIMS_HEAD, *rows, "", _summary(verdicts)]) if rows else ""


def _summary(verdicts: Sequence[Verdict]) -> str:
    """Which claims hold, in sentences."""
    out = []
    for title, word in (("Reproduced at this scale", "yes"), ("Reversed", "**no, the reverse**"), ("Not decided", "not decided")):
        found: dict[str, list[str]] = {}
        for item in verdicts:
            if item.word == word:
                found.setdefault(item.claim, []).append(item.task)
        text = "; ".join(f"{claim} ({', '.join(tasks)})" for claim, tasks in found.items())
        out.append(f"- {title}: {text or 'none'}.")
    return "\n".join([*out, ""])


def front(points: Sequence[accuracy_front.Point]) -> str:
    """Accuracy against latency and area."""
    return FRONT + accuracy_front.table(points) if points else ""


def mean_of(values: Iterable[float]) -> str:
    """'95.25 ± 0.80 %'."""
    found = 100 * np.array(list(values))
    return f"{found.mean():.2f}{_half_width(found)} %"


def _half_width(values: np.ndarray) -> str:
    return f" ± {half_width(values):.2f}" if len(values) > 1 else ""


def _points(lines: Sequence[Line], arm: Arm, other: Arm, figure: str = "tuned") -> np.ndarray:
    """Points between two arms, float64 (seeds that both have,)."""
    first, second = ({line.seed: getattr(line, figure) for line in lines if line.arm == each} for each in (arm, other))
    return 100 * np.array([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def _paired(lines: Sequence[Line], arm: Arm, other: Arm, head: str) -> str:
    """A row of a table of differences; empty if no seed has both."""
    points = _points(lines, arm, other)
    if not len(points):
        return ""
    name = other.variant or f"`{other.format}`"
    return f"| {head} | {name} | {len(points)} | {points.mean():+.2f}{_half_width(points)} |"


def _differences(title: str, head: str, rows: Sequence[str]) -> str:
    found = [row for row in rows if row]
    return "\n".join([title, "", f"| {head} | over | seeds | points |", "|---|---|---|---|", *found, ""]) if found else ""


def _weights() -> int:
    """Weights in the blocks of a network."""
    network = TASKS["digits"].network()
    return sum(part.numel() for name, part in network.named_parameters() if name.startswith("blocks.") and part.dim() == 2)


def draw_flips(flips: Path, out: Path) -> None:
    """Draw the signs that flip per step, one panel per task and format; nothing without a file of them."""
    if not flips.exists():
        return
    from matplotlib.figure import Figure

    with flips.open(newline="") as file:
        found = {(row["task"], row["format"], row["variant"], int(row["step"])): int(row["flips"]) for row in csv.DictReader(file)}
    panels = list(dict.fromkeys(key[:2] for key in found))
    columns = min(_PANELS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.8 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[len(panels) :]:
        unused.remove()
    for axis, (task, text) in zip(axes, panels, strict=False):
        for variant in dict.fromkeys(key[2] for key in found if key[:2] == (task, text)):
            steps = sorted(key[3] for key in found if key[:3] == (task, text, variant))
            axis.plot(steps, [found[task, text, variant, step] for step in steps], label=variant or "frozen by vote")
        axis.set(title=f"{task}, {text}", xlabel="step", ylabel="signs that flip", yscale="symlog", ylim=(0, None))
        axis.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Write the page and its picture."""
    (DOCS / "accuracy.md").write_text(page(read(TABLE)))
    draw_flips(FLIPS, DOCS / "images" / "sign_flips.png")
    accuracy_front.draw(accuracy_front.read_points(), DOCS / "images" / "accuracy_front.png")


if __name__ == "__main__":
    main()
