"""Products whose activations are wider than the array's multipliers: what a run says about them.

Disputable assumption: a layer's work on the array is booked once, whatever the width of its rows; 16-bit activations on 8-bit multipliers
take two passes of the rows, with a shift and an addition at the foot of the columns.
"""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.trace.trace import Trace

OPERAND_BITS = 8  # of an activation that the array multiplies at once
_NAMED = 3


def width_warnings(traces: Iterable[Trace]) -> tuple[str, ...]:
    """One line that names the layers which multiply wider activations, and the share of the products that is theirs; else nothing."""
    traces = tuple(traces)
    wide = {
        layer.name: layer.macs
        for trace in traces
        for layer in trace.products()
        if trace.shapes[layer.inputs[0]].bits > OPERAND_BITS  # the second of two is rounded as it is loaded
    }
    if not wide:
        return ()
    names = ", ".join(list(wide)[:_NAMED]) + (", ..." if len(wide) > _NAMED else "")
    count = f"{len(wide)} layers multiply" if len(wide) > 1 else "1 layer multiplies"
    share = sum(wide.values()) / sum(trace.macs for trace in traces)
    return (
        f"{count} activations of more than {OPERAND_BITS} bits ({names}; {100 * share:.0f} % of the products): "
        "booked as one pass of the array, while two of 16 bits would take up to twice its cycles; bytes are those of the stated width",
    )
