"""Networks on cores of their own (`control.core_split: networks`): the first on core 0, the next on core 1, and round again.

A core runs its networks as a chip of one core would; the memories, the L2's port and a shared ROM serve all of them. Disputable assumption:
the choices for a network are those of a chip of its own, which nothing else uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelsim.compiler.allocation import Allocation
from accelsim.compiler.inference import PlacedNetwork
from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.trace.trace import Trace


def on_own_core(target: Target, network: PlacedNetwork, number: int) -> tuple[PlacedNetwork, ...]:
    """Network `number` of a run on each core: all of it on one, its layers without operations on the others."""
    if target.cores == 1:
        return (network,)
    own = number % target.cores
    nothing = replace(network, plan=replace(network.plan, ops=(), tensors={}, in_dram=(), attentions=()), allocation=Allocation((), 0, ()))
    notes = {layer.name: f"on core {own}" for layer in network.layers}
    whole = replace(network, parts=notes, split=f"all layers on core {own}")
    return tuple(whole if core == own else nothing for core in range(target.cores))


def check_cores(target: Target, traces: Sequence[Trace]) -> None:
    """Refuse networks that give the array of their core nothing to do; CompileError names the first."""
    if target.cores == 1 or target.splits_layers:
        return
    for core in range(min(target.cores, len(traces))):
        own = traces[core :: target.cores]
        if not any(trace.products() for trace in own):
            raise CompileError(
                f"no layer of {', '.join(repr(trace.name) for trace in own)} multiplies by weights or by activations, and core {core} runs "
                "nothing else; allowed with control.core_split = 'networks': at least one product on each core that has a network"
            )


def idle_cores(target: Target, traces: Sequence[Trace]) -> tuple[str, ...]:
    """A line on cores that have no network."""
    idle = 0 if target.splits_layers else target.cores - len(traces)
    if idle <= 0:
        return ()
    return (f"control.core_split = 'networks': {idle} of {target.cores} cores have no network (`--then` names more)",)
