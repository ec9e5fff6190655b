"""The sets of shadow registers behind the PEs' active ones: which is filled, and what the set that is free waits for.

A set takes the weights of a fold, or a tile of activations that stay; with two, one fills while the other waits for its swap.
"""

from __future__ import annotations

from accelsim.kernels.kernel import inlined_kernel


@inlined_kernel
def set_filled(s, last):
    """Book a full set whose last codeword is popped in cycle `last`, behind the set that already waits for its swap."""
    if s.loaded_tiles == 0:
        s.tpl0 = last
    else:
        s.tpl1 = last
    s.loaded_tiles += 1
    s.l_fresh = 0


@inlined_kernel
def set_swapped(s, reach):
    """Book the swap, in this cycle, of the set that was filled first; `reach` is that of the wave that the swap makes."""
    s.ts_older, s.lag_older = s.ts, s.lag
    s.ts, s.lag = s.cycle, reach
    s.loaded_tiles -= 1
    s.tpl0 = s.tpl1


@inlined_kernel
def set_vacated(s, machine):
    """(swap cycle of what left the set that fills now, -1 if nothing did; reach of its wave)."""
    if machine.shadow_sets > 1 and s.loaded_tiles == 0:
        return s.ts_older, s.lag_older
    return s.ts, s.lag
