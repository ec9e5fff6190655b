"""Block-diagonal tiles: several groups of a convolution in one tile, their reductions one below the other, their outputs side by side.

Merged groups are the groups of a coarser convolution with zeros off the diagonal blocks; see `compiler.merged_groups` for the choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hw.mappings.mapping import Mapping, Stripes


@dataclass(frozen=True)
class BlockDiagonal(Mapping):
    """`count` groups in each tile."""

    count: int

    @property
    def merged(self) -> int:
        return self.count

    @property
    def part(self) -> str:
        return "tile"

    @property
    def group_name(self) -> str:
        return f"tiles of {self.count} groups, block-diagonal"

    def stripes(self, groups: int, columns: int, cols: int) -> Stripes:
        """The stripes of all groups follow each other as those of one matrix, each of `count` groups."""
        del cols
        return Stripes(1, groups * columns, self.count * columns)
