"""A compression as tables: bits per weight counted two ways, compression ratios, and errors of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rich.console import Console

from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count, decimal_bytes


class Compressed(Protocol):
    """Compression of a group of layers."""

    @property
    def name(self) -> str: ...
    @property
    def weights(self) -> int: ...
    @property
    def stored_bits(self) -> int: ...
    @property
    def padding_bits(self) -> int: ...
    @property
    def paper_bits_per_weight(self) -> float: ...
    @property
    def stored_bits_per_weight(self) -> float: ...
    @property
    def compression_ratio(self) -> float: ...
    @property
    def relative_mse(self) -> float: ...
    @property
    def cosine(self) -> float: ...
    @property
    def vector_loss(self) -> float: ...


class Compression(Protocol):
    """All layers, and sums over them."""

    @property
    def layers(self) -> Sequence[Compressed]: ...
    @property
    def by_format(self) -> Mapping[str, Compressed]: ...
    @property
    def compressed(self) -> Compressed: ...
    @property
    def total(self) -> Compressed: ...
    @property
    def other_parameters(self) -> int: ...
    @property
    def other_bits(self) -> int: ...
    @property
    def whole_model_ratio(self) -> float: ...


def compression_line(name: str, report: Compression) -> str:
    """The compressed matrices in one line."""
    found = report.compressed
    return (
        f"{name}: {found.paper_bits_per_weight:.4f} bits/weight, {found.stored_bits_per_weight:.4f} stored, "
        f"{found.compression_ratio:.2f}x smaller, relative MSE {found.relative_mse:.3g}"
    )


def render_compression(console: Console, report: Compression, *, per_layer: bool = False) -> None:
    """Every format (and every layer), all matrices, and the compression ratio counted both ways."""
    if per_layer:
        _render(console, "Layers", "layer", ((item.name, item) for item in report.layers), None)
    _render(console, "Compression", "format", report.by_format.items(), report.total)
    total = report.total
    say(
        console,
        "paper: indices, signs, masks, raw weights. stored: with codebooks, scales and "
        f"{count(total.padding_bits)} bits of padding. Vector loss as VecQ has it, of each line's weights as one vector.",
    )
    before, after = 4 * (total.weights + report.other_parameters), (total.stored_bits + report.other_bits) / 8
    say(
        console,
        f"Smaller than float32: the compressed matrices {report.compressed.compression_ratio:.2f}x, the whole model with its "
        f"{count(report.other_parameters)} other parameters {report.whole_model_ratio:.2f}x "
        f"({decimal_bytes(before)} to {decimal_bytes(after)}).",
    )


def _render(console: Console, title: str, what: str, items: Iterable[tuple[str, Compressed]], total: Compressed | None) -> None:
    bits = [">bits/weight\npaper", ">\nstored"]
    out = table([what, ">weights", *bits, ">smaller", ">relative\nMSE", ">cosine", ">vector\nloss"], dense=True)
    for name, item in items:
        row(out, name, *_cells(item))
    if total is not None:
        row(out, "all", *_cells(total), style="bold")
    show(console, title, out)


def _cells(item: Compressed) -> tuple[str, ...]:
    return (
        count(item.weights),
        f"{item.paper_bits_per_weight:.4f}",
        f"{item.stored_bits_per_weight:.4f}",
        f"{item.compression_ratio:.2f}x",
        f"{item.relative_mse:.3g}",
        f"{item.cosine:.5f}",
        f"{item.vector_loss:.3g}",
    )
