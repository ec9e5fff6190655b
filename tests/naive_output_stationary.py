"""A slow, clock-by-clock twin of a core whose sums stay in the PEs, written from the definition.

Numbers move: a decoded weight waits in the queue under its place in the matrix, meets activations in the PEs, skewed by a cycle a row and a
column, and the sum moves down its column into the registers at the foot, from which the lanes read a whole row. No rule says when a
fold may follow another: a step that would spoil a sum is found by the collision, and the earliest one that does not is taken.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tests.naive_core import COUNTERS, NaiveCore, available_from, ceil_div
from tests.naive_gemv import activation, groups_of_run, weight


class Collision(Exception):
    """A sum of `fold` wants a register that a sum before it still needs."""

    def __init__(self, fold: int) -> None:
        super().__init__(f"fold {fold}")
        self.fold = fold


@dataclass
class Sum:
    """A sum on its way: of a fold, its row of A, and from when on it may move."""

    fold: int
    row: int
    value: int
    moves_from: int


def simulate_output_stationary(
    core: NaiveCore, M: int, K: int, N: int, V: int, banks: int, wb_num: int = 0, wb_den: int = 1, wb_lat: int = 0
) -> dict[str, int]:
    """One run of M <= R rows; V lanes read a row (0: in no time). Every fold at its earliest collision-free time."""
    not_before = [0] * ceil_div(N, core.C)
    while True:
        try:
            return run_with(core, M, K, N, V, banks, (wb_num, wb_den, wb_lat), not_before)[0]
        except Collision as collision:
            not_before[collision.fold] += 1


def earliest_times(core: NaiveCore, M: int, K: int, N: int, V: int, banks: int) -> list[int]:
    """Cycle of each fold's critical step (its first with one bank, its last with two) in the run without collisions."""
    not_before = [0] * ceil_div(N, core.C)
    while True:
        try:
            return run_with(core, M, K, N, V, banks, (0, 1, 0), not_before)[1]
        except Collision as collision:
            not_before[collision.fold] += 1


def run_with(
    core: NaiveCore, M: int, K: int, N: int, V: int, banks: int, supply: tuple[int, int, int], not_before: list[int]
) -> tuple[dict[str, int], list[int]]:
    """The run whose folds' critical steps are not booked before the given cycles, and when they were."""
    R, C = core.R, core.C
    waiting = groups_of_run(core, K, N)
    total, n, W = len(waiting), core.pop_bits, core.W
    words = ceil_div(total * n, W)
    line_rows = 1 if core.AXIS == 0 else core.D
    capacity = core.P * core.D + C * line_rows * (2 if core.AXIS else 1)
    tile_of_step = [k // R for k in range(K)]
    ends_line = [core.AXIS == 0 or (k % R + 1) % core.D == 0 or k + 1 == K or tile_of_step[k + 1] != tile_of_step[k] for k in range(K)]
    held_bits = pushed = credits = 0
    queue: dict[tuple[int, int, int], int] = {}  # (stripe, row of the reduction, column) -> cycle in which it was popped
    last_of_step = defaultdict(int)  # (stripe, step) -> weights that are still to be popped
    for group in waiting:
        for k, _ in group.weights:
            last_of_step[group.stripe, k] += 1
    steps = [(fold, k) for fold in range(len(not_before)) for k in range(K)]
    critical: list[int] = []
    products: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)  # cycle -> (row of PEs, column, fold, step)
    partial: dict[tuple[int, int, int], int] = {}
    # Column c: R registers in the PEs, C - c at the foot; the last of all holds a row for the lanes.
    chains: list[list[Sum | None]] = [[None] * (R + C - c) for c in range(C)]
    outputs: dict[tuple[int, int], int] = {}
    reading = 0  # cycles that the lanes still read the row
    entered: dict[tuple[int, int], int] = {}  # (fold, step) -> booking
    weights_of: dict[tuple[int, int], dict[int, int]] = {}
    first_step: int | None = None
    idle = short = done_rows = end = left_array = 0
    t = 0
    while done_rows < M * len(not_before) or t < left_array:
        # The lanes: a whole row at the foot.
        foot = [chain[-1] for chain in chains]
        leaves = False
        if reading:
            reading -= 1
            leaves = reading == 0
        elif all(foot):
            fold = foot[0].fold  # type: ignore[union-attr]  # all are there
            columns = min(C, N - fold * C)
            for c, item in enumerate(foot):
                assert item is not None
                if (item.fold, item.row) != (fold, foot[0].row):  # type: ignore[union-attr]
                    raise AssertionError("rows are mixed")
                if c < columns:
                    outputs[item.row, fold * C + c] = item.value
            cycles = ceil_div(columns, V) if V else 0
            end = t + cycles
            reading = max(0, cycles - 1)
            leaves = reading == 0
            done_rows += 1
        # The registers: a sum moves where the place ahead is free or left in this cycle.
        for chain in chains:
            if leaves:
                chain[-1] = None
            for place in range(len(chain) - 2, -1, -1):
                item = chain[place]
                if item is not None and item.moves_from <= t and chain[place + 1] is None:
                    chain[place], chain[place + 1] = None, item
        # The PEs.
        for r, c, fold, k in products.pop(t, []):
            row = M - 1 - r  # the lowest sum leaves first
            if k == 0:
                partial[r, c, fold] = 0
            replaces = k == (0 if banks == 1 else K - 1)  # what stands in the register, or moves through it
            if replaces and any(item is not None and item.fold < fold for item in chains[c][: r + 1]):
                raise Collision(fold)
            partial[r, c, fold] += activation(row, k) * weights_of[fold, k][c]
            if k == K - 1:
                value = partial.pop((r, c, fold))
                if chains[c][r] is not None:
                    raise Collision(fold)
                chains[c][r] = Sum(fold, row, value, entered[fold, k] + 2 + R + c)
        # A step is booked if its weights were popped before this cycle; it enters the array in the next one.
        push = pushed < words and t >= available_from(pushed, *supply) and held_bits <= core.buffer_bits - W
        if steps:
            fold, k = steps[0]
            decides = k == (0 if banks == 1 else K - 1)
            if last_of_step[fold, k] == 0 and not (decides and t < not_before[fold]):
                weights = {}
                for c in range(C):
                    assert queue[fold, k, c] < t
                    weights[c] = weight(k, fold * C + c)
                weights_of[fold, k] = weights
                if decides:
                    critical.append(t)
                    not_before[fold] = t
                entered[fold, k] = t
                for r in range(M):
                    for c in range(C):
                        products[t + 2 + r + c].append((r, c, fold, k))
                if ends_line[k]:
                    first = k - (k % R) % line_rows
                    for row in range(first, k + 1):
                        for c in range(C):
                            del queue[fold, row, c]
                    credits -= C * line_rows
                left_array = t + 2 + R + C
                steps.pop(0)
                first_step = t if first_step is None else first_step
            elif first_step is not None:
                idle += 1
        # The pop: if the queue has room for a group.
        if waiting and credits + core.P * core.D <= capacity:
            if held_bits >= n:
                held_bits -= n
                group = waiting.pop(0)
                for k, column in group.weights:
                    queue[group.stripe, k, column] = t
                    last_of_step[group.stripe, k] -= 1
                credits += records_of(core, group.weights, K) * core.D
            else:
                short += 1
        if push:
            held_bits += W
            pushed += 1
        t += 1

    for (row, column), value in outputs.items():
        assert value == sum(activation(row, k) * weight(k, column) for k in range(K)), (row, column)
    assert len(outputs) == M * N
    counted = (max(end, left_array), first_step or 0, idle, short, 0, K * len(not_before), words)
    return dict(zip(COUNTERS, counted, strict=True)), critical


def records_of(core: NaiveCore, weights: tuple[tuple[int, int], ...], K: int) -> int:
    """Records of a group that hold weights: along the reduction the last one of a column may be cut off by the end."""
    if core.AXIS == 0:
        return len(weights) // core.D
    return len({(column, k % core.R // core.D, k // core.R) for k, column in weights})
