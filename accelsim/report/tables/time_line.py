"""The time of a run in a sentence, for the summary and the full tables."""

from __future__ import annotations

from accelsim.report.metrics import Summary
from accelsim.report.tables.text import count, duration, hertz
from accelsim.result import Result


def time_line(summary: Summary, result: Result) -> str:
    """'1.2 ms per inference, 833.3 inferences/s; 1,200,000 cycles at 1 GHz for one inference'.

    Of networks that run at once, each on a core of its own, the time of all of them.
    """
    several = f"{summary.inferences} inferences ({summary.frames} frames x batch {summary.batch})"
    inferences = "one inference" if summary.inferences == 1 else several
    time = (
        f"{duration(summary.milliseconds)} for all networks"
        if result.at_once
        else f"{duration(summary.milliseconds_per_inference)} per inference"
    )
    cycles = f"{count(summary.total_cycles)} cycles at {hertz(summary.clock_hz)} for {inferences}"
    return f"{time}, {summary.inferences_per_s:,.1f} inferences/s; {cycles}"
