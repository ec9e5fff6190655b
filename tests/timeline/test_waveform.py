"""A waveform has the result's cycles by cause, and the signals of the core move as CORE.md says they must."""

from __future__ import annotations

import builtins
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import ConfigError
from accelsim.result import CATEGORIES
from accelsim.simulation import RecordedRun, simulate_recorded
from accelsim.timeline.waveform import SIGNALS, write_waveform
from accelsim.timeline.window import make_window
from tests.engine.machines import machines
from tests.timeline.vcd_reader import Dump, read_vcd
from tests.tiny_machines import gemm_chain, tiny_accelerator

MACHINES = machines()


def dump(run: RecordedRun, folder: Path, cycles: tuple[int, int | None] | None = None) -> tuple[Dump, list[int]]:
    """The waveform of some cycles, and the time of each."""
    written = write_waveform(run, make_window(run.result, None, cycles), folder / "w.vcd")
    found = read_vcd(folder / "w.vcd")
    clock = run.accelerator.clock
    first = cycles[0] if cycles else 0
    return found, [-(-cycle * 10**12 // clock) for cycle in range(first, first + written)]


@pytest.mark.parametrize("name", MACHINES)
def test_the_categories_of_all_cycles_are_those_of_the_result(name: str, tmp_path: Path) -> None:
    run = simulate_recorded(*MACHINES[name])
    found, times = dump(run, tmp_path)
    categories = Counter(CATEGORIES[value] for value in found.at("core.array.category", times))
    wanted = Counter(run.result.cycles)
    wanted[run.accelerator.placement.last_wait] -= run.outcome.tail_cycles  # after the core has ended
    assert categories == +wanted
    for category in CATEGORIES:
        assert sum(found.at(f"core.array.category_is.{category}", times)) == wanted[category]
    assert sum(found.at("core.loader.short_of_bits", times)) == run.outcome.run_results[:, -5].sum()
    assert sum(found.at("core.loader.push", times)) == run.program.runs["words"].sum()
    if run.program.machine["lanes"][0]:
        assert sum(found.at("core.vector.working", times)) == run.result.counters["vector_busy_cycles"]
    assert found.timescale == "1 ps"
    assert found.end == -(-len(times) * 10**12 // run.accelerator.clock)


def test_the_core_signals_of_a_run_follow_the_specification(tmp_path: Path) -> None:
    """One GEMM alone on a 4 x 4 array: M = 5, K = 8, N = 4: two K-tiles; a tile has T = 4 * 4 / 2 = 8 records of D = 2, P = 2 a cycle."""
    accelerator = tiny_accelerator(
        codebook={"ports": 2, "codeword_length": 2, "codewords": 64}, dram={"device": "ideal"}, vector_unit={"lanes": 16, "latency": 0}
    )
    run = simulate_recorded(accelerator, gemm_chain(5, [8, 4], ["int8"], [""]))
    found, times = dump(run, tmp_path)
    value = {signal.name: found.at(f"{signal.scope}.{signal.name}", times) for signal in SIGNALS if signal.scope == "core.array"}
    loader = {signal.name: found.at(f"{signal.scope}.{signal.name}", times) for signal in SIGNALS if signal.scope == "core.loader"}
    written = found.at("core.accumulators.columns_written", times)
    busy = [CATEGORIES[category] == "busy" for category in value["category"]]
    assert sum(busy) == 2 * 5
    swaps = [cycle for cycle, swap in enumerate(value["swap"]) if swap]
    assert len(swaps) == 2
    for swap in swaps:  # row m is issued in ts + m, at the earliest
        assert busy[swap]
        assert value["row"][swap] == 0
    pops = [cycle for cycle, pop in enumerate(loader["pop"]) if pop]
    assert len(pops) == 2 * 4  # L = ceil(T / P)
    assert swaps[0] == pops[3] + 2  # ts_0 = tpl_0 + 2
    assert swaps[1] >= max(swaps[0] + 5, pops[7] + 2)
    n, word = 2 * 8 * 2, 32  # n = P * b * D
    held = 0
    for cycle in range(len(times)):  # ucnt' = ucnt + (push ? W : 0) - (pop ? n : 0), until the run is popped and the buffer is emptied
        if loader["run"][cycle] > 0:
            break
        assert loader["unpack_bits"][cycle] == held
        held += word * loader["push"][cycle] - n * loader["pop"][cycle]
    for cycle, columns in enumerate(written):  # column c of a row issued in t is accumulated in t + 1 + R + c
        assert columns == sum(busy[max(0, cycle - 1 - 4 - c)] for c in range(4) if cycle - 1 - 4 - c >= 0)


def test_a_window_holds_the_same_values_as_the_whole(tmp_path: Path) -> None:
    run = simulate_recorded(*MACHINES["DRAM, tiny weight buffer, background client"])
    whole, all_times = dump(run, tmp_path)
    part, times = dump(run, tmp_path, (700, 900))
    assert len(times) == 200
    for name in whole.changes:
        assert part.at(name, times) == whole.at(name, all_times)[700:900]
    assert part.end == -(-900 * 10**12 // run.accelerator.clock)


def test_the_reader_of_pyvcd_finds_the_same_changes(tmp_path: Path) -> None:
    from vcd.reader import TokenKind, tokenize

    found, _ = dump(simulate_recorded(*MACHINES["DRAM, tiny weight buffer, background client"]), tmp_path, (700, 900))
    scopes: list[str] = []
    names: dict[str, str] = {}
    changes: dict[str, list[tuple[int, int]]] = {}
    time = -1
    with (tmp_path / "w.vcd").open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scopes.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scopes.pop()
            elif token.kind is TokenKind.VAR:
                names[token.var.id_code] = ".".join([*scopes, token.var.reference])
            elif token.kind is TokenKind.CHANGE_TIME:
                time = token.time_change
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
                change = token.scalar_change if token.kind is TokenKind.CHANGE_SCALAR else token.vector_change
                changes.setdefault(names[change.id_code], []).append((time, int(change.value)))
    assert changes == found.changes
    assert time == found.end


def test_a_window_after_the_core_has_ended_is_refused(tmp_path: Path) -> None:
    run = simulate_recorded(*MACHINES["slow core over several refreshes"])
    tail = run.outcome.tail_cycles
    assert tail > 0
    with pytest.raises(ConfigError, match="no cycle of the core"):
        write_waveform(run, make_window(run.result, None, (run.outcome.cycles - 1, None)), tmp_path / "w.vcd")
    assert list(tmp_path.iterdir()) == []


def test_without_pyvcd_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulate_recorded(*MACHINES["ideal memory, infinite"])
    known = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name == "vcd":
            raise ImportError(name)
        return known(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"accelsim\[vcd\]"):
        write_waveform(run, make_window(run.result, None, None), tmp_path / "w.vcd")
    assert list(tmp_path.iterdir()) == []
