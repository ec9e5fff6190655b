"""Redraw the pictures of sweeps on the pages (front page, tutorial, formats): `make pictures`, some minutes."""

from __future__ import annotations

from pathlib import Path

import accelsim

IMAGES = Path(__file__).parents[1] / "docs" / "images"
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


def main() -> None:
    for sweep, files in PICTURES.items():
        draw(sweep, files, Path("out") / f"{sweep}.sqlite", IMAGES)


if __name__ == "__main__":
    main()
