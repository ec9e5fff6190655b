"""A slow twin of the systolic arrays: every register of every PE, one clock edge at a time, with real products.

Nothing here knows a formula for cycles. Weight (and input) stationary arrays have a controller that looks into the array before it
overwrites a register; for output stationary arrays the earliest start of each fold is searched: the first at which no sum collides.
"""

from __future__ import annotations

import numpy as np

Matrix = np.ndarray  # int64, two dimensions


class Collision(Exception):
    """Two values want one register on one clock edge, or a value is lost."""


class Line:
    """Registers in a row: what enters in one cycle has moved on by one at each clock edge."""

    def __init__(self, length: int) -> None:
        self.cells: list = [None] * length
        self._edges = 0
        self._entered: dict = {}  # (tile, step): the edge on which it entered

    def shift(self, entering: tuple | None) -> None:
        self.cells = [entering, *self.cells[:-1]]
        self._edges += 1
        if entering is not None:
            self._entered[entering[:2]] = self._edges

    def place_of(self, tile: int, step: int) -> int:
        """Place of the value of a tile's step: -1 if it has not entered, past the end if it has left."""
        return self._edges - self._entered.get((tile, step), self._edges + 1)


def padded(matrix: Matrix, rows: int, cols: int) -> Matrix:
    """The matrix with zeros to multiples of rows and cols."""
    return np.pad(matrix, ((0, -matrix.shape[0] % rows), (0, -matrix.shape[1] % cols)))


def weight_stationary(a: Matrix, w: Matrix, rows: int, cols: int, load_rows: int, double_buffered: bool) -> tuple[Matrix, int]:
    """Y = a x w and the cycles until the last sum is accumulated; N-tiles outside, K-tiles inside."""
    return enhanced_weight_stationary(a, w, rows, cols, load_rows, double_buffered, 1)[:2]


def enhanced_weight_stationary(
    a: Matrix, w: Matrix, rows: int, cols: int, load_rows: int, double_buffered: bool, places: int
) -> tuple[Matrix, int, int]:
    """Y = a x w, the cycles until the last sum is accumulated, and the rows of a that were read from their buffer.

    Each PE has a file of `places` weights, of neighbouring N-tiles; a row of a stays for a cycle with each. A fold is what fills the
    files once: groups of N-tiles outside, K-tiles inside.
    """
    m, k = a.shape
    n = w.shape[1]
    a_pad, w_pad = padded(a, 1, rows), padded(w, rows, cols)
    n_tiles = range(w_pad.shape[1] // cols)
    folds = [(n_tiles[first : first + places], kt) for first in n_tiles[::places] for kt in range(w_pad.shape[0] // rows)]
    used_rows = [min(rows, k - kt * rows) for _, kt in folds]

    lines = [Line(r + cols) for r in range(rows)]  # r registers of skew, then one at each PE; cells are (fold, step, value)
    active = np.zeros((rows, cols, places), np.int64)
    shadow = np.zeros((rows, cols, places), np.int64)
    sums: list[list] = [[None] * cols for _ in range(rows)]  # the register below each PE: (fold, step, value)
    y = np.zeros((m, w_pad.shape[1]), np.int64)

    written: list[tuple[int, int, int, int]] = []  # (edge, fold, place, first row): row groups between pop and register
    load_fold = load_place = load_row = 0
    popped_at: dict[int, int] = {}  # fold: cycle in which its last group was popped
    starts: list[int] = []
    left = sum(m * len(held) * cols for held, _ in folds)  # sums to come
    rows_read = t = 0
    while left:
        if t > 10_000:
            raise AssertionError("the array does not come to an end")
        # Sums at the foot of the columns are accumulated in this cycle.
        for c in range(cols):
            if sums[rows - 1][c] is not None:
                fold, step, value = sums[rows - 1][c]
                held = folds[fold][0]
                y[step // len(held), held[step % len(held)] * cols + c] += value
                left -= 1

        # The array takes a row of a: of the fold that runs, or of the next one, whose last group was popped two cycles ago or earlier.
        running = bool(starts) and t < starts[-1] + m * len(folds[len(starts) - 1][0])
        if not running and popped_at.get(len(starts), t) <= t - 2:
            starts.append(t)
            running = True
        feed = (len(starts) - 1, t - starts[-1]) if running else None

        # The loader pops a group of rows when no PE needs what it overwrites: its registers are written on the edge after next.
        if load_fold < len(folds) and t >= 1:
            group = range(load_row, min(load_row + load_rows, rows))
            last_needed, distance = (load_fold - 1, 0), 2
            if load_fold and not double_buffered:  # this place was used last with the last row of a
                last_needed, distance = (load_fold - 1, (m - 1) * len(folds[load_fold - 1][0]) + load_place), 1
            swapped = load_fold == 0 or (len(starts) >= load_fold and t > starts[load_fold - 1])
            if swapped and (load_fold == 0 or all(_is_free(lines[r], r + cols - 1, last_needed, distance, feed) for r in group)):
                written.append((t + 1, load_fold, load_place, load_row))
                load_row += load_rows
                if load_row >= used_rows[load_fold]:
                    load_place, load_row = load_place + 1, 0
                    if load_place == len(folds[load_fold][0]):
                        popped_at[load_fold] = t
                        load_fold, load_place = load_fold + 1, 0

        # Every PE multiplies what its file holds for this step and adds it to the sum from above.
        new_sums: list[list] = [[None] * cols for _ in range(rows)]
        for r in range(rows):
            for c in range(cols):
                here = lines[r].cells[r + c]
                if here is not None:
                    fold, step, value = here
                    above = sums[r - 1][c] if r else (fold, step, 0)
                    if above[:2] != (fold, step):
                        raise Collision(f"PE({r},{c}) in cycle {t}")
                    new_sums[r][c] = (fold, step, above[2] + value * int(active[r, c, step % len(folds[fold][0])]))

        # The clock edge: everything moves; the first value of a fold takes the shadow file into the active one.
        sums = new_sums
        row_of_a = feed[1] // len(folds[feed[0]][0]) if feed else 0
        rows_read += feed is not None and feed[1] % len(folds[feed[0]][0]) == 0
        for r in range(rows):
            kt = folds[feed[0]][1] if feed else 0
            lines[r].shift(None if feed is None else (*feed, int(a_pad[row_of_a, kt * rows + r])))
            for c in range(cols):
                here = lines[r].cells[r + c]
                if double_buffered and here is not None and here[1] == 0:
                    active[r, c] = shadow[r, c]
        for _, fold, place, first in [item for item in written if item[0] == t]:
            held, kt = folds[fold]
            for r in range(first, min(first + load_rows, rows)):
                (shadow if double_buffered else active)[r, :, place] = w_pad[kt * rows + r, held[place] * cols : (held[place] + 1) * cols]
        t += 1
    return y[:, :n], t, rows_read


def _is_free(line: Line, pe: int, last_needed: tuple[int, int], distance: int, feed: tuple[int, int] | None) -> bool:
    """Whether a register of the PE at place `pe` may be overwritten on the edge that ends the next cycle.

    A shadow register is copied on the edge on which the fold's step 0 arrives: it may be overwritten on that same edge, so step 0
    is at most two places away now. An active register is used in the cycle after the last step arrives: at most one place away.
    """
    place = line.place_of(*last_needed)
    if place < 0 and feed != last_needed:
        return False  # it has yet to be read
    return pe - place <= distance


def input_stationary(a: Matrix, w: Matrix, rows: int, cols: int, load_rows: int, double_buffered: bool) -> tuple[Matrix, int]:
    """The transposed product on the same array: activations are loaded, weight columns pass."""
    transposed, cycles = weight_stationary(w.T, a.T, rows, cols, load_rows, double_buffered)
    return transposed.T, cycles


def output_stationary(a: Matrix, w: Matrix, rows: int, cols: int, double_buffered: bool) -> tuple[Matrix, int, list[int]]:
    """Y = a x w, the cycles until the last sum has left, and the earliest collision-free start of each fold."""
    folds = [(mt, nt) for nt in range(-(-w.shape[1] // cols)) for mt in range(-(-a.shape[0] // rows))]
    starts = [0]
    while len(starts) < len(folds):
        starts.append(starts[-1] + 1)
        while True:
            try:
                accumulate_in_place(a, w, rows, cols, double_buffered, folds[: len(starts)], starts)
                break
            except Collision:
                starts[-1] += 1
    y, cycles = accumulate_in_place(a, w, rows, cols, double_buffered, folds, starts)
    return y, cycles, starts


def accumulate_in_place(
    a: Matrix, w: Matrix, rows: int, cols: int, double_buffered: bool, folds: list[tuple[int, int]], starts: list[int]
) -> tuple[Matrix, int]:
    """Run folds (M-tile, N-tile) that start in the given cycles; Collision if two values want one register."""
    m, k = a.shape
    n = w.shape[1]
    a_pad, w_pad = padded(a, rows, 1), padded(w, 1, cols)
    y = np.zeros((a_pad.shape[0], w_pad.shape[1]), np.int64)
    from_left = [Line(r + cols) for r in range(rows)]
    from_top = [Line(c + rows) for c in range(cols)]
    accumulator = np.zeros((rows, cols), np.int64)
    held: list[list] = [[None] * cols for _ in range(rows)]  # complete sums (fold, row, value): in drain registers, or in place
    draining: list[int | None] = [None] * cols  # sums that have left the column in its present drain
    left = rows * cols * len(folds)
    feeds = {start + step: (fold, step) for fold, start in enumerate(starts) for step in range(k)}
    if len(feeds) != k * len(folds):
        raise Collision("two folds enter the array in one cycle")
    t = 0
    while left:
        if t > 10_000:
            raise AssertionError("the array does not come to an end")
        # A column whose lowest sum is complete puts out one sum a cycle; what is above follows, and the row of the top sum is then free.
        moved = [list(row) for row in held]
        for c in range(cols):
            if draining[c] is None and held[rows - 1][c] is not None:
                draining[c] = 0
            gone = draining[c]
            if gone is not None:
                bottom = held[rows - 1][c]
                if bottom is None or bottom[1] != rows - 1 - gone:
                    raise Collision(f"column {c} puts out {bottom} in cycle {t}")
                mt, nt = folds[bottom[0]]
                y[mt * rows + bottom[1], nt * cols + c] = bottom[2]
                left -= 1
                for r in range(rows - 1, gone, -1):
                    moved[r][c] = held[r - 1][c]
                moved[gone][c] = None
                draining[c] = gone + 1 if gone + 1 < rows else None

        # Every PE multiplies; the last product of a fold completes the sum.
        for r in range(rows):
            for c in range(cols):
                left_value, top_value = from_left[r].cells[r + c], from_top[c].cells[r + c]
                if (left_value is None) != (top_value is None) or (left_value and left_value[:2] != top_value[:2]):
                    raise Collision(f"PE({r},{c}) meets {left_value} and {top_value}")
                if left_value is None:
                    continue
                fold, step, _ = left_value
                if not double_buffered and moved[r][c] is not None:
                    raise Collision(f"PE({r},{c}) still holds a sum in cycle {t}")
                accumulator[r, c] = (accumulator[r, c] if step else 0) + left_value[2] * top_value[2]
                if step == k - 1:
                    if moved[r][c] is not None:
                        raise Collision(f"drain register ({r},{c}) is taken in cycle {t}")
                    moved[r][c] = (fold, r, int(accumulator[r, c]))
        held = moved
        feed = feeds.get(t)
        for r in range(rows):
            from_left[r].shift(feed and (*feed, int(a_pad[folds[feed[0]][0] * rows + r, feed[1]])))
        for c in range(cols):
            from_top[c].shift(feed and (*feed, int(w_pad[feed[1], folds[feed[0]][1] * cols + c])))
        t += 1
    return y[:m, :n], t
