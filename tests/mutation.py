"""Mutants of the core's and the cluster's model: their own sources with named pieces of text replaced, run uncompiled and never saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from accelsim.hw import compute_cluster, decode_mac_core, lane_cycles
from accelsim.kernels import (
    accumulator_read,
    accumulator_reuse,
    array_step,
    compute,
    compute_state,
    dependencies,
    gemv_step,
    input_stationary_step,
    loader_step,
    shadow_sets,
    vector_step,
)
from accelsim.kernels.kernel import uncompiled
from accelsim.program import Program
from accelsim.validate import cluster_machine

KERNEL, CORE, CLUSTER, LANES, PROGRAM = compute, decode_mac_core, compute_cluster, lane_cycles, cluster_machine
# Each imports only from those before.
KERNEL_PARTS = (
    compute_state,
    dependencies,
    shadow_sets,
    accumulator_reuse,
    accumulator_read,
    vector_step,
    gemv_step,
    input_stationary_step,
    array_step,
    loader_step,
    compute,
)

Change = tuple[ModuleType, str, str]
"""A module, the text in it (which must be there exactly once), and what stands there instead."""


def _mutated(original: ModuleType, changes: tuple[Change, ...]) -> ModuleType:
    """A copy of `original` with `changes` made to its source; its dataclasses find their annotations in the original."""
    source = _kernel_source() if original is KERNEL else Path(str(original.__file__)).read_text()
    for _, old, new in (change for change in changes if change[0] is original):
        found = source.count(old)
        if found != 1:
            raise LookupError(f"a mutant expects {old!r} once in {original.__name__}; it is there {found} times")
        source = source.replace(old, new)
    source = re.sub(r"^@\w*kernel$", "@uncompiled", source, flags=re.MULTILINE)
    module = ModuleType(original.__name__)
    module.__dict__["uncompiled"] = uncompiled
    exec(compile(source, f"<mutant of {original.__name__}>", "exec"), module.__dict__)
    return module


def _kernel_source() -> str:
    """All parts of the kernel as one module: mutants may change any of them."""
    parts = [Path(str(part.__file__)).read_text() for part in KERNEL_PARTS]
    own = re.compile(r"^from (?:accelsim\.kernels\.\w+|__future__) import (?:\([^)]*\)|.*)$", flags=re.MULTILINE)
    return "from __future__ import annotations\n" + "\n".join(own.sub("", part) for part in parts)


def mutant_core(*changes: Change) -> Callable[[tuple[int, ...]], dict[str, int]]:
    """A function from the parameters of a run (in the order of the reference's columns) to the mutant's counters."""
    core = _mutated(CORE, changes)
    core.__dict__["compute"] = core.__dict__["compute_state"] = _mutated(KERNEL, changes)

    def run(parameters: tuple[int, ...]) -> dict[str, int]:
        r, c, d, kcb, p, w, decode, sign, axis, max_m, m, k, n, *supply = parameters
        geometry = core.CoreGeometry(r, c, d, kcb, p, w, bool(decode), bool(sign), axis, max_m)
        return asdict(core.run_stand_alone(geometry, m, k, n, core.WordSupply(*supply)))

    return run


def mutant_cluster(*changes: Change) -> Callable[[cluster_machine.ClusterMachine, int], cluster_machine.ClusterOutcome]:
    """`run_cluster` of the mutant."""
    run: Callable[[cluster_machine.ClusterMachine, int], cluster_machine.ClusterOutcome] = _mutant_program(changes).run_cluster
    return run


def mutant_alone(*changes: Change) -> Callable[[Program, cluster_machine.Supply | None], cluster_machine.ClusterOutcome]:
    """`run_alone` of the mutant."""
    run: Callable[[Program, cluster_machine.Supply | None], cluster_machine.ClusterOutcome] = _mutant_program(changes).run_alone
    return run


def _mutant_program(changes: tuple[Change, ...]) -> ModuleType:
    """The module that runs programs on the cluster alone, over the mutant's engine and kernels."""
    cluster, program = _mutated(CLUSTER, changes), _mutated(PROGRAM, changes)
    cluster.__dict__["compute"] = cluster.__dict__["compute_state"] = _mutated(KERNEL, changes)
    program.__dict__["ComputeCluster"] = cluster.__dict__["ComputeCluster"]
    program.__dict__["with_lane_cycles"] = _mutated(LANES, changes).__dict__["with_lane_cycles"]
    return program
