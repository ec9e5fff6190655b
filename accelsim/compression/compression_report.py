"""Report of a compression: bits as papers count them and in total, and errors of the weights.

Errors are those of weights, each matrix or group of matrices taken as one vector; their effect on accuracy is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

_DIGITS = 6  # of a metric in a manifest: the last ones of a double depend on the order in which a NumPy build adds


@dataclass(frozen=True)
class LayerCompression:
    """Compression of one layer, or of several as one.

    Attributes
    ----------
    weights
        Number of weights.
    paper_bits
        Bits of indices, signs, masks or raw weights, as papers count them.
    stored_bits
        Bits of the layer's streams as stored, with its codebook, scales and byte padding; a codebook in the chip's ROM is no layer's.
    padding_bits
        Of these, bits that pad the last byte.
    squared_error, squared_norm, quantized_norm
        Sums of (W - Wq)^2, of W^2 and of Wq^2.
    """

    name: str
    format: str
    weights: int
    paper_bits: int
    stored_bits: int
    padding_bits: int
    squared_error: float
    squared_norm: float
    quantized_norm: float

    @property
    def paper_bits_per_weight(self) -> float:
        """Bits per weight as papers count them."""
        return self.paper_bits / self.weights

    @property
    def stored_bits_per_weight(self) -> float:
        """Bits per weight with everything."""
        return self.stored_bits / self.weights

    @property
    def compression_ratio(self) -> float:
        """Against float32, with everything."""
        return 32 * self.weights / self.stored_bits

    @property
    def relative_mse(self) -> float:
        """Sum of squared errors over the sum of squared weights."""
        return self.squared_error / self.squared_norm if self.squared_norm else 0.0

    @property
    def cosine(self) -> float:
        """Cosine of the angle between original and encoded weights, each as one vector; 0 if either is zero."""
        both = sqrt(self.squared_norm * self.quantized_norm)
        return min(1.0, (self.squared_norm + self.quantized_norm - self.squared_error) / (2 * both)) if both else 0.0

    @property
    def vector_loss(self) -> float:
        """VecQ's (arXiv 2005.08501): 1 - cosine, and the squared difference of the two lengths."""
        return 1 - self.cosine + (sqrt(self.squared_norm) - sqrt(self.quantized_norm)) ** 2

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        return {
            **asdict(self),
            "paper_bits_per_weight": self.paper_bits_per_weight,
            "stored_bits_per_weight": self.stored_bits_per_weight,
            "compression_ratio": self.compression_ratio,
            "relative_mse": self.relative_mse,
            "cosine": self.cosine,
            "vector_loss": self.vector_loss,
        }


@dataclass(frozen=True)
class CompressionReport:
    """All layers, sums over them, and the model's other parameters.

    Attributes
    ----------
    rest
        The format of the layers that no rule of the recipe names; None if rules name them all.
    other_parameters, other_bits
        Trained numbers beside the matrices (biases, normalization, embeddings), and the bits that they keep.
    """

    layers: tuple[LayerCompression, ...]
    rest: str | None
    other_parameters: int
    other_bits: int

    @property
    def total(self) -> LayerCompression:
        """The whole model's matrices."""
        return _sum("total", self.layers)

    @property
    def by_format(self) -> dict[str, LayerCompression]:
        """Sums over the layers of each format: the compressed matrices separately from those left at 8 bit."""
        kinds = dict.fromkeys(layer.format for layer in self.layers)
        return {kind: _sum(kind, tuple(layer for layer in self.layers if layer.format == kind)) for kind in kinds}

    @property
    def compressed(self) -> LayerCompression:
        """The matrices that a rule names, which papers give a ratio for; all of them if the rest's format is the only one."""
        named = tuple(layer for layer in self.layers if layer.format != self.rest)
        return _sum("compressed", named or self.layers)

    @property
    def whole_model_ratio(self) -> float:
        """Float32 parameters, all of them, over everything that the compressed model holds."""
        total = self.total
        return 32 * (total.weights + self.other_parameters) / (total.stored_bits + self.other_bits)

    def metrics(self) -> dict[str, float]:
        """Metrics of all matrices for a manifest, to six digits."""
        total = self.total.to_dict()
        names = ("relative_mse", "cosine", "vector_loss", "paper_bits_per_weight", "stored_bits_per_weight")
        return {name: float(f"{total[name]:.{_DIGITS}g}") for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "by_format": {name: item.to_dict() for name, item in self.by_format.items()},
            "compressed": self.compressed.to_dict(),
            "total": self.total.to_dict(),
            "other_parameters": self.other_parameters,
            "other_bits": self.other_bits,
            "whole_model_ratio": self.whole_model_ratio,
        }


def _sum(name: str, layers: Sequence[LayerCompression]) -> LayerCompression:
    return LayerCompression(
        name=name,
        format=", ".join(dict.fromkeys(layer.format for layer in layers)),
        weights=sum(layer.weights for layer in layers),
        paper_bits=sum(layer.paper_bits for layer in layers),
        stored_bits=sum(layer.stored_bits for layer in layers),
        padding_bits=sum(layer.padding_bits for layer in layers),
        squared_error=sum(layer.squared_error for layer in layers),
        squared_norm=sum(layer.squared_norm for layer in layers),
        quantized_norm=sum(layer.quantized_norm for layer in layers),
    )
