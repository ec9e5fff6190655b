"""Blocks of GGUF (llama.cpp), as stored in a file: integers or codewords of a universal grid, with scales of blocks and of their groups.

Blocks lie along the reduction, and the bytes of a trace are those of the file. Disputable assumption: the chip's image parts them into
records and a header of scales, which takes the same number of bits.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.errors import FormatError
from accelsim.formats.block_decoding import grid_of, read_field, read_integers, read_scales, values_of, weights_of
from accelsim.formats.codewords import codebook_stream
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.gguf_blocks import LAYOUTS, BlockLayout
from accelsim.formats.parts import Lookup, Offset, Part, Raw, Scale, Signs
from accelsim.formats.weight_format import CODEBOOK, Arrays, Stream, WeightFormat

KIND = "gguf"
EXAMPLES = tuple(f"gguf:type={name}" for name in LAYOUTS)
Type = Literal[
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "IQ1_S", "IQ1_M", "IQ2_XXS",
    "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4",
]  # fmt: skip
_RECORDS = ("weights", "indices", "signs")
_SIGN_GROUP = 8  # weights per field of signs


class GgufFormat(WeightFormat):
    """Stream: blocks [N,K/weights of a block,bytes of a block]; a block holds neighbouring inputs of one output."""

    kind: Literal["gguf"] = "gguf"

    type: Type = Field(description="name of the type in ggml")

    @property
    def layout(self) -> BlockLayout:
        """Fields of a block."""
        return LAYOUTS[self.type]

    @property
    def built_in_codebook(self) -> str:
        """The grid, which several types may share."""
        return self.layout.grid

    @property
    def element_values(self) -> tuple[int, ...] | None:
        """Those of the grid."""
        return values_of(self.layout.grid) if self.layout.grid else None

    @property
    def k_step(self) -> int:
        """Weights of a block."""
        return self.layout.weights

    @property
    def scaled_bits(self) -> int | None:
        """Of the largest value times the largest sub-scale; minima are left to the sums."""
        layout = self.layout
        if "sub_scales" not in layout.fields:
            return None
        bits = layout.fields["sub_scales"].bits
        stored = (-(1 << bits - 1), (1 << bits - 1) - 1) if layout.signed_sub_scale else (0, (1 << bits) - 1)
        factor, offset = layout.sub_scale
        values = layout.levels or (-128,)
        if layout.grid:
            values = (8 * int(grid_of(layout.grid).max()) + 1,) if "shifts" in layout.fields else (int(grid_of(layout.grid).max()),)
        return (max(map(abs, values)) * max(abs(factor * scale + offset) for scale in stored)).bit_length() + 1

    def decode_path(self) -> DecodePath:
        """Grid and signs, or numbers of levels; then shifts, scales and minima."""
        layout = self.layout
        if layout.grid:
            codewords, d = grid_of(layout.grid).shape
            first: list[Part] = [Lookup(codewords, d, scope="shared")]
            if "signs" in layout.fields:
                first.append(Signs(_SIGN_GROUP if layout.parity else 0))
            return DecodePath((*first, *self._factors()), axis=1)
        field = layout.fields["weights"]
        bits = Fraction(field.bits * field.count, layout.weights)
        packing = f"{bits.denominator} base-3 digits in {bits.numerator} bits" if layout.trits else ""
        raw = Raw(bits if bits.denominator > 1 else int(bits), levels=layout.levels, packing=packing)
        return DecodePath((raw, *self._factors()))

    def _factors(self) -> tuple[Part, ...]:
        """Shifts, scales and minima."""
        layout = self.layout
        found: list[Part] = []
        for name, field in layout.fields.items():
            over = layout.weights // field.count
            if name == "shifts":
                found.append(Offset("shift", over, field.bits, name))
            elif name == "scales":
                found.append(Scale(over, field.bits, layout.scale_code, name, layout.unit))
            elif name == "sub_scales":
                factor, offset = layout.sub_scale
                found.append(Scale(over, field.bits, "signed" if layout.signed_sub_scale else "integer", name, Fraction(factor), offset))
            elif name == "minima":
                found.append(Offset("minimum", over, field.bits, name, "float", 1 if layout.add_minima else -1))
            elif name == "sub_minima":
                found.append(Offset("minimum", over, field.bits, name))
        return tuple(found)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """The weights of a block must divide K."""
        layout = self.layout
        if k % layout.weights:
            raise FormatError(
                f"gguf: blocks of {layout.weights} weights ({self.type}) do not fill K={k}; allowed: a multiple of {layout.weights}"
            )
        shape = (n, k // layout.weights, layout.bytes)
        return {"blocks": Stream(shape=shape, bits=8, number="unsigned", place="container", in_paper_count=True)}

    def chip_streams(self, k: int, n: int) -> dict[str, Stream]:
        """The fields of all blocks, [values along K, N]; the grid is the chip's. Base-3 digits are packed again, in as many bits."""
        self.streams(k, n)
        table = {name: self._chip_stream(name, k, n) for name in self.layout.fields}
        lookup = self.decode_path().lookup
        return table if lookup is None else {**table, CODEBOOK: codebook_stream(lookup)}

    def _chip_stream(self, name: str, k: int, n: int) -> Stream:
        layout = self.layout
        field = layout.fields[name]
        number: Literal["unsigned", "signed", "float"] = "unsigned"
        if name in ("scales", "minima") and field.bits == 16:
            number = "float"
        elif (name == "weights" and layout.levels is None) or (name == "sub_scales" and layout.signed_sub_scale):
            number = "signed"
        record = name in _RECORDS
        count, bits = field.count, field.bits
        if name == "weights" and layout.trits:
            packed = Fraction(field.bits * field.count, layout.weights)
            count, bits, number = layout.weights // packed.denominator, packed.numerator, "unsigned"
        shape = (k // layout.weights * count, n)
        return Stream(shape=shape, bits=bits, number=number, place="record" if record else "header", in_paper_count=record)

    def chip_arrays(self, arrays: Arrays, k: int, n: int) -> dict[str, npt.NDArray[Any]]:
        """Fields as they are stored: numbers of levels, indices, fields of signs, codes of scales."""
        blocks = self._blocks(arrays)
        values: dict[str, npt.NDArray[Any]] = {}
        for name, stream in self.chip_streams(k, n).items():
            if name == CODEBOOK:
                values[name] = grid_of(self.layout.grid)
                continue
            if name == "weights" and self.layout.trits:
                values[name] = self._digits(blocks).reshape(stream.shape[::-1]).T
                continue
            stored = read_field(blocks, self.layout, name)
            dtype = {"float": np.float16, "signed": np.int8}.get(stream.number)
            values[name] = (stored if dtype is None else stored.view(dtype)).reshape(stream.shape[::-1]).T
        return values

    def _digits(self, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
        """Neighbouring weights of blocks as numbers in base 3, the first digit lowest."""
        levels = self.layout.levels or ()
        together = Fraction(self.decode_path().raw_bits).denominator
        numbers = (read_integers(blocks, self.layout) - min(levels)).astype(np.uint16).reshape(-1, together)
        packed: npt.NDArray[np.uint16] = (numbers * len(levels) ** np.arange(together, dtype=np.uint16)).sum(axis=1, dtype=np.uint16)
        return packed

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Scales and minima are finite; they may be zero, and negative."""
        factors = read_scales(self._blocks(arrays), self.layout)
        for what, values in (("scale", factors.scales), ("minimum", factors.minima)):
            wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if wrong.size:
                output, block = divmod(int(wrong[0]), k // self.layout.weights)
                raise FormatError(
                    f"gguf stream 'blocks': block {block} of output {output} ({self.type}) has a {what} that is NaN or infinite"
                )

    def first_weight(self, name: str, position: int, k: int, n: int) -> tuple[int, int]:
        """The first weight that a bit of a block takes part in."""
        layout = self.layout
        place, bit = divmod(position, 8 * layout.bytes)
        output, block = divmod(place, k // layout.weights)
        return block * layout.weights + layout.weight_of_bit(bit), output

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the integers that sub-scales and scales multiply; of shifted grids (IQ1) eight times the value."""
        return read_integers(self._blocks(arrays), self.layout).reshape(n, k).T

    def reconstruct(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
        """[K,N]: the float32 weights, as GGUF's own decoders round them."""
        blocks = self._blocks(arrays)
        weights = weights_of(read_integers(blocks, self.layout), read_scales(blocks, self.layout))
        return weights.reshape(n, k).T.astype(np.float64)

    def _blocks(self, arrays: Arrays) -> npt.NDArray[np.uint8]:
        return np.ascontiguousarray(arrays["blocks"], np.uint8).reshape(-1, self.layout.bytes)


SPEC = GgufFormat
