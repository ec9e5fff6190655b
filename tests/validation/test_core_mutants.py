"""Each rule of the core is guarded: a model that breaks it is caught by a run of the RTL that this file names."""

from __future__ import annotations

import pytest

from tests.core_reference import rtl_rows
from tests.mutation import CORE, KERNEL, Change, mutant_core


class Mutant:
    """A rule, the run of the reference that catches whoever breaks it, and the changes to the model's source that do."""

    def __init__(self, rule: str, row: int, *changes: Change) -> None:
        self.rule, self.row, self.changes = rule, row, changes


MUTANTS = [
    Mutant(
        "the last group of a tile may be part empty: L is rounded up",
        109,
        (KERNEL, "return -(-tile_records(run, kt, rows, cols) // run.ports)", "return tile_records(run, kt, rows, cols) // run.ports"),
        (CORE, "return -(-records // self.ports)", "return records // self.ports"),
    ),
    Mutant(
        "th stays inside a full tile",
        109,
        (KERNEL, "th = min(th, rows * cols // run.d - 1)", "th = min(th, rows * cols)"),
    ),
    Mutant(
        "th is the last record of the group, not the first",
        109,
        (KERNEL, "th = group * run.ports + run.ports - 1", "th = group * run.ports"),
    ),
    Mutant(
        "rmax uses the full tile's bound for trimmed tiles too",
        125,
        (
            KERNEL,
            "lowest_row(run, s.l_kt, s.l_group, rows, cols)",
            "lowest_row(run, s.l_kt, s.l_group, min(rows, run.k - s.l_kt * rows), cols)",
        ),
    ),
    Mutant(
        "an index has ceil(log2 KCB) bits",
        125,
        (CORE, "ceil(log2(self.codewords))", "int(log2(self.codewords))"),
    ),
    Mutant(
        "a codebook of one codeword still has an index bit",
        119,
        (CORE, "if self.codewords > 1 else 1", "if self.codewords > 1 else 0"),
    ),
    Mutant(
        "axis 0: the row of a record is t / G",
        5,
        (KERNEL, "rmax = th // (cols // run.d)", "rmax = (th // cols) * run.d + run.d - 1"),
    ),
    Mutant(
        "axis 1: the row of a record is not t / G",
        109,
        (KERNEL, "rmax = (th // cols) * run.d + run.d - 1", "rmax = th // max(1, cols // run.d)"),
    ),
    Mutant(
        "axis 1: a record reaches D - 1 rows further down",
        109,
        (KERNEL, "rmax = (th // cols) * run.d + run.d - 1", "rmax = (th // cols) * run.d"),
    ),
    Mutant(
        "axis 1: the last records of a trimmed tile may be part empty",
        46,
        (KERNEL, "return -(-used // run.d) * cols", "return used // run.d * cols"),
        (CORE, "records = -(-used // self.codeword_length) * self.cols", "records = used // self.codeword_length * self.cols"),
    ),
    Mutant(
        "the last K-tile is trimmed",
        1,
        (KERNEL, "return first, min(rows, run.block - inside, run.k - first)", "return first, rows"),
        (CORE, "return range(first, min(first + self.rows, (block + 1) * self.block_rows, k))", "return range(first, first + self.rows)"),
    ),
    Mutant(
        "the last N-tile is padded, not dropped",
        125,
        (CORE, "stripes = -(-n // geometry.cols)", "stripes = max(1, n // geometry.cols)"),
    ),
    Mutant(
        "M above MAXM takes several runs",
        105,
        (CORE, "range(0, m, rows)", "range(0, m, m)"),
        (CORE, "min(rows, m - first)", "m"),
    ),
    Mutant(
        "the last run has the rest of the rows",
        1,
        (CORE, "min(rows, m - first)", "rows"),
    ),
    Mutant(
        "the supply starts anew in every run",
        105,
        (CORE, "m - first), k, n, supply, lanes, banks)", "m - first), k, n, supply if first == 0 else WordSupply(), lanes, banks)"),
    ),
    Mutant(
        "the unpack buffer holds a second of the larger of W and n",
        62,
        (CORE, "+ taken + max(", "+ taken + min("),
    ),
    Mutant(
        "the unpack buffer holds more than a word and a group",
        27,
        (CORE, "read + taken + max(read, taken)", "read + taken"),
    ),
    Mutant(
        "the unpack buffer does not hold two words and two groups",
        62,
        (CORE, "read + taken + max(read, taken)", "2 * read + 2 * taken"),
    ),
    Mutant(
        "a word is pushed as soon as it fits",
        62,
        (KERNEL, "room = s.ucnt <= run", "room = s.ucnt < run"),
    ),
    Mutant(
        "word i is there from a(i) rounded down",
        111,
        (
            CORE,
            "np.arange(words, dtype=np.int64) * self.denominator // self.numerator",
            "-(-np.arange(words, dtype=np.int64) * self.denominator // self.numerator)",
        ),
    ),
    Mutant(
        "condition 1: the shadow set is free from the cycle after the swap, no earlier",
        5,
        (KERNEL, "or vacated < t)", "or vacated <= t)"),
    ),
    Mutant(
        "condition 1: the shadow set is free from the cycle after the swap, no later",
        5,
        (KERNEL, "or vacated < t)", "or vacated + 1 < t)"),
        (KERNEL, "wake = min(wake, vacated + 1)", "wake = min(wake, vacated + 2)"),
    ),
    Mutant(
        "condition 1: there is one shadow set",
        5,
        (CORE, "= geometry.shadow_sets, geometry.drain_stages\n", "= 2, geometry.drain_stages\n"),
    ),
    Mutant(
        "condition 2: C - 2 columns behind the wave, no more",
        5,
        (KERNEL, "s.l_lowest + lag - 2", "s.l_lowest + lag - 1"),
    ),
    Mutant(
        "condition 2: C - 2 columns behind the wave, no fewer",
        5,
        (KERNEL, "s.l_lowest + lag - 2", "s.l_lowest + lag - 3"),
    ),
    Mutant(
        "condition 2: the loader waits for the wave at all",
        5,
        (KERNEL, "behind = vacated + s.l_lowest + lag - 2", "behind = 0"),
    ),
    Mutant(
        "condition 3: n bits are enough",
        46,
        (KERNEL, "elif s.ucnt < needed:", "elif s.ucnt <= needed:"),
    ),
    Mutant(
        "condition 3: a word is popped from the cycle after its push",
        1,
        (KERNEL, "elif s.ucnt < needed:", "elif s.ucnt + (run.word_bits if push else 0) < needed:"),
    ),
    Mutant(
        "a tile swaps in two cycles after its last pop",
        1,
        (KERNEL, "decoded = s.tpl0 + 1 + machine.codebook_latency", "decoded = s.tpl0 + machine.codebook_latency"),
    ),
    Mutant(
        "the run ends when the last row has left the last column",
        1,
        (KERNEL, "s.a_end = s.cycle + 1 + foot(run, machine)", "s.a_end = s.cycle + foot(run, machine)"),
        (KERNEL, "out = s.cycle + 1 + foot(run, machine)", "out = s.cycle + foot(run, machine)"),
    ),
    Mutant(
        "st_start ends with the first row",
        1,
        (KERNEL, "if s.run_ts0 < 0:\n                s.st_start += span", "if s.run_ts0 < -1:\n                s.st_start += span"),
    ),
    Mutant(
        "st_tile does not count the drain",
        1,
        (
            KERNEL,
            "elif s.a_tile < runs[s.a_run].kt_count * runs[s.a_run].nt_count:\n                s.st_tile",
            "else:\n                s.st_tile",
        ),
    ),
    Mutant(
        "ld_haz counts every cycle of a wait",
        5,
        (KERNEL, "s.ld_haz += span", "s.ld_haz += 1"),
    ),
    Mutant(
        "ld_bits counts every cycle of a wait",
        109,
        (KERNEL, "s.ld_bits += span", "s.ld_bits += 1"),
    ),
    Mutant(
        "ld_bits does not count where condition 2 is false",
        113,
        (
            KERNEL,
            "        if t < behind:\n            why = SWAP\n            tally = HELD_BY_WAVE",
            "        if t < behind:\n            why = SWAP\n            tally = SHORT_OF_BITS if s.ucnt < needed else HELD_BY_WAVE",
        ),
    ),
    Mutant(
        "cp_rows counts every tile's rows",
        125,
        (KERNEL, "s.cp_rows += 1", "s.cp_rows += s.a_nt == 0"),
    ),
    Mutant(
        "words counts every push",
        1,
        (KERNEL, "results[s.l_run, base + 7] = s.pushed", "results[s.l_run, base + 7] = s.pushed - 1"),
    ),
    Mutant(
        "the last word of the stream is padded",
        1,
        (
            CORE,
            "return -(-self.stripe_pops(k) * stripes * self.pop_bits // self.word_bits)",
            "return self.stripe_pops(k) * stripes * self.pop_bits // self.word_bits",
        ),
    ),
    Mutant(
        "the stream is packed without gaps between N-tiles",
        103,
        (
            CORE,
            "return -(-self.stripe_pops(k) * stripes * self.pop_bits // self.word_bits)",
            "return stripes * -(-self.stripe_groups(k) * self.pop_bits // self.word_bits)",
        ),
    ),
]

# Changes that alter no figure, each with the argument. They are here so that a reader who thinks of them need not try.
EQUIVALENT = {
    # That branch is taken for two or more codewords only, whose index has a bit or more by itself.
    "no lower bound where there are two codewords": (CORE, "max(1, ceil(log2(self.codewords)))", "ceil(log2(self.codewords))"),
    # D divides R*C on either axis, and (q*D - 1) // D = q - 1.
    "the clamp of th with the 1 inside the division": (KERNEL, "rows * cols // run.d - 1)", "(rows * cols - 1) // run.d)"),
    # A loader that is not fresh has loaded a tile; with one shadow set it is free again only by that tile's swap, so there was one.
    "no question whether there was a swap": (
        KERNEL,
        "if not s.l_fresh and vacated >= 0 and s.l_group >= 0:",
        "if not s.l_fresh and s.l_group >= 0:",
    ),
}
QUICK = 400  # cycles; uncompiled, the model takes about 0.2 ms for one


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_model_that_breaks_a_rule_is_caught_by_a_run_of_the_rtl(mutant: Mutant) -> None:
    parameters, expected = rtl_rows()[mutant.row]
    assert mutant_core(*mutant.changes)(parameters) != expected


def test_the_model_without_a_change_meets_the_runs_that_catch_the_mutants() -> None:
    unchanged, rows = mutant_core(), rtl_rows()
    for row in sorted({mutant.row for mutant in MUTANTS}):
        parameters, expected = rows[row]
        assert (row, unchanged(parameters)) == (row, expected)


@pytest.mark.parametrize("name", EQUIVALENT)
def test_an_equivalent_mutant_alters_no_quick_run(name: str) -> None:
    mutant = mutant_core(EQUIVALENT[name])
    for row, (parameters, expected) in rtl_rows().items():
        if expected["cycles"] <= QUICK:
            assert (row, mutant(parameters)) == (row, expected)


def test_a_mutant_whose_text_is_gone_says_so() -> None:
    with pytest.raises(LookupError, match="it is there 0 times"):
        mutant_core((KERNEL, "no such line", ""))
