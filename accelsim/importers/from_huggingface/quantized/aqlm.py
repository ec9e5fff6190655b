"""AQLM (arXiv 2401.06118) as the aqlm package stores it: a vector of inputs is the sum of one codeword of each codebook.

`codes` [N, K/d, books] of int8 or int16 (their bits are an unsigned index), `codebooks` [books, 2^bits, 1, d] of binary16, `scales`
[N, 1, 1, 1]. An integer array needs one scale for all codebooks of a matrix: their elements are requantized, and the trace keeps the error.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from accelsim.errors import FormatError
from accelsim.formats.aqlm import AqlmFormat
from accelsim.formats.catalog import parse_format
from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.codebooks import element_bits, largest_error, requantized
from accelsim.importers.from_huggingface.quantized.module import QuantizedModule, choice
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, QuantizedMatrix, Scheme


@dataclass(frozen=True)
class Aqlm(Scheme):
    """Codebooks, bits of an index and inputs of a codeword, of all modules."""

    format: AqlmFormat

    @staticmethod
    def of(settings: Config) -> Aqlm:
        """From `quantization_config`."""
        choice(settings, "out_group_size", (1,))
        books = settings.whole("num_codebooks")
        text = f"aqlm:books={books},bits={settings.whole('nbits_per_codebook')},d={settings.whole('in_group_size')}"
        try:
            spec = parse_format(f"{text},element_bits={element_bits(books)}")
        except FormatError as error:
            raise settings.refuse("num_codebooks", str(error)) from None
        assert isinstance(spec, AqlmFormat)
        return Aqlm(spec)

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its codes."""
        return "codes" in parts

    def matrix(self, module: QuantizedModule) -> QuantizedMatrix:
        """Indices as they are stored, and requantized codebooks."""
        spec = self.format
        n, vectors, _ = module.shape("codes", 3)
        k = vectors * spec.d
        module.expect("codes", (n, vectors, spec.books))
        module.expect("codebooks", (spec.books, 1 << spec.bits, 1, spec.d))
        module.expect("scales", (n, 1, 1, 1))

        def read() -> Arrays:
            levels, step = requantized(module.finite("codebooks"), spec.element_bits)
            indices = (module.integers("codes") & (1 << spec.bits) - 1).transpose(1, 0, 2)
            return {
                "indices": indices.reshape(spec.streams(k, n)["indices"].shape),
                "codebook": levels.reshape(-1, spec.d),
                "scales": module.floats("scales").reshape(-1) * step,
            }

        return QuantizedMatrix(spec, k, n, read, module.where)

    def codebook_error(self, modules: Sequence[QuantizedModule]) -> float | None:
        """The largest error of the codebooks, relative to their root mean square."""
        return largest_error((module.finite("codebooks"), self.format.element_bits) for module in modules)
