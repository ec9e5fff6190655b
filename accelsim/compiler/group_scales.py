"""Scales of groups of weights on a chip: where they are applied, which K-tiles that takes, and formats that the chip cannot serve.

A scale is applied to each decoded weight, or to the sum of a group as it leaves its column: at the foot, or at taps along the column.
Disputable assumption: a group whose length the taps do not fit is served at the foot, one group per K-tile.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.formats.weight_format import WeightFormat
from accelsim.hw.decode_mac_core import CoreGeometry


def with_scales(target: Target, geometry: CoreGeometry, weight_format: WeightFormat, name: str) -> CoreGeometry:
    """The core as the runs of a format with scales per group see it; of other formats, `geometry` itself.

    Parameters
    ----------
    name : of the layer and format, for messages

    Raises
    ------
    CompileError
        The chip's `array.scale_at` cannot serve the format: names the reason and what is allowed.
    """
    path, array = weight_format.decode_path(), target.array
    levels = path.scale_levels
    if not levels:
        return geometry
    group = levels[0][0]
    if array.scale_at == "channel":
        raise CompileError(
            f"{name}: its scales are per group of {group} weights along the reduction, but array.scale_at = 'channel' of {target.name!r} "
            "scales whole outputs; allowed: array.scale_at = 'group' or 'weight', or a format with scales per channel"
        )
    if array.scale_at == "weight":
        group = _group_behind_decoder(target, weight_format, name)
    block = tile_block(geometry.rows, group, array.scale_taps or 1)
    if geometry.axis == 1 and min(block, geometry.rows) % geometry.codeword_length:
        raise CompileError(
            f"{name}: K-tiles that end with groups of {group} weights cut its codewords of d = {geometry.codeword_length}; "
            f"allowed: array.scale_taps = {max(1, geometry.rows // group)} on {target.name!r}, or groups of whole codewords"
        )
    return replace(geometry, block=block, scales=levels)


def tile_block(rows: int, group: int, taps: int) -> int:
    """Rows of the reduction after which K-tiles restart, on an array of `rows` whose columns have `taps` evenly spaced multipliers."""
    if group >= rows:
        return rows if group % rows == 0 else group
    return rows // group * group if taps > 1 and group % (rows // taps) == 0 else group


def _group_behind_decoder(target: Target, weight_format: WeightFormat, name: str) -> int:
    """Weights per scale that the decoder leaves to the sums, as it multiplies by integer scales alone."""
    bits = weight_format.scaled_bits
    if bits is None:
        raise CompileError(
            f"{name}: its scales are not integers, so array.scale_at = 'weight' of {target.name!r} needs PEs for floats; "
            "allowed: array.scale_at = 'group'"
        )
    if bits > target.array.weight_bits:
        raise CompileError(
            f"{name}: a weight times its scale has {bits} bits, but array.weight_bits = {target.array.weight_bits} of {target.name!r}; "
            f"allowed: array.weight_bits = {bits} or more, or array.scale_at = 'group'"
        )
    return weight_format.decode_path().scale_levels[-1][0]
