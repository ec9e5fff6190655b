"""All pictures of runs and comparisons, whatever a run is called and however many layers it has: complete, titled, and nothing overlaps."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from accelsim.cost.compare_costs import costs_of
from accelsim.cost.technology import load_technology
from accelsim.report.compare import compare
from accelsim.report.export.run import PICTURES
from accelsim.report.plots.lettering import broken, fitted, line_points
from accelsim.report.plots.picture import Picture, look, picture
from accelsim.report.plots.pictures import comparison_pictures, run_pictures
from accelsim.result import CATEGORIES, Result
from tests.report.overlaps import check_picture
from tests.synthetic_results import int8, layer, on_chip, read, result, ssvq

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e$x^2$\n" + "long_name" * 12
NODE = load_technology("nangate45")


def pictures_of(run: Result) -> list[Picture]:
    return run_pictures(costs_of([on_chip(run)], NODE)[0])


def one_layer() -> Result:
    return result((layer("fc", {"busy": 7}, macs=9, pe_cycles=14, traffic=(read("indices", 3),), bounds={"dram": 1, "array": 7}),))


def many_layers() -> Result:
    """300 layers of as many shapes, in two networks that call them the same; every cause but the last is some layer's."""
    layers = [
        layer(
            f"net_{block % 2}/encoder.layers.{block}.attention.projection_{block}",
            dict.fromkeys(CATEGORIES[:-1], 1 + block),
            macs=40 + block,
            pe_cycles=90 * (block + 1),
            traffic=(read("raw_weights", 5 + block),),
            bounds={"dram": 2 + block, "array": 1 + block, "decode": 3},
        )
        for block in range(300)
    ]
    return result(tuple(layers), batch=4, trace="net_0 + net_1", accelerator="edge-64x64-x16")


def hostile() -> Result:
    """Names that steer a terminal, open a tag, begin a formula, turn the line around, or take no end; a script that the font lacks."""
    parts = [
        layer(name, {"busy": 9, "dram": 4}, macs=3, pe_cycles=18, traffic=(read("indices", 64),), bounds={"dram": 8, "array": 9})
        for name in (HOSTILE, HOSTILE + "2", "层." * 30, "\u0627\u0644\u0639" * 20, "b" * 200)
    ]
    return result(tuple(parts), trace=HOSTILE, accelerator=HOSTILE)


RUNS = {"one layer": one_layer, "300 layers": many_layers, "hostile": hostile, "nothing": lambda: result((layer("reshape", {}),))}


@pytest.mark.parametrize("name", RUNS)
def test_no_text_of_a_runs_pictures_overlaps_or_leaves_the_page(name: str) -> None:
    for item in pictures_of(RUNS[name]()):
        check_picture(item)


def test_no_text_of_a_comparisons_pictures_overlaps_or_leaves_the_page() -> None:
    slow = replace(int8(), accelerator_name="mcu-16x16+codebook.ports=4+dram.device=lpddr5-6400-x16", clock_hz=4 * 10**8)
    odd = replace(hostile(), frames=hostile().frames)
    for runs in ([int8(), ssvq()], [int8(), ssvq(), slow, odd, one_layer()]):
        costed = [on_chip(run) for run in runs]
        for item in comparison_pictures(compare(costed[0], costed[1:]), costs_of(costed, NODE)):
            check_picture(item)


def test_a_runs_folder_holds_every_kind_of_its_pictures_and_each_names_the_chip() -> None:
    found = pictures_of(one_layer())
    assert [item.name for item in found] == list(PICTURES)
    for item in found:
        first, second = item.title.splitlines()
        assert re.match("[A-Z]", first)
        assert second == ("edge-32x32" if item.name == "area_bars" else "chip:net")
        with look():
            assert item.title in [text.get_text() for text in item.figure().texts]
            assert item.title not in [text.get_text() for text in item.figure(titled=False).texts]


def test_what_all_runs_share_stands_in_the_title_and_not_at_every_bar() -> None:
    runs = [on_chip(int8()), on_chip(ssvq())]
    titles = [item.title for item in comparison_pictures(compare(runs[0], runs[1:]), costs_of(runs, NODE))]
    assert {title.splitlines()[1] for title in titles} == {"on chip"}
    assert "Where 2.00x comes from, by category\non chip" in titles


def test_a_title_is_broken_between_words_and_inside_a_word_that_is_too_long() -> None:
    assert broken("a bc", 7, 100) == ["a bc"]
    lines = broken(f"one two {'W' * 60} end", 7, 100)
    assert "".join(lines).replace(" ", "") == f"onetwo{'W' * 60}end"
    assert max(line_points(line, 7) for line in lines) <= 100
    assert broken("", 7, 100) == []


def test_a_title_makes_a_picture_higher_and_leaves_the_drawing_as_large() -> None:
    drawn = picture("x", "one line\nanother", 40, lambda ax: ax.set_xlabel("x"))
    with look():
        titled, bare = drawn.figure(dpi=100), drawn.figure(titled=False, dpi=100)
        for figure in (titled, bare):
            figure.canvas.draw()
        assert titled.get_size_inches()[1] > bare.get_size_inches()[1]
        sizes = [figure.axes[0].get_window_extent().height for figure in (titled, bare)]
    assert sizes[0] == pytest.approx(sizes[1], abs=1)


def test_the_end_of_a_name_is_kept_as_far_as_it_fits() -> None:
    assert fitted("short", 6, 92) == "short"
    for name in ("W" * 30 + ".end", "層" * 40):
        with look():
            shown = fitted(name, 6, 92)
            width = line_points(shown, 6)
        assert shown.startswith("…")
        assert name.endswith(shown[1:])
        assert 80 < width <= 92
