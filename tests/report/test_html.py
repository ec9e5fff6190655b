"""The page: its numbers are the result's, its text is only text, it needs nothing else, and it is the same page every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.report.html import page as page_module
from accelsim.report.html.page import to_page
from accelsim.report.report import make_report
from accelsim.report.validation_status import UNVALIDATED, VALIDATION_STATUS
from accelsim.report.verdict import decide
from accelsim.result import Result
from tests.report.html_reader import Page
from tests.silicon_page import part
from tests.synthetic_results import int8, layer, on_chip, read, result, ssvq

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e</table>]]>"
ROOT = Path(__file__).parents[2]


def written(*runs: Result, technology: str = "nangate45") -> str:
    return to_page(make_report(runs, load_technology(technology)))


@pytest.fixture(scope="module")
def one() -> str:
    return written(on_chip(int8()))


@pytest.fixture(scope="module")
def two() -> str:
    return written(on_chip(int8()), on_chip(ssvq()))


def test_the_limiting_resource_stands_in_a_sentence(one: str) -> None:
    assert decide(int8()).sentence in Page(one).text
    assert "the array waits for it in 60.0 %" in Page(one).text


def test_cycles_and_traffic_are_the_results(one: str) -> None:
    tables = Page(one).tables
    cycles = tables["t-cycles"]  # worked by hand: two blocks of 150 + 250 and a head of 60 + 100 + 40
    assert dict(zip(cycles.column("category"), cycles.column("core cycles"), strict=True)) == {"busy": "360", "dram": "600", "vector": "40"}
    assert cycles.column("share") == ["36.0", "60.0", "4.0"]
    assert cycles.foot[0][:3] == ["all", "1,000", "100.0"]
    traffic = tables["t-traffic"]
    assert traffic.column("bytes") == ["1,550", "50", "24", "16"]
    assert [row[3] for row in traffic.foot] == ["1,600", "1,640"]
    assert tables["t-limits"].body[0] == ["memory", "", "60.0", "650", "65.0"]


def test_repeated_blocks_are_summed_and_each_layer_can_be_unfolded(one: str) -> None:
    tables = Page(one).tables
    assert tables["t-layers"].column("layer")[:2] == ["blocks.*.fc", "head"]
    assert tables["t-layers"].body[0][1] == "2"
    assert tables["t-layers"].column("core cycles") == ["800", "200"]
    assert tables["t-layers"].column("main stall reason") == ["dram 62.5", "dram 50.0"]
    assert tables["t-all-layers"].column("layer") == ["blocks.0.fc", "blocks.1.fc", "head"]
    assert tables["t-all-layers"].column("bus") == ["0.6", "0.6", "0.4"]


def test_energy_and_area_are_those_of_the_technology() -> None:
    for name in ("nangate45", "range28"):
        report = make_report([on_chip(int8())], load_technology(name))
        tables = Page(to_page(report)).tables
        cost = report.costs[0]
        assert tables["t-area"].foot[1][4] == f"{cost.area_mm2.nominal:.4f}"
        assert tables["t-area"].foot[1][5] == f"{cost.area_mm2.low:.4f} to {cost.area_mm2.high:.4f}"
        assert float(tables["t-energy"].foot[0][1]) == pytest.approx(cost.energy_uj.nominal, rel=5e-3)
        assert sum(map(float, tables["t-energy"].column("share"))) == pytest.approx(100, abs=0.6)


def test_runs_of_the_same_time_have_no_waterfall() -> None:
    page = written(on_chip(int8()), on_chip(int8()))
    assert "No difference: both take 1,000 cycles." in page
    assert "t-causes-1" not in Page(page).tables


def test_several_runs_are_compared_with_the_first(two: str) -> None:
    tables = Page(two).tables
    assert tables["t-speedup"].column("speed-up") == ["1.00x", "2.00x"]
    assert tables["t-speedup"].column("run") == ["0 · net_int8", "1 · net_ssvq"]
    split = tables["t-causes-1"]
    assert dict(zip(split.column("category"), split.column("saved"), strict=True)) == {"dram": "+530", "vector": "-10", "decode": "-20"}
    assert split.foot[0][1:4] == ["1,000", "500", "+500"]
    assert tables["t-traffic-of-all"].foot[1][1:] == ["1,640", "680"]
    assert {"run0-t-layers", "run1-t-layers"} <= tables.keys()


def test_a_comparison_opens_with_the_cards_of_the_fastest_run_beside_the_baselines(one: str, two: str) -> None:
    cards, alone = (re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd><dd class=\"more\">(.*?)</dd>", text) for text in (two, one))
    labels = [label for label, _, _ in alone]
    assert [label for label, _, _ in cards[: len(labels)]] == labels
    assert cards[0] == ("Latency per inference", "0.0005 ms", "baseline: 0.001 ms")
    assert two.index("1 \u00b7 net_ssvq relative to the baseline") < two.index("<dt>Latency")


def test_runs_of_one_name_are_told_apart() -> None:
    assert Page(written(on_chip(int8()), on_chip(int8()))).tables["t-speedup"].column("run") == ["0 · net_int8", "1 · net_int8"]


@pytest.mark.parametrize("pages", [("one",), ("two",)])
def test_ids_are_unique_and_every_reference_has_its_target(pages: Sequence[str], request: pytest.FixtureRequest) -> None:
    page = Page(request.getfixturevalue(pages[0]))
    assert len(set(page.ids)) == len(page.ids)
    targets = [text[1:] for _, name, text in page.attributes if name == "href"]
    targets += [link for _, _, text in page.attributes for link in re.findall(r"url\(#([^)]*)\)", text)]
    assert len(targets) > 50
    assert set(targets) <= set(page.ids)


def test_nothing_is_fetched(two: str) -> None:
    assert "://" not in two
    assert not re.search(r"url\((?!#)", two)
    assert "@import" not in two
    page = Page(two)
    assert not [item for item in page.attributes if item[1] in ("src", "srcset", "action", "data", "style") or item[1].startswith("on")]
    assert all(text.startswith("#") for _, name, text in page.attributes if name == "href")


def test_only_the_pages_own_style_and_script_may_run(one: str) -> None:
    (policy,) = [text for tag, name, text in Page(one).attributes if tag == "meta" and text.startswith("default-src")]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", one, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_names_from_files_stay_text() -> None:
    parts = (layer(HOSTILE, {"busy": 9}, op=HOSTILE, format="uniform", macs=3, traffic=(read("indices", 64),)),)
    chip = load_accelerator("edge-32x32").with_fields(name=HOSTILE[:40]).dump_yaml()
    run = replace(
        result(parts, parts, trace=HOSTILE, accelerator=HOSTILE, warnings=(HOSTILE,)),
        accelerator=chip,
        weights_source=HOSTILE,
        choices={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        counters={HOSTILE: 1},
        run_id=HOSTILE,
        trace_sha256=HOSTILE,
    )
    for text in (written(on_chip(run)), written(on_chip(run), on_chip(run))):
        page = Page(text)
        assert len(page.scripts) == 1
        assert "alert(1)" not in page.scripts[0]
        assert "<script>alert(1)</script>" in page.text
        assert not {char for char in text if ord(char) < 32 and char != "\n"} | {char for char in text if char in "\u202e\x9b"}
        assert "\\x1b[31m" in page.text


def test_equal_results_give_equal_bytes(two: str) -> None:
    assert written(on_chip(int8()), on_chip(ssvq())) == two


def test_what_two_figures_define_alike_is_there_once(two: str) -> None:
    page = Page(two)
    assert sum(tag == "clippath" for tag, name, _ in page.attributes if name == "id") < 30
    assert len(two) < 1_500_000


def test_a_run_that_takes_no_cycles_has_a_page() -> None:
    text = written(on_chip(result((layer("reshape", {}),))))
    assert "Nothing runs on the array." in Page(text).text


def test_frames_are_listed_and_inferences_divided(one: str) -> None:
    frame = int8().frames[0].layers
    page = Page(written(on_chip(replace(result(frame, frame, trace="net_int8"), batch=2))))
    assert page.tables["t-frames"].column("core cycles") == ["1,000", "1,000"]
    assert "t-frames" not in Page(one).tables
    assert "2 frames x batch 2" in page.text
    assert "0.0005 ms" in page.text  # 2000 cycles at 1 GHz over four inferences


def test_runs_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ConfigError, match="a comparison needs the same of both"):
        make_report([on_chip(int8()), on_chip(replace(int8(), batch=2))], load_technology("nangate45"))


def test_the_validation_status_is_that_of_the_page_on_validation(one: str) -> None:
    lines = (ROOT / "docs/validation.md").read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| reference | rows |"))
    documented = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [re.sub(r", \[below\]\(.*?\)|[\[\]]", "", cell).strip() for cell in line.strip("|").split("|")]
        documented[cells[0]] = cells[1:6]
    said = {row.reference: [row.rows, row.judged, row.median_pct, row.largest_pct, row.outside] for row in VALIDATION_STATUS}
    assert said == documented
    boards = (ROOT / "docs/silicon.md").read_text()  # whose figures a test of the validation compares with the code's
    predicted = re.search(r"(\d+) of (\d+) predicted rows .*? median error of ([\d.]+) %", boards)
    assert predicted is not None
    near, judged, median = predicted.groups()
    largest = max(re.findall(r"([\d.]+) % \|$", part(boards, "misses"), re.MULTILINE), key=float)
    assert documented["published times of boards"][1:] == [judged, median, largest, str(int(judged) - int(near))]
    headings = {line.removeprefix("## ") for line in lines if line.startswith("## ")}
    assert {row.section for row in VALIDATION_STATUS} <= headings
    shown = Page(one).tables["t-validation"]
    assert shown.column("compared with") == list(said)
    assert set(shown.column("section of docs/validation.md")) <= headings
    readme = (ROOT / "README.md").read_text()
    assert "| whole machine | a clock-by-clock twin of ours, random programs; RTL of the cluster alone |" in readme
    assert UNVALIDATED in Page(one).text


def test_a_swatch_and_a_bar_have_the_figures_colours(one: str) -> None:
    fills = {text for tag, name, text in Page(one).attributes if (tag, name) == ("rect", "fill")}
    assert {"#0072B2", "#D55E00", "#F0E442"} <= fills  # busy, dram, vector


def test_a_name_in_any_script_is_in_the_tables() -> None:
    run = result((layer("层.0.fc", {"busy": 5}, macs=1),), trace="モデル")  # the figures' font lacks these: a box, and no warning
    page = Page(written(on_chip(run)))
    assert page.tables["t-layers"].column("layer") == ["层.0.fc"]
    assert "モデル" in page.text


def test_every_picture_of_a_run_has_its_place(one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "More figures" not in Page(one).text
    drawn = page_module.run_pictures
    monkeypatch.setattr(page_module, "run_pictures", lambda run: [*drawn(run), replace(drawn(run)[0], name="new_view")])
    page = Page(written(on_chip(int8())))
    assert "New view" in page.text
    assert len(set(page.ids)) == len(page.ids)


def test_names_that_json_can_hold_can_be_drawn() -> None:
    name = json.loads('"\\ud800 blocks.0.\\u0000"')
    assert "\\ud800" in written(on_chip(result((layer(name, {"busy": 5}, macs=1),))))
