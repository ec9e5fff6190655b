"""A GEMM on a systolic array, fold by fold: cycles and utilization of any dataflow in either convention.

Operands are always there (no memory stalls) and no loop but M, N and K is cut: a caller whose accumulators hold fewer rows calls
this for each chunk of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from accelsim.dataflows.catalog import find_dataflow
from accelsim.dataflows.dataflow import Convention, Dataflow, Fold, FoldTiming, Loop, SystolicArray
from accelsim.dataflows.scale_sim import SerialFolds
from accelsim.errors import CompileError

MAX_BOUND = 1 << 24  # of M, N and K, as of a layer's loops
MAX_FOLDS = 1 << 22  # some seconds


@dataclass(frozen=True)
class FoldResult:
    """Cycles and utilization of a GEMM.

    Attributes
    ----------
    dataflow, convention : how it ran
    folds : tiles that were laid on the array
    total_cycles : cycles of the GEMM (in the convention `scale_sim`: the number of the last one, counted from 0)
    macs : multiply-accumulates, each once
    pes : PEs of the array
    mapped_pes : PEs that folds used, summed over the folds
    rows_read : rows of the passing operand (weight columns if inputs are stationary) that were read from their buffer; each is as long as
        the array side that it enters. An output stationary array reads as many of both operands
    """

    dataflow: str
    convention: Convention
    folds: int
    total_cycles: int
    macs: int
    pes: int
    mapped_pes: int
    rows_read: int

    @property
    def overall_util(self) -> Fraction:
        """MACs over the PEs' capacity in `total_cycles`; 0 if the convention counts no cycle (one step on one PE)."""
        return Fraction(self.macs, self.total_cycles * self.pes) if self.total_cycles else Fraction(0)

    @property
    def mapping_eff(self) -> Fraction:
        """Used PEs over all PEs, averaged over the folds."""
        return Fraction(self.mapped_pes, self.folds * self.pes)

    @property
    def overall_util_pct(self) -> float:
        """`overall_util` in percent, to 4 decimals."""
        return float(round(100 * self.overall_util, 4))

    @property
    def mapping_eff_pct(self) -> float:
        """`mapping_eff` in percent, to 4 decimals."""
        return float(round(100 * self.mapping_eff, 4))


def gemm_cycles(dataflow: str, array: SystolicArray, m: int, k: int, n: int, convention: Convention = "physical") -> FoldResult:
    """Run the folds of Y[m,n] = A[m,k] x Wt[k,n].

    Parameters
    ----------
    dataflow : kind of a registered dataflow
    array : the array; the convention `scale_sim` knows only its rows and columns
    m, k, n : sizes of the GEMM
    convention : "physical" (folds overlap, sums are read out) or "scale_sim"

    Raises
    ------
    CompileError
        An unknown dataflow or convention, a size out of range, or more folds than can be looped over.
    """
    flow = find_dataflow(dataflow)
    timing = _timing(flow, convention)
    sizes = check_sizes(flow, array, m, k, n)
    remaining = _folds(flow, array, sizes)
    fold = next(remaining)
    start, folds, mapped, read = timing.first_start(array, fold), fold.tiles, fold.rows * fold.cols, fold.steps
    for following in remaining:
        start = timing.next_start(array, start, fold, following)
        fold = following
        folds += fold.tiles
        mapped += fold.rows * fold.cols
        read += fold.steps
    total = timing.total(array, start, fold)
    return FoldResult(flow.kind, convention, folds, total, m * k * n, array.rows * array.cols, mapped, read)


def check_sizes(flow: Dataflow, array: SystolicArray, m: int, k: int, n: int) -> dict[Loop, int]:
    """The GEMM's sizes by loop; CompileError if one is out of range or they make too many folds."""
    sizes: dict[Loop, int] = {"M": m, "K": k, "N": n}
    for name, size in sizes.items():
        if not 1 <= size <= MAX_BOUND:
            raise CompileError(f"GEMM: {name} = {size}; allowed: 1..{MAX_BOUND}")
    folds = -(-sizes[flow.spatial.rows] // array.rows) * -(-sizes[flow.spatial.cols] // array.cols)
    if folds > MAX_FOLDS:
        raise CompileError(f"GEMM {m} x {k} x {n} (M x K x N) takes {folds} folds on {array.rows} x {array.cols} PEs; allowed: {MAX_FOLDS}")
    return sizes


def _timing(flow: Dataflow, convention: Convention) -> FoldTiming:
    if convention == "physical":
        return flow.physical
    if convention == "scale_sim":
        return SerialFolds(flow)
    raise CompileError(f"unknown convention {convention!r}; known: physical, scale_sim")


def _folds(flow: Dataflow, array: SystolicArray, sizes: dict[Loop, int]) -> Iterator[Fold]:
    """Folds in the dataflow's order, the last of each loop trimmed."""
    steps, held = sizes[flow.spatial.time], flow.tiles_a_fold(array)
    inner_rows = flow.outer == flow.spatial.cols
    across, within = (flow.spatial.cols, flow.spatial.rows) if inner_rows else (flow.spatial.rows, flow.spatial.cols)
    outer_side, inner_side = (array.cols, array.rows) if inner_rows else (array.rows, array.cols)
    inner = _cuts(sizes[within], inner_side)
    for outer in _cuts(sizes[across], outer_side * held):
        tiles = -(-outer // outer_side)
        for used in inner:
            yield Fold(used, outer, steps, tiles) if inner_rows else Fold(outer, used, steps, tiles)


def _cuts(size: int, side: int) -> list[int]:
    """A loop cut into pieces of `side`, the last one trimmed."""
    return [min(side, size - first) for first in range(0, size, side)]
