"""The geometry of a layer's weights at the core: record, records per cycle, axis.

DECODE, SIGN, AXIS, D and P belong to a run, not to the chip: the needs of a format are checked against the chip.
Disputable assumption: on sparse tiles weights without a mask take d / q passes, each with one column for every multiplier; keys and
values of an attention, which are unmasked weights, are refused.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from accelsim.compiler.depthwise import map_groups
from accelsim.compiler.fold_size import fit_folds
from accelsim.compiler.group_scales import with_scales
from accelsim.compiler.held_operands import hold_as_told, hold_of_layer
from accelsim.compiler.target import Target
from accelsim.compiler.tile_tables import with_tables
from accelsim.errors import CompileError
from accelsim.formats.codebook_elements import stored_bits
from accelsim.formats.decode_path import DecodePath, raw_path
from accelsim.formats.parts import Lookup
from accelsim.formats.weight_format import WeightFormat
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.ops.cache_layout import CacheBits
from accelsim.trace.layers import WeightedLayer

_UNSIGNED = (
    ", a sign among them (unsigned integers of 8 bits have none: they would need multipliers of 9 bits; symmetric ones of 8 bits, or "
    "unsigned ones of at most 7, run)"
)


def weight_geometry(target: Target, layer: WeightedLayer) -> CoreGeometry:
    """The core as the runs of a layer with weights see it.

    Raises
    ------
    CompileError
        The layer's format does not fit this chip: names the layer, the field and what is allowed.
    """
    path = layer.weight.format.decode_path()
    book = target.codebook
    name = f"layer {layer.name!r} ({layer.weight.format.kind})"
    passes = _book_passes(target, path, name)
    _check_bits(target, path, passes, name)
    if path.lookup is None:
        width = target.decode_width
        raw = _raw_geometry(target, width.length(path), width.records(path), 0, path.raw_bits, target.weight_buffer.word_bits)
        return _mapped(target, with_scales(target, _dense(target, raw), layer.weight.format, name), layer)
    if layer.weight.format.codebook_scope == "shared" and book.store == "ram":
        raise CompileError(
            f"{name}: its codebook is the chip's, but codebook.store = 'ram' of {target.name!r} is loaded layer by layer; "
            "allowed: codebook.store = 'rom' (with codebook.circuit = 'logic_rom' or 'rom_macro' for its area)"
        )
    if path.d > book.codeword_length:
        raise CompileError(f"{name}: d = {path.d} exceeds codebook.codeword_length = {book.codeword_length} of {target.name!r}")
    entries = path.entries_of_tile(target.array.rows, target.array.dense_cols)
    if entries > book.codewords:
        more = f" in {entries // path.codewords} codebooks" if entries > path.codewords else ""
        raise CompileError(f"{name}: k = {path.codewords} codewords{more} exceed codebook.codewords = {book.codewords} of {target.name!r}")
    _check_elements(target, layer.weight.format, name)
    _check_mask(target, path, name)
    _check_lookups(target, path, path.lookup, name)
    along, length = ("cols", target.array.cols) if path.axis == 0 else ("rows", target.array.rows)
    if length % path.d:
        raise CompileError(f"{name}: d = {path.d} does not divide array.{along} = {length} of {target.name!r}")
    lookup = path.lookup
    records = target.decode_width.records(path)
    coded = _geometry(
        target,
        path.d,
        path.codewords,
        records,
        True,
        path.sign,
        path.axis,
        8,
        target.weight_buffer.word_bits,
        lookup.books if passes == 1 else 1,
    )
    coded = replace(
        coded, passes=passes, tables=lookup.books * lookup.tables, parity=path.signs.group if path.signs else 0, residual=lookup.residual
    )
    if path.entropy is not None and path.entropy.mean is not None:
        coded = replace(coded, coded_index_bits=path.entropy.mean * coded.books)
    if path.mask is not None:
        return _mapped(target, replace(coded, mask_bits=path.mask_bits), layer)
    if target.array.dense_cols % path.d:
        raise CompileError(
            f"{name}: d = {path.d} does not divide the {target.array.dense_cols} columns that weights without a mask take per pass "
            f"on the sparse tiles of {target.name!r}"
        )
    scaled = with_scales(target, _dense(target, coded), layer.weight.format, name)
    return _mapped(target, with_tables(target, scaled, layer, lookup, name), layer)


def _check_bits(target: Target, path: DecodePath, passes: int, name: str) -> None:
    """Check that the multipliers take the integers of a path, whose codebooks meet the rows in `passes`."""
    bits = path.lookup.element_bits if path.lookup is not None and passes > 1 else path.lane_bits
    if 1 <= bits <= 8:
        return
    raise CompileError(
        f"{name}: {bits}-bit weights do not fit the 8-bit array of {target.name!r}; allowed: at most 8 bits"
        + (" (compress the float trace first)" if path.raw_bits == 32 else "")
        + (f" (odd integers take one bit more than the {path.raw_bits} that are stored)" if path.odd else "")
        + (_UNSIGNED if path.raw is not None and path.raw.levels is not None else "")
        + (" (or codebook.additive = 'passes', which adds no codewords up)" if path.lookup and path.lookup.element_bits <= 8 else "")
    )


def _mapped(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry:
    """The core with the mapping of the layer's groups, and with sums, activations or folds of weights that stay in the PEs."""
    if target.ranked_by is not None:
        return geometry.planned_as(weight_geometry(target.ranked_by, layer))
    return hold_of_layer(target, fit_folds(target, map_groups(target, geometry, layer), layer), layer)


def _book_passes(target: Target, path: DecodePath, name: str) -> int:
    """Passes in which the rows of a K-tile meet one codebook's codewords after the other; 1 where these are added up in the decoder.

    Raises
    ------
    CompileError
        Records, or a mapping, that hold no codewords of one codebook alone.
    """
    lookup, array = path.lookup, target.array
    if lookup is None or lookup.lookups == 1 or target.decode_width.additive == "sum":
        return 1
    what = f"codebook.additive = 'passes' of {target.name!r}"
    if path.scale_levels or (lookup.residual and path.entropy is not None):
        part = "scales of groups" if path.scale_levels else "an entropy code for those of one codebook alone"
        raise CompileError(f"{name}: {what} takes codebooks one by one, but records have {part}; allowed: codebook.additive = 'sum'")
    if array.mapping != "tiles" or array.dataflow != "weight_stationary":
        raise CompileError(
            f"{name}: {what} needs array.mapping = 'tiles' and array.dataflow = 'weight_stationary'; "
            "allowed there: codebook.additive = 'sum'"
        )
    return lookup.lookups


def _check_lookups(target: Target, path: DecodePath, lookup: Lookup, name: str) -> None:
    """Check that a cycle has ports and symbols for a whole vector, and that no bank conflicts are asked for that only indices show."""
    book, beyond_core = target.codebook, path.beyond_core
    if target.decode_width.lookups(lookup) > book.ports:
        raise CompileError(
            f"{name}: {lookup.lookups} lookups per vector exceed codebook.ports = {book.ports} of {target.name!r}; "
            f"allowed: at least {lookup.lookups} ports"
        )
    symbols = target.decode_width.vector_symbols(lookup)
    if target.decode_width.symbols is not None and path.entropy is not None and symbols > target.decode_width.symbols:
        raise CompileError(
            f"{name}: {symbols} symbols per vector exceed array.symbols_per_cycle = {target.decode_width.symbols} of {target.name!r}; "
            f"allowed: at least {symbols}"
        )
    if beyond_core and book.banks is not None:
        raise CompileError(
            f"{name}: conflicts of codebook.banks = {book.banks} of {target.name!r} are not modeled for a decoder with "
            f"{beyond_core[0].words}; allowed: codebook.banks = null"
        )


def _check_elements(target: Target, spec: WeightFormat, name: str) -> None:
    """Check that the chip's codebook stores the elements of the format's."""
    book = target.codebook
    bits = stored_bits([spec], book.element_code)
    if bits is None:
        raise CompileError(
            f"{name}: elements of its codebook are any integers, but codebook.element_code = 'table' of {target.name!r} stores numbers of "
            "values that formats define; allowed: codebook.element_code = 'integer'"
        )
    if bits > book.element_bits:
        raise CompileError(
            f"{name}: elements of {bits} bits exceed codebook.element_bits = {book.element_bits} of {target.name!r}; "
            f"allowed: at least {bits}"
        )


def _check_mask(target: Target, path: DecodePath, name: str) -> None:
    """Check that the chip decodes the mask, along the axis of its sparse tiles."""
    mask = target.codebook.mask
    if path.mask is not None and mask is not None and path.mask != (mask.keep, mask.of):
        raise CompileError(
            f"{name}: its masks keep {path.mask[0]} of {path.mask[1]}; codebook.mask of {target.name!r} is {mask.keep} of {mask.of}"
        )
    if path.axis == 1 and target.array.has_sparse_tiles:
        raise CompileError(
            f"{name}: axis = 1 (along the reduction) does not fit the sparse tiles of {target.name!r}, whose columns share "
            "multipliers; allowed: axis = 0, or array.sparse_tile = null"
        )


def _dense(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    """The core as weights without a matching mask see it: on sparse tiles one column for each multiplier, so d / q times the stripes."""
    cols = target.array.dense_cols
    return replace(geometry, cols=cols, ports=min(geometry.ports, geometry.rows * cols // geometry.codeword_length))


def activation_geometry(target: Target, transposed: bool, cached: bool = False, bits: CacheBits = 8) -> CoreGeometry:
    """The core as an attention product sees it: raw records out of the activation buffer, or out of a cache by the weight buffer.

    Keys lie with their head's elements side by side, which is the reduction of Q x K^T: axis 1, no transposing write. Elements of 16 bits
    are rounded to 8 as they are unpacked, half as many per cycle: the unpacker stays as wide as it is. Those of 4 bits, of a cache alone,
    are levels, as many per cycle as of 8.

    Raises
    ------
    CompileError
        Sparse tiles, which need masks; or a way for 16 bits that is narrower than a record.
    """
    if target.array.has_sparse_tiles:
        raise CompileError(
            f"accelerator {target.name!r}: a product of two activations (attention) has no masks for array.sparse_tile; "
            "allowed: networks whose products all have weights, or array.sparse_tile = null"
        )
    axis = 1 if transposed else 0
    width = target.decode_width
    records, word_bits = (
        (width.records(raw_path(8)), target.weight_buffer.word_bits)
        if cached
        else (width.activation_records, target.activation_buffer.loader_bits)
    )
    stored = bits if cached or bits == 16 else 8
    if stored == 16:
        records //= 2
        if not records:
            d = width.codeword_length
            raise CompileError(
                f"accelerator {target.name!r}: a record of {d} elements of a 16-bit cache does not leave the unpacker in a cycle; "
                f"allowed: raw values of at least {16 * d} bits per cycle (array.raw_weights_per_cycle), or a cache of 8 or 4 bits"
            )
    raw = _raw_geometry(target, width.codeword_length, records, axis, stored, word_bits)
    return hold_as_told(target, raw)


def _raw_geometry(target: Target, d: int, records: int, axis: int, bits: int | Fraction, word_bits: int) -> CoreGeometry:
    """The core as raw values see it: `records` of `d` values per cycle, past the codebook."""
    return _geometry(target, d, 1, records, False, False, axis, bits, word_bits)


def _geometry(
    target: Target,
    d: int,
    codewords: int,
    ports: int,
    decode: bool,
    sign: bool,
    axis: int,
    raw_bits: int | Fraction,
    word_bits: int,
    books: int = 1,
) -> CoreGeometry:
    return CoreGeometry(
        rows=target.array.rows,
        cols=target.array.cols,
        codeword_length=d,
        codewords=codewords,
        ports=ports,
        word_bits=word_bits,
        decode=decode,
        sign=sign,
        axis=axis,
        max_m=target.array.max_m,
        raw_bits=raw_bits,
        shadow_sets=target.array.shadow_sets,
        padded_index=target.codebook.index_field == "padded",
        books=books,
        drain_stages=target.array.drain_stages,
        file=target.array.held_weights,
    )
