"""An answer is reused exactly where nothing that was read differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.reads import Answers
from accelsim.hw.memory import MemorySpec
from accelsim.records import field_paths
from tests.tiny_machines import tiny_accelerator, tiny_encoder


class Counted:
    """A computation that counts how often it runs."""

    def __init__(self, compute: Callable[[Accelerator], Any]) -> None:
        self.compute, self.runs = compute, 0

    def __call__(self, accelerator: Accelerator) -> Any:
        self.runs += 1
        return self.compute(accelerator)


def runs(compute: Callable[[Accelerator], Any], *overrides: str) -> int:
    """How often `compute` runs for a machine and for the same one with each override; every answer is compared with its own."""
    counted = Counted(compute)
    answers: Answers[Accelerator, Any] = Answers()
    for override in ((), *((item,) for item in overrides)):
        machine = load_accelerator(tiny_accelerator().writable(), override)
        assert answers.of(machine, counted) == compute(machine)
    return counted.runs


@pytest.mark.parametrize(
    ("compute", "override", "expected"),
    [
        (lambda a: a.array.rows, "array.cols=8", 1),
        (lambda a: a.array.rows, "array.rows=8", 2),
        (lambda a: a.array.rows * a.clock, "clock=2 GHz", 2),
        (lambda a: a.codebook.banks is None, "codebook.banks=2", 2),
        (lambda a: a.flash is None, "clock=2 GHz", 1),
        (lambda a: a.memory("dram").latency, "dram.latency=1 ns", 2),  # through a method
        (lambda a: a.memory("dram").latency, "dram.channels=2", 1),
        (lambda a: a.activation_buffer.port_accesses, "activation_buffer.ports=2", 2),  # through a property
        (lambda a: a.activation_buffer.accesses(7), "activation_buffer.width_bits=64", 2),
        (lambda a: a.activation_buffer.accesses(7), "activation_buffer.capacity=8 KiB", 1),
        (lambda a: a.codebook.holds(16), "codebook.codewords=32", 1),  # a fact: the answer counts, not the field
        (lambda a: a.codebook.holds(16), "codebook.codewords=8", 2),
        (lambda a: (a.codebook.holds(16), a.codebook.holds(40)), "codebook.codewords=32", 2),
        (lambda a: isinstance(a.dram, MemorySpec), "dram.latency=1 ns", 1),
        (lambda a: hash(a.dram) == hash(a.memory("dram")), "dram.latency=1 ns", 2),  # to hash it is to read all of it
        (lambda a: repr(a.array), "array.max_m=16", 2),
        (lambda a: a.array.model_dump(), "array.max_m=16", 2),
        (lambda a: a.array == a.codebook, "array.max_m=16", 2),
        (lambda a: dict(a.array), "array.max_m=16", 2),
    ],
)
def test_only_what_was_read_counts(compute, override, expected):
    assert runs(compute, override) == expected


def test_a_read_that_depends_on_another_is_followed():
    def compute(a: Accelerator) -> int:
        return a.array.cols if a.array.rows == 4 else a.clock

    assert runs(compute, "clock=2 GHz", "array.cols=8", "array.rows=8", "array={rows: 8, cols: 16, max_m: 8}") == 3


def test_a_field_that_appears_is_seen():
    assert runs(lambda a: a.dram.background is None, "dram.background={bandwidth: 1 MB/s}", "dram.latency=1 ns") == 2


def test_answers_are_dropped_when_there_are_too_many():
    answers: Answers[Accelerator, int] = Answers(limit=2)
    counted = Counted(lambda a: a.clock)
    for clock in (1, 2, 3, 3, 1):
        answers.of(load_accelerator(tiny_accelerator().writable(), [f"clock={clock} GHz"]), counted)
    assert counted.runs == 4


# Another value for every field that a tiny machine may have changed alone.
OTHERS = {
    "clock": "900 MHz", "array.rows": 8, "array.cols": 8, "array.max_m": 5, "array.accumulator_banks": 2, "array.rows_per_cycle": 2,
    "codebook.ports": 2, "codebook.banks": 2, "codebook.sets": 1, "codebook.latency": 2, "codebook.codewords": 32, "codebook.store": "rom",
    "weight_buffer.capacity": 512, "weight_buffer.word_bits": 64, "weight_buffer.residency": "pinned", "activation_buffer.capacity": 700,
    "activation_buffer.banks": 4, "activation_buffer.width_bits": 16, "activation_buffer.ports": 2, "activation_buffer.loader_bits": 16,
    "activation_buffer.residency": "dram", "vector_unit.lanes": 8, "vector_unit.latency": 1, "vector_unit.passes.softmax": 5,
    "dma.transfer": 32, "dma.max_transfers": 3, "dma.max_outstanding_bursts": 8, "dma.fabric_latency": "1 ns", "control.overlap": "layer",
    "control.runs": "isolated", "control.issue_overhead_cycles": 3, "dram.latency": "1 ns", "dram.bandwidth": "1 GB/s", "dram.channels": 2,
    "name": "other",
}  # fmt: skip


def test_a_program_is_reused_only_where_it_is_the_same_whatever_field_changes():
    trace = tiny_encoder(5, 8, 2, 12, "ssvq:16,2")
    answers: Answers[Accelerator, Any] = Answers()
    assert set(OTHERS) <= set(field_paths(Accelerator))
    for path, value in (("name", "tiny"), *OTHERS.items()):
        machine = load_accelerator(tiny_accelerator(weight_buffer={"capacity": 4096, "word_bits": 32}).writable(), [f"{path}={value}"])
        program, alone = answers.of(machine, lambda seen: compile_trace(seen, trace)), compile_trace(machine, trace)
        for name in ("machine", "runs", "tasks", "drains", "row_tasks", "cb_runs", "cb_words", "group_cost"):
            assert getattr(program, name).tobytes() == getattr(alone, name).tobytes(), (path, name)
        for name in ("jobs", "loads", "units", "layers", "choices", "warnings", "batch", "peak_activation_bytes", "stays"):
            assert getattr(program, name) == getattr(alone, name), (path, name)
        for name in ("address", "size", "need", "gate", "visible", "end"):
            assert getattr(program.transfers, name).tolist() == getattr(alone.transfers, name).tolist(), (path, name)
