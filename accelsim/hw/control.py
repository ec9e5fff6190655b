"""The control of the chip: how loading, computing and issuing overlap, how far ahead weights load, and the host's time to launch work.

Disputable assumption: a launch is a wait of the array alone; the vector unit works on and activations are loaded meanwhile.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.quantities import BytesOrNone, Cycles, Picoseconds, unit
from accelsim.records import Record

CoreSplit = Literal["cheapest", "stripes", "rows", "networks"]


class OverheadSpec(Record):
    """Time that the host takes to launch work: the array is empty, and what is launched neither loads nor computes before it is over."""

    network: Picoseconds = Field(default=0, ge=0, le=10**13, description="before each inference of a network")
    layer: Picoseconds = Field(default=0, ge=0, le=10**13, description="before each layer of the array, once per inference")
    token: Picoseconds = Field(
        default=0, ge=0, le=10**13, description="before each step of a causal language model, a prefill or a token of the decode"
    )


class PrefetchDepth(Record):
    """How far ahead of the layer that computes weights may be fetched, beside the room in their buffer."""

    layers: Annotated[int | None, unit("layers")] = Field(
        default=None,
        ge=0,
        le=2**16,
        examples=[1],
        description="layers with weights ahead of the one that computes; 0: a layer's load once it begins; null: any",
    )
    bytes: BytesOrNone = Field(
        default=None,
        ge=0,
        le=2**34,
        examples=["32 KiB"],
        description="of weights behind those of the layer that computes; 0: as 0 layers; null: any",
    )


class ControlSpec(Record):
    """Overlap of loading, computing and issuing."""

    overlap: Literal["prefetch", "layer", "none"] = Field(
        default="prefetch",
        description="prefetch: weights load under earlier layers; layer: before their layer computes; none: before their tile does",
    )
    prefetch: PrefetchDepth = Field(default=PrefetchDepth(), description="how far ahead weights load, with overlap: prefetch")
    runs: Literal["chained", "isolated"] = Field(
        default="chained", description="chained: the next run's first tile loads under this run; isolated: after it"
    )
    issue_overhead_cycles: Cycles = Field(default=0, ge=0, le=10**6, description="time to issue a run")
    core_split: CoreSplit = Field(
        default="cheapest",
        description="what each of several cores takes of a product: stripes: some of its N-stripes; rows: some of its rows (heads of an "
        "attention are shared out with either); cheapest: either of them, or one core alone, layer by layer, as the network's estimated "
        "cycles are least; networks: no layer is split, each network of the run has a core of its own, in order, and those that are left "
        "take turns with the first ones",
    )
    core_sync: Literal["awaited", "free"] = Field(
        default="awaited",
        description="parts of a tensor that other cores write: awaited: read once all are in memory; free: imagined to be there at once",
    )
    weight_broadcast: bool = Field(
        default=False,
        description="one read brings weights that several cores need, as those of a product that is split over rows, to all of them, once "
        "each has room; false: every core reads for itself",
    )
    overhead: OverheadSpec = Field(default=OverheadSpec(), description="time of the host to launch a network, a layer or a token")

    @model_validator(mode="after")
    def _prefetches(self) -> ControlSpec:
        if self.overlap != "prefetch" and self.prefetch != PrefetchDepth():
            raise ValueError(f"prefetch: a depth is allowed with overlap = 'prefetch' alone, overlap is {self.overlap!r}")
        return self
