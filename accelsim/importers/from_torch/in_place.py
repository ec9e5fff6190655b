"""Calls that change their operand, replaced by those that return the result: every later reader of the operand reads that.

A tensor that a later call reads under another view cannot be followed by names; PyTorch spells out such a program itself.
"""

from __future__ import annotations

import torch

from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.decompose import spelled_out


def without_changes(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program, whose graph then has no calls in place; one that PyTorch must spell out is a new one.

    Raises
    ------
    ImportModelError
        A call in place that has no counterpart without a change.
    """
    graphs = [module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    if any(_is_seen_elsewhere(node) for graph in graphs for node in graph.nodes if _changes(node)):
        return spelled_out(program, {})
    for graph in graphs:
        for node in graph.nodes:
            if _changes(node):
                _replace(node)
    return program


def _changes(node: torch.fx.Node) -> bool:
    """True for a call in place: of 'relu_', not of '__and__'."""
    name = getattr(node.target, "_opname", "")
    return node.op == "call_function" and name.endswith("_") and not name.endswith("__")


def _replace(node: torch.fx.Node) -> None:
    """Let a call return the result, and later calls read it."""
    target, source = node.target, node.args[0]
    assert isinstance(target, torch._ops.OpOverload)
    assert isinstance(source, torch.fx.Node)
    packet = getattr(torch.ops.aten, target._opname[:-1], None)
    if packet is None or target._overloadname not in packet.overloads():
        raise ImportModelError(f"{node.name}: {target} changes {source.name!r} in place, which is not supported")
    node.target = getattr(packet, target._overloadname)
    source.replace_all_uses_with(node, delete_user_cb=lambda user: user > node)


def _is_seen_elsewhere(node: torch.fx.Node) -> bool:
    """True if a later call reads the tensor that a call changes under another view."""
    names = {node}
    while _changes(node) and isinstance(node.args[0], torch.fx.Node):
        node = node.args[0]
        names.add(node)
    change = max(names)
    others = {other for other in _views_of(change) if other not in names and not (_changes(other) and other.args[0] in names)}
    return any(reader > change for other in others for reader in other.users if reader not in others)


def _views_of(node: torch.fx.Node) -> set[torch.fx.Node]:
    """All nodes that may share the memory of a call's first operand."""
    while _shares(node):
        node = node.all_input_nodes[0]
    found, waiting = set(), [node]
    while waiting:
        here = waiting.pop()
        found.add(here)
        waiting.extend(user for user in here.users if user not in found and _shares(user) and user.all_input_nodes[0] is here)
    return found


def _shares(node: torch.fx.Node) -> bool:
    """True if a result may be a view of the first operand."""
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or not node.all_input_nodes or schema is None:
        return False
    return "dropout" in str(node.target) or any(result.alias_info is not None for result in schema.returns)
