"""Recipes of measured networks: the formats of their weights, and the width of their activations.

Activations of 16 bits, those in a cache as well, enter the array in two passes or at the chip's own rate for them (`array.macs_16bit`).
Disputable assumptions: all activations of `s8` and `s4` have 16 bits (bfloat16); a file entropy-coded to N bytes takes the time between
those of the two integer widths around its mean width.
"""

from __future__ import annotations

import math
import re

from accelsim.errors import FormatError
from accelsim.formats.catalog import parse_format
from accelsim.formats.weight_format import WeightFormat
from accelsim.ops.shapes import TensorShape
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace

_TAIL = 2  # matrices of `w4_tail` at 4 bits: the last 1x1 convolution and the classifier
_NARROWEST, _WIDEST = 2, 8
_GROUP_OF = {8: 128, 4: 32}  # weights per 16-bit scale of s8 and s4: 1.016 and 0.563 bytes per weight (1.016 and 0.567 measured)
ALLOWED = "int8, int4, w4_tail, wBaA or wBaA_gG (B 2 to 8, A 8 or 16), s8, s4, stored_bytes=N, lut:bits=B, lut:dim=D,entries=E"


Parts = tuple[tuple[float, Trace], ...]  # networks whose times, each by its share, make up a recipe's


def encoded(trace: Trace, recipe: str) -> Parts:
    """A float trace in a recipe.

    Raises
    ------
    FormatError
        An unknown recipe, or a format that does not fit a layer.
    """
    if re.match(r"u?int8", recipe):
        return _whole(trace, "uniform:bits=8")
    if re.fullmatch(r"int4(_dense)?", recipe):
        return _whole(trace, "uniform:bits=4")
    if recipe == "w4_tail":
        return _tail(trace)
    if match := re.fullmatch(r"w([2-8])a(8|16)(?:_g([0-9]{1,4}))?", recipe):
        bits, width, group = match.groups()
        return _whole(trace, f"int_group:bits={bits},group={group}" if group else f"uniform:bits={bits}", int(width))
    if match := re.fullmatch(r"s(8|4)", recipe):
        bits = int(match[1])
        return _whole(trace, f"int_group:bits={bits},group={_GROUP_OF[bits]}", 16)
    if match := re.fullmatch(r"stored_bytes=([0-9]{1,15})", recipe):
        return _between(trace, int(match[1]))
    if match := re.fullmatch(r"lut:bits=([1-8])", recipe):
        return _whole(trace, f"palette:bits={match[1]}")
    if (match := re.fullmatch(r"lut:dim=([0-9]{1,2}),entries=([0-9]{1,4})", recipe)) and int(match[2]) >= 2:
        return _whole(trace, f"palette:bits={math.ceil(math.log2(int(match[2])))},d={match[1]}")
    raise FormatError(f"unknown recipe {recipe!r}; allowed: {ALLOWED}")


def _whole(trace: Trace, spec: str, activation_bits: int = 8) -> Parts:
    weight_format = parse_format(spec)
    return ((1.0, _with(trace, [weight_format] * len(trace.weighted_layers()), activation_bits)),)


def _tail(trace: Trace) -> Parts:
    count = len(trace.weighted_layers())
    wide, narrow = parse_format("uniform:bits=8"), parse_format("uniform:bits=4")
    return ((1.0, _with(trace, [wide] * (count - _TAIL) + [narrow] * _TAIL)),)


def _between(trace: Trace, stored_bytes: int) -> Parts:
    mean = 8 * stored_bytes / sum(layer.weight.count for layer in trace.weighted_layers())
    low = min(max(math.floor(mean), _NARROWEST), _WIDEST - 1)
    if not _NARROWEST <= mean <= _WIDEST:
        raise FormatError(f"{stored_bytes} bytes are {mean:.2f} bits per weight; allowed: {_NARROWEST} to {_WIDEST}")
    formats = [(low + 1 - mean, f"uniform:bits={low}"), (mean - low, f"uniform:bits={low + 1}")]
    return tuple((share, whole) for share, spec in formats if share > 0 for _, whole in _whole(trace, spec))


def _with(trace: Trace, formats: list[WeightFormat], activation_bits: int = 8) -> Trace:
    """The trace with these formats of its matrices, in order, and activations of at least so many bits; a manifest alone."""
    by_name = dict(zip((layer.name for layer in trace.weighted_layers()), formats, strict=True))
    old = trace.manifest
    layers = tuple(_in_recipe(layer, by_name.get(layer.name), activation_bits) for layer in trace.layers)
    inputs = tuple(item.with_fields(shape=_at_least(item.shape, activation_bits)) for item in old.inputs)
    return Trace(Manifest(name=trace.name, source=old.source, inputs=inputs, outputs=old.outputs, layers=layers))


def _in_recipe(layer: Layer, weight_format: WeightFormat | None, activation_bits: int) -> Layer:
    """A layer in a format, without constants; its output, and what it reads of a cache, of at least so many bits."""
    weighted, product = layer.weighted, layer.head_product
    own = layer if weight_format is None or weighted is None else weighted.in_format(weight_format)
    cache = {"cache_bits": max(product.cache_bits, activation_bits)} if product is not None and product.from_cache else {}
    return own.with_fields(constants={}, output=_at_least(layer.output, activation_bits), **cache)


def _at_least(shape: TensorShape, bits: int) -> TensorShape:
    return shape.with_fields(bits=max(shape.bits, bits))
