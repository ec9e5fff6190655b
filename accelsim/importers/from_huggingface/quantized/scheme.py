"""The scheme that a folder's config.json names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.aqlm import Aqlm
from accelsim.importers.from_huggingface.quantized.awq import Awq
from accelsim.importers.from_huggingface.quantized.bitsandbytes import BitsAndBytes
from accelsim.importers.from_huggingface.quantized.compressed_tensors import CompressedTensors
from accelsim.importers.from_huggingface.quantized.gptq import Gptq
from accelsim.importers.from_huggingface.quantized.mlx import Mlx
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Scheme
from accelsim.importers.from_huggingface.quantized.quip import Quip
from accelsim.importers.from_huggingface.quantized.vptq import Vptq
from accelsim.registry import suggest

_METHODS: Mapping[str, Callable[[Config], Scheme]] = {
    "aqlm": Aqlm.of, "awq": Awq.of, "bitsandbytes": BitsAndBytes.of, "compressed-tensors": CompressedTensors.of, "gptq": Gptq.of,
    "vptq": Vptq.of,
}  # fmt: skip


def scheme_of(config: Config) -> Scheme | None:
    """The scheme of a folder's quantized weights; None if they are floats.

    Raises
    ------
    ImportModelError
        An unknown method, or settings that no format has.
    """
    for name in ("quantization_config", "quantization"):  # mlx writes its settings under both names
        fields = config.fields.get(name)
        if not fields:
            continue
        if not isinstance(fields, dict):
            raise config.refuse(name, "an object")
        settings = Config(config.path, fields, f"{name}.")
        method = fields.get("quant_method")
        if method is None and "group_size" in fields:
            return Mlx.of(settings)
        if not isinstance(method, str) or method not in _METHODS:
            raise settings.refuse("quant_method", f"one of {', '.join(sorted(_METHODS))}{suggest(str(method), _METHODS)}")
        return _METHODS[method](settings)
    fields = config.fields.get("quip_params")  # of QuIP#'s release
    if isinstance(fields, dict):
        return Quip.of(Config(config.path, fields, "quip_params."), config)
    layers = config.fields.get("quant_config")  # of the vptq package's own saving: the settings of each module
    if isinstance(layers, dict) and layers:
        return Vptq.of(Config(config.path, {"config_for_layers": layers}))
    return None
