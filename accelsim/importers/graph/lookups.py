"""Rows of a trained table by indices of the input: token embeddings.

Disputable assumption: the rows that are looked up arrive as an input of the network, as an image does. Their bytes are charged; the
table's other rows are never read, and the table itself is no part of the trace, which a note says.
"""

from __future__ import annotations

import math

from accelsim.importers.graph.call import Call
from accelsim.importers.graph.values import Constant, Indices, Plain


def look_up(call: Call, table: Constant, indices: Indices) -> Plain:
    """A model input of the rows (1, count, width) that the indices, of one inference, name."""
    count = math.prod(indices.shape)
    if table.array.ndim != 2 or (indices.shape[:1] != (1,) and count != max(indices.shape, default=1)):
        call.refuse(f"indices of shape {indices.shape} into a table of shape {table.array.shape}; allowed: those of one sequence into rows")
    rows, width = table.array.shape
    name = call.builder.unique(call.layer_name((table.label,), "rows"))
    view = call.builder.tokens(name, count, width)
    call.recorder.used.update(table.sources)
    what = f"table {table.label!r} ({rows} x {width}) is no part of the trace"
    named = f"integers computed from {indices.source!r} name" if indices.computed else f"{indices.source!r} names"
    call.recorder.note(f"{what}: its rows that {named} arrive as input {name!r}")
    return Plain(view.reshape((*indices.shape, width)))
