"""Local response normalization, which PyTorch exports as the nine calls that compute it: found in the graph and replaced by one call.

x / (k + alpha * mean of the squares of neighbouring channels) ** beta, the mean by a pool over (channels, height, width) of one plane.
"""

from __future__ import annotations

import torch

_ATEN = torch.ops.aten
# From the divisor back to the square: the calls that may stand there.
_CHAIN: tuple[tuple[torch._ops.OpOverload, ...], ...] = (
    (_ATEN.pow.Tensor_Scalar,),
    (_ATEN.add.Tensor, _ATEN.add.Scalar),
    (_ATEN.mul.Tensor, _ATEN.mul.Scalar),
    (_ATEN.view.default, _ATEN.reshape.default, _ATEN._unsafe_view.default),
    (_ATEN.squeeze.dim, _ATEN.squeeze.dims),
    (_ATEN.avg_pool3d.default,),
    (_ATEN.pad.default, _ATEN.constant_pad_nd.default),
    (_ATEN.view.default, _ATEN.reshape.default, _ATEN._unsafe_view.default),
    (_ATEN.mul.Tensor,),
)


def local_response_norm(x: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
    """The call that takes their place; an operator of its own, so that PyTorch does not spell it out again."""
    return torch.nn.functional.local_response_norm(x, size, alpha, beta, k)


torch.library.custom_op("accelsim::local_response_norm", local_response_norm, mutates_args=()).register_fake(
    lambda x, size, alpha, beta, k: torch.empty_like(x)
)
_ONE_CALL = torch.ops.accelsim.local_response_norm.default


def with_response_norms(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program, whose graph then has one call for each normalization."""
    graph = program.graph
    for node in list(graph.nodes):
        found = _arguments(node)
        if found is not None:
            with graph.inserting_before(node):
                made = graph.call_function(_ONE_CALL, found)
            made.meta = dict(node.meta)
            node.replace_all_uses_with(made)
    return program


def _arguments(node: torch.fx.Node) -> tuple[torch.fx.Node, int, float, float, float] | None:
    """(x, size, alpha, beta, k) of a division that ends a normalization."""
    if node.target is not _ATEN.div.Tensor or not all(isinstance(item, torch.fx.Node) for item in node.args[:2]):
        return None
    x, here = node.args[0], node.args[1]
    assert isinstance(x, torch.fx.Node)
    chain: list[torch.fx.Node] = []
    for targets in _CHAIN:
        if not isinstance(here, torch.fx.Node) or here.target not in targets:
            return None
        chain.append(here)
        here = here.args[0]
    power, term, factor, back, _, pool, pad, _, square = chain
    size, *rest = pool.args[1] if isinstance(pool.args[1], (list, tuple)) else (0,)
    numbers = (factor.args[1], power.args[1], term.args[1])
    if not isinstance(size, int) or rest != [1, 1] or any(not isinstance(item, (int, float)) for item in numbers):
        return None
    of_x = square.args[0] is x and square.args[1] is x and back.meta["val"].shape == x.meta["val"].shape
    padded = pad.args[1:] == ([0, 0, 0, 0, size // 2, (size - 1) // 2],) or pad.args[1:] == ([0, 0, 0, 0, size // 2, (size - 1) // 2], 0.0)
    if not (of_x and padded and pool.args[2:] == ([1, 1, 1],) and not (pad.kwargs or pool.kwargs)):
        return None
    alpha, beta, k = (float(item) for item in numbers if isinstance(item, (int, float)))
    return x, size, alpha, beta, k
