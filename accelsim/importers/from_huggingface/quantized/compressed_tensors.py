"""compressed-tensors, as LLM Compressor and vLLM use it: "pack-quantized" integers of a few bits, and "int-quantized" bytes.

Packed: `weight_packed` [N, words] of int32, each value plus 2^(bits-1), as many whole values in a word as fit; `weight_shape` (N, K);
`weight_scale` [N, groups]; `weight_zero_point` [words of N, groups], packed alike along the outputs, or int8 [N, groups].
Bytes: `weight` [N, K] of int8 and the same scales. w = scale * (q - zero point), both signed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.act_order import gathered, inputs_by_group
from accelsim.importers.from_huggingface.quantized.bit_fields import word_fields, words_for
from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule, choice, group_format, scales_of
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, QuantizedMatrix, Scheme, StoredWeight

_PACKED = "weight_packed"


@dataclass(frozen=True)
class CompressedTensors(Scheme):
    """Settings of all modules.

    Attributes
    ----------
    group : inputs of a group; 0: all of them
    of_tensor : one scale for all outputs
    ordered : inputs of a group are no neighbours (act-order by groups), but `weight_g_idx` [K] names their group
    dynamic : the scales of activations are found as they come, per this; "": they are static, or activations are not quantized
    """

    bits: int
    group: int
    symmetric: bool
    of_tensor: bool
    ordered: bool
    dynamic: str = ""

    @staticmethod
    def of(settings: Config) -> CompressedTensors:
        """From `quantization_config`: one scheme of integers for all quantized modules."""
        choice(settings, "format", ("pack-quantized", "int-quantized"))
        _check_around(settings)
        groups = settings.fields.get("config_groups")
        if not isinstance(groups, dict) or len(groups) != 1:
            raise settings.refuse("config_groups", "an object with one group")
        name, group = next(iter(groups.items()))
        fields = group.get("weights") if isinstance(group, dict) else None
        if not isinstance(fields, dict):
            raise settings.refuse("config_groups", "a group with the field 'weights'")
        weights = Config(settings.path, fields, f"{settings.within}config_groups.{name}.weights.")
        choice(weights, "type", ("int",), "int")
        bits = weights.whole("num_bits", 8)
        if not 2 <= bits <= 8:
            raise weights.refuse("num_bits", "2 to 8")
        strategy = choice(weights, "strategy", ("tensor", "channel", "group"), "tensor")
        size = weights.whole("group_size") if strategy == "group" else 0
        symmetric = choice(weights, "symmetric", (True, False), True)
        order = choice(weights, "actorder", ("group", "dynamic", "weight", "static", False, None))
        return CompressedTensors(
            bits, size, symmetric, strategy == "tensor", ordered=order in ("group", "dynamic"), dynamic=_dynamic(group, settings)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """A line on scales of activations that the network finds as it runs."""
        if not self.dynamic:
            return ()
        return (
            f"the folder finds the scales of activations as they come, per {self.dynamic}; in the trace they are static, and a chip counts "
            "the pass over each row for its maximum with vector_unit.activation_scales = 'token'",
        )

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its scales."""
        return "weight_scale" in parts

    def matrix(self, module: QuantizedModule) -> StoredWeight:
        """Of packed integers or of bytes."""
        packed = _PACKED in module.places
        n, columns = module.shape(_PACKED if packed else "weight", 2)
        k = self._inputs(module, n, columns) if packed else columns
        group = self.group or k
        groups = -(-k // group)
        module.expect("weight_scale", (1,) if self.of_tensor else (n, groups))
        spec = group_format(module, self.bits, group, k, "" if self.symmetric else "zero=1")
        middle = np.int16(1 << self.bits - 1)

        ordered = self.ordered and group < k

        def inputs() -> Integers:
            return inputs_by_group(module, "weight_g_idx", k, group, ordered)

        def read() -> Arrays:
            if packed:
                values = word_fields(module.integers(_PACKED), self.bits, 1)[:, :k] - middle
            else:
                values = module.integers("weight").astype(np.int16)
            values = values[:, inputs()]
            stored = np.broadcast_to(module.floats("weight_scale").reshape(-1, 1 if self.of_tensor else groups), (n, groups))
            scales = scales_of(module, spec, np.ascontiguousarray(stored.T))
            if self.symmetric:
                return {"weights": values.T, "scales": scales}
            zeros = self._zero_points(module, n, groups)
            return {"weights": values.T + middle, "scales": scales, "zeros": zeros.T + middle}

        matrix = QuantizedMatrix(spec, k, n, read, module.where)
        return gathered(matrix, inputs) if ordered else matrix

    def _inputs(self, module: QuantizedModule, n: int, words: int) -> int:
        """K of packed integers, which their own tensor states."""
        module.expect("weight_shape", (2,))
        stated = module.integers("weight_shape").tolist()
        if stated[0] != n or words_for(max(stated[1], 1), self.bits, whole=True) != words:
            raise module.refuse(f"'weight_shape' is {stated}; allowed: {n} outputs of as many inputs as fit in {words} words")
        return int(stated[1])

    def _zero_points(self, module: QuantizedModule, n: int, groups: int) -> npt.NDArray[Any]:
        """int16 (N, groups), signed."""
        shape = module.shape("weight_zero_point", 2)
        if shape == (n, groups):
            return module.integers("weight_zero_point").astype(np.int16)
        module.expect("weight_zero_point", (words_for(n, self.bits, whole=True), groups))
        return word_fields(module.integers("weight_zero_point"), self.bits, 0)[:n] - np.int16(1 << self.bits - 1)


def _dynamic(group: Mapping[str, Any], settings: Config) -> str:
    """The extent of a dynamic scale of activations, `token` as a rule; "" without any."""
    activations = group.get("input_activations") or {}
    if not isinstance(activations, dict):
        raise settings.refuse("config_groups", "a group whose field 'input_activations' is an object or null")
    return str(activations.get("strategy") or "tensor")[:20] if activations.get("dynamic") else ""


def _check_around(settings: Config) -> None:
    """ImportModelError for activations that are rotated ahead of a product, or weights whose zeros are left out."""
    for name, within, allowed in (("transform_config", "config_groups", {}), ("sparsity_config", "format", "dense")):
        fields = settings.fields.get(name) or {}
        if not isinstance(fields, dict) or (fields.get(within) or allowed) != allowed:
            raise settings.refuse(name, f"none, or one whose {within!r} is {json.dumps(allowed)}")
