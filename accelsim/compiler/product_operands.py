"""The sources of a product's rows and weights: the unit and task that each of them waits for.

Disputable assumption: a row of a convolution waits for whole lines of its image, up to the last one that its window reaches; of
grouped convolutions, of several images, of heads that share keys or values, and of what comes block by block, every row waits for all
of the operand.
"""

from __future__ import annotations

from accelsim.compiler.drain_order import unit_of
from accelsim.compiler.head_regions import band_of
from accelsim.compiler.inference import Inference, KernelFields, last_unit, provider
from accelsim.compiler.plan import Op, Tensor, TensorId
from accelsim.kernels import compute_state
from accelsim.ops.operation import LineWindow
from accelsim.trace.layers import MatmulLayer


def rows_from(inference: Inference, op: Op) -> KernelFields:
    """The source of the rows of A."""
    layer = op.layer
    key = next(key for key, role in op.reads if role == "rows")
    tensor = inference.plan.tensors[key]
    task, was_loaded = provider(inference, key, op)
    record = inference.low.tasks[task]
    fields: KernelFields = {"in_task": task, "in_rows": record["rows"], "in_cols": op.k, "in_fixed": -1, "in_tile_cols": 0}
    if record["kind"] == compute_state.DRAIN:
        fields |= _columns_of_units(record) or {"in_fixed": last_unit(inference, task)}
    several = len(tensor.producers) > 1 and not was_loaded
    row0 = op.row_tile.first_row if op.row_tile is not None else 0
    if layer.window is not None:
        fields |= _image_rows(inference, op, layer.window, tensor, row0)
        if inference.plan.batch > 1 or layer.tile_groups > 1:
            fields["in_fixed"] = last_unit(inference, task)
    elif layer.head_product is not None:
        fields |= _head_rows(inference, op, layer.head_product, key)
        if layer.head_product.shared > 1 and key.part < 0:
            fields["in_fixed"] = last_unit(inference, task)
    elif layer.row_read is not None:
        fields["in_row0"] = layer.row_read - tensor.first_row
        if inference.plan.batch > 1:
            fields["in_fixed"] = last_unit(inference, task)
    else:
        fields["in_row0"] = row0 - tensor.first_row
    if tensor.comes_by_blocks:
        fields["in_fixed"] = last_unit(inference, task)
    if record["kind"] == compute_state.DRAIN and record["rows"] > tensor.rows:  # the rows of heads that shared a product, head after head
        fields["in_fixed"] = last_unit(inference, task)
    elif several:
        if inference.plan.batch == 1 and not inference.plan.in_row_tiles(tensor):
            # heads side by side: drains end in order, so the last head's rows cover all
            fields["in_cols"] = tensor.columns_of_producer
        else:
            fields["in_fixed"] = last_unit(inference, task)
    return fields


def _columns_of_units(drain: KernelFields) -> KernelFields:
    """The width of a drain's units, by which a column's unit is found; nothing where they are not equally wide.

    Groups of a convolution are drained one after the other, each in stripes of its own: a group's last stripe may be narrower.
    """
    if drain["turned"]:
        return {}
    width, stripe = drain["width"], drain["tile_cols"]
    stripes = -(-width // stripe)
    groups = drain["units"] // (drain["rows"] * stripes)
    if groups > 1 and width > stripe and width % stripe:
        return {}
    return {"in_tile_cols": stripe if groups == 1 else min(stripe, width)}


def _head_rows(inference: Inference, op: Op, layer: MatmulLayer, key: TensorId) -> KernelFields:
    """The first row and column of a head, or a row band of it, in an operand that is one matrix, or the heads' matrices in turn."""
    tensor, (first, rows) = inference.plan.tensors[key], band_of(op)
    if layer.a.split == "columns":
        return {"in_col0": (op.head % layer.heads) * op.k, "in_row0": op.image * layer.m + first - tensor.first_row}
    if key.part < 0:
        return {"in_row0": op.head * layer.m + first - tensor.first_row}
    return {"in_row0": first} if tensor.rows > rows else {}


def _image_rows(inference: Inference, op: Op, window: LineWindow, tensor: Tensor, row0: int) -> KernelFields:
    """The line of the input image, or of its buffered lines, that an output position from row `row0` on waits for."""
    height, width = window.height, window.width
    planar = op.layer.input_planes > 0
    reach = window.span - 1 - window.padding
    reach += row0 // window.positions * window.stride - tensor.first_row // (1 if planar else width)
    fields: KernelFields = {"in_ox": window.positions, "in_stride": window.stride, "in_reach": max(0, reach)}
    if planar:  # the lines of the last plane arrive last
        planes = tensor.planes if tensor.whole is not None else op.layer.input_planes
        lines = tensor.rows // planes if tensor.whole is not None else tensor.rows // (planes * inference.plan.batch)
        return {**fields, "in_rows": lines, "in_ix": 1, "in_row0": (planes - 1) * lines}
    return {**fields, "in_rows": height * width if tensor.whole is None else tensor.rows, "in_ix": width, "in_cols": tensor.width}


def weights_from(inference: Inference, op: Op) -> KernelFields:
    """The source of the weights: the stream of a layer, or a whole operand of an attention product."""
    key = next((key for key, role in op.reads if role == "weights"), None)
    if key is None:
        return {"w_task": -1, "from_activations": 0}
    task, _ = provider(inference, key, op)
    record = inference.low.tasks[task]
    layer = op.layer.head_product
    assert layer is not None  # no other product reads weights from the activation buffer
    unit = record["units"] - 1
    tensor = inference.plan.tensors[key]
    if layer.b.split == "columns" and len(tensor.producers) == 1 and record["kind"] == compute_state.DRAIN and not record["turned"]:
        width = tensor.width // layer.heads
        tile = ((op.head % layer.heads + 1) * width - 1) // record["tile_cols"]
        rows = tensor.rows // inference.plan.batch
        unit = unit_of(record, tile, (op.image + 1) * rows - 1)
    return {"w_task": task, "w_unit": unit, "from_activations": 1}
