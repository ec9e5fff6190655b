"""Everything that affects timing: the part of an accelerator and of a program that the machine sees, and its identity.

The machine runs on this record and on nothing else, so two runs with equal records take equal cycles whatever else differs (a codebook's
circuit, a buffer larger than its contents, a report's bounds): their outcome is computed once. A field that a future machine
reads has to be added here first, and is then part of the identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel

from accelsim.accelerator import Accelerator
from accelsim.hw.dma import DmaSpec, memories_of
from accelsim.hw.flash import FlashSpec
from accelsim.hw.l2 import L2Spec
from accelsim.hw.memory import MemorySpec
from accelsim.program import Program


@dataclass(frozen=True)
class Timing:
    """The machine's parameters and the program it runs.

    Attributes
    ----------
    weight_memory, activation_memory : dram, flash or l2; of activations where the program says that they have a memory
    device : contents of the files that the memory names
    program : without fields that are only reported; of a layer only its name
    """

    clock_hz: int
    dma: DmaSpec
    dram: MemorySpec | None
    flash: FlashSpec | None
    l2: L2Spec | None
    weight_memory: str
    activation_memory: str
    device: Mapping[str, Any]
    program: Program

    @property
    def memories(self) -> dict[str, MemorySpec | FlashSpec]:
        """The memories outside the chip that the program uses, by name."""
        names = memories_of(self.program, self.weight_memory, self.activation_memory)
        specs = {"dram": self.dram, "flash": self.flash}
        return {name: spec for name in names if (spec := specs[name]) is not None}

    @cached_property
    def key(self) -> str:
        """SHA-256 over every field, arrays with type and shape."""
        digest = hashlib.sha256()
        _feed(digest, self)
        return digest.hexdigest()


def timing_of(accelerator: Accelerator, program: Program) -> Timing:
    """Everything that affects timing when `program` runs on `accelerator`."""
    timed = _timed(program)
    dram = accelerator.dram
    device = dram.named_files() if dram is not None else {}
    placement = accelerator.placement
    return Timing(
        accelerator.clock, accelerator.dma, dram, accelerator.flash, accelerator.l2, placement.weights, placement.activations, device, timed
    )


def _timed(program: Program) -> Program:
    """A program without what is only reported."""
    layers = tuple(
        replace(layer, format="", macs=0, bits={}, vector_cycles=0, bounds={}, lowering="", figures={}) for layer in program.layers
    )
    others = tuple(map(_timed, program.others))
    return replace(program, layers=layers, slots=(), choices={}, warnings=(), batch=0, peak_activation_bytes=0, others=others)


def _feed(digest: Any, value: Any) -> None:
    """Add a value to a hash, with lengths and types so that no two values collide."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.descr}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple) and value and isinstance(value[0], Program):
        for core in value:
            _feed(digest, core)
    elif isinstance(value, BaseModel):
        digest.update(value.model_dump_json().encode())
    elif is_dataclass(value):
        digest.update(type(value).__name__.encode())
        for field in fields(value):
            _feed(digest, getattr(value, field.name))
    else:  # numbers, text, and tuples of flat records, whose text says all of them
        digest.update(f"{type(value).__name__} {value!r};".encode())
