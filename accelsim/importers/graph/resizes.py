"""Signals, images and volumes of another size: a copy where each element is repeated, an interpolation otherwise.

A volume is resized in its planes and then across them, which for all methods is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Plain
from accelsim.importers.graph.views import moved


def resized(call: Call, size: Sequence[int], ratios: Sequence[float | None], **fields: Any) -> Value:
    """The operand (1, C, ...) with other sizes in its dimensions of space.

    Parameters
    ----------
    ratios
        Elements of the operand per element of the result, of each dimension of space where the model states one.
    fields
        Those of a resize layer: corners, method, rounding.
    """
    shape = call.shape(0)
    space = shape[2:]
    if len(space) not in (1, 2, 3) or len(size) != len(space):
        call.refuse(f"resizes {shape} to {tuple(size)}; allowed: one to three dimensions of space")
    stated = [None if ratio is None or _close(ratio, old / new) else ratio for ratio, old, new in zip(ratios, space, size, strict=True)]
    times = [new // old for new, old in zip(size, space, strict=True)]
    whole = [old * count for old, count in zip(space, times, strict=True)] == list(size)
    repeats = fields["corners"] == "starts" and fields["rounding"] == "floor" if fields["method"] == "nearest" else False
    halves = fields["method"] == "nearest" and fields["corners"] == "edges" and fields["rounding"] in ("half_up", "half_down")
    if whole and not any(stated) and (repeats or halves):
        return moved(call, lambda view: _repeated(view, times))
    if list(size) == list(space) and not any(stated):
        return call.value(0)
    view, name = call.view(0), call.node.path("resize")
    if len(space) == 3:
        planes = call.builder.reshaped(name, view, (1, shape[1] * space[0], *space[1:]))
        planes = _image(call, name, planes, size[1:], stated[1:], fields)
        columns = call.builder.reshaped(
            name, planes.reshape((1, shape[1], space[0], *size[1:])), (1, shape[1], space[0], size[1] * size[2])
        )
        return Plain(_image(call, name, columns, (size[0], size[1] * size[2]), (stated[0], None), fields).reshape((*shape[:2], *size)))
    image = view if len(space) == 2 else call.builder.reshaped(name, view, (*shape[:2], 1, *space))
    lead = (1,) * (2 - len(space))
    return Plain(_image(call, name, image, (*lead, *size), (*(None for _ in lead), *stated), fields).reshape((*shape[:2], *size)))


def _image(call: Call, name: str, view: View, size: Sequence[int], stated: Sequence[float | None], fields: dict[str, Any]) -> View:
    if tuple(size) == view.shape[2:] and not any(stated):
        return view
    ratio = None
    if any(stated):
        ratio = tuple(old / new if found is None else found for found, old, new in zip(stated, view.shape[2:], size, strict=True))
    return call.builder.resize(name, view, (size[0], size[1]), **fields, ratio=ratio)


def _repeated(view: View, times: Sequence[int]) -> View:
    for place, count in enumerate(times, 2):
        view = view.repeat(place, count, each=True) if count > 1 else view
    return view


def _close(first: float, second: float) -> bool:
    return abs(first - second) <= 1e-9 * second
