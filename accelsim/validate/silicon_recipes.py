"""Recipes of measured networks as formats of their layers, and how wide activations are represented.

Activations of 16 bits are two planes of 8: a run of two images per inference, so that rows of the array, bytes of activations and of the
cache double while weights are read once. In floating point (`s8`, `s4` with bfloat16) the weights are widened before they are multiplied,
so a product of 16 by 16 bits is four of 8 by 8 and rows enter four times.

Disputable assumptions: the vector unit has lanes of 8 bits; a file entropy-coded to N bytes takes the time between those of the two integer
widths around its mean width.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from accelsim.errors import FormatError
from accelsim.formats.catalog import parse_format
from accelsim.formats.weight_format import WeightFormat
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace

_TAIL = 2  # matrices of `w4_tail` at 4 bits: the last 1x1 convolution and the classifier
_NARROWEST, _WIDEST = 2, 8
_GROUP_OF = {8: 128, 4: 32}  # weights per 16-bit scale of s8 and s4: 1.016 and 0.563 bytes per weight (1.016 and 0.567 measured)
ALLOWED = "int8, int4, w4_tail, wBaA or wBaA_gG (B 2 to 8, A 8 or 16), s8, s4, stored_bytes=N, lut:bits=B, lut:dim=D,entries=E"


@dataclass(frozen=True)
class Encoded:
    """Networks whose times, each by its share, make up the recipe's; activations of how many 8-bit planes."""

    parts: tuple[tuple[float, Trace], ...]
    planes: int


def encoded(trace: Trace, recipe: str) -> Encoded:
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
        return _whole(trace, f"int_group:bits={bits},group={group}" if group else f"uniform:bits={bits}", int(width) // 8)
    if match := re.fullmatch(r"s(8|4)", recipe):
        bits = int(match[1])
        return _whole(trace, f"int_group:bits={bits},group={_GROUP_OF[bits]}", 4)
    if match := re.fullmatch(r"stored_bytes=([0-9]{1,15})", recipe):
        return _between(trace, int(match[1]))
    if match := re.fullmatch(r"lut:bits=([1-8])", recipe):
        return _whole(trace, f"palette:bits={match[1]}")
    if (match := re.fullmatch(r"lut:dim=([0-9]{1,2}),entries=([0-9]{1,4})", recipe)) and int(match[2]) >= 2:
        return _whole(trace, f"palette:bits={math.ceil(math.log2(int(match[2])))},d={match[1]}")
    raise FormatError(f"unknown recipe {recipe!r}; allowed: {ALLOWED}")


def _whole(trace: Trace, spec: str, planes: int = 1) -> Encoded:
    weight_format = parse_format(spec)
    return Encoded(((1.0, _with(trace, [weight_format] * len(trace.weighted_layers()))),), planes)


def _tail(trace: Trace) -> Encoded:
    count = len(trace.weighted_layers())
    wide, narrow = parse_format("uniform:bits=8"), parse_format("uniform:bits=4")
    return Encoded(((1.0, _with(trace, [wide] * (count - _TAIL) + [narrow] * _TAIL)),), 1)


def _between(trace: Trace, stored_bytes: int) -> Encoded:
    mean = 8 * stored_bytes / sum(layer.weight.count for layer in trace.weighted_layers())
    low = min(max(math.floor(mean), _NARROWEST), _WIDEST - 1)
    if not _NARROWEST <= mean <= _WIDEST:
        raise FormatError(f"{stored_bytes} bytes are {mean:.2f} bits per weight; allowed: {_NARROWEST} to {_WIDEST}")
    formats = [(low + 1 - mean, f"uniform:bits={low}"), (mean - low, f"uniform:bits={low + 1}")]
    return Encoded(tuple((share, _whole(trace, spec).parts[0][1]) for share, spec in formats if share > 0), 1)


def _with(trace: Trace, formats: list[WeightFormat]) -> Trace:
    """The trace with these formats of its matrices, in order; a manifest alone."""
    by_name = dict(zip((layer.name for layer in trace.weighted_layers()), formats, strict=True))
    old = trace.manifest
    layers = tuple(
        (layer.in_format(by_name[layer.name]) if layer.name in by_name else layer).with_fields(constants={}) for layer in trace.layers
    )
    return Trace(Manifest(name=trace.name, source=old.source, inputs=old.inputs, outputs=old.outputs, layers=layers))
