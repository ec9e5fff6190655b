"""Names of a program's outputs: those under which the model returns them, in a dictionary, a record or a named tuple."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

import torch


def output_names(program: torch.export.ExportedProgram) -> list[str]:
    """A name per output of the graph, 'logits' or 'states.0'; empty for one that the model returns without a name."""
    outputs = next(node for node in program.graph.nodes if node.op == "output").args[0]
    names = list(_names(program.call_spec.out_spec, ()))
    return names if len(names) == len(outputs) else [""] * len(outputs)


def _names(spec: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    if spec.is_leaf():
        yield ".".join(map(str, path)) if any(isinstance(part, str) for part in path) else ""
        return
    children = spec.children()
    keys = getattr(spec.context, "_fields", spec.context)
    named = isinstance(keys, list | tuple) and len(keys) == len(children) and all(isinstance(key, str) for key in keys)
    for place, child in enumerate(children):
        yield from _names(child, (*path, keys[place] if named else place))


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, or name_1, name_2, ... if it is taken."""
    free, number = name, 0
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
