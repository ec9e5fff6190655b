"""PyTorch's own count of the multiply-accumulates of an exported program: of the calls that an output needs and that read an input.

Nothing of the importer's is used: calls run on numbers (or shapes alone) and PyTorch's formulas count them. A Fourier transform has none,
and counts as products with matrices of cosines and sines, which is a choice of the importer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch._decomp import get_decompositions
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_TRANSFORMS = {"aten.fft_fft.default": -1, "aten.fft_fft2.default": (-2, -1), "aten.fft_fftn.default": ()}  # without dimensions stated


class _Counter(torch.fx.Interpreter):
    """Runs a graph call by call and counts those that depend on a placeholder."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.macs = 0
        self._moving: set[torch.fx.Node] = set()

    def run_node(self, n: torch.fx.Node) -> Any:
        shape_alone = str(n.target).startswith(("aten.new_", "aten.zeros_like", "aten.ones_like", "aten.full_like"))
        if n.op == "placeholder" or (not shape_alone and any(source in self._moving for source in n.all_input_nodes)):
            self._moving.add(n)
            self._moving.update(_changed_by(n))
        with FlopCounterMode(display=False) as count:
            result = super().run_node(n)
        self.macs += count.get_total_flops() // 2 if n in self._moving else 0
        if str(n.target) == "aten.bilinear.default":  # which PyTorch's counter does not know: outputs times the products of two rows
            self.macs += result.numel() * math.prod(n.args[0].meta["val"].shape[-1:] + n.args[1].meta["val"].shape[-1:])
        if str(n.target) in _TRANSFORMS:  # cosines and sines of each of two dimensions, as matrices
            given = n.args[2] if len(n.args) > 2 else _TRANSFORMS[str(n.target)]
            self.macs += 2 * result.numel() * sum(result.shape[dim] for dim in ([given] if isinstance(given, int) else given))
        return result


def _changed_by(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """The tensor that an operation in place changes, and those of which it is a view."""
    schema = getattr(node.target, "_schema", None)
    alias = schema is not None and schema.is_mutable
    while alias and node.args and isinstance(node.args[0], torch.fx.Node):
        node = node.args[0]
        yield node
        schema = getattr(node.target, "_schema", None)
        alias = schema is not None and bool(schema.arguments) and schema.arguments[0].alias_info is not None


def _changes_something(node: torch.fx.Node) -> bool:
    """True for an operation in place; a dropout, which PyTorch keeps for its random state, does nothing in inference."""
    schema = getattr(node.target, "_schema", None)
    return node.op in ("placeholder", "output") or (schema is not None and schema.is_mutable)


def counted(program: torch.export.ExportedProgram, given: Any) -> int:
    """Multiply-accumulates of a program on an input; those of constants alone are none of the inference's."""
    recurrences = [torch.ops.aten.lstm.input, torch.ops.aten.gru.input, torch.ops.aten.rnn_tanh.input, torch.ops.aten.rnn_relu.input]
    steps = get_decompositions(recurrences)  # a recurrent layer's first step has a constant state
    recurrent = any(node.target in steps for node in program.graph.nodes)
    module: Any = (program.run_decompositions(steps) if recurrent else program).module()
    module.graph.eliminate_dead_code(_changes_something)
    for node in module.graph.find_nodes(op="call_function", target=torch.ops.aten.view.default):
        node.target = torch.ops.aten.reshape.default  # attention leaves other strides here than where it was exported
    module.recompile()
    counter = _Counter(module)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        counter.run(given)
    return counter.macs
