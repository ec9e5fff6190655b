"""Operations without a row of their own that PyTorch can spell out in others: recurrent layers step by step, einsum as products."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Collection
from typing import Any

import torch
from torch._decomp import get_decompositions
from torch.export.graph_signature import InputKind

from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.node import IGNORED


def decomposed(program: torch.export.ExportedProgram, known: Collection[str]) -> torch.export.ExportedProgram:
    """The program with every operation of an activation spelled out that is not `known`, where PyTorch has a decomposition of it.

    A program that needs none is returned as it is. A recurrent layer becomes its steps, one after the other.
    """
    unknown = {
        node.target
        for node in _of_activations(program)
        if isinstance(node.target, torch._ops.OpOverload)
        and str(node.target) not in known
        and str(node.target) not in IGNORED
        and _is_floating(node.meta.get("val"))
    }
    if not unknown:
        return program
    standard = torch.export.default_decompositions()
    table: dict[Any, Any] = {target: standard[target] for target in unknown if target in standard}
    table.update(get_decompositions([target for target in unknown if target not in table]))
    return spelled_out(program, table) if table else program


def spelled_out(program: torch.export.ExportedProgram, table: dict[Any, Any]) -> torch.export.ExportedProgram:
    """The program with the decompositions of a table, and none of its calls in place.

    Raises
    ------
    ImportModelError
        PyTorch trips over the program: it was stored, and is damaged, or PyTorch cannot follow it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PyTorch's exporter calls what PyTorch deprecates
            spelled: torch.export.ExportedProgram = program.run_decompositions(table)
            return spelled
    except MemoryError:
        raise
    except Exception as error:  # PyTorch checks little
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ImportModelError(f"PyTorch cannot spell out the program's operations: {reason}") from error


def _is_floating(value: Any) -> bool:
    """True for a result of real numbers, or the results of an operation that has several."""
    return not isinstance(value, torch.Tensor) or value.is_floating_point()


def _of_activations(program: torch.export.ExportedProgram) -> list[torch.fx.Node]:
    """Calls whose operands depend on an input of the user."""
    inputs = program.graph_signature.input_specs
    users = {getattr(spec.arg, "name", None) for spec in inputs if spec.kind is InputKind.USER_INPUT}
    moving = {node for node in program.graph.nodes if node.op == "placeholder" and node.name in users}
    calls = []
    for node in program.graph.nodes:
        if node.op == "call_function" and any(source in moving for source in node.all_input_nodes):
            moving.add(node)
            if node.target is not operator.getitem:
                calls.append(node)
    return calls
