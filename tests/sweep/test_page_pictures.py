"""The pictures of sweeps on the pages: each is on one, and a command draws them under the names that the pages have."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.studies.demo import Scope
from accelsim.studies.speedup_map import bandwidth_points
from accelsim.sweeps.spec import load_sweep
from tests import sweep_pictures
from tests.sweep_pictures import IMAGES, MAP, PICTURES, draw, draw_all, draw_map

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
name: two
base: {accelerator: edge-32x32}
axes: {codebook.ports: [1, 2], trace: [tiny_vit_ssvq, tiny_vit_int8]}
pictures:
  - {kind: lines, name: first, x: codebook.ports, y: milliseconds, lines: trace}
  - {kind: lines, name: second, x: codebook.ports, y: energy_uj, lines: trace}
"""


def test_the_map_of_the_front_page_is_the_demonstrations(tmp_path: Path) -> None:
    assert f"images/{MAP})" in (ROOT / "README.md").read_text(encoding="utf-8")
    scope = Scope(("mcu-16x16",), {"bandwidth": bandwidth_points((16,), (8.0,), ("prefetch",))}, cells=False)
    draw_map(scope, tmp_path / "work", tmp_path / MAP)
    assert (tmp_path / MAP).read_bytes().startswith(b"\x89PNG")


def test_a_checkout_without_results_can_redraw_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the stores was not there: 'decode_map.sqlite: cannot be opened'."""
    drawn: list[Path] = []
    monkeypatch.setattr(sweep_pictures, "draw_map", lambda _scope, work, _file: drawn.append(work.parent))
    monkeypatch.setattr(sweep_pictures, "draw", lambda _sweep, _files, store, _folder: drawn.append(store.parent))
    draw_all(tmp_path / "out", tmp_path)
    assert set(drawn) == {tmp_path / "out"}
    assert (tmp_path / "out").is_dir()


@pytest.mark.parametrize(("sweep", "files"), PICTURES.items())
def test_each_picture_is_on_a_page(sweep: str, files: tuple[str, ...]) -> None:
    assert load_sweep(sweep).pictures
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    for file in files:
        assert (IMAGES / file).is_file()
        assert f"images/{file})" in pages


def test_pictures_are_drawn_in_the_order_of_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(SWEEP)
    draw(str(tmp_path / "two.yaml"), ("a.svg", "b.svg"), tmp_path / "two.sqlite", tmp_path)
    assert "Time (ms) over codebook.ports" in (tmp_path / "a.svg").read_text()
    assert "Energy (µJ) over codebook.ports" in (tmp_path / "b.svg").read_text()
    with pytest.raises(ValueError, match="shorter"):
        draw(str(tmp_path / "two.yaml"), ("a.svg",), tmp_path / "two.sqlite", tmp_path)
