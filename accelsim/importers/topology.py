"""Topology tables of SCALE-Sim (CSV) as traces: each row a GEMM or a convolution that reads a model input of its own.

The tables say nothing of how layers are connected, so nothing stays on chip from one to the next. Output sizes are counted as that
tool counts them: ceil((image - filter) / stride) + 1, so a last window may reach past the image; zeros are added there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from accelsim.errors import ImportModelError, TraceError
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.windows import Convolution
from accelsim.ops.shapes import MAX_BOUND
from accelsim.problems import one_problem
from accelsim.reading import read_text
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

GEMM = ("Layer", "M", "N", "K")
CONVOLUTION = ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
DEPTHWISE = "DP"  # in a convolution's name
MAX_LAYERS = 4096
MAX_NAMES_IN_NOTE = 20


@dataclass(frozen=True)
class Row:
    """One layer of the table: where it stands, its name, its sizes, and the text after the sizes."""

    where: str
    name: str
    sizes: tuple[int, ...]
    rest: tuple[str, ...]


def import_topology(path: Path, name: str, *, seed: int, activation_bits: Literal[8, 16, 32] = 8) -> Trace:
    """The float trace of a topology table, whose weights are drawn from `seed`; a manifest without payload.

    Parameters
    ----------
    path : a CSV file: any header line, then `name, M, N, K` or `name, image height and width, filter height and width, channels,
        filters, stride` (optionally the stride along the width and a sparsity ratio), each with or without a comma at the end. A
        convolution with `DP` in its name is depthwise: each channel has `filters` filters of its own.
    name : of the trace
    seed : of the weights
    activation_bits : of inputs and outputs

    Raises
    ------
    ImportModelError
        The file, line and column that cannot be used, the value and what is allowed.
    """
    table, has_header = _read(path)
    builder = GraphBuilder(activation_bits, activation_bits)
    notes = _Notes()
    for row in table:
        try:
            _add_layer(builder, row, notes)
        except ValidationError as error:
            raise ImportModelError(f"{row.where}: layer {row.name!r}: {one_problem(error)}") from None
        except (ImportModelError, TraceError) as error:
            message = str(error)
            raise ImportModelError(message if message.startswith(row.where) else f"{row.where}: {message}") from None
    manifest = Manifest(
        name=name,
        source=seeded_source(seed),
        inputs=tuple(builder.inputs),
        outputs=tuple(layer.name for layer in builder.layers),
        layers=builder.layers,
        notes=notes.texts(path.name, has_header),
    )
    return Trace(manifest)


def _add_layer(builder: GraphBuilder, row: Row, notes: _Notes) -> None:
    """The row's layer and its input."""
    name = builder.unique(row.name)
    source = builder.unique(f"{name}.input")
    if len(row.sizes) == len(GEMM) - 1:
        m, n, k = row.sizes
        builder.linear(name, builder.tokens(source, m, k), n, bias=False)
        notes.sparse(row, name, row.rest)
        return
    height, width, filter_height, filter_width, channels, filters, stride = row.sizes
    strides, rest = (stride, stride), row.rest
    if rest and rest[0].isdecimal():
        strides, rest = (stride, _integer(row.where, "stride along the width", rest[0])), rest[1:]
    covered = tuple(
        _covered(row.where, axis, image, taps, step)
        for axis, image, taps, step in zip(("Height", "Width"), (height, width), (filter_height, filter_width), strides, strict=True)
    )
    if covered != (height, width):
        notes.past_the_image.append(f"{name} ({height} x {width} to {covered[0]} x {covered[1]})")
    groups = channels if DEPTHWISE in row.name else 1
    view = builder.tokens(source, covered[0] * covered[1], channels).reshape((1, *covered, channels)).permute((0, 3, 1, 2))
    convolution = Convolution(
        outputs=filters * groups, taps=(filter_height, filter_width), strides=strides, padding=(0, 0), dilation=(1, 1), groups=groups
    )
    builder.conv2d(name, view, convolution, bias=False)
    notes.sparse(row, name, rest)


def _covered(where: str, axis: str, image: int, taps: int, stride: int) -> int:
    """Rows or columns that the windows cover: those of the image, and those the last window needs past it."""
    if taps > image:
        raise ImportModelError(f"{where}, column Filter {axis}: {taps} is not allowed; allowed: 1..{image}, the image")
    return -(-(image - taps) // stride) * stride + taps


class _Notes:
    """Remarks for readers of the trace, collected while layers are added."""

    def __init__(self) -> None:
        self.past_the_image: list[str] = []
        self._sparse: list[str] = []

    def sparse(self, row: Row, name: str, rest: tuple[str, ...]) -> None:
        """Parse the text after the sizes: a sparsity ratio n:m or nothing; ImportModelError for anything else."""
        if not rest:
            return
        kept, colon, of = rest[0].partition(":")
        if len(rest) > 1 or not colon or not kept.isdecimal() or not of.isdecimal():
            raise ImportModelError(f"{row.where}: {', '.join(rest)!r:.80} after the sizes is not allowed; allowed: nothing, or a ratio n:m")
        if kept != of:
            self._sparse.append(f"{name} ({rest[0]})")

    def texts(self, file: str, has_header: bool) -> tuple[str, ...]:
        """The notes of the manifest."""
        texts = [f"from the topology table {file}: its layers are independent; each reads a model input of its own"]
        if not has_header:
            texts.append("the table has no header: its first line is a layer")
        if self.past_the_image:
            texts.append(f"zeros extend these images, because the last window reaches past them: {_some(self.past_the_image)}")
        if self._sparse:
            texts.append(f"layers whose sparsity is not modelled, so that they are dense here: {_some(self._sparse)}")
        return tuple(texts)


def _some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MAX_NAMES_IN_NOTE
    return ", ".join(name[:100] for name in names[:MAX_NAMES_IN_NOTE]) + (f" and {more} more" if more > 0 else "")


def _read(path: Path) -> tuple[list[Row], bool]:
    """The layers of the table, and whether a header stands before them."""
    text = read_text(path, ImportModelError, "utf-8-sig")
    lines = [(number, _cells(line)) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, cells) for number, cells in lines if cells]
    has_header = bool(lines) and not (len(lines[0][1]) >= len(GEMM) and all(cell.isdecimal() for cell in lines[0][1][1:4]))
    body = lines[1:] if has_header else lines
    if not body:
        raise ImportModelError(f"{path}: holds no layers; allowed: a header, then one layer per line")
    if len(body) > MAX_LAYERS:
        raise ImportModelError(f"{path}: holds {len(body)} layers; allowed: at most {MAX_LAYERS}")
    columns = CONVOLUTION if len(body[0][1]) >= len(CONVOLUTION) - 1 else GEMM
    return [_row(f"{path}: line {number}", cells, columns) for number, cells in body], has_header


def _cells(line: str) -> list[str]:
    """Cells of a line, without blanks, empty cells at the end, and a comment that starts with '#'."""
    cells = [cell.strip() for cell in line.split(",")]
    cells = cells[: next((index for index, cell in enumerate(cells) if cell.startswith("#")), len(cells))]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _row(where: str, cells: list[str], columns: tuple[str, ...]) -> Row:
    """A layer's row; every row of a file has the columns of its first."""
    if len(cells) < len(columns):
        raise ImportModelError(f"{where}: has {len(cells)} cells; allowed: {', '.join(columns)}")
    if not cells[0]:
        raise ImportModelError(f"{where}, column {columns[0]}: '' is not allowed; allowed: a name")
    sizes = tuple(_integer(where, column, cell) for column, cell in zip(columns[1:], cells[1:], strict=False))
    return Row(where, cells[0], sizes, tuple(cells[len(columns) :]))


def _integer(where: str, column: str, cell: str) -> int:
    """The cell as a size."""
    if not cell.isascii() or not cell.isdecimal() or len(cell) > 30 or not 1 <= int(cell) <= MAX_BOUND:
        raise ImportModelError(f"{where}, column {column}: {cell!r:.80} is not allowed; allowed: an integer from 1 to {MAX_BOUND}")
    return int(cell)
