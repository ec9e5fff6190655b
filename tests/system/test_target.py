"""A program's key holds all that the compiler reads of an accelerator, and no program is served for another key's accelerator."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_for, compile_trace
from accelsim.compiler.target import Target, target_of
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError
from accelsim.formats.catalog import parse_format
from accelsim.presets import find_trace
from accelsim.program import Program
from accelsim.records import field_paths
from accelsim.result import Result
from accelsim.simulation import Shared, simulate
from accelsim.trace.trace import Trace, load_trace
from tests.contract.test_weight_traffic import machine, product
from tests.packed_products import packed_product
from tests.system.reads_oracle import EVERYTHING, leaf_paths, watched
from tests.tiny_convnets import every_layer
from tests.tiny_machines import gemm_chain, tiny_accelerator, tiny_encoder

ENCODER = tiny_encoder(5, 8, 2, 12, "ssvq:16,2")
MASKED = gemm_chain(5, [8, 16], ["masked:16,4,1,2"], [""])
ROOM = {"capacity": 4096, "word_bits": 32}
FLASH = {"bandwidth": "100 MB/s", "clock": "100 MHz", "command_cycles": 8, "dummy_cycles": 8, "capacity": "1 MiB"}
SHARED = {"capacity": "64 KiB", "width_bits": 32}
SPARSE = {
    "array": {"rows": 4, "cols": 16, "max_m": 8, "sparse_tile": {"d": 4, "q": 2}},
    "codebook": {"ports": 2, "codeword_length": 4, "codewords": 64, "mask": {"keep": 1, "of": 2}},
}


@dataclass(frozen=True)
class Case:
    """Something to compile."""

    accelerator: Accelerator
    traces: tuple[Trace, ...]
    frames: int = 1
    batch: int = 1


TINY = {overlap: tiny_accelerator(weight_buffer=ROOM, control__overlap=overlap) for overlap in ("prefetch", "layer", "none")}
ON_FLASH = tiny_accelerator(weight_buffer={**ROOM, "residency": "pinned"}, flash=FLASH, placement={"weights": "flash"})
IN_ROW_TILES = tiny_accelerator(activation_buffer__capacity=1280, array__max_m=32, codebook__codeword_length=4)
IQ2_XXS = parse_format("gguf:type=IQ2_XXS")
SCALED = machine(IQ2_XXS, array={"rows": 16, "cols": 16, "max_m": 32, "scale_at": "weight", "weight_bits": 12})
EDGE = load_accelerator("edge-64x64", ["codebook.codeword_length=8"])

ON_LANES = load_accelerator("edge-64x64", ["array.depthwise=vector", "vector_unit.depthwise_taps=9"])
FED = load_accelerator("edge-64x64", ["array.depthwise=column_feed", "array.column_feed=3"])

CASES = {
    **{f"overlap {name}": Case(chip, (ENCODER,), frames=2) for name, chip in TINY.items()},
    "bank conflicts": Case(tiny_accelerator(codebook__banks=2, codebook__ports=2), (ENCODER,)),
    "always spilled": Case(tiny_accelerator(activation_buffer__residency="dram"), (ENCODER,), batch=2),
    "row tiles": Case(IN_ROW_TILES, (every_layer(channels=32).trace("ssvq:k=8,d=4", "conv[234]"),)),
    "pinned in flash": Case(ON_FLASH, (ENCODER,), frames=2),
    "sparse tiles": Case(tiny_accelerator(**SPARSE), (MASKED,)),
    "a shared level": Case(tiny_accelerator(l2={"capacity": "64 KiB", "width_bits": 32, "bypass": "activations"}), (ENCODER,)),
    "all in a shared level": Case(tiny_accelerator(l2=SHARED, placement={"weights": "l2", "activations": "l2"}), (ENCODER,)),
    "masks without a decoder": Case(tiny_accelerator(codebook__codeword_length=4), (MASKED,)),
    "scales in the decoder": Case(SCALED, (product(IQ2_XXS),)),
    "two networks": Case(TINY["prefetch"], (ENCODER, every_layer().trace()), batch=2),
    "DeiT-tiny in int8": Case(EDGE, (load_trace(find_trace("deit_tiny_int8")),)),
    "DeiT-tiny in SSVQ": Case(EDGE, (load_trace(find_trace("deit_tiny_ssvq_k16d8")),)),
    "block-diagonal tiles": Case(load_accelerator("edge-64x64", ["array.depthwise=cheapest"]), (every_layer().trace(),)),
    "few rows": Case(tiny_accelerator(array__mapping="cheapest", array__gemv_max_m=8), (ENCODER,)),
    "a dataflow per layer": Case(tiny_accelerator(array__dataflow="cheapest"), (ENCODER,)),
    "columns with feeds": Case(FED, (every_layer().trace(),)),
    "depthwise layers on the lanes": Case(ON_LANES, (every_layer().trace(),)),
    "several cores": Case(tiny_accelerator(cores=3, codebook__banks=2, codebook__ports=2), (ENCODER,), frames=2),
    "several cores on a shared level": Case(
        tiny_accelerator(cores=2, l2=SHARED, placement={"weights": "l2", "activations": "l2"}), (every_layer().trace(),)
    ),
    "a ROM for all cores": Case(tiny_accelerator(cores=2, codebook__store="rom", codebook__ports=2, codebook__shared_ports=2), (ENCODER,)),
    "rows of 16 bits": Case(EDGE, (packed_product("uniform:bits=8", 3, 64, 40, row_bits=16),)),
    "ResNet-18": Case(EDGE, (open_trace("resnet18_float@uniform:bits=8"),)),
}


def compiled(target: Target, case: Case) -> Program:
    """By the compiler alone, with nothing from an earlier compilation."""
    return compile_for(target, case.traces, case.frames, case.batch, 0, Caches())


@cache
def reads(name: str) -> frozenset[str]:
    """Fields of the target that are read when a case is compiled."""
    case, found = CASES[name], set[str]()
    target = target_of(case.accelerator, case.traces)
    assert same(compiled(watched(target, found), case), compiled(target, case))
    return frozenset(found)


def same(one: Any, other: Any) -> bool:
    """Whether two programs, or parts of them, are equal to the bit."""
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple) and any(is_dataclass(item) for item in one):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


COMPARED = {field.name for field in fields(Target) if field.compare}


@pytest.mark.parametrize("name", CASES)
def test_the_compiler_reads_only_fields_that_are_part_of_the_key(name: str) -> None:
    found = reads(name)
    assert {path.partition(".")[0] for path in found} <= COMPARED
    assert not any(path.endswith(EVERYTHING) for path in found)  # each field was read by its name


def test_a_target_holds_no_field_that_the_compiler_never_reads() -> None:
    kept = {path for case in CASES.values() for path in leaf_paths(target_of(case.accelerator, case.traces))}
    unread = kept - {path for name in CASES for path in reads(name)}
    # a name is for messages; passes are those of every function that a network may have
    assert {path for path in unread if not path.startswith("vector_unit.passes.")} == {"name"}


# -- each field of an accelerator in turn

LEFT_OUT = {
    "name", "description", "array.psum_bits", "codebook.circuit", "weight_buffer.banks", "dram.interleave",
    "dram.mapping", "dram.policy", "dram.latency", "dram.background.bandwidth", "dram.background.transfer", "flash.clock",
    "flash.command_cycles", "flash.dummy_cycles", "l2.burst", "l2.arbitration", "l2.banks",
}  # fmt: skip

# Other values of every field, one where it has two; as overrides where a field cannot change alone.
IDEAL_CHANGES: dict[str, tuple[Any, ...]] = {
    "name": ("other", "third"), "description": ("other", "third"), "clock": ("900 MHz", "2 GHz"), "cores": (2, 3),
    "control.core_split": tuple(f"cores=2\ncontrol.core_split={split}" for split in ("stripes", "rows", "networks")),
    "control.core_sync": ("cores=2\ncontrol.core_sync=free",),
    "control.weight_broadcast": ("cores=2\ncontrol.core_split=rows\ncontrol.weight_broadcast=true",),
    "array.rows": (8, 16), "array.cols": (8, 16), "array.max_m": (5, 16), "array.accumulator_banks": (2,), "array.shadow_sets": (2,),
    "array.accumulator_rule": ("simple",), "array.accumulator_read": ("stall", "deskew"),
    "array.psum_bits": (24, 40), "array.activation_bits": (9,),
    "array.rows_per_cycle": (2, 3), "array.depthwise": ("block_diagonal", "cheapest"),
    "array.column_feed": (0, 3),
    "array.dataflow": ("array.dataflow=enhanced_weight_stationary\narray.weight_file=2",),
    "array.weight_file": tuple(f"array.dataflow=enhanced_weight_stationary\narray.weight_file={file}" for file in (3, 8)),
    "array.mapping": ("array.mapping=gemv\narray.gemv_max_m=8", "array.mapping=cheapest\narray.gemv_max_m=8"),
    "array.gemv_max_m": tuple(f"array.mapping=gemv\narray.gemv_max_m={rows}" for rows in (5, 1)),
    "array.scale_at": ("weight", "channel"), "array.scale_taps": (1, 4),
    "array.raw_weights_per_cycle": ("tied", 64), "array.symbols_per_cycle": (2, 4),
    "array.weight_bits": ("array.scale_at=weight\narray.weight_bits=12", "array.scale_at=weight\narray.weight_bits=16"),
    "array.row_bits": (8, 16), "array.macs_16bit": (4, 16),
    "codebook.store": ("rom",), "codebook.circuit": ("latches", "sram"), "codebook.ports": (2, 4), "codebook.banks": (2, 4),
    "codebook.sets": (1,), "codebook.latency": (2, 3), "codebook.codewords": (32, 8), "codebook.index_field": ("padded",),
    "codebook.codeword_length": (4, 1),
    "codebook.element_bits": (4, 7), "codebook.element_code": ("table",), "codebook.additive": ("passes",),
    "codebook.shared_ports": tuple(f"codebook.store=rom\ncores=2\ncodebook.ports=2\ncodebook.shared_ports={q}" for q in (1, 2)),
    "weight_buffer.capacity": (512, 8192), "weight_buffer.word_bits": (64, 16), "weight_buffer.banks": (2, 4),
    "weight_buffer.residency": ("pinned",),
    "activation_buffer.capacity": (500, 32768), "activation_buffer.banks": (4, 8), "activation_buffer.width_bits": (16, 64),
    "activation_buffer.ports": (2, 3), "activation_buffer.loader_bits": (16, 64), "activation_buffer.residency": ("dram",),
    "vector_unit.depthwise_taps": (9, 4), "vector_unit.activation_scales": ("token",),
    "vector_unit.lanes": (8, 0), "vector_unit.latency": (1, 9), "vector_unit.multiplier_bits": (16, 64), "vector_unit.bias_bits": (16, 64),
    **{path: (2, 5) for path in field_paths(Accelerator) if path.startswith("vector_unit.passes.")},
    "dma.transfer": (32, 128), "dma.max_transfers": (3, 1), "dma.max_outstanding_bursts": (8, 1), "dma.fabric_latency": ("1 ns", "50 ns"),
    "control.overlap": ("layer", "none"), "control.runs": ("isolated",), "control.issue_overhead_cycles": (3, 9),
    "control.prefetch.layers": (0, 1), "control.prefetch.bytes": (0, 100),
    **{f"control.overhead.{what}": ("3 ns", "9 ns") for what in ("network", "layer", "token")},
    "dram.latency": ("1 ns", "60 ns"), "dram.bandwidth": ("1 GB/s", "9 GB/s"), "placement.activations": ("none",),
}  # fmt: skip
LPDDR4_CHANGES: dict[str, tuple[Any, ...]] = {
    "dram.device": ("lpddr5-6400-x16", "ddr4-2400-x64"), "dram.channels": (2, 4), "dram.interleave": (512, 2048),
    "dram.mapping": ("RoCoBaBg",), "dram.policy": ("frfcfs-row-hit", "bank-queues"),
    "dram.background.bandwidth": ("100 MB/s", "200 MB/s"), "dram.background.transfer": (64, 1024),
    "dma.max_outstanding_bursts": (8, 1), "dma.fabric_latency": ("1 ns", "900 ns"),
}  # fmt: skip
FLASH_CHANGES: dict[str, tuple[Any, ...]] = {
    "flash.bandwidth": ("50 MB/s", "200 MB/s"), "flash.clock": ("50 MHz", "200 MHz"), "flash.command_cycles": (4, 16),
    "flash.dummy_cycles": (4, 16), "flash.capacity": (256, "2 MiB"), "placement.weights": ("dram",),
}  # fmt: skip
SPARSE_CHANGES: dict[str, tuple[Any, ...]] = {
    "array.sparse_tile.d": ("array.sparse_tile={d: 8, q: 4}", "array.sparse_tile={d: 8, q: 2} codebook.mask={keep: 1, of: 4}"),
    "array.sparse_tile.q": ("array.sparse_tile={d: 4, q: 1} codebook.mask={keep: 1, of: 4}", "array.sparse_tile=null"),
    "codebook.mask.keep": ("array.sparse_tile={d: 4, q: 1} codebook.mask={keep: 1, of: 4}",),
    "codebook.mask.of": ("codebook.mask={keep: 2, of: 4}",),
}
L2_CHANGES: dict[str, tuple[Any, ...]] = {
    "l2.capacity": ("600 B", "1 MiB"), "l2.width_bits": (8, 64), "l2.burst": (16, 128), "l2.arbitration": ("round_robin",),
    "l2.clock": ("500 MHz", "3 GHz"), "l2.banks": (2, 4), "l2.bypass": ("weights", "activations"),
    "placement.weights": ("l2",), "placement.activations": ("l2", "none"),
    "dma.max_transfers": (3, 1),
}  # fmt: skip
SCENARIOS = {
    "ideal": (TINY["prefetch"], ENCODER, IDEAL_CHANGES),
    "LPDDR4": (
        tiny_accelerator(dram={"device": "lpddr4-3200-x16", "background": {"bandwidth": "50 MB/s"}}),
        ENCODER,
        LPDDR4_CHANGES,
    ),
    "flash": (tiny_accelerator(weight_buffer=ROOM, flash=FLASH, placement={"weights": "flash"}), ENCODER, FLASH_CHANGES),
    "shared level": (tiny_accelerator(activation_buffer__residency="dram", l2=SHARED), ENCODER, L2_CHANGES),
    "sparse": (tiny_accelerator(**SPARSE), MASKED, SPARSE_CHANGES),
}


def changed(accelerator: Accelerator, path: str, value: Any) -> Accelerator:
    """`accelerator` with another value of a field."""
    overrides = value.replace("} ", "}\n").split("\n") if isinstance(value, str) and "=" in value else [f"{path}={value}"]
    return load_accelerator(accelerator.writable(), overrides)


def attempt(accelerator: Accelerator, trace: Trace, shared: Shared | None = None) -> Result | str:
    """The result, or the message of what cannot be compiled."""
    try:
        return simulate(accelerator, trace, shared=shared)
    except CompileError as error:
        return str(error)


def test_every_field_of_an_accelerator_is_changed() -> None:
    every = set(field_paths(Accelerator))
    leaves = {path for path in every if not any(other.startswith(f"{path}.") for other in every)}
    assert {path for _, _, changes in SCENARIOS.values() for path in changes} == leaves


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_stale_is_served_whatever_field_changes(scenario: str) -> None:
    accelerator, trace, changes = SCENARIOS[scenario]
    shared = Shared()
    for path, values in changes.items():
        for chip in (accelerator, *(changed(accelerator, path, value) for value in values), accelerator):
            assert attempt(chip, trace, shared) == attempt(chip, trace), (path, chip)


@cache
def in_the_key() -> frozenset[str]:
    """Fields of an accelerator of which another value makes another target, in some scenario."""
    found = set[str]()
    for accelerator, trace, changes in SCENARIOS.values():
        target = target_of(accelerator, [trace])
        for path, values in changes.items():
            others = [target_of(changed(accelerator, path, value), [trace]) for value in values]
            assert all(hash(other) == hash(target) for other in others if other == target)
            if any(other != target for other in others):
                found.add(path)
    return frozenset(found)


def test_a_key_leaves_out_just_the_fields_that_change_no_program() -> None:
    assert {path for _, _, changes in SCENARIOS.values() for path in changes} - in_the_key() == LEFT_OUT


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_field_that_is_read_of_an_accelerator_is_in_the_key(scenario: str) -> None:
    accelerator, trace, _ = SCENARIOS[scenario]
    found = set[str]()
    case = Case(accelerator, (trace,))
    assert same(compiled(target_of(watched(accelerator, found), [trace]), case), compiled(target_of(accelerator, [trace]), case))
    optional = {"array.sparse_tile", "codebook.mask", "dram", "flash", "l2"}  # groups that may be absent
    assert found - in_the_key() - optional == {"name"}  # for messages


def test_equal_programs_of_larger_codebooks_are_compiled_once() -> None:
    caches = Caches()
    for codewords in (16, 17, 64, 4096):
        for circuit in ("flops", "latches", "sram"):
            chip = load_accelerator(TINY["prefetch"].writable(), [f"codebook.codewords={codewords}", f"codebook.circuit={circuit}"])
            compile_trace(chip, ENCODER, caches=caches)
    assert len(caches.programs) == 1
    with pytest.raises(CompileError, match=r"k = 16 codewords exceed codebook.codewords = 15"):
        compile_trace(load_accelerator(TINY["prefetch"].writable(), ["codebook.codewords=15"]), ENCODER, caches=caches)
