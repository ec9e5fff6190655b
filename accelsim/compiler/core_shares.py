"""The share of each of several cores in every operation of a plan.

A product of weights is split over its N-stripes or its rows; the heads of an attention, with their softmax, are shared out; operations of
the vector unit are split over rows. Any other operation runs on one core. `core_split: cheapest` ranks these splits, and one core that does
a layer, or all heads of an attention, alone, by the estimate of `core_split_cost`.
Disputable assumption: the search starts from three plans (all layers alone, over rows, over stripes) and changes one layer at a time as
long as the estimate falls, so it may end beside the least one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import NamedTuple

from accelsim.compiler.core_split_cost import SplitCost
from accelsim.compiler.core_splits import How, Share, Split, even_parts, operand_region, region_bytes
from accelsim.compiler.plan import Op, Plan, Region, Tensor, TensorId
from accelsim.compiler.row_tiles import can_be_split, lines_of, planes_of
from accelsim.compiler.target import Target

_STARTS: tuple[How, ...] = ("one core", "rows", "stripes")  # of equally cheap plans the first is taken
_MOST_SWEEPS = 16  # over all layers; each lowers the estimate


class _Unit(NamedTuple):
    """Operations that are shared alike, the ways to share them, and what each takes.

    Attributes
    ----------
    indices : numbers of the operations
    options : of each way the splits of the operations; cycles : estimated, of each
    beside : tensors that they read or write and others do too, or the host; the rest never leaves its core
    """

    indices: Sequence[int]
    options: Sequence[Sequence[Split]]
    cycles: Sequence[Fraction]
    beside: Sequence[Tensor]

    def share(self, splits: list[Split], option: int) -> None:
        """Share the operations in one way."""
        for index, split in zip(self.indices, self.options[option], strict=True):
            splits[index] = split

    def first(self, how: How) -> int:
        """The option that shares them in that way, else the first one."""
        return next((number for number, option in enumerate(self.options) if option[0].how == how), 0)


class CoreShares:
    """The splits of all operations of a plan.

    Parameters
    ----------
    leaving : tensors that pass through the memory however they are shared
    alone : whether one core may do a layer alone that could be shared, if `control.core_split` is `cheapest`
    """

    def __init__(self, target: Target, plan: Plan, leaving: Iterable[TensorId] = (), alone: bool = True) -> None:
        self._target, self._plan, self._alone = target, plan, alone
        self._cost = SplitCost(target.ranking, plan, leaving)
        self._heads = Counter(name for name, _ in {(op.layer.name, op.head) for op in plan.ops if op.head >= 0})

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """Of each operation; a core that has no product has nothing at all, as the array's time line is a core's clock."""
        return self._shared(self._target.cores)

    def _shared(self, cores: int) -> tuple[Split, ...]:
        """The splits over so many cores, or over fewer if not all have a product, in the order of the program."""
        ways = [self._ways(op, cores) for op in self._plan.ops]
        found = self._candidates(ways)
        used = [self._used(splits) for splits in found]
        whole = [splits for splits, count in zip(found, used, strict=True) if count == cores]
        if min(used) < cores:
            whole.append(self._shared(max(count for count in used if count < cores)))
        return whole[0] if len(whole) == 1 else min(whole, key=lambda splits: self._estimate(self._cost, splits))

    def _used(self, splits: Sequence[Split]) -> int:
        """Cores up to the last one that has a product; one at least."""
        products = (split for op, split in zip(self._plan.ops, splits, strict=True) if op.on_array)
        return 1 + max((share.core for split in products for share in split.shares), default=0)

    @cached_property
    def estimate(self) -> Fraction:
        """Estimated cycles of the plan, so shared."""
        return self._estimate(self._cost, self.splits)

    def estimate_alone(self, leaving: Iterable[TensorId]) -> Fraction:
        """Estimated cycles of the plan on one core, which moves some tensors to the memory between their uses."""
        return self._estimate(SplitCost(self._target.ranking, self._plan, leaving), [self._one_core(op) for op in self._plan.ops])

    def _estimate(self, cost: SplitCost, splits: Sequence[Split]) -> Fraction:
        own = (cost.of_operations([(self._plan.ops[index], splits[index]) for index in unit]) for unit in self._together)
        return sum(own, Fraction(0)) + sum(cost.of_tensor(tensor, splits) for tensor in self._plan.tensors.values())

    @property
    def on_one_core(self) -> bool:
        """Whether the first core does everything."""
        return all(split.is_whole and split.shares[0].core == 0 for split in self.splits)

    def parts(self) -> Mapping[str, str]:
        """Layer -> how the cores share it."""
        return {op.layer.name: split.note for op, split in zip(self._plan.ops, self.splits, strict=True)}

    def counts(self) -> Mapping[How, int]:
        """How -> layers that are shared in that way."""
        return Counter({op.layer.name: split.how for op, split in zip(self._plan.ops, self.splits, strict=True)}.values())

    def _candidates(self, ways: Sequence[Sequence[Split]]) -> list[tuple[Split, ...]]:
        """The splits that the chip names; or those that the search starts from, and where it ends."""
        wanted = self._target.control.core_split
        if wanted != "cheapest":
            return [tuple(self._named(op, wanted, found) for op, found in zip(self._plan.ops, ways, strict=True))]
        units, found = self._units(ways), []
        for start in _STARTS if self._alone else _STARTS[1:]:
            chosen = [unit.first(start) for unit in units]
            found += [self._chosen(units, chosen), self._improved(units, chosen)]
        return found

    def _named(self, op: Op, wanted: str, found: Sequence[Split]) -> Split:
        """The split that the chip names, or the only one; where its shares exceed the activation buffer, that of fewer estimated cycles."""
        named = next((split for split in found if split.how == wanted), found[0])
        if len(found) == 1 or self._fits(op, named):
            return named
        return min(found, key=lambda split: self._cost.of_bounds(op, split, sum(self._moved(op, split))))

    def _ways(self, op: Op, cores: int) -> list[Split]:
        """The ways to share an operation; the last one is a single core, where that is asked for or nothing else is possible."""
        if cores == 1:
            return [self._one_core(op)]
        if op.head >= 0:
            found = [self._head(op, cores)]
        else:
            splits = (self._by_stripes(op, cores) if op.on_array else None, self._by_rows(op, cores))
            found = [split for split in splits if split is not None]
            if self._target.ranks_shares:
                found = [split for split in found if self._fits(op, split)] or found
        return [*found, self._one_core(op)] if (self._target.ranks_shares and self._alone) or not found else found

    def _chosen(self, units: Sequence[_Unit], chosen: Sequence[int]) -> tuple[Split, ...]:
        """The splits of all operations, given the option of each unit."""
        splits = [self._one_core(op) for op in self._plan.ops]
        for unit, option in zip(units, chosen, strict=True):
            unit.share(splits, option)
        return tuple(splits)

    def _improved(self, units: Sequence[_Unit], chosen: list[int]) -> tuple[Split, ...]:
        """The splits where one unit after the other changed to its option of least estimate, until none changes."""
        splits = list(self._chosen(units, chosen))
        for _ in range(_MOST_SWEEPS):
            before = list(chosen)
            for number, unit in enumerate(units):
                costs = [self._unit_cost(unit, option, splits) for option in range(len(unit.options))]
                ranked = ((cost, option != chosen[number], option) for option, cost in enumerate(costs))  # it changes only if that gains
                chosen[number] = min(ranked)[-1]
                unit.share(splits, chosen[number])
            if chosen == before:
                break
        return tuple(splits)

    def _unit_cost(self, unit: _Unit, option: int, splits: list[Split]) -> Fraction:
        """Estimated cycles of a unit and of the tensors beside it, if it is shared so; `splits` are left shared so."""
        if len(unit.options) == 1:
            return Fraction(0)
        unit.share(splits, option)
        return unit.cycles[option] + sum(self._cost.of_tensor(tensor, splits) for tensor in unit.beside)

    def _units(self, ways: Sequence[Sequence[Split]]) -> list[_Unit]:
        """The layers, and the attentions with all their heads, given the ways to share each operation."""
        ops, found = self._plan.ops, []
        unit_of = {index: number for number, indices in enumerate(self._together) for index in indices}
        beside: list[list[Tensor]] = [[] for _ in self._together]
        for tensor in self._plan.tensors.values():
            numbers = {unit_of[index] for index in (*tensor.producers, *tensor.readers)}
            if len(numbers) > 1 or tensor.is_input or tensor.is_output or tensor.cache is not None:
                for number in numbers:
                    beside[number].append(tensor)
        for indices, tensors in zip(self._together, beside, strict=True):
            options = _options([ways[index] for index in indices])
            cycles = [
                self._cost.of_operations([(ops[index], split) for index, split in zip(indices, option, strict=True)]) for option in options
            ]
            found.append(_Unit(indices, options, cycles, tensors))
        return found

    @cached_property
    def _together(self) -> list[list[int]]:
        """Numbers of the operations of each layer, or attention."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for op in self._plan.ops:
            attention = self._plan.attention_of.get(op.layer.name) if op.head >= 0 else None
            found[op.layer.name if attention is None else attention.scores.name].append(op.index)
        return list(found.values())

    def _one_core(self, op: Op) -> Split:
        return Split("one core", (Share(0, self._whole(op), self._plan.tensors[op.writes].rows),), f"on one core of {self._target.cores}")

    def _whole(self, op: Op) -> Region:
        return self._plan.tensors[op.writes].region

    def _head(self, op: Op, cores: int) -> Split:
        """Neighbouring heads on each core, the same of all images."""
        heads = self._heads[op.layer.name] // self._plan.batch
        parts = even_parts(heads, cores)
        core = next(number for number, (first, count) in enumerate(parts) if op.head % heads < first + count)
        note = f"heads over {len(parts)} cores ({', '.join(str(count) for _, count in parts)})"
        return Split("heads", (Share(core, self._whole(op), self._plan.tensors[op.writes].rows),), note)

    def _by_rows(self, op: Op, cores: int) -> Split | None:
        """Whole lines of an image, or rows; None where the operation has no two of them, or not apart."""
        plan, result = self._plan, self._plan.tensors[op.writes]
        lines = lines_of(plan, op)
        planar = any(planes_of(op, key) for key, _ in op.reads)
        if not can_be_split(op) or op.layer.leading_rows or lines < 2 or cores < 2 or (planar and plan.batch > 1):
            return None
        line = result.rows // lines
        parts = [(first * line, count * line) for first, count in even_parts(lines, cores)]
        note = f"rows over {len(parts)} cores ({', '.join(str(rows) for _, rows in parts)})"
        regions = [Region(first, rows, 0, result.width) for first, rows in parts]
        return Split("rows", tuple(Share(core, region, parts[0][1]) for core, region in enumerate(regions)), note)

    def _by_stripes(self, op: Op, cores: int) -> Split | None:
        """Whole N-stripes, or folds of them; of a cache whole heads."""
        layer, result = op.layer.weighted, self._plan.tensors[op.writes]
        if layer is None or layer.tile_groups > 1 or layer.bounds.G > 1:
            return None
        split = self._cost.facts(op).split
        stripe = split.stripe_columns * split.file
        unit = stripe if result.cache is None else lcm(stripe, result.cache.head_width)
        units = -(-op.n // unit)
        if units < 2 or unit * result.bits % 8:
            return None
        parts = [(first * unit, min(count * unit, op.n - first * unit)) for first, count in even_parts(units, cores)]
        stripes = ", ".join(str(-(-columns // split.stripe_columns)) for _, columns in parts)
        regions = [Region(0, result.rows, first, columns) for first, columns in parts]
        note = f"stripes over {len(parts)} cores ({stripes})"
        return Split("stripes", tuple(Share(core, region, result.rows) for core, region in enumerate(regions)), note)

    def _moved(self, op: Op, split: Split) -> list[int]:
        """Bytes of activations that each core reads and writes."""
        keys = dict.fromkeys(key for key, _ in op.reads)
        return [
            sum(region_bytes(self._plan, op, key, operand_region(self._plan, op, key, share.result, split)) for key in keys)
            + region_bytes(self._plan, op, op.writes, share.result)
            for share in split.shares
        ]

    def _fits(self, op: Op, split: Split) -> bool:
        return max(self._moved(op, split)) <= self._target.activation_buffer.capacity


def _options(ways: Sequence[Sequence[Split]]) -> list[Sequence[Split]]:
    """The ways to share operations together: those that all of them have, in the same order; the last one is the last of each."""
    count = min(map(len, ways))
    return [[way[number] if number < count - 1 else way[-1] for way in ways] for number in range(count)]
