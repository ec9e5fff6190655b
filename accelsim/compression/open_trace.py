"""A trace by name, the shapes of a float trace in another format, and a step of a language model: `lm@vecq:bits=4@step:context=99`.

Cycles, traffic, area and energy follow from shapes and formats; nothing is encoded, so such a trace has no bits to multiply, its bank
conflicts are those of evenly drawn indices, and it says nothing of the error.
"""

from __future__ import annotations

from pathlib import Path

from accelsim.compression.decoder_presets import check_single
from accelsim.compression.expected_lengths import NOTE, Known, with_expected_lengths
from accelsim.compression.recipe import MatrixShape, Recipe, check_fit, make_recipe
from accelsim.errors import FormatError, TraceError
from accelsim.formats.catalog import describe_format
from accelsim.presets import find_trace
from accelsim.trace.manifest import CompressionRecord
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace, load_trace
from accelsim.trace.trace_name import SIGN, TraceName, parse_step


def open_trace(name: str) -> Trace:
    """The trace of a name, of a directory, or of NAME@FORMAT@step:...: the shapes of NAME in a format, at a step of its tokens.

    FORMAT alone is the usual recipe; LAYERS=FORMAT is for the layers whose names match. Both parts may be left out.

    Raises
    ------
    ConfigError, TraceError, FormatError
        There is no such trace, it cannot be read; NAME@presets, which is several traces; a format for a trace that is compressed already,
        or that does not fit; a step of a trace that is no causal language model.
    """
    if Path(name).is_dir():
        return load_trace(find_trace(name))
    parts = TraceName.parse(name)
    if parts.step is not None:
        fields = parse_step(parts.step)
        return at_tokens(open_trace(name.removesuffix(f"{SIGN}{parts.step}")), **fields, name=name)
    if parts.format is None:
        return load_trace(find_trace(name))
    check_single(parts)
    pattern, format_text = parts.layers_and_format
    return in_format(load_trace(find_trace(parts.source)), make_recipe(format_text, pattern), name)


def open_float_trace(name: str) -> Trace:
    """The trace of a name or a directory, whose weights are to be encoded.

    Raises
    ------
    ConfigError, TraceError
        There is no such trace or it cannot be read; the name is NAME@FORMAT, which has no weights.
    """
    parts = TraceName.parse(name)
    if not Path(name).is_dir():
        check_single(parts)
    if parts.step is not None and not Path(name).is_dir():
        raise TraceError(f"{name!r}: a step is shapes without weights to encode; allowed: a float trace, such as {parts.source!r}")
    if parts.format is not None and not Path(name).is_dir():
        raise TraceError(
            f"{name!r}: NAME{SIGN}FORMAT is shapes without weights to encode; allowed: a float trace, such as {parts.source!r} "
            f"(with --format {parts.layers_and_format[1]} for that format)"
        )
    return load_trace(find_trace(name))


def in_format(trace: Trace, recipe: Recipe, name: str) -> Trace:
    """The shapes of a float trace with the formats of a recipe, under another name, without bits.

    Raises
    ------
    TraceError, FormatError
        Not a float trace; a pattern that matches nothing, or a format that does not fit a layer.
    """
    weighted = trace.weighted_layers()
    if trace.manifest.compression is not None:
        raise TraceError(f"{name!r}: trace {trace.name!r} is compressed already; allowed before {SIGN!r}: a float trace")
    matrices = [MatrixShape.of(layer) for layer in weighted]
    recipe = recipe.settled([matrices])
    chosen = {layer.name: recipe.format_of(layer.name) for layer in weighted}
    for matrix in matrices:
        try:
            check_fit(matrix, chosen[matrix.layer])
        except FormatError as error:
            raise FormatError(f"{name!r}, layer {matrix.layer!r}: {error}") from None
    known: Known = {}
    for layer in weighted:
        chosen[layer.name] = with_expected_lengths(chosen[layer.name], trace, layer, known)
    manifest = trace.manifest.with_fields(
        name=name,
        layers=tuple(layer.in_format(chosen[layer.name]) if layer.name in chosen else layer for layer in trace.layers),
        payload=None,
        notes=(*trace.manifest.notes, *recipe.notes, *((NOTE,) if known else ())),
        compression=CompressionRecord(
            rules=tuple((rule.pattern, describe_format(rule.format)) for rule in recipe.rules),
            seed=recipe.seed,
            float_trace_sha256=trace.sha256,
        ),
    )
    return Trace(manifest)
