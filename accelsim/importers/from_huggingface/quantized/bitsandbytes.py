"""bitsandbytes' NF4 (QLoRA, arXiv 2305.14314), as transformers saves it: two numbers in a byte, one output after the other.

`weight` [N*K/2, 1] of bytes, the earlier weight in the upper half; `weight.absmax`, the largest magnitude of each block;
`weight.quant_map`, the 16 levels; `weight.quant_state.bitsandbytes__nf4`, JSON with the shape and the block. Doubly quantized magnitudes
are bytes themselves: levels of `weight.nested_quant_map`, times `weight.nested_absmax` of each 256, plus an offset.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.catalog import parse_format
from accelsim.formats.nf4 import LEVELS, VALUES
from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.module import QuantizedModule, choice
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, QuantizedMatrix, Scheme
from accelsim.importers.weights_file import Floats
from accelsim.ops.shapes import MAX_BOUND
from accelsim.reading import parse_json

_STATE = "quant_state"
_BESIDE = re.compile(r"\.weight\.(absmax|quant_map|nested_absmax|nested_quant_map)$")
_STATE_NAME = re.compile(r"\.weight\.quant_state\.bitsandbytes__nf4$")
_NESTED = 256  # magnitudes of a block of blocks
_SIZES = 2  # N and K


@dataclass(frozen=True)
class BitsAndBytes(Scheme):
    """Settings of all modules.

    Attributes
    ----------
    double : magnitudes are quantized themselves
    """

    double: bool

    @staticmethod
    def of(settings: Config) -> BitsAndBytes:
        """From `quantization_config`."""
        choice(settings, "load_in_4bit", (True,))
        choice(settings, "load_in_8bit", (False, None))
        choice(settings, "bnb_4bit_quant_type", ("nf4",), "fp4")
        choice(settings, "bnb_4bit_quant_storage", ("uint8", None))
        return BitsAndBytes(choice(settings, "bnb_4bit_use_double_quant", (True, False), False))

    @property
    def notes(self) -> tuple[str, ...]:
        """A line on magnitudes that are stored in other bits."""
        if not self.double:
            return ()
        return ("scales of blocks, doubly quantized in the folder (a byte each), are float32 here: 4 bytes are loaded for each",)

    def tensor_name(self, name: str) -> str:
        """Tensors beside `weight`, whose names begin with its own, as parts of the module."""
        return _STATE_NAME.sub(f".{_STATE}", _BESIDE.sub(r".\1", name))

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its magnitudes."""
        return "absmax" in parts

    def matrix(self, module: QuantizedModule) -> QuantizedMatrix:
        """Blocks of inputs of one output each."""
        state = _state(module)
        n, k, group = state.n, state.k, state.block
        if k % group:
            raise module.refuse(f"blocks of {group} weights cross its outputs of {k} inputs; allowed: a divisor of {k}")
        module.expect("weight", (n * k // 2, 1))
        module.expect("absmax", (n * k // group,))
        module.expect("quant_map", (len(VALUES),))
        if not np.allclose(module.floats("quant_map"), VALUES, rtol=0, atol=np.finfo(np.float16).eps):
            raise module.refuse("'quant_map' holds other levels than NF4's")
        try:
            spec = parse_format(f"nf4:group={group}")
        except FormatError as error:
            raise module.refuse(str(error)) from None

        def read() -> Arrays:
            octets = module.integers("weight")
            numbers = np.hstack([octets >> 4, octets & 15]).reshape(n, k).astype(np.uint8)
            return {"weights": numbers.T, "scales": _magnitudes(module, state, self.double).reshape(n, k // group).T}

        return QuantizedMatrix(spec, k, n, read, module.where)

    def codebook_error(self, modules: Sequence[QuantizedModule]) -> float | None:
        """That of the levels, in 127ths."""
        values = np.array(VALUES)
        return float(np.sqrt(np.square(np.array(LEVELS) / 127 - values).mean() / np.square(values).mean()))


@dataclass(frozen=True)
class _State:
    """A matrix of `n` x `k` weights in blocks of `block`; `offset` and `outer` are of doubly quantized magnitudes."""

    n: int
    k: int
    block: int
    offset: Any
    outer: Any


def _state(module: QuantizedModule) -> _State:
    """The fields of `quant_state`."""
    module.shape(_STATE, 1)
    try:
        fields = parse_json(module.integers(_STATE).astype(np.uint8).tobytes())
    except ValueError as error:
        raise module.refuse(f"its {_STATE!r} is not JSON: {error}") from None
    found = fields if isinstance(fields, dict) else {}
    shape = found.get("shape")
    sizes = [*shape, found.get("blocksize")] if isinstance(shape, list) and len(shape) == _SIZES else []
    whole = [size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= MAX_BOUND]
    if len(whole) != _SIZES + 1:
        raise module.refuse(f"its {_STATE!r} has no 'shape' of two sizes and 'blocksize'; allowed: whole numbers from 1 to {MAX_BOUND}")
    n, k, block = whole
    if n * k % 2:
        raise module.refuse(f"its {_STATE!r} states {n} x {k} weights; allowed: an even number")
    return _State(n, k, block, found.get("nested_offset"), found.get("nested_blocksize", _NESTED))


def _magnitudes(module: QuantizedModule, state: _State, double: bool) -> Floats:
    """The largest magnitude of each block, float32."""
    if not double:
        return module.finite("absmax")
    numbers = module.integers("absmax")
    offset, block = state.offset, state.outer
    if isinstance(offset, bool) or not isinstance(offset, int | float) or not np.isfinite(offset):
        raise module.refuse(f"its {_STATE!r} has no finite 'nested_offset'")
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise module.refuse(f"its {_STATE!r} has the 'nested_blocksize' {block!r}; allowed: a whole number from 1")
    module.expect("nested_quant_map", (256,))
    module.expect("nested_absmax", (-(-numbers.size // block),))
    levels, outer = module.finite("nested_quant_map"), module.finite("nested_absmax")
    scaled: npt.NDArray[np.float32] = levels[numbers] * np.repeat(outer, block)[: numbers.size] + np.float32(offset)
    return scaled
