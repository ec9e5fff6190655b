"""The compiled program: runs of the core, tasks of the vector unit, transfers and activation jobs.

Only data: arrays with the dtypes of the compute kernel, and records that assign each piece to a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Structured = npt.NDArray[np.void]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Transfers:
    """Transfers of the weight-side streams, in the order in which the DMA issues them; each array is int64 (transfers,).

    Attributes
    ----------
    address : byte address in the memory; size : bytes
    need : stream bytes that must be free before this transfer has room (0 or less: it always has)
    gate : tiles that the array must have finished before it is issued
    visible : transfer whose landing makes this one usable
    end : bytes of its run's stream up to its end
    layer : index in `layers` of the program
    broadcast : number of the read, of all cores' programs, that lands on several cores; -1: this core's own
    """

    address: Int64
    size: Int64
    need: Int64
    gate: Int64
    visible: Int64
    end: Int64
    layer: Int64
    broadcast: Int64


@dataclass(frozen=True)
class ActivationJob:
    """A tensor between DRAM and the activation buffer.

    Attributes
    ----------
    write : to DRAM
    address, size : bytes in DRAM
    row_bytes : bytes of one unit of the load task that it fills; rows : units
    pieces, pitch : in DRAM it lies in equal pieces, `pitch` bytes apart (the same lines of each plane of an image)
    load : index in `loaded` of the task that it fills, -1 for none; for a write: the token that its end sets, -1 for none
    after : tasks that must have ended before it is issued; after_jobs : writes that must have landed first (indices of jobs)
    operand : name for the traffic; layer : index in `layers`
    shared : number of the tensor, of all cores' programs, that it reads or writes a part of: a read is issued once every write of it has
        landed; -1 where one core alone has the tensor
    """

    write: bool
    address: int
    size: int
    row_bytes: int
    rows: int
    load: int
    after: tuple[int, ...]
    after_jobs: tuple[int, ...]
    operand: str
    layer: int
    pieces: int = 1
    pitch: int = 0
    shared: int = -1


@dataclass(frozen=True)
class Slot:
    """A slot of the activation buffer, taken by a tensor for its live range.

    Attributes
    ----------
    tensor : name, with the head where heads are stored separately
    offset, size : bytes in the buffer
    load : the load task that brings it, -1 if the program computes it
    writers : tasks that compute it; readers : tasks that read it; stored : the task whose unit 0 says that it was written to DRAM, or -1
    """

    tensor: str
    offset: int
    size: int
    load: int
    writers: tuple[int, ...]
    readers: tuple[int, ...]
    stored: int


@dataclass(frozen=True)
class LayerPlan:
    """Static figures of a layer, known before it runs.

    Attributes
    ----------
    frame : inference that it belongs to; trace : name of the network
    macs : of all images of the batch
    bits : (operand, memory, write) -> bits that it moves, padding and burst rounding included
    vector_cycles : cycles of work on the vector unit; bounds : resource -> least core cycles
    figures : those of products, and those that only some mappings have, by their name in `LayerResult`
    """

    frame: int
    trace: str
    name: str
    op: str
    format: str
    macs: int
    bits: Mapping[tuple[str, str, bool], int]
    vector_cycles: int
    bounds: Mapping[str, int]
    lowering: str
    figures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """One network or several in turn, placed on an accelerator.

    The arrays are those of `accelsim.kernels.compute.advance`; `loads` and `units` are the sizes of its `loaded`, `avail`, `fin`.
    `others` are the programs of the other cores, where a chip has several; their layers are the same, each with what its core has of it.
    """

    machine: Structured
    runs: Structured
    tasks: Structured
    drains: Int64
    row_tasks: Int64
    cb_runs: Int64
    cb_words: Int64
    group_cost: npt.NDArray[np.uint8]
    transfers: Transfers
    jobs: tuple[ActivationJob, ...]
    slots: tuple[Slot, ...]
    loads: int
    units: int
    layers: tuple[LayerPlan, ...]
    choices: Mapping[str, str]
    warnings: tuple[str, ...]
    batch: int
    peak_activation_bytes: int
    others: tuple[Program, ...] = ()

    @property
    def shares_rom(self) -> bool:
        """Whether groups of lookups may wait for the ports of a codebook ROM that all cores share."""
        return bool(self.machine["rom_groups"][0])

    @property
    def cores(self) -> tuple[Program, ...]:
        """The program of each core, this one first."""
        return (self, *self.others)
