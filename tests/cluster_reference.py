"""The carried programs of the cluster's RTL, as machines for the model and as programs for its twin."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from accelsim.kernels.compute_state import SECOND_PORT
from accelsim.result import CATEGORIES
from accelsim.validate.cluster import NEEDED, ClusterCase, read_case
from accelsim.validate.cluster_machine import ClusterMachine, ClusterOutcome, chain_program, run_cluster
from accelsim.validate.reference_csv import read_reference
from tests.naive_machine import Landings, NaiveMachine

CLUSTER_CSV = Path(__file__).parent / "validation" / "data" / "cluster" / "cluster.csv"


def rtl_programs(path: Path = CLUSTER_CSV) -> dict[str, ClusterCase]:
    """Name -> program."""
    rows = read_reference(path, NEEDED)
    return {name: read_case(tuple(group)) for name, group in groupby(rows, key=lambda row: row.cells["program"])}


def twin_of(
    machine: ClusterMachine, rule: int, landings: tuple[int, ...], twin: type[NaiveMachine] = NaiveMachine, read: int = SECOND_PORT
) -> NaiveMachine:
    """The twin of a program, told when its transfers land."""
    return twin(chain_program(machine, rule, read), Landings(dict(enumerate(landings)), {}))


def assert_equals_twin(machine: ClusterMachine, rule: int, read: int = SECOND_PORT) -> ClusterOutcome:
    """Run a program in the model and in the twin, whose sums must be right; cycles by category are the same."""
    outcome = run_cluster(machine, rule, read)
    cycles, runs = twin_of(machine, rule, outcome.landings, read=read).simulate()
    assert cycles == outcome.cycles
    assert [by_category(figures) for figures in outcome.runs] == runs
    return outcome


def by_category(figures: Mapping[str, int]) -> dict[str, int]:
    """Category -> cycles, of those that have any."""
    return {name: figures[name] for name in CATEGORIES if figures[name]}
