"""Simulated times of measured rows: the chip, the network in its recipe, and the steps that the row times.

Disputable assumption: where weights are pinned on the chip but exceed its memory, the first layers that fit stay there, as the Edge TPU's
compiler places them, and the rest is read on every inference; nothing overlaps where the two meet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from accelsim.accelerator import FOLDER, Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import ConfigError, PinnedWeightsTooLarge
from accelsim.presets import preset_names, presets
from accelsim.simulation import Shared, simulate
from accelsim.studies.networks.catalog import chain, is_chain, network
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.token_step import at_tokens, puts_out_token
from accelsim.trace.trace import Trace
from accelsim.validate.silicon_recipes import encoded
from accelsim.validate.silicon_rows import CHAIN_CONTEXT, CONTEXTS, METRICS, MeasuredRow, Work

GROUP = "silicon"


@dataclass
class Bench:
    """Chips are read once; equal runs are simulated once."""

    _chips: dict[str, Accelerator] = field(default_factory=dict)
    _known: dict[tuple[str, str, str, Work, int], float] = field(default_factory=dict)
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

    def milliseconds(self, row: MeasuredRow, launch_ps: int = 0) -> float:
        """Simulated time of a row.

        Parameters
        ----------
        launch_ps : time of the host before each step of a language model, which the run waits for (`control.overhead.token`)

        Raises
        ------
        AccelsimError
            An unknown board, network, recipe or metric, a language model without its step, or a network that the chip cannot run.
        """
        _check_metric(row)
        chip, work = self.chip(row.chip), row.work
        key = (row.chip, row.network, row.recipe, work, launch_ps)
        if key not in self._known:
            if launch_ps:
                chip = load_accelerator(chip.writable(), (f"control.overhead.token={launch_ps} ps",))
            self._known[key] = sum(share * self._of(chip, trace, row.recipe) for share, trace in _networks(row, work))
        return self._known[key]

    def _of(self, chip: Accelerator, trace: Trace, recipe: str) -> float:
        return sum(share * self._run(chip, part) for share, part in encoded(trace, recipe))

    def _run(self, chip: Accelerator, trace: Trace) -> float:
        if chip.weight_buffer.residency != "pinned":
            return simulate(chip, trace, shared=self._shared).milliseconds
        resident, rest = self._split(chip, trace)
        total = 0.0
        if resident is not None:
            once, twice = (simulate(chip, resident, frames=frames, shared=self._shared) for frames in (1, 2))
            total += (twice.total_cycles - once.total_cycles) / chip.clock * 1e3  # the first inference loads what is kept
        if rest is not None:
            streaming = load_accelerator(chip.writable(), ("weight_buffer.residency=stream",))
            total += simulate(streaming, rest, shared=self._shared).milliseconds
        return total

    def _split(self, chip: Accelerator, trace: Trace) -> tuple[Trace | None, Trace | None]:
        """The first layers, whose weights stay on the chip, and the others; None for no layers."""
        held = list(accumulate(0 if layer.weights is None else layer.weights.bytes for layer in trace.layers))
        most = bisect_right(held, chip.weight_buffer.capacity)  # images pad their records, so fewer layers may fit
        count = bisect_left(range(1, most + 1), True, key=lambda count: not self._stays(chip, _part(trace, count)[0]))
        return _part(trace, count)

    def _stays(self, chip: Accelerator, trace: Trace | None) -> bool:
        """Whether a network's weights fit the buffer that they are pinned in."""
        try:
            if trace is not None:
                compile_trace(chip, trace, caches=self._shared)
        except PinnedWeightsTooLarge:
            return False
        return True


def is_step(row: MeasuredRow) -> bool:
    """Whether the row times a step of a language model, beside which a host works."""
    return row.work.tokens > 0


def _check_metric(row: MeasuredRow) -> None:
    if row.metric not in METRICS:
        raise ConfigError(f"unknown metric {row.metric!r}; allowed: {', '.join(METRICS)}")
    if row.unit not in METRICS[row.metric]:
        raise ConfigError(f"metric {row.metric!r} has the unit {row.unit!r}; allowed: {', '.join(METRICS[row.metric])}")


def _networks(row: MeasuredRow, work: Work) -> list[tuple[float, Trace]]:
    """Networks whose times, each by its share, make up the work."""
    if is_chain(row.network):
        if work.chain is None:
            raise ConfigError(f"context {row.context!r} does not say how many layers of {row.network!r} to time; allowed: {CHAIN_CONTEXT}")
        few, many = work.chain
        return [(sign / (many - few), chain(row.network, layers)) for sign, layers in ((1, many), (-1, few))]
    trace = network(row.network)
    if not work.tokens and puts_out_token(trace):
        raise ConfigError(f"context {row.context!r} names no step of the language model {row.network!r}; allowed: {CONTEXTS}")
    return [(1.0, at_tokens(trace, work.tokens, work.context) if work.tokens else trace)]


def _part(trace: Trace, count: int) -> tuple[Trace | None, Trace | None]:
    """The first `count` layers as a network, and the others; None for no layers."""
    first, second = trace.layers[:count], trace.layers[count:]
    return _network_of(trace, first, second), _network_of(trace, second, ())


def _network_of(trace: Trace, layers: tuple[Layer, ...], readers: tuple[Layer, ...]) -> Trace | None:
    if not layers:
        return None
    names = {layer.name for layer in layers}
    read = dict.fromkeys(name for layer in layers for name in layer.inputs if name not in names)
    read_later = {name for layer in readers for name in layer.inputs}
    outputs = tuple(layer.name for layer in layers if layer.name in read_later) or (layers[-1].name,)
    inputs = tuple(ModelInput(name=name, shape=trace.shapes[name]) for name in read)
    manifest = Manifest(name=trace.name, source=trace.manifest.source, inputs=inputs, outputs=outputs, layers=layers)
    return Trace(manifest)
