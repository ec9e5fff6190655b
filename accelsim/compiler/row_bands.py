"""Row bands of attentions: the fewest in which the scores of a head fit beside what its products read."""

from __future__ import annotations

from collections.abc import Mapping, Set

from accelsim.compiler.allocation import IN_ROW_TILES, aligned, short_of_room
from accelsim.compiler.head_regions import band_ranges
from accelsim.compiler.plan import Attention, Plan, TensorId
from accelsim.compiler.planner import Bands
from accelsim.compiler.row_tiles import band_bytes


def band_rows(attention: Attention) -> int:
    """Most rows of a row band."""
    return band_ranges(attention.scores, attention.bands)[0][1]


def more_bands(plan: Plan, bands: Bands, attention: Attention) -> Bands:
    """Twice as many row bands for an attention, and those that are as large."""
    size = attention.scores.bounds
    return {**bands, **{each.scores.name: 2 * attention.bands for each in plan.attentions if each.scores.bounds == size}}


def fewest_bands(plan: Plan, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId], capacity_bytes: int, may_reload: bool) -> Bands:
    """The fewest row bands, doubled from one on, in which each attention fits.

    Raises
    ------
    ActivationsTooLarge
        The finest bands do not fit.
    """
    found: dict[str, int] = {}
    for attention in plan.attentions:
        scores = attention.scores
        least = 1 if attention.by_head else 2
        counts = [least << double for double in range((scores.head_rows - 1).bit_length() + (scores.shared - 1).bit_length() + 1)]
        for count in counts:
            live = band_needs(plan, attention, in_dram, hosts, band_ranges(scores, count)[0][1], may_reload)
            if sum(live.values()) <= capacity_bytes:
                break
        else:
            raise short_of_room(scores.name, sum(live.values()) - capacity_bytes, capacity_bytes, IN_ROW_TILES, live, -1)
        if count > 1:
            found[scores.name] = count
    return found


def band_needs(
    plan: Plan, attention: Attention, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId], rows: int, reload: bool
) -> dict[TensorId, int]:
    """Bytes that an attention in row bands of so many rows needs at most: what all heads use, keys and values of one, scores at once.

    With `reload`, keys and values are in the buffer only while a product reads them.
    """
    held: dict[TensorId, int] = {}
    most: dict[TensorId, int] = {}
    for op in plan.first_heads(attention):
        slots: dict[TensorId, int] = {}
        others = 0  # parts of other heads or bands
        for key, role in ((op.writes, "result"), *op.reads):
            slot = hosts.get(key, key)
            if plan.is_part(key):
                slots[slot] = aligned(band_bytes(plan, op, key, rows))
                others = (attention.at_once or plan.batch * attention.scores.heads * -(-attention.scores.m // rows)) - 1
            elif key not in in_dram:
                held[slot] = aligned(plan.tensors[key].bytes)
            else:
                (held if role == "weights" and not reload else slots)[key] = aligned(band_bytes(plan, op, key, rows))
        parts = max((size for key, size in slots.items() if plan.is_part(key)), default=0)
        slots[TensorId(attention.functions[-1].name)] = others * parts
        most = max(most, slots, key=lambda each: sum(each.values()))
    return held | most
