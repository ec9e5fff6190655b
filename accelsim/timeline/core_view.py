"""The cores of a recorded run, each replayed once: its transfers, and when each of its tasks was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.program import Int64
from accelsim.simulation import RecordedRun
from accelsim.timeline.flights import Flight, flights_of
from accelsim.timeline.replay import ClusterReplay


@dataclass(frozen=True)
class CoreView:
    """A core of a run.

    Attributes
    ----------
    run : the run as the core saw it
    flights : transfers of its DMA
    finished : int64 (units,): cycle in which each unit of each task was done
    """

    run: RecordedRun
    flights: tuple[Flight, ...]
    finished: Int64


def views_of(run: RecordedRun) -> tuple[CoreView, ...]:
    """Each core that has work, in the order of the cores.

    Raises
    ------
    ConservationError
        A core cannot be reproduced.
    """
    return tuple(_view(own) for own in run.of_cores if own.program.runs.size)


def all_flights(views: Sequence[CoreView]) -> list[Flight]:
    """Transfers of all cores."""
    return [flight for view in views for flight in view.flights]


def _view(own: RecordedRun) -> CoreView:
    check = ClusterReplay(own)
    for _ in check.samples():
        pass
    return CoreView(own, flights_of(own), check.finished)
