"""A codebook ROM that several cores share equals its clock-by-clock twin: five cases worked by hand, and machines in a closed loop."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError, ConfigError
from accelsim.hw import clusters_together
from accelsim.hw.clusters_together import ClustersTogether
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.engine import at_time
from accelsim.kernels.compute_state import RUN_RESULTS
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate, simulate_recorded
from accelsim.system import run_program
from accelsim.timeline.replay import ClusterReplay
from accelsim.trace.trace import Trace
from tests.engine.test_cores_closed_loop import compare
from tests.naive_rom import last_pops
from tests.tiny_machines import chains, encoders, gemm_chain, tiny_accelerator

ROM = {"store": "rom", "circuit": "logic_rom"}

# cores, P, Q, groups, cycle from which each core may pop, cycle of each core's last pop: worked by hand.
BY_HAND = [
    (2, 4, 4, 16, (1, 1), [31, 32]),  # one group per cycle, in turn
    (4, 4, 8, 16, (1, 1, 1, 1), [31, 31, 32, 32]),  # two
    (2, 4, 6, 16, (1, 1), [31, 32]),  # two ports idle
    (2, 4, 2, 8, (1, 1), [30, 32]),  # a group takes two cycles
    (2, 4, 4, 16, (1, 9), [24, 32]),  # the first core is alone for eight cycles
]


@pytest.mark.parametrize(("cores", "p", "q", "groups", "starts", "last"), BY_HAND)
def test_last_pops_of_the_cases_worked_by_hand(cores: int, p: int, q: int, groups: int, starts: tuple[int, ...], last: list[int]) -> None:
    assert last_pops(starts, p, q, groups) == last
    assert len(starts) == cores
    assert swaps(p, q, groups, starts) == [cycle + 2 for cycle in last]  # CORE.md: ts_0 = tpl_0 + 2


def swaps(p: int, q: int, groups: int, starts: tuple[int, ...]) -> list[int]:
    """Swap cycle of one tile of `groups` groups on each core of a machine whose words are there from the cycle before `starts` on."""
    cores = len(starts)
    chip = tiny_accelerator(
        cores=cores, array={"rows": groups, "cols": 4, "max_m": 4}, weight_buffer={"capacity": 65536, "word_bits": 4096},
        codebook={**ROM, "ports": p, "codeword_length": 1, "codewords": 16, "shared_ports": q}, control={"core_split": "stripes"},
        activation_buffer={"capacity": "16 KiB", "banks": 2, "width_bits": 256, "loader_bits": 32},
    )  # fmt: skip
    env = simpy.Environment()
    clusters = []
    for core, start in zip(compile_trace(chip, gemm_chain(1, [groups, 4 * cores], ["ssvq:16,1"], [""])).cores, starts, strict=True):
        runs = core.runs.copy()
        runs["in_task"] = -1  # its rows are there
        cluster = ComputeCluster(env, chip.clock, replace(core, runs=runs))
        clusters.append(cluster)
        for transfer in range(core.transfers.size.size):
            at_time(env, 1000 * (start - 1), partial(_land, cluster, transfer))
    ClustersTogether(env, chip.clock, clusters)
    env.run()
    return [int(cluster.results[0, RUN_RESULTS.index("ts_first")]) for cluster in clusters]


def _land(cluster: ComputeCluster, transfer: int, _: object) -> None:
    cluster.land(transfer)


# -- whole machines


def chip(cores: int, p: int, q: int | None, split: str, places: int, latency: int, rate: int = 4, **more: Any) -> Accelerator:
    array = {"rows": 4, "cols": 4, "max_m": 3, **more.pop("array", {})}
    return tiny_accelerator(
        cores=cores, codebook={**ROM, "ports": p, "codeword_length": 4, "codewords": 64, "shared_ports": q}, array=array,
        dma={"transfer": 32, "max_transfers": places, "fabric_latency": "1 ns"}, **{"control": {"core_split": split}, **more},
        dram={"device": "ideal", "latency": f"{latency} ns", "bandwidth": f"{rate} GB/s"},
    )  # fmt: skip


SPLITS = ("cheapest", "stripes", "rows")
MAPPINGS: dict[str, dict[str, Any]] = {
    "tiles": {},
    "two sets": {"shadow_sets": 2, "accumulator_banks": 2},
    "few rows": {"mapping": "gemv", "gemv_max_m": 3},
    "sums in PEs": {"dataflow": "output_stationary"},
    "files": {"dataflow": "enhanced_weight_stationary", "weight_file": 2},
}


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(("cores", "p", "q"), [(2, 2, 2), (3, 2, 4), (2, 4, 2), (1, 4, 2), (4, 4, 3), (3, 1, 2)])
@pytest.mark.parametrize("rows", [1, 4])
def test_whole_machines_equal_the_twin(mapping: str, cores: int, p: int, q: int, rows: int) -> None:
    machine = chip(cores, p, q, "stripes", 4, 2, 0, array=MAPPINGS[mapping], weight_buffer={"capacity": 1024, "word_bits": 64})
    found = compare(machine, gemm_chain(rows, [8, 24, 8, 16], ["ssvq:16,4", "ssvq:16,4", "int8"], ["layernorm", "", "gelu"]))
    assert "codebook_port" in found or p > 2  # one group is a tile there, and mostly loads under the tile before


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(chains(), encoders()), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.sampled_from(SPLITS),
    st.sampled_from(sorted(MAPPINGS)), st.integers(1, 4), st.integers(1, 20), st.integers(1, 2), st.sampled_from(["chained", "isolated"]),
)  # fmt: skip
def test_random_nets_on_random_machines_equal_the_twin(
    trace: Trace, cores: int, p: int, q: int, split: str, mapping: str, places: int, latency: int, frames: int, runs: str
) -> None:
    # An infinite rate: the twin counts in whole cycles, and not every transfer is a multiple of four bytes.
    more: dict[str, Any] = {"activation_buffer__capacity": "64 KiB", "control": {"core_split": split, "runs": runs}}
    try:
        compare(chip(cores, p, q, split, places, latency, 0, array=MAPPINGS[mapping], **more), trace, frames=frames)
    except CompileError:
        return  # a net that does not fit says so


@pytest.mark.parametrize("level", [None, {"capacity": "64 KiB", "width_bits": 512}])
def test_the_outcome_is_the_same_however_far_clusters_look_ahead(level: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    background = {"device": "lpddr4-3200-x16", "background": {"bandwidth": "2 GB/s", "transfer": 96}}
    machine = tiny_accelerator(
        cores=3, clock="777 MHz", codebook={**ROM, "ports": 2, "codeword_length": 4, "codewords": 64, "shared_ports": 2}, dram=background,
        l2=level, control={"core_split": "stripes"}, weight_buffer={"capacity": 352, "word_bits": 32},
    )  # fmt: skip
    program = compile_trace(machine, gemm_chain(4, [8, 24, 16], ["ssvq:16,4", "ssvq:16,4"], ["layernorm", ""]))
    outcomes = []
    for cycles in (2048, 3, 1):
        monkeypatch.setattr(clusters_together, "LOOK_AHEAD", cycles)
        outcomes.append(run_program(machine, program))
    for other in outcomes[1:]:
        assert other.counters == outcomes[0].counters
        assert all((a.run_results == b.run_results).all() for a, b in zip(other.cores, outcomes[0].cores, strict=True))
    assert outcomes[0].run_results[:, CATEGORIES.index("codebook_port")].sum() > 0


# -- neutral values, waits, recorded runs


def test_ports_for_all_cores_are_as_a_rom_per_core() -> None:
    trace = gemm_chain(2, [8, 24, 16], ["ssvq:16,4", "ssvq:16,4"], ["gelu", ""])
    own, enough = (chip(3, 2, q, "stripes", 2, 8) for q in (None, 6))
    assert simulate(own, trace).frames == simulate(enough, trace).frames
    assert simulate(own, trace).cores == simulate(enough, trace).cores


def test_fewer_ports_never_take_less_and_raw_weights_never_wait() -> None:
    coded, raw = (gemm_chain(2, [8, 24, 16], [form, form], ["", ""]) for form in ("ssvq:16,4", "int8"))
    cycles = [simulate(chip(4, 2, q, "stripes", 4, 1, 0), coded).total_cycles for q in (8, 4, 2, 1)]
    assert cycles == sorted(cycles)
    assert cycles[0] < cycles[-1]
    assert len({simulate(chip(4, 2, q, "stripes", 4, 1, 0), raw).total_cycles for q in (8, 1)}) == 1


@pytest.mark.parametrize("mapping", ["tiles", "few rows"])
def test_a_recorded_run_is_replayed_with_its_waits_for_ports(mapping: str) -> None:
    machine = chip(3, 2, 2, "stripes", 4, 1, 0, array=MAPPINGS[mapping], weight_buffer={"capacity": 1024, "word_bits": 64})
    trace = gemm_chain(2, [8, 24, 16], ["ssvq:16,4", "ssvq:16,4"], ["gelu", ""])
    run = simulate_recorded(machine, trace)
    assert run.result.frames == simulate(machine, trace).frames
    own = run.of_last_core
    waits = sum(len(piece.values[piece.column("category") == CATEGORIES.index("codebook_port")]) for piece in ClusterReplay(own).samples())
    assert waits == own.result.cycles["codebook_port"] > 0


@pytest.mark.parametrize(
    ("book", "message"),
    [
        ({"store": "ram", "circuit": "flops"}, "codebook.shared_ports = 2 needs codebook.store = 'rom'; allowed with 'ram': null"),
        ({**ROM, "banks": 2}, "codebook.shared_ports = 2 needs codebook.banks = null; allowed with 2 banks: null"),
    ],
)
def test_what_cannot_be_shared_is_refused(book: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_accelerator(cores=2, codebook={"ports": 2, "codeword_length": 2, "codewords": 64, "shared_ports": 2, **book})
