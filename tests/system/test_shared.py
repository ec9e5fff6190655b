"""Sharing between simulations changes no bit: a result with caches of earlier runs equals the result alone."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import load_accelerator
from accelsim.compiler.bank_conflicts import KNOWN_LAYERS, BankConflicts
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.lru_cache import LruCache
from accelsim.errors import CompileError
from accelsim.presets import find_trace
from accelsim.program import ActivationJob, LayerPlan, Slot
from accelsim.simulation import Shared, simulate
from accelsim.timing import timing_of
from accelsim.trace.trace import load_trace
from tests.tiny_machines import accelerators, nets, tiny_accelerator, tiny_encoder


def outcome(*args, **options):
    """The result, or the message of what cannot be compiled."""
    try:
        return simulate(*args, **options)
    except CompileError as error:
        return str(error)


@given(st.lists(accelerators(), min_size=2, max_size=4), nets, st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_shared_results_equal_unshared_ones_for_random_machines(machines, trace, frames, batch):
    shared = Shared()
    for accelerator in (*machines, *machines):  # the second time everything is shared
        alone = outcome(accelerator, trace, frames=frames, batch=batch)
        assert outcome(accelerator, trace, frames=frames, batch=batch, shared=shared) == alone
    assert len(shared.outcomes) <= len(machines)


def test_bank_conflicts_that_are_kept_are_those_that_would_be_found(monkeypatch):
    caches = Caches()
    traces = [tiny_encoder(5, 8, 2, 12, "ssvq:16,2"), tiny_encoder(5, 8, 2, 12, "ssvq:4,2")]  # evenly drawn indices
    asked = [
        (tiny_accelerator(codebook__banks=banks, codebook__ports=ports), trace, seed)
        for banks, ports, trace, seed in product((2, 4), (1, 2), traces, (0, 1))
    ]
    real = load_trace(find_trace("tiny_vit_ssvq"))
    asked += [(load_accelerator("edge-32x32", [f"codebook.banks={banks}"]), real, 0) for banks in (4, 8)]
    alone = [compile_trace(chip, trace, seed=seed) for chip, trace, seed in asked]
    for chip, trace, seed in asked:
        compile_trace(chip, trace, seed=seed, caches=caches)
    assert len(caches.conflicts) < KNOWN_LAYERS  # so nothing is dropped, and nothing needs to be found again
    caches.programs.clear()
    monkeypatch.delattr(BankConflicts, "_conflicts")
    for (chip, trace, seed), expected in zip(asked, alone, strict=True):
        found = compile_trace(chip, trace, seed=seed, caches=caches)
        assert found.group_cost.size
        assert np.array_equal(found.group_cost, expected.group_cost)
        assert (found.warnings, found.layers) == (expected.warnings, expected.layers)


@pytest.mark.parametrize(
    ("field", "value", "runs"),
    [
        ("codebook.codewords", 256, 1),  # a larger ROM holds the same codebook
        ("codebook.circuit", "latches", 1),  # of what it is made
        ("activation_buffer.capacity", "64 KiB", 1),  # nothing was short of room
        ("array.psum_bits", 24, 1),
        ("name", "other", 1),
        ("codebook.ports", 2, 2),
        ("clock", "900 MHz", 2),
        ("dma.fabric_latency", "11 ns", 2),
        ("dram.latency", "21 ns", 2),
        ("weight_buffer.word_bits", 64, 2),
        ("vector_unit.latency", 4, 2),
        ("control.issue_overhead_cycles", 1, 2),
    ],
)
def test_what_moves_no_cycle_is_run_once_and_what_does_is_run_again(field, value, runs):
    shared = Shared()
    trace = tiny_encoder(5, 8, 2, 12, "ssvq:16,2")
    first = tiny_accelerator()
    second = load_accelerator(first.writable(), [f"{field}={value}"])
    for accelerator in (first, second):
        assert simulate(accelerator, trace, shared=shared) == simulate(accelerator, trace)
    assert len(shared.outcomes) == runs


def test_the_identity_of_a_timing_sees_every_field_of_a_program():
    accelerator = tiny_accelerator()
    program = compile_trace(accelerator, tiny_encoder(5, 8, 2, 12, "ssvq:16,2"))
    keys = {timing_of(accelerator, program).key}
    count = 1
    for name in ("machine", "runs", "tasks"):
        array = getattr(program, name).copy()
        for field in array.dtype.names:
            changed = array.copy()
            changed[field][-1] += 1
            keys.add(timing_of(accelerator, replace(program, **{name: changed})).key)
            count += 1
    for name in ("drains", "row_tasks", "cb_runs", "cb_words", "group_cost"):
        array = np.append(getattr(program, name), 1)
        keys.add(timing_of(accelerator, replace(program, **{name: array})).key)
        count += 1
    for name in ("address", "size", "need", "gate", "visible", "end"):
        array = getattr(program.transfers, name).copy()
        array[0] += 1
        keys.add(timing_of(accelerator, replace(program, transfers=replace(program.transfers, **{name: array}))).key)
        count += 1
    for name in ("loads", "units"):
        keys.add(timing_of(accelerator, replace(program, **{name: getattr(program, name) + 1})).key)
        count += 1
    assert len(keys) == count


@pytest.mark.parametrize("record", [LayerPlan, ActivationJob, Slot])
def test_a_record_that_counts_by_its_text_holds_nothing_that_text_shortens(record):
    """NumPy writes a long array as 'a, b, ..., z': such a field would hide a difference."""
    allowed = {"int", "int | None", "str", "bool", "tuple[int, ...]", "Mapping[tuple[str, str, bool], int]", "Mapping[str, int]"}
    assert {field.type for field in fields(record)} <= allowed


def test_a_device_file_that_changes_is_another_timing(tmp_path):
    from accelsim.presets import built_in

    device = tmp_path / "device.yaml"
    text = (built_in().configs / "dram" / "lpddr4-3200-x16.yaml").read_text()
    trace = tiny_encoder(5, 8, 2, 12, "ssvq:16,2")
    keys = []
    for n_rcd in (29, 30):
        device.write_text(text.replace("n_rcd: 29", f"n_rcd: {n_rcd}"))
        accelerator = tiny_accelerator(dram={"device": str(device)})
        keys.append(timing_of(accelerator, compile_trace(accelerator, trace)).key)
    assert keys[0] != keys[1]


def test_the_least_recently_used_entry_is_dropped_first():
    cache: LruCache[str, int] = LruCache(2)
    made = []

    def make(key: str) -> int:
        made.append(key)
        return len(made)

    for key in ("a", "b", "a", "c", "a", "b"):
        cache.of(key, lambda key=key: make(key))
    assert made == ["a", "b", "c", "b"]  # c took b's place, because a was used after b
    assert list(cache) == ["a", "b"]


@pytest.mark.parametrize(("activations", "row_tiles"), [("none", False), ("dram", True)])
def test_activations_that_do_not_fit_are_refused_again_without_a_second_try(activations, row_tiles, monkeypatch):
    shared = Shared()
    chip = tiny_accelerator(activation_buffer__capacity=16, placement={"activations": activations})
    trace = tiny_encoder(5, 8, 2, 12, "ssvq:16,2")
    first = outcome(chip, trace, shared=shared)
    assert "activation_buffer.capacity = 16 B is short by" in first
    assert ("row tiles" in first) == row_tiles
    monkeypatch.setattr("accelsim.compiler.caches.allocate", None)
    monkeypatch.setattr("accelsim.compiler.caches.allocate_in_row_tiles", None)
    assert outcome(chip, trace, shared=shared) == first
