"""Redraw the pictures of many designs on the pages (front page, tutorial, formats): `make pictures`, some minutes."""

from __future__ import annotations

import shutil
from pathlib import Path

import accelsim
from accelsim.studies.demo import Scope, run_demo
from accelsim.studies.speedup_map import bandwidth_points

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MAP = "speedup_map.png"  # of the demonstration
# The pictures of each sweep, in its order.
PICTURES = {
    "decode_map": ("decode_map_int8_head.png", "decode_map.png"),
    "decode_rate": ("decode_rate.png",),
}


def draw(sweep: str, files: tuple[str, ...], store: Path, folder: Path) -> None:
    """Run a sweep, or what its store lacks of it, and write its pictures under the names of the pages."""
    plot = accelsim.sweep(sweep, store=store).plot
    for name, file in zip(plot.names, files, strict=True):
        plot(name, file=folder / file)


def draw_map(scope: Scope, work: Path, file: Path) -> None:
    """The demonstration's map of speed-ups over bandwidth, which heads the front page."""
    shutil.copyfile(run_demo(work, lambda _: None, scope=scope) / "map_bandwidth.png", file)


def draw_all(work: Path, folder: Path) -> None:
    """Every picture, with the stores of the sweeps in `work`."""
    work.mkdir(exist_ok=True)
    draw_map(Scope(("edge-32x32",), {"bandwidth": bandwidth_points()}, cells=False), work / "front_page", folder / MAP)
    for sweep, files in PICTURES.items():
        draw(sweep, files, work / f"{sweep}.sqlite", folder)


def main() -> None:
    draw_all(Path("out"), IMAGES)


if __name__ == "__main__":
    main()
