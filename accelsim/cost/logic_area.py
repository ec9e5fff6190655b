"""The logic of an accelerator: which block of `gate_counts` it has, how large, and how well that block's formula is known.

Disputable assumptions: the unpack buffer is sized for its widest group, mostly a cycle's raw bytes, and may be filled at
any bit because formats of other widths run on the same core; paths for raw values and for codewords both exist.
"""

from __future__ import annotations

from math import comb

from accelsim.accelerator import Accelerator
from accelsim.cost import (
    column_feed,
    gate_counts,
    gemv_gates,
    input_stationary_gates,
    output_stationary_gates,
    row_pass_gates,
    scale_gates,
    sparse_tile,
    vector_path_gates,
)
from accelsim.cost.components import AreaComponent, logic
from accelsim.cost.gate_counts import SYNTHESIS
from accelsim.cost.span import Span
from accelsim.cost.technology import Technology
from accelsim.cost.unpack_width import widest_pop_bits

# Error of each formula against the rows that it was fitted to, widened to whole percents: tests/validation/test_area.py holds them.
FIT_ERROR = {
    "pe": 0.03,
    "skew": 0.03,
    "unpack": 0.13,
    "sign": 0.01,
    "adder": 0.03,
    "control": 0.05,
}
_RAW_WIDTHS = 8  # raw values of 1 to 8 bits
ESTIMATE = "own estimate, not synthesized"


def logic_components(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Everything made of gates but the codebook."""
    array = accelerator.array
    lanes = accelerator.decode_width.coded
    flow = technology.logic.mac_array_factor
    tile = array.sparse_tile
    if tile is None and array.held_weights > 1:
        pes = Span.exact(array.rows * array.cols * gate_counts.pe_weight_file(array.psum_bits, array.pe_weights))
        pe_source = f"PE by {SYNTHESIS}, files of {array.pe_weights} weights in latches with one read port an {ESTIMATE}"
    elif tile is None:
        pes, pe_source = _fitted("pe", array.rows * array.cols * gate_counts.pe(array.psum_bits)), f"{SYNTHESIS}, PE within 3 %"
    else:
        pes = sparse_tile.tile_row(array.psum_bits, tile.d, tile.q, array.pe_weights if array.held_weights > 1 else 2) * (
            array.rows * array.cols // tile.d
        )
        pe_source = f"{tile.q} multipliers for {tile.d} columns; parts of the PE by {SYNTHESIS}, routing an {ESTIMATE}"
    pes = pes * flow.span
    psum_note = () if array.psum_bits in range(16, 33) else (f"psums of {array.psum_bits} bits: fitted for 16 to 32, extrapolated",)
    core_note = () if array.max_m <= 65536 else (f"max_m = {array.max_m}: synthesized at 256, extrapolated",)
    vector_note = (
        "0 lanes stand for an ideal unit: no area" if accelerator.vector_unit.lanes == 0 else "range: requantizer only to full 32-bit lanes"
    )
    word_bits = accelerator.weight_buffer.word_bits
    skew = _fitted("skew", gate_counts.skew_registers(array.rows, array.cols, array.activation_bits))
    return (
        logic("PE array", "array", pes, technology, f"{pe_source}; flow: {flow.citation}", psum_note),
        *_second_shadow(accelerator, technology),
        *_wider_rows(accelerator, technology),
        *_column_feeds(accelerator, technology),
        *_group_scales(accelerator, technology),
        *_row_passes(accelerator, technology),
        *_few_rows(accelerator, technology),
        *_held_sums(accelerator, technology),
        *_held_inputs(accelerator, technology),
        logic("skew registers", "array", skew, technology, SYNTHESIS),
        logic(
            "accumulator adders",
            "accumulators",
            _fitted("adder", gate_counts.accumulator_adders(array.cols, array.psum_bits)),
            technology,
            SYNTHESIS,
            psum_note,
        ),
        *_drain_parts(accelerator, technology),
        _unpacker(accelerator, technology),
        logic(
            "sign decoder",
            "decoder",
            _fitted("sign", gate_counts.sign_decoder(lanes)),
            technology,
            f"{SYNTHESIS}: eight XOR and a carry a lane, two's complement",
        ),
        *_masks(accelerator, technology),
        logic(
            "control",
            "control",
            _fitted("control", gate_counts.control(array.rows, array.cols, array.max_m, lanes, accelerator.raw_weights_per_cycle)),
            technology,
            SYNTHESIS,
            core_note,
        ),
        logic(
            "activation buffer switch",
            "buffers",
            gate_counts.buffer_switch(accelerator.activation_buffer.banks, accelerator.activation_buffer.width_bits),
            technology,
            ESTIMATE,
        ),
        logic("vector unit", "vector unit", gate_counts.vector_unit(accelerator.vector_unit.lanes), technology, ESTIMATE, (vector_note,)),
        *_mac_lanes(accelerator, technology),
        logic(
            "DMA",
            "dma",
            gate_counts.dma_engine(accelerator.dma.max_transfers, accelerator.dma.max_outstanding_bursts, word_bits),
            technology,
            ESTIMATE,
            ("memory controller and PHY are not counted",),
        ),
    )


def _drain_parts(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Deskew registers behind the adders, or the table of starts by which accumulators are used again."""
    array, vector = accelerator.array, accelerator.vector_unit
    if array.accumulator_read == "deskew":
        gates = _fitted("skew", gate_counts.deskew_registers(array.cols, array.psum_bits))
        return (logic("deskew registers", "accumulators", gates, technology, SYNTHESIS),)
    if array.accumulator_rule != "predicted":
        return ()
    row_cycles = vector.passes.requantize * -(-array.cols // vector.lanes) if vector.lanes else 1
    slots, bits = gate_counts.drain_start_bits(array.rows, array.cols, array.max_m * array.accumulator_banks, row_cycles)
    note = (f"{slots} accumulator rows, {bits} bits each: a start within {1 << (bits - 1)} cycles and whether it is still to come",)
    return (logic("drain start table", "accumulators", gate_counts.drain_start_table(slots, bits), technology, ESTIMATE, note),)


def _masks(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Logic that expands masks on the load path and, for sparse tiles, compacts the kept weights."""
    codebook, tile = accelerator.codebook, accelerator.array.sparse_tile
    if codebook.mask is None:
        return ()
    lanes = accelerator.decode_width.coded
    keep, of = codebook.mask.keep, codebook.mask.of
    note = (f"{comb(of, keep)} patterns of {of} bits for each {of} of {lanes} lanes per cycle",)
    parts = [logic("mask decoder", "decoder", sparse_tile.mask_decoder(keep, of, lanes), technology, ESTIMATE, note)]
    if tile is not None:
        note = (f"{tile.q} of each {tile.d} lanes",)
        parts.append(logic("weight compactor", "decoder", sparse_tile.weight_compactor(lanes, tile.d, tile.q), technology, ESTIMATE, note))
    return tuple(parts)


def _group_scales(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Logic that scales sums of groups at the columns' taps, or weights in the decoder; none on a chip that states neither."""
    array = accelerator.array
    if not array.states_scaling:
        return ()
    taps = array.scale_taps or 1
    count = array.cols * taps
    note = (f"{count} multipliers of {scale_gates.SUM_BITS}-bit sums at {taps} tap{'s' if taps > 1 else ''} per column",)
    registers = logic("scale registers", "array", scale_gates.scale_registers(array, taps), technology, ESTIMATE, ("double-buffered",))
    parts = [logic("group scales", "array", scale_gates.tap(array.psum_bits) * count, technology, ESTIMATE, note), registers]
    if array.scale_at == "weight":
        lanes = accelerator.decode_width.widest
        note = (f"{lanes} multipliers of a weight by an integer scale",)
        parts.append(logic("weight scales", "decoder", scale_gates.decoder_multiplier() * lanes, technology, ESTIMATE, note))
    if array.weight_bits > 8:
        more = scale_gates.wider_pes(array)
        gates = Span(more, 0.75 * more, 1.5 * more)
        parts.append(logic("wider weights", "array", gates, technology, ESTIMATE, (f"PEs of {array.weight_bits}-bit weights",)))
    return tuple(parts)


def _wider_rows(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Multipliers and registers of rows of more than 8 bits, beside those of the PEs; none on a chip of 8."""
    array = accelerator.array
    if array.activation_bits == 8:
        return ()
    more = scale_gates.wider_rows(array)
    note = (f"multipliers of {array.activation_bits} x {array.weight_bits} bits, {array.rows} subtractors of zero points",)
    return (logic("wider rows", "array", Span(more, 0.75 * more, 1.5 * more), technology, ESTIMATE, note),)


def _row_passes(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Logic for rows of more than 8 bits, on a chip that states them."""
    array = accelerator.array
    wide: tuple[AreaComponent, ...] = ()
    if array.macs_16bit is not None:
        macs = (f"{array.macs_16bit:,} of 16 x 8 bits",)
        wide = (logic("16-bit multipliers", "array", row_pass_gates.wide_multipliers(array.macs_16bit), technology, ESTIMATE, macs),)
    if array.most_row_passes == 1:
        return wide
    note = (f"rows of {array.row_bits} bits, {array.most_row_passes} passes",)
    feet = row_pass_gates.column_foot(array.psum_bits, array.most_row_passes) * array.cols
    adders = logic("row pass adders", "array", feet, technology, ESTIMATE, note)
    if array.activation_bits > 8:  # these multipliers take an unsigned byte already
        return *wide, adders
    return *wide, adders, logic("unsigned bytes", "array", row_pass_gates.unsigned_bytes(array), technology, ESTIMATE, note)


def _few_rows(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Multipliers and sums behind the decoder, on a chip that maps few rows there."""
    array = accelerator.array
    if not array.few_rows:
        return ()
    flow = technology.logic.mac_array_factor
    lanes = (f"{gemv_gates.gemv_lanes(accelerator)} multipliers and as many adders beside the PEs",)
    sums = (f"2 banks of {array.few_rows} x {array.cols} sums of {array.psum_bits} bits",)
    gates = gemv_gates.gemv_multipliers(accelerator) * flow.span
    scales: tuple[AreaComponent, ...] = ()
    if array.states_scaling:
        note = (f"at most {min(gemv_gates.gemv_lanes(accelerator), array.cols)} multipliers of {scale_gates.SUM_BITS}-bit sums",)
        scales = (logic("GEMV scales", "array", gemv_gates.gemv_scales(accelerator), technology, ESTIMATE, note),)
    return (
        *scales,
        logic("GEMV multipliers", "array", gates, technology, f"multiplier by {SYNTHESIS}; {ESTIMATE}; flow: {flow.citation}", lanes),
        logic("GEMV sums", "accumulators", gemv_gates.gemv_sums(accelerator), technology, ESTIMATE, sums),
    )


def _held_sums(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Parts of PEs, decoder and drain for sums that stay in the PEs; none on a chip that holds none."""
    array, gates = accelerator.array, output_stationary_gates
    if not array.may_hold_outputs:
        return ()
    flow, queued = technology.logic.mac_array_factor.span, gates.queue_bits(accelerator)
    what = (f"{array.accumulator_banks} x {array.psum_bits} bits per PE",)
    note = (f"{queued.nominal:.0f} bits; high: {queued.high:.0f}, for codewords along the reduction",)
    foot, lines = (f"{gates.foot_bits(accelerator)} bits",), (f"{gates.line_bits(accelerator)} bits",)
    return (
        logic("sums in PEs", "array", gates.sums(accelerator) * flow, technology, ESTIMATE, what),
        logic("passing weights", "array", gates.passing_weights(accelerator) * flow, technology, ESTIMATE, ("skew included",)),
        logic("activation line registers", "array", gates.lines(accelerator), technology, ESTIMATE, lines),
        logic("weight queue", "decoder", gates.queue(accelerator), technology, ESTIMATE, note),
        logic("drain registers", "accumulators", gates.foot(accelerator), technology, ESTIMATE, foot),
    )


def _held_inputs(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Parts for activations that stay in the PEs; none on a chip where none do."""
    array, parts = accelerator.array, input_stationary_gates
    if not array.may_hold_inputs:
        return ()
    what = (f"2 x {array.rows} x {array.cols} weights of {array.weight_bits} bits",)
    flow = technology.logic.mac_array_factor.span
    return (
        logic("weight banks", "decoder", parts.banks(accelerator), technology, ESTIMATE, what),
        logic("activation load", "array", parts.load_select(accelerator) * flow, technology, ESTIMATE, ("a multiplexer per PE",)),
    )


def _second_shadow(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Area added by a second shadow set; the PE includes the first, and all files of weights."""
    array = accelerator.array
    if array.shadow_sets == 1 or array.held_weights > 1:
        return ()
    gates = gate_counts.second_shadow_weights(array.rows, array.cols)
    source = f"registers and multiplexers, each at its cost by {SYNTHESIS}; {ESTIMATE} as a whole"
    return (logic("second shadow weights", "array", gates, technology, source),)


def _column_feeds(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Windows and multiplexers of columns with feeds of their own."""
    array = accelerator.array
    if array.column_feed is None:
        return ()
    parts = [logic("column feeds", "array", column_feed.feeds(array), technology, ESTIMATE, (f"{array.cols} feeds",))]
    if array.column_feed:
        note = (f"{array.column_feed} x {array.column_feed} activations per column, {column_feed.window_register_bits(array)} bits",)
        parts.append(logic("column windows", "array", column_feed.windows(array), technology, ESTIMATE, note))
    return tuple(parts)


def _mac_lanes(accelerator: Accelerator, technology: Technology) -> tuple[AreaComponent, ...]:
    """Multipliers and weights of lanes that compute depthwise layers; none on a chip whose lanes do not."""
    unit, parts = accelerator.vector_unit, vector_path_gates
    if unit.depthwise_taps is None:
        return ()
    what = (f"{unit.lanes} multipliers, adders and sums; low: no multipliers of their own",)
    note = (f"2 x {unit.depthwise_taps} weights for {accelerator.array.cols} channels, {parts.weight_register_bits(accelerator)} bits",)
    return (
        logic("MAC lanes", "vector unit", parts.mac_lanes(accelerator), technology, f"multiplier by {SYNTHESIS}; {ESTIMATE}", what),
        logic("depthwise weights", "vector unit", parts.weight_registers(accelerator), technology, ESTIMATE, note),
    )


def _unpacker(accelerator: Accelerator, technology: Technology) -> AreaComponent:
    """Sized for its widest group; nominal: records of any width; low: one fixed width; high: and what takes any width out.

    That is a shifter by any number of bits; with padded index fields a multiplexer over the few widths that are left will do.
    """
    codebook = accelerator.codebook
    word_bits = max(accelerator.weight_buffer.word_bits, accelerator.activation_buffer.loader_bits)
    pop_bits = widest_pop_bits(accelerator)
    raw = accelerator.raw_weights_per_cycle
    widest = f"{raw} raw weights" if pop_bits == 8 * raw else f"{codebook.ports} coded records"
    fixed = gate_counts.unpack_buffer(word_bits, pop_bits)
    free = gate_counts.unpack_buffer(word_bits, pop_bits, step_bits=1)
    held = word_bits + pop_bits + max(word_bits, pop_bits)
    out_shifter = gate_counts.READ_MUX * held * max(1, (pop_bits - 1).bit_length())
    what = "a shifter for any record width"
    if codebook.index_field == "padded":
        field_bits = max(1, (codebook.codewords - 1).bit_length())
        widths = 2 * len({1 << (bits - 1).bit_length() for bits in range(1, field_bits + 1)}) + _RAW_WIDTHS  # with and without signs
        out_shifter = min(out_shifter, gate_counts.record_aligner(pop_bits, widths))
        what = f"a multiplexer over {widths} record widths"
    error = FIT_ERROR["unpack"]
    return logic(
        "unpack buffer",
        "decoder",
        Span(free, (1 - error) * fixed, (1 + error) * (free + out_shifter)),
        technology,
        f"{SYNTHESIS}, within 13 % for one fixed record width",
        (
            f"W = {word_bits}, n = {pop_bits} bits ({widest}, the widest group); filled at any bit: the fit's step taken as 1, extrapolated"
            f"; high: {what} at its output",
        ),
    )


def _fitted(name: str, gates: float) -> Span:
    """A count from a fit, with the fit's error around it."""
    return Span(gates, gates * (1 - FIT_ERROR[name]), gates * (1 + FIT_ERROR[name]))
