"""Candidate formats of a network: which layers may take each, the uniform choice of each, and the encoded weights.

A uniform choice is what `accelsim compress --format` means: the format on the usual layers, or on those of a pattern, and 8 bits on the
others. Disputable assumption: a codebook that layers share is drawn on all layers that may take the format, whichever take it in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from glob import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.encoder import find_encoder, reconstruct
from accelsim.compression.recipe import EVERYTHING, REST, MatrixShape, Recipe, Rule, check_fit, make_recipe
from accelsim.errors import ConfigError, FormatError, TraceError
from accelsim.format_choice.output_errors import Change
from accelsim.formats.catalog import describe_format, parse_format
from accelsim.formats.weight_format import WeightFormat
from accelsim.progress import Progress
from accelsim.trace.trace import Trace

MOST_FORMATS = 10  # of a choice: under a limit of area, every set of them is costed
_REST = describe_format(parse_format(REST))


@dataclass(frozen=True)
class Candidates:
    """The formats of a choice and the layers that may take each.

    Attributes
    ----------
    trace : the float trace
    layers : names of the layers with weights, in order
    formats : texts of the candidates, and of 8 bits where a layer may need it; each once
    allowed : bool [layers, formats]
    uniform : candidate -> the place of each layer's format in its uniform choice
    seed : of the encoders
    """

    trace: Trace
    layers: tuple[str, ...]
    formats: tuple[str, ...]
    allowed: npt.NDArray[np.bool_]
    uniform: Mapping[str, tuple[int, ...]]
    seed: int

    def recipe(self, assignment: Sequence[int]) -> Recipe:
        """The recipe of an assignment: a rule per layer."""
        rules = [Rule(escape(name), parse_format(self.formats[place])) for name, place in zip(self.layers, assignment, strict=True)]
        return Recipe((*rules, Rule(EVERYTHING, parse_format(REST))), self.seed)


def candidates_of(trace: Trace, formats: Sequence[str], pattern: str | None, seed: int) -> Candidates:
    """The candidates for a float trace.

    Parameters
    ----------
    formats : texts, such as 'ssvq:k=16,d=8'
    pattern : of the layers whose format is chosen, the others keep 8 bits; None: all

    Raises
    ------
    TraceError, ConfigError, FormatError
        Not a float trace; no format or too many, or one given twice; a format that is unknown, has no encoder or fits no layer; a pattern
        that matches no layer.
    """
    matrices = [MatrixShape.of(layer) for layer in trace.weighted_layers()]
    if trace.manifest.compression is not None or not matrices:
        what = "has no layer with weights" if not matrices else "is compressed already"
        raise TraceError(f"trace {trace.name!r} {what}; allowed: a float trace")
    texts = [describe_format(parse_format(text)) for text in formats]
    if not 1 <= len(texts) <= MOST_FORMATS:
        raise ConfigError(f"a choice is given {len(texts)} formats; allowed: 1 to {MOST_FORMATS}")
    for text in texts:
        if texts.count(text) > 1:
            raise ConfigError(f"format {text!r} is given twice; allowed: each format once")
        find_encoder(parse_format(text))
    uniform = [_uniform(text, pattern, matrices, seed) for text in texts]
    named = list(dict.fromkeys((*texts, *(text for chosen in uniform for text in chosen))))
    allowed = np.zeros((len(matrices), len(named)), bool)
    for layer, matrix in enumerate(matrices):
        for chosen in uniform:
            allowed[layer, named.index(chosen[layer])] = True
        if pattern is None or fnmatchcase(matrix.layer, pattern):
            for text in texts:
                allowed[layer, named.index(text)] |= _fits(matrix, text)
    places = {text: tuple(named.index(item) for item in chosen) for text, chosen in zip(texts, uniform, strict=True)}
    return Candidates(trace, tuple(matrix.layer for matrix in matrices), tuple(named), allowed, places, seed)


def _uniform(text: str, pattern: str | None, matrices: Sequence[MatrixShape], seed: int) -> list[str]:
    """The format of each layer in a uniform choice; one that does not fit a layer of the pattern leaves it at 8 bits."""
    recipe = make_recipe(text, pattern, seed).settled([matrices])
    chosen = [describe_format(recipe.format_of(matrix.layer)) for matrix in matrices]
    found = [item if _fits(matrix, item) else _REST for matrix, item in zip(matrices, chosen, strict=True)]
    if text not in found:
        refused = matrices[chosen.index(text)]
        try:
            check_fit(refused, parse_format(text))
        except FormatError as error:
            raise FormatError(f"layer {refused.layer!r}: {error}; no layer fits") from None
    return found


def _fits(matrix: MatrixShape, text: str) -> bool:
    try:
        check_fit(matrix, parse_format(text))
    except FormatError:
        return False
    return True


class Encoded:
    """The weights of a network in each candidate, encoded once.

    A trace that is put together of them has the bits of `accelsim compress` with its recipe, but for shared codebooks.
    """

    def __init__(self, candidates: Candidates, progress: Progress | None = None) -> None:
        self.candidates = candidates
        self._arrays: dict[tuple[int, int], Mapping[str, npt.NDArray[Any]]] = {}
        for place, text in enumerate(candidates.formats):
            if progress is not None:
                progress("formats encoded", place, len(candidates.formats))
            taking = [layer for layer in range(len(candidates.layers)) if candidates.allowed[layer, place]]
            rules = [Rule(escape(candidates.layers[layer]), parse_format(text)) for layer in taking]
            recipe = Recipe((*rules, Rule(EVERYTHING, parse_format(REST))), candidates.seed)
            packed, _ = compress_trace(candidates.trace, recipe, name="candidate")
            self._arrays |= {(layer, place): packed.arrays(candidates.layers[layer]) for layer in taking}

    def changes(self, places: Mapping[int, int]) -> Change:
        """The weights of some layers (by their places) in a format each, to stand for the float ones."""
        return {self.candidates.layers[layer]: partial(self._weights, layer, place) for layer, place in places.items()}

    def stored_bytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each layer's own streams in each format that it may take, [layers, formats]: indices, signs, codebooks, scales."""
        found = np.zeros(self.candidates.allowed.shape, np.int64)
        for (layer, place), arrays in self._arrays.items():
            spec, k, n = self._fitted(layer, place, arrays)
            found[layer, place] = spec.bit_count(k, n).stored // 8
        return found

    def trace(self, assignment: Sequence[int], name: str) -> Trace:
        """The packed trace of an assignment."""
        own = self.candidates
        given = {layer: self._arrays[number, place] for number, (layer, place) in enumerate(zip(own.layers, assignment, strict=True))}
        packed, _ = compress_trace(own.trace, own.recipe(assignment), name=name, given=given)
        return replace(packed, manifest=packed.manifest.with_fields(notes=own.trace.manifest.notes))

    def _weights(self, layer: int, place: int) -> npt.NDArray[np.float64]:
        arrays = self._arrays[layer, place]
        spec, k, n = self._fitted(layer, place, arrays)
        return reconstruct(spec, arrays, k, n)

    def _fitted(self, layer: int, place: int, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[WeightFormat, int, int]:
        """The format of a layer's arrays, K and N."""
        weight = self.candidates.trace.weighted_layers()[layer].weight
        return parse_format(self.candidates.formats[place]).fitted(arrays, weight.k, weight.n), weight.k, weight.n
