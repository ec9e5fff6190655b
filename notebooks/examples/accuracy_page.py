"""The page of the accuracy table: means with confidence intervals, paired differences, ablations, and the picture of sign flips.

python -m notebooks.examples.accuracy_page
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from notebooks.examples import accuracy_front
from notebooks.examples.accuracy_table import ABLATIONS, DOCS, FLIPS, FORMATS, LATENT, RATES, TABLE, USUAL_LATENT, Arm, Line, read
from notebooks.examples.accuracy_tasks import TASKS
from notebooks.examples.confidence import half_width

HEAD = """# Accuracy at equal bits

Every format fine-tuned on float networks of {weights:,} weights in their blocks, which alone take it; the other
layers are int8, activations float. `python -m notebooks.examples.accuracy_table` measures the runs that are missing
in [accuracy.csv](data/accuracy.csv), and continues where it stopped; `python -m notebooks.examples.accuracy_page`
writes this page of them.

Budgets are equal: epochs, batches, AdamW under a cosine, the same float network per seed, and {rates} learning rates
per arm, of which the best on the validation data of seed 0 serves all seeds. `universal_vq` draws its codebook from
three networks and has block-wise distillation, which belongs to its method. Bits are those of indices, signs, masks
and integers, as papers count: without codebooks and scales. A cell is the mean of the test accuracy over the seeds,
with the half width of its 95 % confidence interval (Student's t) in points; without one, it is a single seed, which decides nothing.

Three limits of these tables. Signs learn at {latent:g} times the learning rate, ratios of `universal_vq` at {ratios:g} times, which
is not tuned by itself and can cost an arm points. {edge} of {arms} arms take the highest of the {rates} rates:
wider grids may lift them. And the float32 column has had no further epochs: where a format exceeds it, the training that
went on gains, not the format.
"""

CLAIMS_HEAD = """## Claims of the papers at this scale

Points of the arm that the paper prefers over the other, paired by seed; not decided where the 95 % interval holds 0. Each row is judged by
itself: of twenty without any effect, one would be decided by chance. Networks of a hundredth of the papers' sizes on small tasks say
nothing of the papers' own figures.

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
`python -m notebooks.examples.accuracy_front` simulates them into [accuracy_front.csv](data/accuracy_front.csv). The table has the points
that none beats in accuracy, latency and area together; in the picture they are filled, and bars are the confidence
intervals of the means. Means that are closer than these are not told apart, so which of two formats is on the front at nearly the same
accuracy is chance.

![Accuracy against latency](images/accuracy_front.png)

"""


def page(lines: Sequence[Line]) -> str:
    """The page in Markdown."""
    taken = {replace(line.arm, variant=line.variant): line.rate for line in lines if line.data == "test"}
    edge = sum(rate == max(RATES) for rate in taken.values())
    latent = {"latent": USUAL_LATENT, "ratios": LATENT["universal_vq"]}
    parts = [HEAD.format(weights=_weights(), rates=len(RATES), edge=edge, arms=len(taken), **latent), measured(lines)]
    for task in TASKS:
        mine = [line for line in lines if line.task == task and line.data == "test"]
        if mine:
            parts.append(f"## {task.capitalize()}\n\n{formats_table(mine)}")
            parts.extend(part for part in (differences(mine, task), ablations(mine, task)) if part)
    parts.append(claims(lines))
    parts.append(front(accuracy_front.read_points()))
    if any(line.format.startswith("ssvq") and line.data == "test" for line in lines):
        parts.append("## Sign flips over time\n\n![Signs that flip per step](images/sign_flips.png)\n")
    return "\n".join(parts)


def measured(lines: Sequence[Line]) -> str:
    """What was run, of what the command would run."""
    rows = ["| task | test runs | of | seeds | epochs |", "|---|---|---|---|---|"]
    for name, task in TASKS.items():
        per_seed = sum(map(len, FORMATS.values())) + (len(ABLATIONS) if name == "digits" else 0)
        done = [line for line in lines if line.task == name and line.data == "test"]
        rows.append(
            f"| {name} | {len(done)} | {per_seed * task.seeds} | {len({line.seed for line in done})} of {task.seeds} | {task.epochs} |"
        )
    return "## Extent\n\nRuns that are measured; a table below has no row for an arm without one.\n\n" + "\n".join(rows) + "\n"


def formats_table(lines: Sequence[Line]) -> str:
    """A row per format: before and after fine-tuning, and the float networks."""
    rows = ["| bits | format | seeds | rate | float32 | compressed | fine-tuned |", "|---|---|---|---|---|---|---|"]
    for bits, texts in FORMATS.items():
        for text in texts:
            found = [line for line in lines if line.format == text and line.bits == bits and not line.variant]
            if found:
                cells = (
                    mean_of(line.float32 for line in found),
                    mean_of(line.compressed for line in found),
                    mean_of(line.tuned for line in found),
                )
                rows.append(f"| {bits:g} | `{text}` | {len(found)} | {found[0].rate:g} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


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
    return _differences("Points that the usual training (learned signs, frozen by vote; progressive construction) gains:", "format", rows)


def claims(lines: Sequence[Line]) -> str:
    """The papers' claims against the measured differences; empty without any."""
    rows = []
    for claim, better, worse, figure in CLAIMS:
        for task in TASKS:
            points = _points(lines, replace(better, task=task), replace(worse, task=task), figure)
            if len(points) > 1:
                half = half_width(points)
                verdict = "not decided" if abs(points.mean()) <= half else "yes" if points.mean() > 0 else "**no, the reverse**"
                rows.append(f"| {claim} | {task} | {points.mean():+.2f} ± {half:.2f} | {verdict} |")
    return "\n".join([CLAIMS_HEAD, *rows, ""]) if rows else ""


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
    first, second = (
        {line.seed: getattr(line, figure) for line in lines if line.arm == each and line.data == "test"} for each in (arm, other)
    )
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
