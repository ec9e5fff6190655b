"""The Accelerator: the specs of all units, composed; read from YAML with dotted overrides.

Nothing is defined here that belongs to one unit; the checks here concern several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from accelsim.errors import ConfigError
from accelsim.hw.channel import peak_bytes_per_s
from accelsim.hw.control import ControlSpec
from accelsim.hw.core_spec import ArraySpec, CodebookSpec
from accelsim.hw.decode_width import DecodeWidth
from accelsim.hw.dma import DmaSpec
from accelsim.hw.flash import FlashSpec
from accelsim.hw.l2 import L2Spec, crossings
from accelsim.hw.memory import MemorySpec
from accelsim.hw.sram import ActivationBufferSpec, WeightBufferSpec
from accelsim.hw.vector_unit import NO_LONGER_READ, VectorUnitSpec
from accelsim.presets import find_preset, source_name
from accelsim.quantities import PS_PER_S, Hertz, unit
from accelsim.reading import dump_yaml, parse_yaml, read_yaml, yaml_problem
from accelsim.records import ExplainedRecord, Record, build, written_fields

FOLDER = "accelerators"


class Placement(Record):
    """Which memory each class of tensors lives in; activations in `none` may not spill."""

    weights: Literal["dram", "flash", "l2"] = Field(
        default="dram", description="memory that the weights come from; l2: all lie in the L2 before the first inference"
    )
    activations: Literal["dram", "none", "l2"] = Field(
        default="dram", description="memory of inputs, outputs and spills; none: a spill is an error"
    )

    @property
    def last_wait(self) -> str:
        """Category of the cycles until the last write has landed."""
        return "l2" if self.activations == "l2" else "dram_activation"


class Accelerator(Record, metaclass=ExplainedRecord):
    """A chip and its memories; made by a call, as by `load_accelerator`, ConfigError names the field, the value and what is allowed."""

    name: str = Field(min_length=1, max_length=100, description="name in tables and results")
    description: str = Field(default="", description="one line for lists")
    clock: Hertz = Field(ge=10**6, le=10**11, description="clock of the core")
    cores: Annotated[int, unit("cores")] = Field(
        default=1,
        ge=1,
        le=16,
        description="cores, each with array, decoder, buffers, vector unit and DMA of its own; they share the memories and the L2",
    )
    array: ArraySpec = Field(description="MAC array and its accumulators")
    codebook: CodebookSpec = Field(description="where codewords live, and lookups per cycle")
    weight_buffer: WeightBufferSpec = Field(description="buffer of the weight stream between DMA and unpacker")
    activation_buffer: ActivationBufferSpec = Field(description="buffer of activations")
    vector_unit: VectorUnitSpec = Field(description="requantization, softmax, normalization and other functions without MACs")
    dma: DmaSpec = Field(description="engine that moves data between the memories and the buffers")
    control: ControlSpec = Field(default=ControlSpec(), description="overlap of loading, computing and issuing")
    dram: MemorySpec | None = Field(default=None, description="memory channels", examples=[{"device": "lpddr4-3200-x32", "channels": 1}])
    flash: FlashSpec | None = Field(
        default=None,
        description="serial flash that may hold the weights (placement.weights: flash)",
        examples=[{"bandwidth": "0.4 GB/s", "clock": "200 MHz", "command_cycles": 8, "dummy_cycles": 20, "capacity": "64 MiB"}],
    )
    l2: L2Spec | None = Field(
        default=None,
        description="shared SRAM between the memories and the buffers, with one port",
        examples=[{"capacity": "2 MiB", "width_bits": 64, "burst": "64 B"}],
    )
    placement: Placement = Field(default=Placement(), description="which memory holds which tensors")

    @model_validator(mode="after")
    def _consistent(self) -> Accelerator:
        if self.array.cols % self.codebook.codeword_length:
            raise ValueError(
                f"codebook.codeword_length = {self.codebook.codeword_length} must divide array.cols = {self.array.cols}"
                " (raw records lie along the columns)"
            )
        if self.array.rows % self.codebook.codeword_length:
            raise ValueError(
                f"codebook.codeword_length = {self.codebook.codeword_length} must divide array.rows = {self.array.rows}"
                " (the keys of an attention are records along the rows)"
            )
        if self.array.accumulator_read == "deskew" and 0 < self.vector_unit.lanes < self.array.cols:
            raise ValueError(
                f"array.accumulator_read = deskew needs vector_unit.lanes of at least array.cols = {self.array.cols},"
                f" is {self.vector_unit.lanes}: a row of sums cannot wait for lanes; allowed there: second_port, stall"
            )
        if self.array.depthwise == "vector" and self.vector_unit.depthwise_taps is None:
            raise ValueError(
                "array.depthwise = 'vector' needs vector_unit.depthwise_taps, 1 to 4096;"
                " without it: 'column', 'block_diagonal', 'column_feed' or 'cheapest'"
            )
        self._check_sparse_tile()
        self._check_cores()
        self._check_shared_rom()
        self._check_l2()
        stated, length = self.array.raw_weights_per_cycle, self.codebook.codeword_length
        if isinstance(stated, int) and stated % length:
            raise ValueError(
                f"array.raw_weights_per_cycle = {stated} must be a multiple of codebook.codeword_length = {length}:"
                " raw records are as long as codewords"
            )
        if self.placement.weights == "dram" and self.dram is None:
            raise ValueError("placement.weights = 'dram' needs `dram`")
        if self.placement.activations == "dram" and self.dram is None:
            raise ValueError("placement.activations = 'dram' needs `dram`; without it say 'none': a spill is then an error")
        if self.placement.weights == "flash" and self.flash is None:
            raise ValueError("placement.weights = 'flash' needs `flash`")
        if self.dma.transfer > self.weight_buffer.capacity:
            raise ValueError(f"dma.transfer = {self.dma.transfer} B exceeds weight_buffer.capacity = {self.weight_buffer.capacity} B")
        return self

    def _check_shared_rom(self) -> None:
        book = self.codebook
        if book.shared_ports is None:
            return
        if book.store != "rom":
            raise ValueError(f"codebook.shared_ports = {book.shared_ports} needs codebook.store = 'rom'; allowed with {book.store!r}: null")
        if book.banks is not None:
            raise ValueError(
                f"codebook.shared_ports = {book.shared_ports} needs codebook.banks = null; allowed with {book.banks} banks: null"
            )

    def _check_cores(self) -> None:
        if self.cores > 1 and self.placement.activations == "none" and self.control.core_split != "networks":
            raise ValueError(
                f"cores = {self.cores}, but placement.activations = 'none': what one core computes passes to the others through a memory;"
                " allowed with several cores: dram, l2, or control.core_split = 'networks'"
            )

    def _check_l2(self) -> None:
        placed = {"weights": self.placement.weights, "activations": self.placement.activations}
        if self.l2 is None:
            for name, memory in placed.items():
                if memory == "l2":
                    raise ValueError(f"placement.{name} = 'l2' needs `l2`")
            return
        bypass = self.l2.bypass
        if placed.get(bypass) == "l2":
            raise ValueError(f"l2.bypass = {bypass!r}, but placement.{bypass} = 'l2': they lie there; allowed: another bypass or placement")
        if not any(self._l2_crossings(self.l2)):
            raise ValueError(f"nothing crosses `l2`: l2.bypass = {bypass!r}, placement.activations = {placed['activations']!r}")
        if self.l2_transit_bytes >= self.l2.capacity:
            cores = "cores x " if self.cores > 1 else ""
            raise ValueError(
                f"{cores}dma.max_transfers x dma.transfer = {self.l2_transit_bytes} B pass through the L2 at once;"
                f" l2.capacity = {self.l2.capacity} B must be larger"
            )

    @property
    def l2_transit_bytes(self) -> int:
        """Bytes of the L2 that transfers to and from a memory take at most; 0 if none passes through it."""
        if self.l2 is None:
            return 0
        return self.cores * self.dma.max_transfers * self.dma.transfer if max(self._l2_crossings(self.l2)) > 1 else 0

    @property
    def l2_bytes_per_cycle(self) -> Fraction:
        """Bytes that the port of the L2 moves per cycle of the core; 0 without one."""
        return Fraction(0) if self.l2 is None else Fraction(self.l2.width_bytes * (self.l2.clock or self.clock), self.clock)

    def _l2_crossings(self, l2: L2Spec) -> tuple[int, int]:
        """Times that a weight, and an activation, crosses the port of the L2."""
        weights, activations = self.placement.weights, self.placement.activations
        return crossings(l2.bypass, weights, True), 0 if activations == "none" else crossings(l2.bypass, activations, False)

    def _check_sparse_tile(self) -> None:
        tile, mask = self.array.sparse_tile, self.codebook.mask
        if tile is None:
            return
        if mask is None or tile.d % mask.of or mask.keep * tile.d != tile.q * mask.of:
            have = "null" if mask is None else f"{mask.keep} of {mask.of}"
            raise ValueError(
                f"array.sparse_tile of {tile.q} multipliers for {tile.d} columns needs a codebook.mask that keeps {tile.q} of each {tile.d}"
                f" (`of` a divisor of {tile.d}); codebook.mask is {have}"
            )
        if self.array.dense_cols % self.codebook.codeword_length:
            raise ValueError(
                f"codebook.codeword_length = {self.codebook.codeword_length} must divide the {self.array.dense_cols} columns that dense"
                f" weights take a pass (array.cols x q / d)"
            )

    def __repr__(self) -> str:
        cores = f"{self.cores} cores of " if self.cores > 1 else ""
        return f"<Accelerator {self.name}: {cores}{self.array.rows} x {self.array.cols} MACs at {self.clock / 1e9:g} GHz>"

    __str__ = __repr__

    def memory(self, name: str) -> MemorySpec | FlashSpec | None:
        """The memory outside the chip called `dram` or `flash`; None if there is none."""
        return {"dram": self.dram, "flash": self.flash}.get(name)

    @property
    def raw_weights_per_cycle(self) -> int:
        """Raw weights that the unpacker hands on per cycle, in whole records; see `ArraySpec.raw_weights_per_cycle`."""
        stated, length = self.array.raw_weights_per_cycle, self.codebook.codeword_length
        if stated == "tied":
            return self.codebook.ports * length
        if stated is not None:
            return stated
        if self.placement.weights == "l2" and self.l2 is not None:
            peak = ceil(self.l2_bytes_per_cycle)
        else:
            rate = peak_bytes_per_s(self.memory(self.placement.weights))
            peak = 0 if rate is None else ceil(rate / self.clock)
        return -(-max(self.array.cols, peak) // length) * length

    @property
    def loaded_activations_per_cycle(self) -> int:
        """Activations that the unpacker hands on as weights per cycle: no more than the loader's word holds, unless tied."""
        length = self.codebook.codeword_length
        if self.array.raw_weights_per_cycle == "tied":
            return self.raw_weights_per_cycle
        word = self.activation_buffer.loader_bits // (8 * length) * length
        return min(self.raw_weights_per_cycle, max(length, word))

    @property
    def decode_width(self) -> DecodeWidth:
        """Weights that leave the decoder per cycle."""
        return DecodeWidth(
            self.codebook.ports,
            self.codebook.codeword_length,
            self.raw_weights_per_cycle,
            self.loaded_activations_per_cycle,
            self.array.rows * self.array.cols,
            self.array.symbols_per_cycle,
            self.codebook.additive,
        )

    @property
    def cycle_ps(self) -> float:
        """Core clock period in ps, for display; time itself is counted in whole ps by edges."""
        return PS_PER_S / self.clock

    def dump_yaml(self) -> str:
        """The resolved configuration: every field, bytes, Hz and ps written so that loading it gives this accelerator again."""
        return dump_yaml(self.writable())

    def writable(self) -> dict[str, Any]:
        """Every field as plain data that `load_accelerator` takes again, with the units that it asks for."""
        return _writable(self)

    def written(self) -> dict[str, Any]:
        """Every field as a person writes it: '64 KiB', '100 ns'; `load_accelerator` takes it again."""
        return written_fields(self)


def _writable(record: Record) -> dict[str, Any]:
    """Fields of a record and of the records in it, with the units that their parsers ask for."""
    return {name: _writable(value) if isinstance(value, Record) else value for name, value in record.as_given().items()}


def load_accelerator(source: str | Mapping[str, Any], overrides: Iterable[str] = ()) -> Accelerator:
    """An accelerator from a preset's name, a YAML file or a mapping, with overrides like 'dram.device=lpddr5-6400-x16'.

    Raises
    ------
    ConfigError
        Unknown preset, unreadable file, unknown or ill-fitting field: names file, field, value and what is allowed.
    """
    fields, where = read_accelerator(source) if isinstance(source, str) else (dict(source), "accelerator")
    for override in overrides:
        fields = _override(fields, override)
        where = f"{where} --set {override}"
    return build_accelerator(fields, where)


def build_accelerator(fields: Mapping[str, Any], where: str) -> Accelerator:
    """The accelerator of fields that `read_accelerator` gave; ConfigError names `where` and the field."""
    return build(Accelerator, fields, where)


def read_accelerator(source: str) -> tuple[dict[str, Any], str]:
    """(the fields that a preset or YAML file gives, unchecked; the file's name); ConfigError if there is none to read."""
    path = find_preset(FOLDER, source, "accelerator")
    return read_yaml(path), source_name(path)


def set_field(fields: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of an accelerator's fields with one at a dotted path replaced; ConfigError if the path leads through a value."""
    return _changed(fields, path.split("."), value, f"field `{path}`")


def _override(fields: Mapping[str, Any], override: str) -> dict[str, Any]:
    """`fields` with one 'path.to.field=value' applied; the value is read as YAML."""
    path, equals, text = override.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {override!r}: must look like path.to.field=value")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: {text!r} is not a YAML value: {yaml_problem(error)}") from error
    return _changed(fields, names, value, f"--set {override!r}")


def _changed(fields: Mapping[str, Any], names: list[str], value: Any, where: str) -> dict[str, Any]:
    """`_replaced`, but a name that only old files may have is refused where a person sets it: it would have no effect."""
    out = _replaced(fields, names, value, where)
    if _retired(out) not in (None, _retired(fields)):
        raise ConfigError(
            f"{where}: `vector_unit.passes.{NO_LONGER_READ}` is accepted from old files, where it has no effect; allowed: other passes"
        )
    return out


def _retired(fields: Mapping[str, Any]) -> Any:
    """The value of the field that is no longer read; None without it."""
    here: Any = fields
    for name in ("vector_unit", "passes", NO_LONGER_READ):
        here = here.get(name) if isinstance(here, Mapping) else None
    return here


def _replaced(fields: Mapping[str, Any], names: list[str], value: Any, where: str) -> dict[str, Any]:
    out = dict(fields)
    if len(names) == 1:
        out[names[0]] = value
        return out
    inner = out.get(names[0])
    if inner is None:
        inner = {}
    if not isinstance(inner, Mapping):
        raise ConfigError(f"{where}: {names[0]!r} is a value, not a group of fields")
    out[names[0]] = _replaced(inner, names[1:], value, where)
    return out
