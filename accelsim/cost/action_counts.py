"""Action counts of a run: MACs, array cycles, SRAM words, lookups, signs, vector operations, bits over each memory; by layer.

Disputable assumptions: what a Result does not hold is bounded, not guessed to a point. An accumulator is read once per column and
busy cycle: a first K-tile reads none, the drain of its stripe as many (none through deskew registers, low). Rows that are trimmed, or taken
from line buffers, read fewer activation words; a vector pass reads none to two operands. Weights and lookups are those that
left the decoder, padded groups and re-read stripes included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from typing import NamedTuple

from accelsim.accelerator import Accelerator
from accelsim.cost.span import Span, total
from accelsim.hw.l2 import L2, operand_crossings
from accelsim.result import WEIGHT_STREAM, LayerResult, Result, Traffic

HEADER = ("codebook", "scales_bias", "parameters")  # side data travels with the records


class Action(NamedTuple):
    """Something that costs energy each time: what does it, what for, and what it is."""

    component: str
    operand: str
    name: str


Counts = Mapping[Action, Span | float]  # a number: what a result determines exactly

MAC = Action("PE array", "psums", "mac")
PE_CYCLE = Action("PE array", "activations", "pe_cycle")
PE_IDLE = Action("PE array", "idle", "pe_idle_cycle")
HOLD_ACTIVATION = Action("PE array", "activations", "hold_activation")
FILE_READ = Action("PE array", "weights", "file_read")
WINDOW_CYCLE = Action("PE array", "activations", "window_cycle")
WINDOW_IDLE = Action("PE array", "idle", "window_idle_cycle")
SKEW_CYCLE = Action("PE array", "activations", "skew_cycle")
SKEW_IDLE = Action("PE array", "idle", "skew_idle_cycle")
ACCUMULATE = Action("accumulators", "psums", "accumulate")
ACCUMULATOR_READ = Action("accumulators", "psums", "accumulator_read")
ACCUMULATOR_WRITE = Action("accumulators", "psums", "accumulator_write")
DESKEW_CYCLE = Action("accumulators", "psums", "deskew_cycle")
DESKEW_IDLE = Action("accumulators", "idle", "deskew_idle_cycle")
ROW_READ = Action("activation buffer", "activations", "activation_read")
LOADER_READ = Action("activation buffer", "activations as weights", "activation_read")
VECTOR_READ = Action("activation buffer", "vector operands", "activation_read")
VECTOR_WRITE = Action("activation buffer", "outputs", "activation_write")
DMA_READ = Action("activation buffer", "spills and outputs", "activation_read")
DMA_WRITE = Action("activation buffer", "spills and inputs", "activation_write")
WEIGHT_WRITE = Action("weight buffer", "weights", "weight_write")
WEIGHT_READ = Action("weight buffer", "weights", "weight_read")
UNPACK = Action("unpack buffer", "weights", "unpack_cycle")
LOOKUP = Action("codebook", "weights", "lookup")
CODEBOOK_WRITE = Action("codebook", "codebook", "codebook_write_bit")
SIGN = Action("sign decoder", "weights", "sign_lane")
MASK = Action("mask decoder", "weights", "mask_pattern")
ROUTE = Action("PE array", "psums", "route_product")
SCALE_SUM = Action("PE array", "psums", "scale_sum")
SCALE_WEIGHT = Action("sign decoder", "weights", "scale_weight")
SHIFT_SUM = Action("PE array", "psums", "shift_sum")
GEMV = "GEMV multipliers"
GEMV_MAC = Action(GEMV, "psums", "mac")
GEMV_LANE = Action(GEMV, "activations", "gemv_lane")
GEMV_WEIGHT = Action(GEMV, "weights", "gemv_weight")
GEMV_SUM = Action(GEMV, "psums", "gemv_sum")
GEMV_HELD = Action(GEMV, "idle", "gemv_held_cycle")
OS_STEP = Action("PE array", "activations", "os_step")
OS_SHIFT = Action("PE array", "psums", "os_shift")
OS_HELD = Action("PE array", "idle", "os_held_cycle")
QUEUE = Action("PE array", "weights", "queue_weight")
IS_WEIGHT = Action("PE array", "weights", "bank_weight")
IS_HELD = Action("PE array", "idle", "bank_held_cycle")
LANE_MAC = Action("vector unit", "psums", "mac")
LANE_STEP = Action("vector unit", "psums", "lane_step")
LANE_WEIGHT = Action("vector unit", "weights", "lane_weight")
LANE_HELD = Action("vector unit", "idle", "lane_held_cycle")
SHADOW_WRITE = Action("PE array", "weights", "shadow_write")
VECTOR_OP = Action("vector unit", "outputs", "vector_op")
CONTROL = Action("control", "idle", "control_cycle")
L2_READ = Action("L2", "any", "l2_read")  # of each operand
L2_WRITE = Action("L2", "any", "l2_write")
# The clock of registers that hold what they have, in every cycle: busy ones as well, since the cycle's own action adds to it.
HELD = tuple(Action(component, "idle", f"{name}_held_cycle") for component, name in (
    ("unpack buffer", "unpack"), ("codebook", "codebook"), ("vector unit", "vector"), ("DMA", "dma"),
))  # fmt: skip


@cache
def moved(memory: str, operand: str) -> Action:
    """A bit of `operand` over the pins of `memory`."""
    return Action(memory, operand, f"{memory}_bit")


@cache
def carried(operand: str) -> Action:
    """A bit of `operand` through the DMA and its fabric."""
    return Action("DMA", operand, "dma_bit")


def count_actions(result: Result, accelerator: Accelerator) -> tuple[Counts, ...]:
    """Counts of every layer of every frame, in the order of `result.layers`; of all cores."""
    moved: dict[str, set[str]] = {}  # a layer whose weights are pinned moves them in the first frame alone
    for layer in result.layers:
        moved.setdefault(layer.name, set()).update(item.operand for item in layer.traffic)
    cores = zip(*(core.layers for core in result.of_cores), strict=True)
    return tuple(
        _sum_of_cores([_layer_counts(layer, accelerator, moved[layer.name], _received(layer, layers)) for layer in layers])
        for layers in cores
    )


def _sum_of_cores(counts: Sequence[Counts]) -> Counts:
    return add_counts(counts) if len(counts) > 1 else counts[0]


def _received(layer: LayerResult, cores: Sequence[LayerResult]) -> tuple[Traffic, ...]:
    """The weights of a layer that another of the cores reads for this one as well."""
    if not layer.broadcast_bits:
        return ()
    read = (tuple(item for item in other.traffic if item.operand in WEIGHT_STREAM) for other in cores if not other.broadcast_bits)
    return next((items for items in read if sum(item.bits for item in items) == layer.broadcast_bits), ())


def add_counts(layers: Iterable[Counts]) -> dict[Action, Span]:
    """Sum over layers."""
    found: dict[Action, list[Span | float]] = {}
    for counts in layers:
        for action, count in counts.items():
            found.setdefault(action, []).append(count)
    return {action: total(each) for action, each in found.items()}


def _layer_counts(
    layer: LayerResult, accelerator: Accelerator, operands: Set[str], received: tuple[Traffic, ...] = ()
) -> dict[Action, Span | float]:
    """Counts of a layer whose weights have the streams that are among `operands`; those `received` came with the read of another core."""
    tile = accelerator.array.sparse_tile
    share = (
        tile.q / tile.d if tile is not None and "masks" in operands else 1.0
    )  # of the weights: on sparse tiles those that the masks keep
    cycles = layer.total_cycles
    return {
        **(_array_counts(layer, accelerator, share, cycles) if cycles and _in_accumulators(layer) else {}),
        **(_gemv_counts(layer, accelerator, operands) if layer.gemv_steps is not None else {}),
        **(_held_sum_counts(layer, accelerator) if layer.os_reads is not None else {}),
        **(_lane_counts(layer, accelerator, operands) if layer.lane_reads is not None else {}),
        **_held_counts(accelerator, cycles),
        **(_scale_counts(layer, accelerator, operands) if "side_data" in operands else {}),
        **(_exact({SHIFT_SUM: layer.shifted_sums}) if layer.shifted_sums and accelerator.array.most_row_passes > 1 else {}),
        **_load_counts(layer, accelerator, share, operands, received),
        **_vector_counts(layer, accelerator),
        **_traffic_counts(layer, accelerator, received),
        **_exact(dict.fromkeys((CONTROL, *HELD), cycles)),
    }


def _held_counts(accelerator: Accelerator, cycles: int) -> dict[Action, Span | float]:
    """The clock of registers that a chip has for some of its mappings, whatever a layer's."""
    held = {
        GEMV_HELD: accelerator.array.few_rows > 0,
        OS_HELD: accelerator.array.may_hold_outputs,
        IS_HELD: accelerator.array.may_hold_inputs,
        LANE_HELD: accelerator.vector_unit.depthwise_taps is not None,
    }
    return _exact({action: cycles for action, has in held.items() if has})


def _idle_array(accelerator: Accelerator, cycles: int) -> dict[Action, float]:
    """The array's clock in the cycles of a layer that it has no part in."""
    array = accelerator.array
    return {
        PE_IDLE: cycles * array.rows * array.cols,
        SKEW_IDLE: cycles,
        DESKEW_IDLE: cycles if array.accumulator_read == "deskew" else 0,
        WINDOW_IDLE: cycles if array.column_feed else 0,
    }


def _exact(counts: Mapping[Action, float]) -> dict[Action, Span | float]:
    """Counts that a result determines exactly, for actions that occur."""
    return {action: count for action, count in counts.items() if count}


def _array_counts(layer: LayerResult, accelerator: Accelerator, share: float, cycles: int) -> dict[Action, Span | float]:
    """Each busy cycle clocks R x C PEs, reads a row of R activations and puts a psum per column into the accumulators.

    PEs with a file of weights read one of them in each busy cycle, but take and hold a row's activations for all of them. Columns with
    feeds of their own read what a result says, past the skew registers; a busy cycle shifts their windows. Where activations stay, weights
    pass the skew registers in their place, and a result says what was read.
    """
    array, buffer = accelerator.array, accelerator.activation_buffer
    size = array.rows * array.cols
    busy = layer.pe_cycles // size
    fed = layer.feed_reads is not None
    rows = 0 if fed else busy if layer.row_reads is None else layer.row_reads
    multiplies = layer.macs if layer.multiplies is None else layer.multiplies
    psums = float(busy * array.cols)
    words = float(rows * buffer.accesses(array.rows))
    counts = {
        MAC: multiplies * share,
        ROUTE: multiplies * share if array.sparse_tile is not None else 0.0,
        PE_CYCLE: layer.pe_cycles,
        PE_IDLE: max(0, cycles * size - layer.pe_cycles),
        SKEW_CYCLE: rows,
        SKEW_IDLE: max(0, cycles - rows),
        ACCUMULATE: psums,
        ACCUMULATOR_WRITE: psums,
    }
    if array.accumulator_read == "deskew":
        counts |= {DESKEW_CYCLE: busy, DESKEW_IDLE: max(0, cycles - busy)}
    if array.column_feed:
        counts |= {WINDOW_CYCLE: busy if fed else 0, WINDOW_IDLE: max(0, cycles - busy) if fed else cycles}
    if array.held_weights > 1:
        counts |= {HOLD_ACTIVATION: rows * size, FILE_READ: layer.pe_cycles}
    counted = layer.is_reads if layer.feed_reads is None else layer.feed_reads
    reads = Span(words, 0.5 * words, words) if counted is None else Span.exact(float(counted))
    ranges = {ACCUMULATOR_READ: Span(psums, 0.0, psums), ROW_READ: reads} if busy else {}
    return {**_exact(counts), **ranges}


def _gemv_counts(layer: LayerResult, accelerator: Accelerator, operands: Set[str]) -> dict[Action, Span | float]:
    """Each step clocks the lanes behind the decoder, adds to a sum per column or lane, and reads the activations of a group.

    These are X / C, or the elements of codewords along the reduction (high). The PEs are idle; the drain, which reads a sum once for
    each K additions, is not counted.
    """
    array, buffer, steps = accelerator.array, accelerator.activation_buffer, layer.gemv_steps or 0
    lanes = _group_weights(layer, accelerator, operands)
    words = float(steps * buffer.accesses(-(-lanes // array.cols)))
    most = float(steps * buffer.accesses(max(-(-lanes // array.cols), accelerator.codebook.codeword_length)))
    counts: dict[Action, float] = {
        GEMV_MAC: layer.macs,
        GEMV_LANE: steps * lanes,
        GEMV_WEIGHT: _decoded_weights(layer, accelerator, operands),
        GEMV_SUM: steps * min(lanes, array.cols),
        **_idle_array(accelerator, layer.total_cycles),
    }
    return {**_exact(counts), ROW_READ: Span(words, words, most)}


def _in_accumulators(layer: LayerResult) -> bool:
    """Whether the sums of a layer stand in the accumulators, and its weights in shadow registers."""
    return layer.gemv_steps is None and layer.os_reads is None and layer.lane_reads is None


def _held_sum_counts(layer: LayerResult, accelerator: Accelerator) -> dict[Action, Span | float]:
    """Each step clocks R x C PEs, whose own registers take the sums, and the weights that pass; the drain moves sums down the columns."""
    array, cycles = accelerator.array, layer.total_cycles
    size = array.rows * array.cols
    busy = layer.pe_cycles // size
    counts: dict[Action, float] = {
        MAC: layer.macs,
        PE_CYCLE: layer.pe_cycles,
        PE_IDLE: max(0, cycles * size - layer.pe_cycles),
        SKEW_CYCLE: busy,
        SKEW_IDLE: max(0, cycles - busy),
        OS_STEP: busy,
        OS_SHIFT: layer.os_shifts or 0,
        ROW_READ: layer.os_reads or 0,
        DESKEW_IDLE: cycles if array.accumulator_read == "deskew" else 0,
        WINDOW_IDLE: cycles if array.column_feed else 0,
    }
    return _exact(counts)


def _lane_counts(layer: LayerResult, accelerator: Accelerator, operands: Set[str]) -> dict[Action, Span | float]:
    """Each cycle of the lanes clocks a sum per lane and takes a weight for it; the array is idle."""
    counts: dict[Action, float] = {
        LANE_MAC: layer.macs,
        LANE_STEP: (layer.lane_mac_cycles or 0) * accelerator.vector_unit.lanes,
        LANE_WEIGHT: _decoded_weights(layer, accelerator, operands),
        ROW_READ: layer.lane_reads or 0,
        **_idle_array(accelerator, layer.total_cycles),
    }
    return _exact(counts)


def _scale_counts(layer: LayerResult, accelerator: Accelerator, operands: Set[str]) -> dict[Action, Span | float]:
    """Each busy cycle scales a sum per column and tap, or each that it adds to behind the decoder; one that scales weights does so in each
    lane of a group.
    """
    array = accelerator.array
    counts: dict[Action, float] = {}
    if array.states_scaling:
        counts[SCALE_SUM] = layer.pe_cycles // array.rows * (array.scale_taps or 1)
        if layer.gemv_steps is not None:
            counts[SCALE_SUM] = layer.gemv_steps * min(_group_weights(layer, accelerator, operands), array.cols)
    if array.scale_at == "weight":
        counts[SCALE_WEIGHT] = _decoded_weights(layer, accelerator, operands)
    return _exact(counts)


def _load_counts(
    layer: LayerResult, accelerator: Accelerator, share: float, operands: Set[str], received: tuple[Traffic, ...]
) -> dict[Action, Span | float]:
    """The bounds of a layer are its words and groups: `buffer_width` words of W bits and `decode` groups were taken."""
    words, groups = layer.bounds.get("buffer_width", 0), layer.bounds.get("decode", 0)
    codebook, buffer = accelerator.codebook, accelerator.activation_buffer
    lanes = float(_decoded_weights(layer, accelerator, operands))
    header = sum(item.bits for item in (*layer.traffic, *received) if item.operand in HEADER)
    header_words = -(-header // accelerator.weight_buffer.word_bits)
    shadow = lanes * share if _in_accumulators(layer) else 0.0  # else they meet their rows at once, or wait in a queue
    banked = 0.0
    if layer.is_loads is not None:
        shadow, banked = float(layer.is_loads), lanes
    queued = lanes if layer.os_reads is not None else 0.0
    counts: dict[Action, float] = {UNPACK: groups, SHADOW_WRITE: shadow, QUEUE: queued, IS_WEIGHT: banked, WEIGHT_READ: header_words}
    if not layer.format:  # a product of activations, or no product at all
        counts[LOADER_READ] = words * buffer.accesses(buffer.loader_bits // 8)
        return _exact(counts)
    counts[WEIGHT_READ] = words + header_words
    if "indices" in operands:
        counts[LOOKUP] = groups * codebook.ports if layer.lookups is None else layer.lookups
        if "signs" in operands:
            counts[SIGN] = lanes
        if codebook.mask is not None and "masks" in operands:
            counts[MASK] = lanes / codebook.mask.of
    return _exact(counts)


def _decoded_weights(layer: LayerResult, accelerator: Accelerator, operands: Set[str]) -> int:
    """Weights that left the decoder: looked up, raw, or activations that are loaded as weights, padding included."""
    if layer.decoded_weights is not None:
        return layer.decoded_weights
    groups = layer.bounds.get("decode", 0)
    if not groups:
        return 0
    width = accelerator.decode_width  # a result of an earlier version
    if "indices" in operands:
        return groups * width.coded
    return groups * (width.raw if layer.format or "kv_read" in operands else width.activations)


def _group_weights(layer: LayerResult, accelerator: Accelerator, operands: Set[str]) -> int:
    """Weights of a group of a layer's records."""
    return _decoded_weights(layer, accelerator, operands) // max(1, layer.bounds.get("decode", 0))


def _vector_counts(layer: LayerResult, accelerator: Accelerator) -> dict[Action, Span | float]:
    """A cycle of work is at most an operation per lane; a pass writes its result at most once and reads none to two operands."""
    lanes, cycles = accelerator.vector_unit.lanes, layer.vector_cycles - (layer.lane_mac_cycles or 0)  # those that multiply count apart
    if not lanes or not cycles:
        return {}
    operations = float(cycles * lanes)
    accesses = float(cycles * accelerator.activation_buffer.accesses(lanes))
    return {
        VECTOR_OP: Span(operations, 0.7 * operations, operations),
        VECTOR_WRITE: Span(accesses, accesses / 3, accesses),
        VECTOR_READ: Span(accesses, 0.0, 2 * accesses),
    }


def _traffic_counts(layer: LayerResult, accelerator: Accelerator, received: tuple[Traffic, ...]) -> dict[Action, Span | float]:
    """Bits over each memory, whole bursts included; and what the DMA puts into, or takes from, the buffers, `received` included."""
    counts: dict[Action, float] = {}

    def add(action: Action, count: float) -> None:
        counts[action] = counts.get(action, 0.0) + count

    def into_buffer(item: Traffic) -> None:
        if item.operand == "burst_rounding":
            return
        add(carried(item.operand), item.bits)
        if item.operand in WEIGHT_STREAM:
            add(WEIGHT_WRITE, item.bits / word)
            if item.operand == "codebook":
                add(CODEBOOK_WRITE, item.bits)
        else:
            add(DMA_READ if item.write else DMA_WRITE, item.bits / width)

    width, word, l2 = accelerator.activation_buffer.width_bits, accelerator.weight_buffer.word_bits, accelerator.l2
    for item in layer.traffic:
        if item.memory != L2:
            add(moved(item.memory, item.operand), item.bits)
        if l2 is not None:
            times = operand_crossings(l2.bypass, item.operand, item.memory)
            for action, crosses in ((L2_READ, times == 2 or not item.write), (L2_WRITE, times == 2 or item.write)):
                add(action._replace(operand=item.operand), item.bits / l2.width_bits if times and crosses else 0.0)
        into_buffer(item)
    for item in received:
        into_buffer(item)
    return _exact(counts)
