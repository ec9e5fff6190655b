"""A remark where cores that share a network cost more time of a memory than they save of the units of a core.

Disputable assumption: time is that of the bounds, each summed over the run; latency and the order of the layers are left out, so a run may
be slower than on one core without a remark, or a little faster with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from accelsim.accelerator import Accelerator
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.program import Program
from accelsim.result import SHARED_LEVEL
from accelsim.trace.trace import Trace

_SHARED = {"dram": "the DRAM", "flash": "the flash", SHARED_LEVEL: "the port of the L2"}


def with_sharing_remarks(
    accelerator: Accelerator, traces: Sequence[Trace], program: Program, *, frames: int, batch: int, seed: int, caches: Caches | None = None
) -> Program:
    """The program, with a warning if the cycles of a memory that its cores need beyond one core exceed those that their units save.

    Of shares that were ranked (`core_split: cheapest`) none is made: one core was among them.
    """
    if accelerator.cores == 1 or accelerator.control.core_split not in ("stripes", "rows"):
        return program
    try:
        one = compile_trace(accelerator.with_fields(cores=1), *traces, frames=frames, batch=batch, seed=seed, caches=caches)
    except CompileError:
        return program  # a network that one core does not hold has nothing to be compared with
    cores, alone = [_bounds(core) for core in program.cores], _bounds(one)
    more, memory = max((sum(core[name] for core in cores) - alone[name], name) for name in _SHARED)
    saved = _busiest_unit(alone) - max(map(_busiest_unit, cores))
    if more <= saved:
        return program
    text = (
        f"sharing each layer may cost more time than it saves: {accelerator.cores} cores need {_SHARED[memory]} for {more:,} cycles more "
        f"than one, as they read weights again and pass activations on; their units save {max(0, saved):,} (by bounds); compare with "
        "control.core_split = cheapest, control.weight_broadcast = true, or activations in an L2"
    )
    return replace(program, warnings=(*program.warnings, text))


def _bounds(program: Program) -> Counter[str]:
    """Resource -> least cycles, over all layers."""
    found: Counter[str] = Counter()
    for layer in program.layers:
        found.update(layer.bounds)
    return found


def _busiest_unit(bounds: Counter[str]) -> int:
    """Least cycles of the busiest unit of a core."""
    return max((count for name, count in bounds.items() if name not in _SHARED and name != "rom"), default=0)
