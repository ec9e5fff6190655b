"""A choice that is small enough to simulate every mix: three layers of a tiny ViT, three formats, the other layers at 8 bits."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

import accelsim
from accelsim.compression.encoder import reconstruct
from accelsim.execution.graph import constants_of
from accelsim.trace.seeded import float_weights
from tests.naive_graph import layer_value

CHIP = "mcu-16x16"
NETWORK = "tiny_vit_float"
PATTERN = "vit.layers.0.[am]*.[vf]*"
LAYERS = ("vit.layers.0.attention.v_proj", "vit.layers.0.mlp.fc1", "vit.layers.0.mlp.fc2")
EPSILON = 1e-300  # of norms: the records of a trace have none, and rows of zeros stay zeros
FORMATS = ("uniform:bits=4", "vq:k=64,d=4", "ssvq:k=16,d=8")


@cache
def network() -> accelsim.Trace:
    return accelsim.load_trace(NETWORK)


@cache
def samples() -> np.ndarray:
    shape = network().record.manifest.inputs[0].shape
    return np.random.default_rng(0).normal(size=(2, *shape.dims))


@cache
def run(formats: tuple[str, ...]) -> accelsim.Result:
    """A mix, as a user compresses and runs it."""
    packed = accelsim.compress(network(), dict(zip(LAYERS, formats, strict=True)))
    return accelsim.simulate(CHIP, packed, fit_codebook=True)


class _Float:
    """Weights as an interpreter asks for them: float, but for some layers, which are those of a packed trace."""

    def __init__(self, packed: accelsim.Trace | None, layers: tuple[str, ...]) -> None:
        self.packed, self.layers = packed, layers

    def weights(self, name: str) -> np.ndarray:
        if self.packed is None or name not in self.layers:
            return float_weights(network().record, name).astype(np.float64)
        weight = self.packed.record.layer(name).weight
        return reconstruct(weight.format, self.packed.record.arrays(name), weight.k, weight.n)


def outputs(packed: accelsim.Trace | None, layers: tuple[str, ...]) -> np.ndarray:
    """The outputs of the network by an interpreter that knows no other; `layers` take the weights of a packed trace."""
    record = network().record
    values = {record.manifest.inputs[0].name: list(samples())}
    for layer in record.layers:
        operands = zip(*(values[name] for name in layer.inputs), strict=True)
        values[layer.name] = [
            layer_value(_Float(packed, layers), layer, list(args), constants_of(record, layer), EPSILON) for args in operands
        ]
    (name,) = record.manifest.outputs
    return np.stack(values[name])


@cache
def error(layers: tuple[str, ...], formats: tuple[str, ...]) -> float:
    """Squared error of the outputs over their square, with some layers in a format each."""
    packed = accelsim.compress(network(), dict(zip(layers, formats, strict=True)))
    reference = outputs(None, ())
    return float(((outputs(packed, layers) - reference) ** 2).sum() / (reference**2).sum())


@cache
def every_mix() -> dict[tuple[str, ...], tuple[float, int]]:
    """Formats of the three layers -> (sum of their errors, simulated cycles)."""
    return {
        formats: (sum(error((layer,), (text,)) for layer, text in zip(LAYERS, formats, strict=True)), run(formats).cycles)
        for formats in product(FORMATS, repeat=len(LAYERS))
    }
