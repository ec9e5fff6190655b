"""Discrete Fourier transforms as products with matrices of cosines and sines, of which a real network reads the real part.

Disputable assumption: no fast transform. The array multiplies by whole matrices, as for any other linear layer.
"""

from __future__ import annotations

import math

import numpy as np

from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph.products import linear
from accelsim.importers.graph.values import Array, Constant, Plain, Spectrum


def transform(call: TorchCall) -> Spectrum:
    """A transform over one or two dimensions of an activation, at its full size, without a factor; of a transform, over one more."""
    before = call.value(0)
    view, done = (before.view, before.dims) if isinstance(before, Spectrum) else (call.view(0), ())
    default = {"aten.fft_fft.default": [-1], "aten.fft_fft2.default": [-2, -1]}.get(call.node.target, list(range(len(view.shape))))
    given = call.get(2, "dim", default)
    asked = default if given is None else [given] if isinstance(given, int) else given
    dims = (*done, *(dim % len(view.shape) for dim in asked))
    if (
        call.get(1, "s") is not None
        or call.get(1, "n") is not None
        or call.get(3, "norm") not in (None, "backward")
        or not 0 < len(dims) < 3
        or len({*dims}) < len(dims)
    ):
        call.refuse(f"a Fourier transform over {dims} with another size or a norm; allowed: one or two dimensions, as they are")
    return Spectrum(view, dims)


def real_part(call: TorchCall) -> Plain:
    """The real part: C x along one dimension; C x C' - S x S' along two, the first product with C and -S side by side."""
    spectrum = call.value(0)
    if not isinstance(spectrum, Spectrum):
        call.refuse(f"the real part of {spectrum!r}; allowed: of a Fourier transform")
    view, (*first, last) = spectrum.view, spectrum.dims
    rank, builder, name = len(view.shape), call.builder, call.node.path()
    order = [place for place in range(rank) if place != last] + [last]
    cos, sin = _waves(view.shape[last])
    turned = view.permute(order)
    if not first:
        return Plain(linear(call, turned, 1.0, Constant(cos)).view().permute(np.argsort(order).tolist()))
    both = linear(call, turned, 1.0, Constant(np.concatenate([cos, -sin], axis=1))).view()
    place, size, count = order.index(first[0]), view.shape[first[0]], view.shape[last]
    apart = both.reshape((*both.shape[:-1], 2, count))  # (..., parts, columns)
    others = [axis for axis in range(rank + 1) if axis not in (place, rank - 1)]
    shape = [apart.shape[axis] for axis in others]
    rows = builder.reshaped(name, apart.permute([*others, rank - 1, place]), (*shape, 2 * size))
    cos, sin = _waves(size)
    made = linear(call, rows, 1.0, Constant(np.concatenate([cos, sin]))).view()  # (others..., size), the columns last of the others
    back = [*(axis for axis in order if axis != first[0]), first[0]]
    return Plain(made.permute(np.argsort(back).tolist()))


def _waves(size: int) -> tuple[Array, Array]:
    """Cosines and sines of the transform's angles, of which both matrices are symmetric."""
    angles = 2 * math.pi * (np.outer(np.arange(size), np.arange(size)) % size) / size
    return np.cos(angles), np.sin(angles)
