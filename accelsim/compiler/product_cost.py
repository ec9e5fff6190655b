"""The estimated cycles of a product in a mapping, which knows them itself: what rankings of mappings and of shares compare."""

from __future__ import annotations

from accelsim.compiler.plan import Op
from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.mapping import Product


def product_cycles(target: Target, op: Op, geometry: CoreGeometry) -> int | None:
    """Estimated cycles of all rows of a product, those of all its row tiles; None in a mapping that has no estimate."""
    assert op.layer.product is not None  # the plan puts nothing else on the array
    return geometry.mapping.estimated_cycles(target, Product(op.layer.product, op.whole_rows, op.k, op.n), geometry)
