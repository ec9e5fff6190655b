"""VPTQ (arXiv 2409.17066) as the vptq package stores it: vectors of outputs of one input, the sum of a codeword and a residual's.

Inputs are stored in an order of their own: outliers first, which have a codebook and no residual, then groups of inputs with a pair of
codebooks each. `perm` [K] names the input of each stored place; `weight_scale` and `weight_bias` [K] belong to the inputs:
w = scale * codewords + bias. Of G groups of I inputs and V vectors of d outputs, `indices` [G, V, words] of int32 packs an index and the
residual's above it, input after input; unpacked, `indices` and `res_indices` are int16 [G, V, I]. `centroids.weight` [G, 2^bits * d],
`res_centroids.weight` alike, `outlier_indices` [1, V', outliers] of int16 and `outlier_centroids.weight` [1, 2^bits' * d'].

A trace multiplies activations by `weight_scale`, gathers them in the stored order, and adds up the products of outliers, groups and
`weight_bias`, which takes 8 bits. Codebooks are requantized, with one scale for those that a product sums; the trace keeps the error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.catalog import parse_format
from accelsim.formats.uniform import UniformFormat
from accelsim.formats.weight_format import WeightFormat
from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.bit_fields import stream_fields, words_for
from accelsim.importers.from_huggingface.quantized.codebooks import element_bits, largest_error, requantized
from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule, choice, in_8_bits
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, ComposedMatrix, QuantizedMatrix, Scheme, steps_to
from accelsim.importers.language_models.stored_tensors import Surroundings
from accelsim.importers.weights_file import Floats

MOST_GROUPS = 1024  # of inputs with a codebook of their own
_SIXTEEN = 0xFFFF  # bits of an index that is stored as a signed number


@dataclass(frozen=True)
class Books:
    """A main and a residual codebook: bits of their indices (0 bits: no residual), and outputs of a codeword."""

    bits: int
    residual_bits: int
    d: int

    @property
    def format(self) -> WeightFormat:
        """FormatError for what the format does not allow."""
        bits = element_bits(2 if self.residual_bits else 1)
        return parse_format(f"vptq:bits={self.bits},residual_bits={self.residual_bits},d={self.d},element_bits={bits}")


@dataclass(frozen=True)
class Layout:
    """The settings of a module.

    Attributes
    ----------
    groups, inputs : groups, and inputs of each
    outliers : inputs, and their codebook; 0 and None: there are none
    """

    settings: Config
    books: Books
    groups: int
    inputs: int
    outliers: int
    outlier_books: Books | None
    scaled: bool
    ordered: bool
    packed: bool

    @staticmethod
    def of(settings: Config) -> Layout:
        """From a module's object in the configuration.

        Raises
        ------
        ImportModelError
            A setting that no trace can follow.
        """
        lengths, main, residual = (_pair(settings, name) for name in ("vector_lens", "num_centroids", "num_res_centroids"))
        choice(settings, "vector_quant_dim", ("out", None))
        choice(settings, "norm_dim", (0, None))
        groups, outliers = settings.whole("group_num", most=MOST_GROUPS), settings.whole("outlier_size", 0, least=0)
        inputs = settings.whole("group_size", -1, least=-1)
        if inputs < 1:
            inputs = (settings.whole("in_features") - outliers) // groups
        if inputs < 1:
            raise settings.refuse("outlier_size", "fewer than the inputs of the matrix")
        books = _books(settings, lengths[1], main[1], residual[1])
        coded_apart = outliers > 0 and lengths[0] > 1 and main[0] > 0
        if outliers and not coded_apart:
            raise settings.refuse("num_centroids", "a codebook for the outliers that 'outlier_size' states")
        return Layout(
            settings,
            books,
            groups,
            inputs,
            outliers,
            _books(settings, lengths[0], main[0], residual[0]) if coded_apart else None,
            scaled=choice(settings, "enable_norm", (True, False), False),
            ordered=choice(settings, "enable_perm", (True, False), False),
            packed=choice(settings, "is_indice_packed", (True, False), True),
        )

    @property
    def k(self) -> int:
        """Inputs of the matrix."""
        return self.outliers + self.groups * self.inputs


@dataclass(frozen=True)
class Vptq(Scheme):
    """Settings of the modules by their names, or by the last part of their names."""

    layers: Config
    shared: Config

    @staticmethod
    def of(settings: Config) -> Vptq:
        """From `quantization_config`, or from the object of layers that the package itself writes."""
        return Vptq(_inside(settings, "config_for_layers"), _inside(settings, "shared_layer_config"))

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its indices."""
        return "indices" in parts

    def matrix(self, module: QuantizedModule) -> ComposedMatrix:
        """Products of outliers and groups."""
        layout = self._layout(module)
        books = layout.books
        codes = [layout.inputs]
        if layout.packed:
            codes = [words_for(layout.inputs, books.bits + books.residual_bits)]
        vectors = module.shape("indices", 3)[1]
        module.expect("indices", (layout.groups, vectors, *codes))
        n = layout.settings.whole("out_features", vectors * books.d)
        if n != vectors * books.d:
            raise module.refuse(f"its {n} outputs are padded to {vectors} vectors of {books.d}; allowed: a multiple of {books.d}")
        module.expect("centroids.weight", (layout.groups, books.d << books.bits))
        if books.residual_bits:
            module.expect("res_centroids.weight", (layout.groups, books.d << books.residual_bits))
            if not layout.packed:
                module.expect("res_indices", (layout.groups, vectors, layout.inputs))
        pieces = [*self._outliers(module, layout, n), *(self._group(module, layout, n, group) for group in range(layout.groups))]
        matrices = {f".{place}": piece for place, piece in enumerate(pieces)}
        if len(pieces) == 1 and not layout.ordered:
            matrices = {"": pieces[0]}
        around = Surroundings(
            scaled=layout.scaled,
            pieces=tuple(piece.k for piece in pieces) if "" not in matrices else (),
            shifted=layout.scaled,
        )
        made: dict[str, Callable[[], Floats]] = {}
        first = 0
        for place, piece in enumerate(pieces if around.pieces else ()):
            made[f".steps.{place}"] = self._steps(module, layout, first, piece.k)
            first += piece.k
        if layout.ordered:
            module.expect("perm", (layout.k,))
        if layout.scaled:
            module.expect("weight_scale", (layout.k,))
            module.expect("weight_bias", (layout.k,))
            made[".scale"] = lambda: module.finite("weight_scale")
            matrices[".shift"] = QuantizedMatrix(
                UniformFormat(), layout.k, 1, lambda: in_8_bits(module.finite("weight_bias")[:, None]), module.where
            )
        return ComposedMatrix(layout.k, n, around, matrices, made)

    def _layout(self, module: QuantizedModule) -> Layout:
        """The settings of a module, of its own or shared."""
        for settings, name in ((self.layers, module.name), (self.shared, module.name.rpartition(".")[2])):
            fields = settings.fields.get(name)
            if isinstance(fields, dict):
                return Layout.of(Config(settings.path, fields, f"{settings.within}{name}."))
        raise self.layers.refuse(module.name, "the settings of this module, which its tensors need")

    def _outliers(self, module: QuantizedModule, layout: Layout, n: int) -> Iterator[QuantizedMatrix]:
        """The product of the outlier inputs, if there are any."""
        books = layout.outlier_books
        if books is None:
            return
        if n % books.d:
            raise module.refuse(f"its {n} outputs are padded to vectors of {books.d} outliers; allowed: a multiple of {books.d}")
        module.expect("outlier_indices", (1, n // books.d, layout.outliers))
        module.expect("outlier_centroids.weight", (1, books.d << books.bits))

        def read() -> Arrays:
            indices = module.integers("outlier_indices")[0] & _SIXTEEN
            return _arrays(books, n, indices, None, module.finite("outlier_centroids.weight"), None)

        yield QuantizedMatrix(books.format, layout.outliers, n, read, module.where)

    def _group(self, module: QuantizedModule, layout: Layout, n: int, group: int) -> QuantizedMatrix:
        """The product of the inputs of a group."""
        books = layout.books

        def read() -> Arrays:
            stored, residuals = module.integers("indices")[group], None
            if layout.packed:
                codes = stream_fields(stored, books.bits + books.residual_bits, 1)[:, : layout.inputs]
                indices, residuals = codes & (1 << books.bits) - 1, codes >> books.bits
            else:
                indices = stored & _SIXTEEN
                if books.residual_bits:
                    residuals = module.integers("res_indices")[group] & _SIXTEEN
            book = module.finite("centroids.weight")[group]
            extra = module.finite("res_centroids.weight")[group] if books.residual_bits else None
            return _arrays(books, n, indices, residuals if books.residual_bits else None, book, extra)

        return QuantizedMatrix(books.format, layout.inputs, n, read, module.where)

    def _steps(self, module: QuantizedModule, layout: Layout, first: int, taken: int) -> Callable[[], Floats]:
        """The way to the inputs of the stored places `first` and on."""

        def read() -> Floats:
            order = np.arange(layout.k)
            if layout.ordered:
                order = module.integers("perm") & (_SIXTEEN if layout.packed else (1 << 32) - 1)
                if not np.array_equal(np.sort(order), np.arange(layout.k)):
                    raise module.refuse(f"'perm' does not name each of {layout.k} inputs once")
            return steps_to(order[first : first + taken])

        return read

    def codebook_error(self, modules: Sequence[QuantizedModule]) -> float | None:
        """The largest error of the codebooks, relative to their root mean square."""
        return largest_error(book for module in modules for book in self._float_books(module))

    def _float_books(self, module: QuantizedModule) -> Iterator[tuple[Floats, int]]:
        """The codebooks that a product sums, and the bits of their integers."""
        layout = self._layout(module)
        parts = ["centroids.weight", *(["res_centroids.weight"] if layout.books.residual_bits else [])]
        for group in range(layout.groups):
            yield np.concatenate([module.finite(part)[group] for part in parts]), element_bits(len(parts))
        if layout.outlier_books is not None:
            yield module.finite("outlier_centroids.weight"), element_bits(1)


def _inside(settings: Config, name: str) -> Config:
    """An object within the settings; an absent one is empty."""
    fields = settings.fields.get(name) or {}
    if not isinstance(fields, dict):
        raise settings.refuse(name, "an object of modules")
    return Config(settings.path, fields, f"{settings.within}{name}.")


def _pair(settings: Config, name: str) -> tuple[int, int]:
    """(of outliers, of the others)."""
    value = settings.fields.get(name)
    if not isinstance(value, list) or len(value) != 2 or any(isinstance(item, bool) or not isinstance(item, int) for item in value):
        raise settings.refuse(name, "two whole numbers, of outliers and of the other inputs")
    return value[0], value[1]


def _books(settings: Config, d: int, main: int, residual: int) -> Books:
    """From numbers of codewords, -1 or 0 for none."""
    for name, count in (("num_centroids", main), ("num_res_centroids", residual if residual > 0 else 1)):
        if count < 1 or count & count - 1:
            raise settings.refuse(name, "powers of two")
    books = Books(main.bit_length() - 1, residual.bit_length() - 1 if residual > 0 else 0, d)
    try:
        books.format.streams(1, d)
    except FormatError as error:
        raise settings.refuse("num_centroids", str(error)) from None
    return books


def _arrays(
    books: Books, n: int, indices: Integers, residuals: Integers | None, main: Floats, extra: Floats | None
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of `vptq` from indices (vectors, inputs) and flat codebooks."""
    levels, step = requantized(main if extra is None else np.concatenate([main, extra], axis=-1), element_bits(1 if extra is None else 2))
    arrays: dict[str, npt.NDArray[Any]]
    arrays = {"indices": indices.T.astype(np.uint16), "codebook": levels.reshape(-1, books.d), "scales": np.full(n, step, np.float32)}
    return arrays if residuals is None else {**arrays, "residuals": residuals.T.astype(np.uint16)}
