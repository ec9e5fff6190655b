"""Random networks over PyTorch's operations: each is computed by its trace as PyTorch computes it, or refused in one sentence.

    python -m tests.zoo.random_networks [--first SEED] [COUNT]

A network is drawn step by step on numbers: a step that PyTorch itself refuses, or whose result is too large or not finite, is drawn again.
The reference is PyTorch in float64, so that a difference is none of rounding.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from accelsim.errors import AccelsimError
from accelsim.importers.import_model import import_program
from tests import naive_graph
from tests.zoo.network import EPSILON

NEAR = 1e-4  # of the largest value: trained numbers are kept in float32
MOST_ELEMENTS, LARGEST = 4096, 1e3
LONGEST_REFUSAL = 800
Step = Callable[..., Any]
Rng = np.random.Generator


def _dim(rng: Rng, x: Any) -> int:
    return int(rng.integers(-x.ndim, x.ndim))


def _dims(rng: Rng, x: Any) -> list[int]:
    return sorted(int(dim) for dim in rng.choice(x.ndim, int(rng.integers(1, x.ndim + 1)), replace=False))


def _order(rng: Rng, x: Any) -> list[int]:
    order = [int(dim) for dim in rng.permutation(x.ndim)]
    return [0, *(dim for dim in order if dim)] if rng.random() < 0.7 else order


def _shape(rng: Rng, x: Any) -> list[int]:
    """Other sizes of as many elements: two neighbours merged, or one cut."""
    sizes, place = list(x.shape), int(rng.integers(x.ndim))
    if rng.random() < 0.5 and place + 1 < x.ndim:
        return [*sizes[:place], sizes[place] * sizes[place + 1], *sizes[place + 2 :]]
    cuts = [part for part in range(1, sizes[place] + 1) if sizes[place] % part == 0]
    part = int(rng.choice(cuts))
    return [*sizes[:place], part, sizes[place] // part, *sizes[place + 1 :]]


def _slice(rng: Rng, x: Any) -> Step:
    dim = int(rng.integers(x.ndim))
    start = int(rng.integers(x.shape[dim]))
    stop, step = int(rng.integers(start, x.shape[dim])) + 1, int(rng.integers(1, 3))
    index = (*(slice(None),) * dim, slice(start, stop, step))
    return lambda y: y[index]


def _select(rng: Rng, x: Any) -> Step:
    dim = int(rng.integers(x.ndim))
    index = (*(slice(None),) * dim, int(rng.integers(-x.shape[dim], x.shape[dim])))
    return lambda y: y[index]


def _picked(rng: Rng, x: Any) -> Step:
    dim = int(rng.integers(x.ndim))
    places = torch.tensor(rng.integers(x.shape[dim], size=int(rng.integers(1, 5))))
    return lambda y: y.index_select(dim, places)


def _parts(rng: Rng, x: Any) -> Step:
    dim, count = int(rng.integers(x.ndim)), int(rng.integers(2, 4))
    order = [int(place) for place in rng.permutation(len(x.chunk(count, dim)))]
    return lambda y: torch.cat([y.chunk(count, dim)[place] for place in order], dim)


def _padded(rng: Rng, x: Any) -> Step:
    pads = [int(pad) for pad in rng.integers(0, 3, 2 * int(rng.integers(1, min(3, x.ndim) + 1)))]
    mode = str(rng.choice(["constant", "constant", "reflect", "replicate", "circular"]))
    value = float(rng.choice([0.0, 1.5]))
    return lambda y: functional.pad(y, pads, mode, value) if mode == "constant" else functional.pad(y, pads, mode)


def _pool(rng: Rng, _: Any) -> Step:
    taps, stride, padding = int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(0, 2))
    ceil, counted = bool(rng.integers(2)), bool(rng.integers(2))
    if rng.random() < 0.5:
        return lambda y: functional.max_pool2d(y, taps, stride, padding, ceil_mode=ceil)
    return lambda y: functional.avg_pool2d(y, taps, stride, padding, ceil_mode=ceil, count_include_pad=counted)


def _resized(rng: Rng, _: Any) -> Step:
    mode = str(rng.choice(["nearest", "bilinear", "bicubic"]))
    size = [int(part) for part in rng.integers(2, 9, 2)]
    aligned = bool(rng.integers(2)) if mode != "nearest" else None
    return lambda y: functional.interpolate(y, size=size, mode=mode, align_corners=aligned)


def _norm(rng: Rng, x: Any) -> Step:
    width = x.shape[-1]
    made: Any = rng.choice(["layer", "rms", "group", "instance", "batch", "normalize"])
    if made == "layer":
        return nn.LayerNorm(width, EPSILON)
    if made == "rms":
        return nn.RMSNorm(width, EPSILON)
    if made == "group":
        return nn.GroupNorm(int(rng.choice([part for part in range(1, x.shape[1] + 1) if x.shape[1] % part == 0])), x.shape[1], EPSILON)
    if made == "instance":
        return nn.InstanceNorm2d(x.shape[1], EPSILON, affine=True)
    if made == "batch":
        return nn.BatchNorm2d(x.shape[1], EPSILON)
    dim = _dim(rng, x)
    return lambda y: functional.normalize(y, dim=dim)


def _layer(rng: Rng, x: Any) -> Step:
    outputs, made = int(rng.choice([4, 6, 8])), rng.random()
    if made < 0.5 or x.ndim != 4:
        return nn.Linear(x.shape[-1], outputs, bias=bool(rng.integers(2)))
    groups = int(rng.choice([part for part in range(1, x.shape[1] + 1) if x.shape[1] % part == 0]))
    taps, stride, padding, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(0, 3)), int(rng.integers(1, 3))
    if made < 0.9:
        return nn.Conv2d(x.shape[1], groups * int(rng.integers(1, 4)), taps, stride, padding, dilation, groups)
    return nn.ConvTranspose2d(x.shape[1], outputs, taps, stride, min(padding, taps - 1))


def _attention(rng: Rng, x: Any) -> Step:
    heads = int(rng.choice([part for part in range(1, x.shape[-1] + 1) if x.shape[-1] % part == 0]))
    causal, by_hand, merged = bool(rng.integers(2)), bool(rng.integers(2)), rng.random() < 0.7

    def attend(y: Any) -> Any:
        parts = y.reshape(*y.shape[:-1], heads, y.shape[-1] // heads).transpose(-2, -3)
        if by_hand:
            found = torch.softmax(parts @ parts.transpose(-1, -2) * 0.5, -1) @ parts
        else:
            found = functional.scaled_dot_product_attention(parts, parts, parts, is_causal=causal)
        return found.transpose(-2, -3).reshape(y.shape) if merged else found

    return attend


_FUNCTIONS: tuple[Step, ...] = (
    torch.relu, torch.sigmoid, torch.tanh, functional.gelu, functional.silu, functional.hardswish, functional.hardsigmoid, functional.elu,
    functional.leaky_relu, functional.softplus, functional.mish, functional.relu6, torch.abs, torch.neg, torch.square, torch.sin, torch.cos,
    torch.erf, functional.softsign, functional.selu,
    lambda y: functional.gelu(y, approximate="tanh"), lambda y: torch.exp(y.clamp(-3, 3)), lambda y: torch.log(y.abs() + 1),
    lambda y: torch.sqrt(y.abs() + 0.5), lambda y: torch.rsqrt(y.square() + 1), lambda y: 1 / (y.abs() + 1), lambda y: y.clamp(-0.7, 0.4),
    lambda y: y * torch.sigmoid(1.702 * y), lambda y: y.pow(3), lambda y: y * 0.37, lambda y: 1.5 - y, lambda y: y / 3 + 0.2,
    lambda y: y.masked_fill(y < 0.1, 0.5), lambda y: torch.where(y > 0, y, 0.3 * y), lambda y: y.unsqueeze(1), lambda y: y.squeeze(),
    lambda y: y.tril(), lambda y: y.triu(1), lambda y: y.expand(2, *y.shape[1:]) if y.shape[0] == 1 else y.flatten(),
    lambda y: y.repeat_interleave(2, -1), lambda y: functional.glu(y, -1), lambda y: functional.pixel_shuffle(y, 2),
    lambda y: functional.pixel_unshuffle(y, 2), lambda y: functional.channel_shuffle(y, 2), lambda y: y.flatten(1), lambda y: y.mT,
)  # fmt: skip


def _reduction(rng: Rng, x: Any) -> Step:
    dims, keep = _dims(rng, x), bool(rng.integers(2))
    dim = dims[0]
    made: tuple[Step, ...] = (
        lambda y: y.mean(dims, keepdim=keep), lambda y: y.sum(dims, keepdim=keep), lambda y: y.amax(dims, keepdim=keep),
        lambda y: y.amin(dims, keepdim=keep), lambda y: y.var(dims, correction=0, keepdim=keep), lambda y: y.std(dims, keepdim=keep),
        lambda y: y.norm(dim=dims, keepdim=keep), lambda y: torch.softmax(y, dim), lambda y: torch.log_softmax(y, dim),
        lambda y: torch.logsumexp(y, dim, keepdim=keep), lambda y: y.cumsum(dim), lambda y: y.prod(dim, keepdim=keep),
        lambda y: y.max(dim, keepdim=keep).values, lambda y: y - y.mean(dim, keepdim=True),
        lambda y: y / (1 + y.abs().sum(dim, keepdim=True)),
    )  # fmt: skip
    return made[int(rng.integers(len(made)))]


def _unary(rng: Rng, x: Any) -> Step:
    """A step on one tensor."""
    dim, other, shifts = _dim(rng, x), _dim(rng, x), int(rng.integers(-2, 3))
    order, shape = _order(rng, x), _shape(rng, x)
    draw = rng.random()
    if draw < 0.22:
        return _FUNCTIONS[int(rng.integers(len(_FUNCTIONS)))]
    if draw < 0.42:
        made: tuple[Step, ...] = (
            lambda y: y.permute(order), lambda y: y.transpose(dim, other), lambda y: y.reshape(shape),
            lambda y: y.permute(order).reshape(shape),
            lambda y: y.flip(dim), lambda y: y.roll(shifts, dim), lambda y: y.unsqueeze(dim),
        )  # fmt: skip
        return made[int(rng.integers(len(made)))]
    kinds = (_slice, _select, _picked, _parts, _padded, _reduction, _reduction, _norm, _layer, _layer, _attention, _pool, _resized)
    return kinds[int(rng.integers(len(kinds)))](rng, x)


def _binary(rng: Rng, x: Any, z: Any) -> Step:
    """A step on two tensors."""
    dim = _dim(rng, x)
    made: tuple[Step, ...] = (
        torch.add, torch.sub, torch.mul, torch.maximum, torch.minimum, lambda a, b: a / (b.abs() + 1), torch.matmul,
        lambda a, b: a @ b.transpose(-1, -2), lambda a, b: torch.cat([a, b], dim), lambda a, b: torch.stack([a, b], dim),
        lambda a, b: a * torch.sigmoid(b), lambda a, b: a + b.mean(-1, keepdim=True), lambda a, b: torch.where(a > b, a, b),
    )  # fmt: skip
    return made[int(rng.integers(len(made)))]


class RandomNetwork(nn.Module):
    """Steps in order, each on earlier results; the last results are returned."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        shapes = [(1, 6, 8), (1, 4, 6, 8), (1, 4, 8, 4), (1, 12), (1, 5, 7)]
        self.given = torch.randn(shapes[int(rng.integers(len(shapes)))])
        self.layers = nn.ModuleList()
        self.steps: list[tuple[Step | int, tuple[int, ...]]] = []
        results = [self.given]
        wanted, tries = int(rng.integers(2, 9)), 0
        while len(self.steps) < wanted and tries < 100:
            tries += 1
            operands = tuple(int(place) for place in rng.integers(max(0, len(results) - 3), len(results), 1 + int(rng.random() < 0.25)))
            self._try(rng, operands, results)
        count = 1 + int(rng.random() < 0.3)
        self.returned = (
            sorted({len(results) - 1, *(int(place) for place in rng.integers(1, len(results), count - 1))}) if self.steps else []
        )

    def _try(self, rng: Rng, operands: tuple[int, ...], results: list[Any]) -> None:
        tensors = [results[place] for place in operands]
        if not tensors[0].ndim:
            return
        try:
            step = _unary(rng, *tensors) if len(tensors) == 1 else _binary(rng, *tensors)
            if isinstance(step, nn.Module):
                _randomize(step)
            with torch.no_grad():
                result = step(*tensors)
        except (RuntimeError, ValueError, IndexError, NotImplementedError):
            return
        if not 0 < result.numel() <= MOST_ELEMENTS or not torch.isfinite(result).all() or result.abs().max() > LARGEST:
            return
        if isinstance(step, nn.Module):
            self.layers.append(step)
            self.steps.append((len(self.layers) - 1, operands))
        else:
            self.steps.append((step, operands))
        results.append(result)

    def forward(self, x: Any) -> Any:
        """The last results."""
        results = [x]
        for step, operands in self.steps:
            function = self.layers[step] if isinstance(step, int) else step
            results.append(function(*(results[place] for place in operands)))
        return tuple(results[place] for place in self.returned)


def _randomize(module: nn.Module) -> None:
    """Nothing stays at 0 or 1, which would hide an error."""
    module.eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) / max(2, parameter[0].numel()) ** 0.5)
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(0.5 + torch.rand(buffer.shape) if name == "running_var" else torch.randn(buffer.shape))


@dataclass(frozen=True)
class Found:
    """The outcome of a network: 'equal', 'refused', 'constant' (PyTorch folded it), or 'wrong' with what is wrong."""

    kind: str
    text: str = ""


def outcome(seed: int) -> Found:
    """Draw a network, export, import and compute it."""
    network = RandomNetwork(seed).eval()
    if not network.returned:
        return Found("empty")
    try:
        program = torch.export.export(network, (network.given,))
    except Exception as error:  # noqa: BLE001  # whatever the exporter raises is none of the importer's
        return Found("not exported", type(error).__name__)
    try:
        trace = import_program(program, "random", seed=None, file=Path(__file__))
    except AccelsimError as error:
        text = str(error)
        return Found("wrong" if "\n" in text or len(text) > LONGEST_REFUSAL else "refused", text)
    except Exception as error:  # noqa: BLE001  # a traceback is what is looked for
        return Found("wrong", f"{type(error).__name__}: {error}")
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in copy.deepcopy(network).double()(network.given.double())]
    normalized = any(hasattr(layer, "eps") for layer in network.layers)  # a trace has no epsilon, and functional.normalize has none
    return compared(trace, network.given.numpy(), wanted, EPSILON if normalized else 0.0)


def compared(trace: Any, given: np.ndarray, wanted: list[np.ndarray], epsilon: float) -> Found:
    """How a trace's float outputs, with this epsilon of every normalization, compare with those wanted."""
    (source,) = trace.manifest.inputs
    values = naive_graph.run_float(trace, {source.name: given.reshape(source.shape.dims)}, epsilon)
    outputs = trace.manifest.interface.outputs
    if len(outputs) != len(wanted):
        return Found("wrong", f"{len(outputs)} outputs for {len(wanted)}")
    for output, array in zip(outputs, wanted, strict=True):
        found = output.of(values[output.layer][None])
        if found.shape != array.shape:
            return Found("wrong", f"{output.name} has shape {found.shape}, not {array.shape}")
        error = float(np.abs(found - array).max() / max(1e-3, np.abs(array).max()))
        if not error <= NEAR:
            return Found("wrong", f"{output.name} is off by {error:.1e}")
    return Found("equal")


def main() -> None:
    """Print what is wrong, and the count of each outcome."""
    parser = argparse.ArgumentParser(description="Random networks")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--refusals", action="store_true", help="print these as well")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    tally: Counter[str] = Counter()
    for seed in range(asked.first, asked.first + asked.count):
        found = outcome(seed)
        tally[found.kind] += 1
        if found.kind == "wrong" or (asked.refusals and found.kind == "refused"):
            print(seed, found.kind, found.text, flush=True)
    print(dict(tally))


if __name__ == "__main__":
    main()
