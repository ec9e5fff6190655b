"""A slow, clock-by-clock twin of the weight-stationary decode-and-MAC core, written from the core's specification alone.

It keeps the registers that the hardware keeps (bits in the unpack buffer, the group waiting to be popped, the last swap) and asks
every rule anew in every cycle. It shares no code with the package, and it is meant to be read beside the specification, not to be fast.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNTERS = ("cycles", "st_start", "st_tile", "ld_bits", "ld_haz", "cp_rows", "words")


@dataclass(frozen=True)
class NaiveCore:
    """The parameters of the core, in the specification's own letters, and what follows from them."""

    R: int
    C: int
    D: int
    KCB: int
    P: int
    W: int
    DECODE: int
    SIGN: int
    AXIS: int
    MAXM: int
    b: int = 8
    # Options of the machine, not part of the core's RTL:
    sets: int = 1  # of shadow registers
    g: int = 0  # rows of the reduction that share a scale; 0: a scale per column, outside
    SB: int = 0  # bits of a group's scale
    taps: int = 1  # places of a column where sums of groups are scaled: the foot, or every R / taps rows
    books: int = 1  # codebooks whose codewords are added up, each in a pass of its own through the array
    abits: int = 8  # of an activation; 8 of them enter per cycle
    E: int = 1  # weights of a PE's file: a row is held for E cycles and meets E neighbouring N-tiles

    @property
    def index_bits(self) -> int:
        """Bits of an index: the smallest w >= 1 with 2^w >= KCB."""
        bits = 1
        while 2**bits < self.KCB:
            bits += 1
        return bits

    @property
    def record_bits(self) -> int:
        """Bits of a record: an index and perhaps D signs, or D raw values."""
        if not self.DECODE:
            return self.b * self.D
        return self.index_bits + (self.D if self.SIGN else 0)

    @property
    def pop_bits(self) -> int:
        """Bits that one group of P records takes out of the unpack buffer."""
        return self.P * self.record_bits

    @property
    def buffer_bits(self) -> int:
        """Bits that the unpack buffer holds."""
        return self.W + self.pop_bits + max(self.W, self.pop_bits)

    def groups(self, rows: int) -> int:
        """Groups of P records in a tile of `rows` rows; the last one may be padded."""
        records = rows * (self.C // self.D) if self.AXIS == 0 else ceil_div(rows, self.D) * self.C
        return ceil_div(records, self.P)

    def last_row(self, group: int) -> int:
        """The lowest array row that `group` writes, as if the tile had all R rows."""
        last_record = min(group * self.P + self.P - 1, self.R * self.C // self.D - 1)
        if self.AXIS == 0:
            return last_record // (self.C // self.D)
        return (last_record // self.C) * self.D + self.D - 1

    def spans(self, K: int) -> list[tuple[int, int]]:
        """(first row, rows) of the K-tiles: as many rows as fit, but a row belongs to the tile before only if its scale can be applied."""
        found: list[list[int]] = []
        for row in range(K):
            fits = bool(found) and len(found[-1]) < self.R
            if fits and self.g and row % self.g == 0:  # a new group may share the tile if taps stand at every group's end, and it is whole
                place = len(found[-1])
                fits = self.taps > 1 and self.g % (self.R // self.taps) == 0 and place + self.g <= self.R
            if fits:
                found[-1].append(row)
            else:
                found.append([row])
        return [(rows[0], len(rows)) for rows in found for _ in range(self.books)]

    def scale_pops(self, first: int, rows: int) -> int:
        """Pops of the scales of the groups that begin in a tile, for all its columns."""
        begun = sum(row % self.g == 0 for row in range(first, first + rows)) if self.g else 0
        return ceil_div(begun * self.C * self.SB, self.pop_bits)


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def available_from(word: int, wb_num: int, wb_den: int, wb_lat: int) -> int:
    """The first cycle in which `word` can be pushed."""
    return 0 if wb_num == 0 else wb_lat + word * wb_den // wb_num


def folds_of_run(core: NaiveCore, K: int, N: int) -> list[list[tuple[int, int]]]:
    """(pops of scales, groups) of each tile of each fold, rows trimmed, columns not.

    Outside are E N-tiles, or what is left of them, inside K-tiles; a fold is swapped in as one.
    """
    stripes, spans = ceil_div(N, core.C), core.spans(K)
    held = [min(core.E, stripes - first) for first in range(0, stripes, core.E)]
    return [[(core.scale_pops(first, rows), core.groups(rows))] * tiles for tiles in held for first, rows in spans]


def simulate_run(core: NaiveCore, M: int, K: int, N: int, wb_num: int, wb_den: int, wb_lat: int) -> dict[str, int]:
    """One run of M <= MAXM rows over the whole stream, one clock cycle at a time."""
    folds = folds_of_run(core, K, N)
    n, W, B = core.pop_bits, core.W, core.buffer_bits
    words = ceil_div(sum(sum(pops) for fold in folds for pops in fold) * n, W)
    drain = core.R + core.C + (core.taps > 1)

    held_bits = pushed_words = 0
    fold = tile = group = scale = 0  # the next group to pop, of a tile of a fold; pops of scales ahead of it
    last_pops: list[int] = []  # when the last group of each fold that waits in a shadow set was popped, oldest first
    swapped = 0  # folds that were swapped in
    last_swap: int | None = None
    left: list[int | None] = [None] * core.sets  # when the fold that was in this set before was swapped in
    st_start = st_tile = ld_bits = ld_haz = 0
    takes = M * ceil_div(core.abits, 8)  # cycles in which all rows of a tile enter

    t = 0
    while True:
        # The swap: two cycles after the last pop, and not before the array has been given all rows of the fold before.
        if last_pops and t >= last_pops[0] + 2 and (last_swap is None or t >= last_swap + takes * len(folds[swapped - 1])):
            if last_swap is None:
                st_start = t
            else:
                st_tile += t - last_swap - takes * len(folds[swapped - 1])
            last_pops.pop(0)
            left[swapped % core.sets] = last_swap = t
            swapped += 1

        if swapped == len(folds) and last_swap is not None and t >= last_swap + takes * len(folds[-1]) + drain:
            break  # the first cycle that is no longer busy

        if fold < len(folds):
            push = pushed_words < words and t >= available_from(pushed_words, wb_num, wb_den, wb_lat) and held_bits <= B - W
            vacated = left[fold % core.sets]
            shadow_is_free = fold - swapped < core.sets and (vacated is None or t >= vacated + 1)
            ahead = scale < folds[fold][tile][0]  # into registers of their own, which no wave passes
            behind_wave = ahead or vacated is None or t >= vacated + core.last_row(group) + core.C - 2
            pop = shadow_is_free and behind_wave and held_bits >= n
            if shadow_is_free and not behind_wave:
                ld_haz += 1
            if shadow_is_free and behind_wave and held_bits < n:
                ld_bits += 1
            if push:
                held_bits += W
                pushed_words += 1
            if pop:
                held_bits -= n
                if ahead:
                    scale += 1
                else:
                    group += 1
                if group == folds[fold][tile][1]:
                    tile, group, scale = tile + 1, 0, 0
                if tile == len(folds[fold]):
                    fold, tile = fold + 1, 0
                    last_pops.append(t)
        t += 1

    counted = (t, st_start, st_tile, ld_bits, ld_haz, M * sum(map(len, folds)), words)
    return dict(zip(COUNTERS, counted, strict=True))


def simulate_core(
    R: int,
    C: int,
    D: int,
    KCB: int,
    P: int,
    W: int,
    DECODE: int,
    SIGN: int,
    AXIS: int,
    MAXM: int,
    M: int,
    K: int,
    N: int,
    wb_num: int = 0,
    wb_den: int = 1,
    wb_lat: int = 0,
    b: int = 8,
    sets: int = 1,
    g: int = 0,
    SB: int = 0,
    taps: int = 1,
    E: int = 1,
    books: int = 1,
    abits: int = 8,
) -> dict[str, int]:
    """Cycles and counters of Y[M,N] = A[M,K] x Wt[K,N], summed over the runs that the depth of the accumulators asks for."""
    core = NaiveCore(R, C, D, KCB, P, W, DECODE, SIGN, AXIS, MAXM, b, sets, g, SB, taps, books, abits, E)
    total = dict.fromkeys(COUNTERS, 0)
    most = MAXM // min(E, ceil_div(N, C))  # rows of a run: each takes an accumulator row for each tile of a fold
    for start in range(0, M, most):
        run = simulate_run(core, min(most, M - start), K, N, wb_num, wb_den, wb_lat)
        for name in COUNTERS:
            total[name] += run[name]
    return total
