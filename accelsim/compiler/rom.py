"""The layers and networks that one ROM can serve: those that share one universal codebook, or whose formats define their codebooks.

Codebooks that formats define (the grids of GGUF's IQ types, of which a file mixes several, and of QuIP#) lie one after the other in a ROM
that has room for all of them. Disputable assumptions: a codeword shorter than the ROM's takes an entry of its own; networks without
payload and without an encoder's record state shapes only, and if their formats agree they are taken to share the codebook that the chip
will have, which the result says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.formats.codebook_elements import stored_bits
from accelsim.formats.weight_format import WeightFormat, built_in_entries
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace


def check_rom(target: Target, traces: Sequence[Trace]) -> tuple[str, ...]:
    """Check that one ROM can hold the codebooks of all layers of all traces, if any of them is universal.

    It holds a single codebook of weights, or those that formats define.

    Returns
    -------
    Notes for the reader of the result.

    Raises
    ------
    CompileError
        Different universal codebooks, or codebooks of their own beside a universal one: names two layers, and their networks. Or
        codebooks of formats that are more than the ROM holds together: names them.
    """
    coded = [(trace, _coded(trace)) for trace in traces]
    coded = [(trace, layers) for trace, layers in coded if layers]
    universal = _formats([layer for _, layers in coded for layer in layers], ("shared",))
    shared = [(trace, layer) for trace, layers in coded for layer in layers if layer.weight.format in universal]
    if not shared:
        return _books_in_rom(target, sum(len(layers) for _, layers in coded))
    if all(layer.weight.format.built_in_codebook for _, layers in coded for layer in layers):
        _check_room(target, shared)
        return ()
    for trace, layers in coded:
        for layer in layers:
            _check_same(target, shared[0], (trace, layer))
    unproved = [trace.name for trace, _ in coded if not trace.has_payload]
    if len(coded) == 1 or not unproved:
        return ()
    return (f"{', '.join(unproved)}: no payload and no record of an encoder; their formats agree, so they are taken to share one codebook",)


def _books_in_rom(target: Target, books: int) -> tuple[str, ...]:
    """Notes on per-layer codebooks on a chip with a ROM."""
    if target.codebook.store != "rom" or books < 2:
        return ()
    return (
        f"codebook.store = 'rom' holds one codebook, and {books} layers have their own: they are taken to lie in ROM and are never loaded, "
        "but the area is that of one",
    )


def _coded(trace: Trace) -> list[WeightedLayer]:
    layers = trace.weighted_layers()
    coded = _formats(layers, ("layer", "shared"))
    return [layer for layer in layers if layer.weight.format in coded]


def _formats(layers: Sequence[WeightedLayer], scopes: Sequence[str]) -> set[WeightFormat]:
    """The formats of layers whose codebooks have one of these owners."""
    return {spec for spec in {layer.weight.format for layer in layers} if spec.codebook_scope in scopes}


def _check_room(target: Target, coded: Sequence[tuple[Trace, WeightedLayer]]) -> None:
    """Check that the ROM holds all codebooks that formats define, and one table the values of their elements."""
    first = {layer.weight.format.built_in_codebook: layer for _, layer in reversed(coded)}
    entries = built_in_entries(layer.weight.format for layer in first.values())
    total = sum(entries.values())
    if len(entries) > 1 and total > target.codebook.codewords:
        listed = ", ".join(f"{book} of {count} (layer {first[book].name!r})" for book, count in sorted(entries.items()))
        raise CompileError(
            f"the {len(entries)} codebooks {listed} have {total} codewords together, but codebook.codewords = {target.codebook.codewords} "
            f"of {target.name!r}; allowed: codebook.codewords = {total} or more"
        )
    book = target.codebook
    bits = stored_bits((layer.weight.format for layer in first.values()), book.element_code)
    if len(entries) > 1 and bits is not None and bits > book.element_bits:
        raise CompileError(
            f"elements of the {len(entries)} codebooks {', '.join(sorted(entries))} take {bits} bits together, but codebook.element_bits = "
            f"{book.element_bits} of {target.name!r}; allowed: codebook.element_bits = {bits} or more"
        )


def _check_same(target: Target, first: tuple[Trace, WeightedLayer], other: tuple[Trace, WeightedLayer]) -> None:
    inside = first[0] is other[0]
    same = _in_network(first[1]) == _in_network(other[1]) if inside else _identity(*first) == _identity(*other)
    if same:
        return
    names = [f"{layer.name!r}" if inside else f"{layer.name!r} of {trace.name!r}" for trace, layer in (first, other)]
    allowed = (
        "layers that share one universal codebook, and uncoded ones"
        if inside
        else "networks compressed together (accelsim compress --with), with their payloads"
    )
    raise CompileError(
        f"layers {names[0]} and {names[1]} need different codebooks, but the ROM of {target.name!r} holds one; allowed: {allowed}"
    )


def _in_network(layer: WeightedLayer) -> tuple[object, ...]:
    """The identity of a codebook within a network: its record in the payload, or without one the format."""
    record = layer.weight.streams.get("codebook")
    return (record,) if record is not None else (layer.weight.format.built_in_codebook or layer.weight.format,)


def _identity(trace: Trace, layer: WeightedLayer) -> tuple[object, ...]:
    """The identity of a codebook across networks: its bytes; without payload the inputs of its regeneration."""
    spec, own = layer.weight.format, layer.weight
    path = spec.decode_path()
    scope = spec.codebook_scope
    if spec.built_in_codebook:
        return scope, spec.built_in_codebook
    if scope == "shared" and trace.has_payload and "codebook" in own.streams:
        return scope, path.codewords, path.d, hashlib.sha256(trace.stream(layer.name, "codebook").tobytes()).hexdigest()
    return scope, spec, trace.manifest.compression if scope == "shared" else (trace.name, layer.name)
