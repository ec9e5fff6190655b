"""A slow, clock-by-clock twin of a core whose groups meet their rows as they leave the decoder (GEMV), written from the definition.

A popped group is in the decoder for a cycle; it then meets row after row of the run, one a cycle, and each product is added to the sum of
its column in the cycle behind. Scales of groups of weights travel ahead of a tile, and are popped into registers of their own while no
group is. Here each of these steps is a register of its own that moves on a clock edge, and the sums hold numbers,
so that a bank that is taken before it was drained, or drained before it is whole, gives a wrong result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.naive_core import COUNTERS, NaiveCore, available_from, ceil_div


@dataclass
class Bank:
    """M x C registers: sums of one stripe."""

    stripe: int | None = None  # whose sums are in it, or on their way to it
    sums: Counter[tuple[int, int]] = field(default_factory=Counter)  # (row, column)
    missing: int = 0  # groups x rows that are still to be added
    drained: int = 0  # values that the lanes have taken


@dataclass(frozen=True)
class Group:
    """Records of a tile that leave the decoder together; or a pop of its scales, which meet no row."""

    stripe: int
    weights: tuple[tuple[int, int], ...]  # (row of the reduction, column of the stripe) of each weight; what pads a tile is left out
    scales: bool = False


def groups_of_run(core: NaiveCore, K: int, N: int) -> list[Group]:
    """All groups in the order of the one image: N-tiles, in them K-tiles, in them scales and records, each padded to whole groups."""
    found = []
    for stripe in range(ceil_div(N, core.C)):
        for first, rows in core.spans(K):
            found += [Group(stripe, (), scales=True)] * core.scale_pops(first, rows)
            records = []
            if core.AXIS == 0:
                for row in range(rows):
                    records += [[(first + row, at + e) for e in range(core.D)] for at in range(0, core.C, core.D)]
            else:
                for top in range(0, rows, core.D):
                    records += [[(first + top + e, column) for e in range(core.D) if top + e < rows] for column in range(core.C)]
            for at in range(0, len(records), core.P):
                found.append(Group(stripe, tuple(weight for record in records[at : at + core.P] for weight in record)))
    return found


def simulate_gemv(core: NaiveCore, M: int, K: int, N: int, V: int, wb_num: int = 0, wb_den: int = 1, wb_lat: int = 0) -> dict[str, int]:
    """One run of M rows, one clock cycle at a time; V lanes drain a bank (0: as soon as it is whole)."""
    waiting = groups_of_run(core, K, N)
    total, stripes = len(waiting), ceil_div(N, core.C)
    groups_of_stripe = Counter(group.stripe for group in waiting if not group.scales)
    n, W, B = core.pop_bits, core.W, core.buffer_bits
    words = ceil_div(total * n, W)
    banks = [Bank(), Bank()]
    outputs: dict[tuple[int, int], int] = {}
    held_bits = pushed = 0
    decoding: list[tuple[Group, int]] = []  # (group, row) that enters the decoder's output in the next cycle
    meeting: list[tuple[Group, int]] = []  # multiplied in this cycle
    adding: list[tuple[Group, int]] = []  # added in this cycle
    taken: Group | None = None  # the group that was popped last, and the rows that it still has to meet
    rows_left = 0
    first_step: int | None = None
    idle = short = steps = 0
    done = 0  # stripes that were drained
    last_value = 0
    t = 0
    while done < stripes:
        # The lanes: the oldest stripe whose sums are whole.
        bank = banks[done % 2]
        if bank.stripe == done and bank.missing == 0:
            columns = min(core.C, N - done * core.C)
            for _ in range(V or columns * M):
                if bank.drained < columns * M:
                    row, column = divmod(bank.drained, columns)
                    outputs[row, done * core.C + column] = bank.sums[row, column]
                    bank.drained += 1
            if bank.drained == columns * M:
                last_value = t + (1 if V else 0)
                banks[done % 2] = Bank()
                done += 1
                if not V:
                    continue  # takes no time: the next one may be whole as well

        # The pop, or the next row of the group before.
        push = pushed < words and t >= available_from(pushed, wb_num, wb_den, wb_lat) and held_bits <= B - W
        stepped, popped = None, False
        if rows_left:
            assert taken is not None
            stepped = taken, M - rows_left
            rows_left -= 1
        elif waiting and not waiting[0].scales:
            bank = banks[waiting[0].stripe % 2]
            lanes_busy_with_it = last_value > t and done and waiting[0].stripe == done + 1  # its last value leaves in this cycle
            if bank.stripe in (None, waiting[0].stripe) and not lanes_busy_with_it:
                if held_bits >= n:
                    taken = waiting.pop(0)
                    if bank.stripe is None:
                        bank.stripe, bank.missing = taken.stripe, groups_of_stripe[taken.stripe] * M
                    held_bits -= n
                    stepped, rows_left, popped = (taken, 0), M - 1, True
                else:
                    short += 1
        if waiting and waiting[0].scales and not popped:  # one pop a cycle
            if held_bits >= n:
                waiting.pop(0)
                held_bits -= n
            else:
                short += 1
        if stepped is not None:
            steps += 1
            first_step = t if first_step is None else first_step
        elif first_step is not None and waiting:
            idle += 1
        if push:
            held_bits += W
            pushed += 1

        # The clock edge: sums, products, decoder.
        for group, row in adding:
            for k, column in group.weights:
                banks[group.stripe % 2].sums[row, column] += activation(row, k) * weight(k, group.stripe * core.C + column)
            banks[group.stripe % 2].missing -= 1
        adding, meeting, decoding = meeting, decoding, [stepped] if stepped is not None else []
        t += 1

    for (row, column), value in outputs.items():
        assert value == sum(activation(row, k) * weight(k, column) for k in range(K)), (row, column)
    assert len(outputs) == M * N
    counted = (last_value, first_step or 0, idle, short, 0, steps, words)
    return dict(zip(COUNTERS, counted, strict=True))


def activation(row: int, k: int) -> int:
    return hash((row, k)) % 255 - 127


def weight(k: int, column: int) -> int:
    return hash((column, k, 1)) % 255 - 127
