"""Topology tables of SCALE-Sim (CSV) as traces: each row a GEMM or a convolution that reads a model input of its own.

The tables say nothing of how layers are connected, so nothing stays on chip from one to the next. Output sizes are counted as that
tool counts them: ceil((image - filter) / stride) + 1, so a last window may reach past the image; zeros are added there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from accelsim.errors import ImportModelError, TraceError
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.windows import Convolution
from accelsim.importers.topology_table import CONVOLUTION, GEMM, STRIDE_ALONG_WIDTH, Row, Table, read_table
from accelsim.problems import one_problem
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace
from accelsim.wording import first_names

DEPTHWISE = "DP"  # in a convolution's name
MAX_NAMES_IN_NOTE = 20


def import_topology(path: Path, name: str, *, seed: int, activation_bits: Literal[8, 16, 32] = 8) -> Trace:
    """The float trace of a topology table, whose weights are drawn from `seed`; a manifest without payload.

    Parameters
    ----------
    path : a CSV file of GEMMs or convolutions (accelsim.importers.topology_table). A convolution with `DP` in its name is depthwise:
        each channel has `filters` filters of its own.
    name : of the trace
    seed : of the weights
    activation_bits : of inputs and outputs

    Raises
    ------
    ImportModelError
        The file, line and column that cannot be used, the value and what is allowed.
    """
    table = read_table(path)
    builder = GraphBuilder(activation_bits, activation_bits)
    notes = _Notes()
    for row in table.rows:
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
        notes=notes.texts(path.name, table),
    )
    return Trace(manifest)


def _add_layer(builder: GraphBuilder, row: Row, notes: _Notes) -> None:
    """The row's layer and its input."""
    name = builder.unique(row.name)
    source = builder.unique(f"{name}.input")
    notes.sparse(row, name)
    if row.kind is GEMM:
        m, n, k = (row.sizes[column] for column in "MNK")
        builder.linear(name, builder.tokens(source, m, k), n, bias=False)
        return
    height, width, filter_height, filter_width, channels, filters, stride = (row.sizes[column] for column in CONVOLUTION[1:])
    strides = (stride, row.sizes.get(STRIDE_ALONG_WIDTH, stride))
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

    def sparse(self, row: Row, name: str) -> None:
        """Note a sparsity ratio."""
        kept, _, of = row.sparsity.partition(":")
        if kept != of:
            self._sparse.append(f"{name} ({row.sparsity})")

    def texts(self, file: str, table: Table) -> tuple[str, ...]:
        """The notes of the manifest."""
        texts = [f"from the topology table {file}: its layers are independent; each reads a model input of its own"]
        if not table.has_header:
            texts.append("the table has no header: its first line is a layer")
        if table.headings:
            texts.append(f"headings between the layers, which are not read: {_some(table.headings)}")
        if table.unread:
            texts.append(f"columns that are not read: {_some(table.unread)}")
        if self.past_the_image:
            texts.append(f"zeros extend these images, because the last window reaches past them: {_some(self.past_the_image)}")
        if self._sparse:
            texts.append(f"layers whose sparsity is not modelled, so that they are dense here: {_some(self._sparse)}")
        return tuple(texts)


def _some(names: Sequence[str]) -> str:
    return first_names([name[:100] for name in names], MAX_NAMES_IN_NOTE)
