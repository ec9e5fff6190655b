"""Results as files hand them in: each name, count and sum is checked again, since a file may be damaged or edited.

The sums are those that every run satisfies; a counter that a file does not have is not compared.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from accelsim.errors import ConfigError
from accelsim.problems import MISSING, in_words
from accelsim.reading import parse_json, read_text
from accelsim.result import MEMORIES, SCHEMA_VERSION, SHARED_LEVEL, WEIGHT_STREAM, Result
from accelsim.wording import shown

LARGEST_RESULT = 1 << 30  # bytes of a stored result
TOKENS_FILE = "tokens.json"  # in the folder of a run over tokens, which holds figures of its steps but no result
_KEY = "[key]"  # pydantic's mark of a name that is at fault, not its value


def load_result(path: Path) -> Result:
    """The Result in `result.json` (or in a run's folder that holds one).

    Raises
    ------
    ConfigError
        There is none: as `parse_result`, or it is a folder of something else: of a run over tokens, a sweep, a format comparison.
    """
    file = path / "result.json" if path.is_dir() else path
    if file.name == TOKENS_FILE or (not file.exists() and (file.parent / TOKENS_FILE).is_file()):
        raise ConfigError(
            f"{path}: holds the figures of a run over tokens, not a result; the result of a step: "
            "accelsim run CHIP NAME@step:tokens=1,context=N -o DIR"
        )
    if path.is_dir() and not file.exists():
        found = sorted(item.name for item in path.glob("*.json"))
        held = f"holds {', '.join(found[:3])}{', ...' if len(found) > 3 else ''} and no {file.name}" if found else f"holds no {file.name}"
        raise ConfigError(f"{path}: {held}; allowed: a {file.name}, or the folder of accelsim run -o or accelsim compare -o")
    return parse_result(read_text(file, limit=LARGEST_RESULT), str(file))


def parse_result(text: str, source: str) -> Result:
    """The Result that `Result.to_json` wrote.

    Raises
    ------
    ConfigError
        It is something else, of an unknown schema version, has an unknown name or an impossible count, or its sums do not add up.
    """
    result = _read(text, source)
    for place, value, allowed in _wrong_sums(result):
        raise ConfigError(f"{source}: field `{place}`: {value:,} does not add up; {allowed}")
    return result


def _read(text: str, source: str) -> Result:
    try:
        fields: dict[str, Any] = parse_json(text)
        version = fields.get("schema_version")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{source}: not a result file: {error}") from error
    if version is None:
        raise ConfigError(f"{source}: is not the result of a run: it has no field `schema_version`")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise ConfigError(f"{source}: field `schema_version`: {shown(version)} cannot be read; allowed: 1..{SCHEMA_VERSION}")
    if version == 1 and isinstance(frames := fields.get("frames"), list):
        name = fields.get("trace_name")
        fields["frames"] = [{**frame, "trace": name} if isinstance(frame, dict) else frame for frame in frames]
    try:
        return _reader().validate_json(json.dumps({**fields, "schema_version": SCHEMA_VERSION}), strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        parts = [str(part) for part in problem["loc"] if part != _KEY]
        place = ".".join(parts[:-1] if problem["loc"][-1:] == (_KEY,) else parts)
        if problem["type"] == MISSING:
            raise ConfigError(f"{source}: not a result file: field `{place}` is missing") from error
        raise ConfigError(f"{source}: field `{place}`: {in_words(problem)} (got {shown(problem['input'])})") from error


@cache
def _reader() -> TypeAdapter[Result]:
    """Reader of stored fields, which checks their types and refuses unknown ones."""
    return TypeAdapter(Result)


def _wrong_sums(result: Result) -> Iterator[tuple[str, int, str]]:
    """(field, value, allowed) of each count that contradicts another one."""
    last = max(layer.end_cycle for layer in result.layers)
    if result.total_cycles != last:
        yield "frames", result.total_cycles, f"allowed: cycles of all layers that sum to the last `end_cycle`, {last:,}"
    for resource, bound in result.bounds.items():
        if bound > result.total_cycles:
            yield f"bounds.{resource}", bound, f"allowed: at most the cycles of the run, {result.total_cycles:,}"
    yield from _wrong_layers(result)
    yield from _wrong_cores(result)
    yield from _wrong_counters(result)


def _wrong_layers(result: Result) -> Iterator[tuple[str, int, str]]:
    sizes = {layer.pe_cycles // layer.cycles["busy"] for core in result.of_cores for layer in core.layers if layer.cycles.get("busy")}
    size = min(sizes, default=0)  # of the array: all layers of all cores ran on equal ones
    rows_per_cycle = _rows_per_cycle(result)
    for core, of_core in enumerate(result.of_cores):
        where = f"cores.{core}." if result.cores else ""
        for frame, found in enumerate(of_core.frames):
            for number, layer in enumerate(found.layers):
                place = f"{where}frames.{frame}.layers.{number}"
                if layer.end_cycle < layer.start_cycle:
                    yield f"{place}.end_cycle", layer.end_cycle, f"allowed: at least `start_cycle`, {layer.start_cycle:,}"
                slots = layer.cycles.get("busy", 0) * size
                if layer.pe_cycles != slots:
                    yield f"{place}.pe_cycles", layer.pe_cycles, f"allowed: `busy` times the PEs, {slots:,}"
                if layer.macs > slots * rows_per_cycle and not layer.lane_mac_cycles:  # the lanes of the vector unit multiply there
                    yield f"{place}.macs", layer.macs, f"allowed: at most one per PE in each busy cycle, {slots * rows_per_cycle:,}"


def _rows_per_cycle(result: Result) -> int:
    """Rows that the array of the run takes per cycle: 1, unless it is imagined faster."""
    found = re.search(r"^ +rows_per_cycle: ([0-9]{1,9})$", result.accelerator, re.MULTILINE)
    return int(found[1]) if found else 1


def _wrong_cores(result: Result) -> Iterator[tuple[str, int, str]]:
    """Cores against the run."""
    for number, core in enumerate(result.cores):
        if core.total_cycles != result.total_cycles:
            yield f"cores.{number}", core.total_cycles, f"allowed: cycles that sum to those of the run, {result.total_cycles:,}"
    for name, count in (("macs", result.macs), ("pe_cycles", sum(layer.pe_cycles for layer in result.layers))):
        found = sum(getattr(layer, name) for core in result.of_cores for layer in core.layers)
        if found != count:
            yield f"frames.{name}", count, f"allowed: the sum over the cores, {found:,}"
    yield from _wrong_broadcasts(result)


def _wrong_broadcasts(result: Result) -> Iterator[tuple[str, int, str]]:
    """Weights that a core takes from the read of another one, which has as many."""
    for frame, own in enumerate(zip(*(core.frames for core in result.cores), strict=False)):  # sums tell of one that a core lacks
        for number, layers in enumerate(zip(*(item.layers for item in own), strict=False)):
            readers = (layer for layer in layers if not layer.broadcast_bits)
            read = {sum(item.bits for item in layer.traffic if item.operand in WEIGHT_STREAM) for layer in readers}
            for core, layer in enumerate(layers):
                if layer.broadcast_bits and layer.broadcast_bits not in read:
                    place = f"cores.{core}.frames.{frame}.layers.{number}.broadcast_bits"
                    yield place, layer.broadcast_bits, f"allowed: the bits of its weights that another core reads, {max(read, default=0):,}"


def _wrong_counters(result: Result) -> Iterator[tuple[str, int, str]]:
    """Counters of the units against the sums of the layers."""
    bits = dict.fromkeys((*MEMORIES, SHARED_LEVEL), 0)
    for item, count in result.traffic.items():
        bits[item.memory] += count
    moved = {f"{memory}_bus_bytes": bits[memory] for memory in MEMORIES}
    for name, count in moved.items():
        if name in result.counters and 8 * result.counters[name] != count:
            yield f"counters.{name}", result.counters[name], f"allowed: the traffic of all layers, {count:,} bits"
    yield from _wrong_transfers(result)
    vector = sum(layer.vector_cycles for layer in result.layers)
    busy = result.counters.get("vector_busy_cycles", vector)
    if busy < vector:  # more where the ports of the activation buffer slow the lanes down
        yield "counters.vector_busy_cycles", busy, f"allowed: at least the `vector_cycles` of all layers, {vector:,}"


def _wrong_transfers(result: Result) -> Iterator[tuple[str, int, str]]:
    """Bytes that the DMA moved against those that the operands of all layers have, without what fills up bursts."""
    bits = Counter({True: 0, False: sum(layer.broadcast_bits or 0 for core in result.of_cores for layer in core.layers)})
    for item, count in result.traffic.items():
        if item.operand != "burst_rounding":
            bits[item.write] += count
    for write, name in ((False, "dma_received_bytes"), (True, "dma_sent_bytes")):
        if name in result.counters and 8 * result.counters[name] != bits[write]:
            yield f"counters.{name}", result.counters[name], f"allowed: the traffic of all layers, {bits[write]:,} bits"
