"""The pictures of sweeps on the pages: each is on one, and a command draws them under the names that the pages have."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.sweeps.spec import load_sweep
from tests.sweep_pictures import IMAGES, PICTURES, draw

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
name: two
base: {accelerator: edge-32x32}
axes: {codebook.ports: [1, 2], trace: [tiny_vit_ssvq, tiny_vit_int8]}
pictures:
  - {kind: lines, name: first, x: codebook.ports, y: milliseconds, lines: trace}
  - {kind: lines, name: second, x: codebook.ports, y: energy_uj, lines: trace}
"""


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
