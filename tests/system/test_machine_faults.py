"""A broken sum, a lost byte, a double-counted stall, a lost product: each fault, put in where it would arise, is caught and named."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import ConservationError, DeadlockError
from accelsim.hw.channel import IdealChannel
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.kernels.compute_state import RUN_RESULTS
from accelsim.program import LayerPlan, Program
from accelsim.simulation import simulate
from accelsim.system import Outcome, check_outcome, run_program
from tests.tiny_machines import tiny_accelerator, tiny_encoder

simulate_module = importlib.import_module("accelsim.simulation")
COLUMN = {name: index for index, name in enumerate(RUN_RESULTS)}


def machine() -> Accelerator:
    return tiny_accelerator(codebook__codeword_length=4)


def program() -> Program:
    return compile_trace(machine(), tiny_encoder(5, 8, 2, 12, "ssvq:16,4"))


def add_to_run(index: int, **columns: int) -> Callable[[Outcome], Outcome]:
    def tamper(outcome: Outcome) -> Outcome:
        results = outcome.run_results.copy()
        for name, change in columns.items():
            results[index, COLUMN[name]] += change
        return replace(outcome, run_results=results)

    return tamper


def add_to_counter(name: str, change: int) -> Callable[[Outcome], Outcome]:
    return lambda outcome: replace(outcome, counters={**outcome.counters, name: outcome.counters[name] + change})


OUTCOMES: list[tuple[str, Callable[[Outcome], Outcome], str]] = [
    ("a stall counted twice", add_to_run(3, dram=1), "categories of all runs sum to"),
    ("a cycle in no category", add_to_run(3, busy=-1), "categories of all runs sum to"),
    ("a cycle booked on the neighbour", lambda o: add_to_run(4, busy=1)(add_to_run(3, busy=-1)(o)), "run 3: categories sum to"),
    ("a run that ends too late", add_to_run(3, end=1), "run 3"),
    ("a row that the array never saw", add_to_run(2, cp_rows=-1), "run 2: the array saw"),
    ("a word read twice", add_to_run(2, pushed=1), "run 2: the loader read"),
    ("a clock that ran on", lambda o: replace(o, cycles=o.cycles + 1), "the clock counted"),
    ("a byte lost on its way", add_to_counter("dma_received_bytes", -1), "dma_received_bytes"),
    ("a byte sent twice", add_to_counter("dma_sent_bytes", 1), "dma_sent_bytes"),
    ("a burst that nobody asked for", add_to_counter("dram_bus_bytes", 32), "the memories moved"),
    ("a byte that the buffer never gave", add_to_counter("weight_buffer_taken_bytes", -8), "the weight buffer gave"),
]


@pytest.mark.parametrize(("fault", "message"), [item[1:] for item in OUTCOMES], ids=[item[0] for item in OUTCOMES])
def test_a_tampered_outcome_is_refused(fault: Callable[[Outcome], Outcome], message: str) -> None:
    good = program()
    outcome = run_program(machine(), good)
    check_outcome(good, outcome)
    with pytest.raises(ConservationError, match=message):
        check_outcome(good, fault(outcome))


def resized(program: Program, transfer: int, change: int) -> Program:
    size = program.transfers.size.copy()
    size[transfer] += change
    return replace(program, transfers=replace(program.transfers, size=size))


def without_operand(program: Program, operand: str) -> Program:
    def strip(plan: LayerPlan) -> LayerPlan:
        return replace(plan, bits={key: bits for key, bits in plan.bits.items() if key[0] != operand})

    return replace(program, layers=tuple(strip(plan) for plan in program.layers))


PROGRAMS: list[tuple[str, Callable[[Program], Program], str]] = [
    ("a transfer cut short", lambda p: resized(p, 4, -8), "operands of all layers"),
    ("a transfer that fetches too much", lambda p: resized(p, 4, 8), "operands of all layers"),
    *((f"{name} that nobody booked", lambda p, name=name: without_operand(p, name), "operands") for name in (
        "indices", "signs", "codebook", "scales_bias", "parameters", "activations_in", "activations_out")),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "message"), [item[1:] for item in PROGRAMS], ids=[item[0] for item in PROGRAMS])
def test_a_program_whose_bytes_do_not_add_up_is_refused(fault: Callable[[Program], Program], message: str) -> None:
    with pytest.raises(ConservationError, match=message):
        run_program(machine(), fault(program()))


def test_a_channel_that_miscounts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    count = IdealChannel.counters
    monkeypatch.setattr(IdealChannel, "counters", lambda channel: {**count(channel), "bus_bytes": count(channel)["bus_bytes"] - 32})
    with pytest.raises(ConservationError, match="the memories moved"):
        run_program(machine(), program(), by_events=True)


@pytest.mark.parametrize("lost", [0, 3, 7])
def test_a_transfer_that_never_ends_is_a_deadlock_that_lists_each_unit(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = IdealChannel.submit
    seen: list[int] = []

    def forgetful(channel: IdealChannel, transfer: int, *args: Any) -> None:
        seen.append(transfer)
        if len(seen) != lost + 1:
            submit(channel, transfer, *args)

    monkeypatch.setattr(IdealChannel, "submit", forgetful)
    with pytest.raises(DeadlockError) as error:
        run_program(machine(), program(), by_events=True)
    units = ("core at cycle", "loader at run", "vector unit: drain", "DMA: weight transfer", "activation job", "ideal memory")
    for unit in units:
        assert unit in str(error.value)


def test_a_landing_that_the_cluster_is_not_told_of_is_a_deadlock_in_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    land = ComputeCluster.land
    good = program()
    victim = int(good.runs["chunk0"][1])
    monkeypatch.setattr(ComputeCluster, "land", lambda cluster, transfer: None if transfer == victim else land(cluster, transfer))
    with pytest.raises(DeadlockError, match="loader at run 1"):
        run_program(machine(), good, by_events=True)


def test_a_lost_product_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan of one layer with a MAC less than the trace has."""

    def forgetful(*args: Any, **options: Any) -> Program:
        good = compile_trace(*args, **options)
        layers = tuple(replace(plan, macs=plan.macs - 1) if plan.op == "gemm" else plan for plan in good.layers)
        return replace(good, layers=layers)

    monkeypatch.setattr(simulate_module, "compile_trace", forgetful)
    with pytest.raises(ConservationError, match="MACs"):
        simulate(machine(), tiny_encoder(5, 8, 2, 12, "int8"))


def test_a_lost_tile_is_caught() -> None:
    """The first run with a K-tile less, and its reduction and words cut to match: the rows that the array sees tell."""
    good = program()
    runs = good.runs.copy()
    run = runs[0]
    assert run["kt_count"] > 1
    run["words"] -= run["words"] // run["kt_count"]
    run["k"] -= int(good.machine["rows"][0])
    run["kt_count"] -= 1
    with pytest.raises(ConservationError, match="the array saw 10 rows, the program has 20"):
        run_program(machine(), replace(good, runs=runs))


def test_a_run_faster_than_its_bound_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(*args: Any, **options: Any) -> Program:
        good = compile_trace(*args, **options)
        return replace(good, layers=tuple(replace(plan, bounds={**plan.bounds, "array": 10**6}) for plan in good.layers))

    monkeypatch.setattr(simulate_module, "compile_trace", hasty)
    with pytest.raises(ConservationError, match="array"):
        simulate(machine(), tiny_encoder(5, 8, 2, 12, "int8"))


def test_one_cycle_more_in_any_category_is_caught() -> None:
    """Each category of one run raised by one cycle at the source: none is a remainder that would absorb it."""
    outcome = run_program(machine(), program())
    for category in RUN_RESULTS[: COLUMN["start"]]:
        garbled = outcome.run_results.copy()
        garbled[np.argmax(garbled[:, COLUMN["busy"]]), COLUMN[category]] += 1
        with pytest.raises(ConservationError):
            check_outcome(program(), replace(outcome, run_results=garbled))
