"""A product as several cores compute it: each decodes the image of its own stripes, or the whole one for its own rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compiler.core_splits import Split
from accelsim.compiler.image import Packing, layer_image
from accelsim.compiler.plan import Region
from accelsim.compiler.unit_image import unit_image
from accelsim.functional.products import Product, Tables, Tamper
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace

Arrays = Mapping[str, npt.NDArray[Any]]


def core_products(
    geometry: CoreGeometry, trace: Trace, layer: WeightedLayer, whole: Product, split: Split, tamper: Tamper | None = None
) -> list[Product]:
    """The part of each core in a product of a layer, as the core sees it behind an entropy decoder."""
    if split.how == "rows":
        return [_of_rows(whole, share.result) for share in split.shares]
    arrays = trace.arrays(layer.name)
    return [_of_outputs(geometry, layer, arrays, whole, share.result, tamper) for share in split.shares]


def joined(split: Split, sums: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The sums of all cores, (M, N)."""
    return np.concatenate(sums, axis=0 if split.how == "rows" else 1)


def _of_rows(whole: Product, region: Region) -> Product:
    own = slice(region.first_row, region.first_row + region.rows)
    wide = None if whole.wide is None else whole.wide[own]
    return replace(whole, rows=whole.rows[own], sums=whole.sums[own], wide=wide)


def _of_outputs(
    geometry: CoreGeometry, layer: WeightedLayer, arrays: Arrays, whole: Product, region: Region, tamper: Tamper | None
) -> Product:
    part = layer.of_outputs(region.columns)
    decoder = None if whole.decoder is None else replace(whole.decoder, first_output=region.first_column)
    make_image = layer_image if decoder is None else unit_image
    stripes = -(-region.columns // geometry.cols)
    packing: Packing = "stripe" if geometry.in_stripes(layer.m, stripes) else "layer"
    image = make_image(geometry, part, columns_of(layer, arrays, region), packing)
    if tamper is not None:
        image = tamper(layer.name, image)
    own = slice(region.first_column, region.first_column + region.columns)
    wide = None if whole.wide is None else whole.wide[:, own]
    return replace(
        whole, image=image, tables=Tables.of(geometry, image), nt0=0, weights=whole.weights[:, own], sums=whole.sums[:, own], wide=wide,
        decoder=decoder,
    )  # fmt: skip


def columns_of(layer: WeightedLayer, arrays: Arrays, region: Region) -> dict[str, npt.NDArray[Any]]:
    """The part of a layer's streams that belongs to some of its outputs; whole arrays of what does not grow with them."""
    weight = layer.weight
    every, own = (weight.format.streams(weight.k, count) for count in (weight.n, region.columns))
    found = {}
    for name, values in arrays.items():
        place = [slice(None)] * values.ndim
        for axis, (size, part) in enumerate(zip(every[name].shape, own[name].shape, strict=True)):
            if size != part:
                first = region.first_column * size // weight.n
                place[axis] = slice(first, first + part)
        found[name] = values[tuple(place)]
    return found
