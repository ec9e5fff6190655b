"""Simulated times of measured rows: the chip, the network in its recipe, and the steps that the row times.

Disputable assumption: where weights are pinned on the chip but exceed its memory, the first layers that fit stay there, as the Edge TPU's
compiler places them, and the rest is read on every inference; nothing overlaps where the two meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.accelerator import FOLDER, Accelerator, load_accelerator
from accelsim.errors import ConfigError
from accelsim.presets import preset_names, presets
from accelsim.simulation import Shared, simulate
from accelsim.studies.networks.catalog import chain, network
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from accelsim.validate.silicon_recipes import encoded
from accelsim.validate.silicon_rows import MeasuredRow, Work, work_of

GROUP = "silicon"


@dataclass
class Bench:
    """Chips are read once; equal runs are simulated once."""

    _chips: dict[str, Accelerator] = field(default_factory=dict)
    _known: dict[tuple[str, str, str, Work], float] = field(default_factory=dict)
    _shared: Shared = field(default_factory=Shared)

    def chip(self, name: str) -> Accelerator:
        """The preset of a board; ConfigError if there is none."""
        if name not in self._chips:
            if name in presets(f"{FOLDER}/{GROUP}"):
                name_of = f"{GROUP}/{name}"
            elif name in preset_names(FOLDER):
                name_of = name
            else:
                raise ConfigError(f"unknown board {name!r}; known: {', '.join(presets(f'{FOLDER}/{GROUP}'))}")
            self._chips[name] = load_accelerator(name_of)
        return self._chips[name]

    def milliseconds(self, row: MeasuredRow) -> float:
        """Simulated time of a row, without overhead.

        Raises
        ------
        AccelsimError
            An unknown board, network or recipe, or a network that the chip cannot run.
        """
        chip, work = self.chip(row.chip), work_of(row.context)
        key = (row.chip, row.network, row.recipe, work)
        if key not in self._known:
            self._known[key] = sum(share * self._of(chip, trace, row.recipe) for share, trace in _networks(row.network, work))
        return self._known[key]

    def _of(self, chip: Accelerator, trace: Trace, recipe: str) -> float:
        found = encoded(trace, recipe)
        return sum(share * self._run(chip, part, found.planes) for share, part in found.parts)

    def _run(self, chip: Accelerator, trace: Trace, planes: int) -> float:
        if chip.weight_buffer.residency != "pinned":
            return simulate(chip, trace, batch=planes, shared=self._shared).milliseconds
        resident, rest = _split(trace, chip.weight_buffer.capacity)
        total = 0.0
        if resident is not None:
            once, twice = (simulate(chip, resident, frames=frames, batch=planes, shared=self._shared) for frames in (1, 2))
            total += (twice.total_cycles - once.total_cycles) / chip.clock * 1e3  # the first inference loads what is kept
        if rest is not None:
            streaming = load_accelerator(chip.writable(), ("weight_buffer.residency=stream",))
            total += simulate(streaming, rest, batch=planes, shared=self._shared).milliseconds
        return total


def is_step(row: MeasuredRow) -> bool:
    """Whether the row times a step of a language model, beside which a host works."""
    return work_of(row.context).tokens > 0


def _networks(network_id: str, work: Work) -> list[tuple[float, Trace]]:
    """Networks whose times, each by its share, make up the work."""
    if work.chain is not None:
        few, many = work.chain
        chains = [(layers, chain(network_id, layers)) for layers in (many, few)]
        if few < many and chains[0][1] is not None:
            return [(sign / (many - few), trace) for sign, (_, trace) in zip((1, -1), chains, strict=True) if trace is not None]
    trace = network(network_id)
    return [(1.0, at_tokens(trace, work.tokens, work.context) if work.tokens else trace)]


def _split(trace: Trace, capacity: int) -> tuple[Trace | None, Trace | None]:
    """The first layers, whose weights fit in `capacity` bytes, and the others; None for no layers."""
    held, count = 0, 0
    for layer in trace.layers:
        held += 0 if layer.weights is None else layer.weights.bytes + 8 * layer.weights.n
        if held > capacity:
            break
        count += 1
    first, second = trace.layers[:count], trace.layers[count:]
    return _part(trace, first, second), _part(trace, second, ())


def _part(trace: Trace, layers: tuple[Layer, ...], readers: tuple[Layer, ...]) -> Trace | None:
    if not layers:
        return None
    names = {layer.name for layer in layers}
    read = dict.fromkeys(name for layer in layers for name in layer.inputs if name not in names)
    read_later = {name for layer in readers for name in layer.inputs}
    outputs = tuple(layer.name for layer in layers if layer.name in read_later) or (layers[-1].name,)
    inputs = tuple(ModelInput(name=name, shape=trace.shapes[name]) for name in read)
    manifest = Manifest(name=trace.name, source=trace.manifest.source, inputs=inputs, outputs=outputs, layers=layers)
    return Trace(manifest)
