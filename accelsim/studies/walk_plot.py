"""The walk from the ratio of the weights' bits to a chip's speed-up as a picture: one bar per step, on the axis of the speed-up."""

from __future__ import annotations

from matplotlib.axes import Axes

from accelsim.report.plots.bars import LOSS_MARK, draw_steps, step_texts
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import GAIN_PAINT, LOSS_PAINT, TOTAL_PAINT
from accelsim.report.tables.text import times
from accelsim.studies.study_records import Walk


def plot_walk(ax: Axes, walk: Walk) -> None:
    """Bars from each step's speed-up to the next one's; the first step, and the chip's own speed-up, stand on the axis."""
    values = [step.speedup for step in walk.steps]
    texts = [times(walk.start), *step_texts(values), times(walk.end)]
    paints = [LOSS_PAINT if text.endswith(LOSS_MARK) else GAIN_PAINT for text in texts[1:-1]]
    first, *others = (step.name for step in walk.steps)
    names = [first, *(f"+ {name}" for name in others), walk.accelerator_name]
    draw_steps(ax, names, values, texts, [TOTAL_PAINT, *paints, TOTAL_PAINT])
    ax.set_xlabel("speed-up of the compressed run")


def walk_picture(name: str, walk: Walk, traces: tuple[str, str]) -> Picture:
    """The picture of a walk; `traces` are the baseline's and the compressed one's."""
    baseline, compressed = traces
    title = f"From the bits of the weights to the speed-up on {walk.accelerator_name}\n{compressed} over {baseline}"
    return picture(name, title, 16 + 4.6 * (len(walk.steps) + 1), lambda ax: plot_walk(ax, walk))
