"""Tables in narrow and wide rooms: no number is cut, no name is broken, what fits is left as it is."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from accelsim.report.tables.columns import NAME_COLUMNS, TextTable, column_widths, fitted
from accelsim.report.tables.terminal import row, show, table

NAMES = st.text("abcdefgh._", min_size=1, max_size=60)
PROSE = st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=12).map(" ".join)
NUMBERS = st.integers(-(10**12), 10**12).map(lambda value: f"{value:,}")


def printed(out: TextTable, width: int, terminal: bool = False) -> tuple[list[str], bool]:
    """The lines of a table without its title, and whether names were shortened."""
    text = io.StringIO()
    shortened = show(Console(file=text, width=width, force_terminal=terminal, color_system=None), "title", out)
    return [line.rstrip() for line in text.getvalue().splitlines()[2:]], shortened


@given(st.lists(st.tuples(NAMES, NUMBERS, PROSE, NUMBERS), min_size=1, max_size=5), st.integers(20, 200), st.booleans())
def test_every_number_stands_whole_on_its_line_at_every_width(rows: list[tuple[str, ...]], width: int, terminal: bool) -> None:
    out = table(["layer", ">cycles", "what it means", ">bytes"])
    for cells in rows:
        row(out, *cells)
    lines, _ = printed(out, width, terminal)
    text = [set(line.split()) for line in lines]
    for _, cycles, _, size in rows:
        assert any({cycles, size} <= words for words in text)
    words = set().union(*text)
    for _, _, prose, _ in rows:
        assert set(prose.split()) <= words
    if max(len(cycles) + len(size) for _, cycles, _, size in rows) < 30:
        assert max(map(len, lines)) <= max(width, 80)


def test_a_name_loses_its_beginning_and_only_as_much_as_it_must() -> None:
    out = table(["layer", ">cycles"])
    row(out, "vision.encoder.layers.11.attention.output.projection", "1")
    row(out, "head", "2")
    whole = "vision.encoder.layers.11.attention.output.projection"
    assert column_widths(out, 100) == [len(whole), 6]
    assert column_widths(out, 40) == [34, 6]
    (cut,) = fitted([whole], 34)
    assert len(cut) <= 34
    assert whole.endswith(cut.removeprefix("…"))
    assert column_widths(out, 10) == [NAME_COLUMNS, 6]
    assert printed(out, 100) == (
        ["layer" + " " * (len(whole) - 5) + "  cycles", f"{whole}       1", "head" + " " * (len(whole) + 3) + "2"],
        False,
    )


def test_names_that_would_be_cut_to_the_same_keep_what_differs() -> None:
    names = [f"vit.layers.{layer}.attention.{what}_proj" for layer in range(12) for what in "qkv"]
    shown = fitted([*names, "vit.pooler"], 20)
    assert len(set(shown)) == len(shown)
    assert (shown[0], shown[30]) == ("…0.attention.q_proj", "10…attention.q_proj")
    assert shown[-1] == "vit.pooler"
    assert max(map(len, shown)) <= 20


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.integers(NAME_COLUMNS, 40))
def test_a_column_of_names_is_never_wider_than_its_room(names: list[str], width: int) -> None:
    shown = fitted(names, width)
    assert max(map(len, shown)) <= width
    assert [cell for cell in names if len(cell) <= width] == [cell for cell, name in zip(shown, names, strict=True) if len(name) <= width]


def test_sentences_are_folded_before_names_are_shortened() -> None:
    """A name of 30, a sentence of three words of 10: 30 + 32 columns; in 50 the sentence takes two lines and the name is whole."""
    out = table(["layer", "meaning"])
    row(out, "n" * 30, " ".join(["m" * 10] * 3))
    lines, shortened = printed(out, 80)
    assert (lines[1], shortened) == ("n" * 30 + "  " + " ".join(["m" * 10] * 3), False)
    assert column_widths(out, 50) == [30, 20]
    assert column_widths(out, 35) == [25, 10]


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80])
def test_a_narrow_terminal_gets_the_table_of_80_columns(width: int) -> None:
    out = table(["layer", ">cycles", ">share", "the array ..."])
    row(out, "dram_activation", "123,456,789", "100.0 %", "waits for activations from memory")
    assert printed(out, width, terminal=True) == printed(out, 80, terminal=True)


def test_a_row_of_another_length_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="2 cells in a table of 1 columns"):
        row(table(["one"]), "a", "b")


def test_control_characters_and_markup_are_text() -> None:
    out = table(["layer"])
    row(out, "\x1b[31mred[/] [bold]x")
    lines, _ = printed(out, 80, terminal=True)
    assert lines[-1] == "\\x1b[31mred[/] [bold]x"
    assert not re.search("\x1b", "".join(lines))


def test_headings_of_numbers_are_folded_before_a_name_loses_a_letter() -> None:
    """8 + 4 + 11 columns of headings do not fit beside the name in 80: 'of the array' folds to 5, the name stays whole."""
    out = table(["circuit", ">of the array", ">of the whole run", ">of both of them"])
    name = "decoder_on_the_load_path_sign-magnitude_of_48_ch"
    row(out, name, "4.67", "0.33", "9.99")
    widths = column_widths(out, 76)
    assert widths[0] == len(name)
    assert sum(widths) <= 76
