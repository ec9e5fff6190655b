"""A walk of a torch.export program: every ATen call becomes a layer, a change of view, or a named error.

Only what depends on the model's input becomes a layer; calls on constants alone (position indices, masks) are computed here, and an
additive mask must come out as zero. Dropout and casts between floats are taken as inference has them: nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.export.graph_signature import InputKind

from accelsim.errors import ImportModelError
from accelsim.importers.graph_builder import Convolution, GraphBuilder
from accelsim.importers.layout import View

_MAX_CONSTANT = 1 << 24  # elements that folding a constant may make
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parameter:
    """A trained tensor, possibly under another shape of the same order."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A value known without the input."""

    value: Any


@dataclass(frozen=True)
class ExportedGraph:
    """What a program holds.

    Attributes
    ----------
    outputs
        Layers whose outputs are the model's.
    weights
        Wt[K,N] by layer, float32; empty unless kept.
    constants
        Bias, gamma, ... by layer and name, float32, 1-D; empty unless kept.
    unused
        Parameters that no layer reads.
    """

    builder: GraphBuilder
    outputs: tuple[str, ...]
    weights: dict[str, Floats]
    constants: dict[str, dict[str, Floats]]
    unused: tuple[str, ...]


def walk(program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool) -> ExportedGraph:
    """Turn a program into layers.

    Parameters
    ----------
    program
        Exported with fixed shapes and batch 1.
    builder
        Empty; takes the layers.
    keep_values
        True: also return the trained values; False: shapes are enough.

    Raises
    ------
    ImportModelError
        An operation, a layout or a shape that is not understood, by name.
    """
    return _Walk(program, builder, keep_values).run()


class _Walk:
    def __init__(self, program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool) -> None:
        self.program = program
        self.builder = builder
        self.keep_values = keep_values
        self.values: dict[str, Any] = {}
        self.weights: dict[str, Floats] = {}
        self.constants: dict[str, dict[str, Floats]] = {}
        self.used: set[str] = set()
        self.trained = {
            spec.target: math.prod(program.state_dict[spec.target].shape)
            for spec in program.graph_signature.input_specs
            if spec.kind is InputKind.PARAMETER and spec.target is not None
        }

    def run(self) -> ExportedGraph:
        """Visit every node once, in the program's order."""
        specs = {getattr(spec.arg, "name", None): spec for spec in self.program.graph_signature.input_specs}
        outputs: tuple[str, ...] = ()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node.name] = self._placeholder(node, specs[node.name])
            elif node.op == "call_function":
                self.values[node.name] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
            else:
                raise ImportModelError(f"{node.name}: a node of kind {node.op!r} is not understood; allowed: exported ATen calls")
        counted = sum(layer.parameters for layer in self.builder.layers)
        read = sum(self.trained[name] for name in self.used)
        if counted != read:
            raise ImportModelError(
                f"the layers count {counted} parameters, but the program reads {read}: a shared or partly read parameter"
            )
        return ExportedGraph(self.builder, outputs, self.weights, self.constants, tuple(sorted(set(self.trained) - self.used)))

    def _placeholder(self, node: torch.fx.Node, spec: Any) -> object:
        if spec.kind is InputKind.PARAMETER:
            return Parameter(spec.target, tuple(self.program.state_dict[spec.target].shape))
        if spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            stored = self.program.constants if spec.target in self.program.constants else self.program.state_dict
            return Constant(stored[spec.target])
        if spec.kind is not InputKind.USER_INPUT or not isinstance(node.meta.get("val"), torch.Tensor):
            raise ImportModelError(f"{node.name}: an input of kind {spec.kind.name} is not understood; allowed: tensors")
        shape = _shape(node)
        if shape[0] != 1 or len(shape) not in (3, 4):
            raise ImportModelError(f"input {node.name!r} has shape {shape}; allowed: (1, channels, height, width) or (1, rows, width)")
        return self.builder.image(node.name, *shape[1:]) if len(shape) == 4 else self.builder.tokens(node.name, *shape[1:])

    def _outputs(self, node: torch.fx.Node) -> tuple[str, ...]:
        results: Any = torch.fx.node.map_arg(node.args[0], lambda arg: self.values[arg.name])
        names = []
        for result in results:
            if not isinstance(result, View):
                raise ImportModelError(f"output {result!r} does not depend on the input")
            names.append(result.producer)
        return tuple(names)

    def _call(self, node: torch.fx.Node) -> object:
        target = str(node.target)
        sources = [self.values[source.name] for source in node.all_input_nodes]
        if target in _IGNORED:
            return Constant(None)
        if all(isinstance(source, Constant) for source in sources):
            return self._fold(node)
        if target in _SAME_ELEMENTS and len(sources) == 1:
            return self._same_elements(node, sources[0])
        if target not in _HANDLERS:
            raise ImportModelError(f"{_where(node)}: operation {target!r} is not understood; known: {sorted(_HANDLERS)}")
        return _HANDLERS[target](self, node, _Arguments(self, node))

    def _fold(self, node: torch.fx.Node) -> Constant:
        """Compute a call whose operands are all known."""
        value = node.meta.get("val")
        size = math.prod(_shape(node)) if isinstance(value, torch.Tensor) else 1
        if size > _MAX_CONSTANT or not str(node.target).startswith("aten."):
            raise ImportModelError(f"{_where(node)}: constant {node.target} of {size} elements is not computed; allowed: {_MAX_CONSTANT}")
        target: Any = node.target
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda arg: self.values[arg.name].value)
        here = {"device": torch.device("cpu")} if "device" in kwargs else {}  # the program may be exported on another device, or on none
        return Constant(target(*args, **{**kwargs, **here}))

    def _same_elements(self, node: torch.fx.Node, source: object) -> object:
        """A call that changes the shape, or nothing: the same elements in the same order."""
        shape = _shape(node)
        value = node.meta["val"]
        if not value.is_floating_point():
            raise ImportModelError(f"{_where(node)}: a cast to {value.dtype} is not supported; allowed: floating-point types")
        if str(node.target) in _DROPOUTS and _Arguments(self, node).get(2, "train", False):
            raise ImportModelError(f"{_where(node)}: dropout in training mode; export the model after model.eval()")
        if isinstance(source, Parameter):
            if math.prod(shape) != math.prod(source.shape):
                raise ImportModelError(f"{_where(node)}: parameter {source.name!r} of shape {source.shape} is expanded to {shape}")
            return Parameter(source.name, shape)
        if not isinstance(source, View):
            raise ImportModelError(f"{_where(node)}: {node.target} of {source!r} is not understood")
        return source.reshape(shape)

    def keep_weight(self, view: View, parameter: Parameter) -> None:
        """The weights of the layer that made `view`: outputs first in the model, Wt[K,N] in the trace."""
        self.used.add(parameter.name)
        if self.keep_values:
            self.weights[view.producer] = np.ascontiguousarray(self._values(parameter).reshape(parameter.shape[0], -1).T)

    def keep_constant(self, view: View, name: str, *parameters: Parameter) -> None:
        """A constant of the layer that made `view`, by the name that the layer gives it."""
        self.used.update(parameter.name for parameter in parameters)
        if self.keep_values and parameters:
            values = np.concatenate([self._values(parameter).reshape(-1) for parameter in parameters])
            self.constants.setdefault(view.producer, {})[name] = values

    def _values(self, parameter: Parameter) -> Floats:
        values: Floats = self.program.state_dict[parameter.name].detach().to(torch.float32).cpu().numpy()
        return values


class _Arguments:
    """Positional and keyword arguments of a call, resolved to views, parameters, constants and plain values."""

    def __init__(self, walk: _Walk, node: torch.fx.Node) -> None:
        self.node = node
        self.args, self.kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda arg: walk.values[arg.name])

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at a position or under its name."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def view(self, position: int, name: str) -> View:
        """An argument that must depend on the input."""
        value = self.get(position, name)
        if not isinstance(value, View):
            raise ImportModelError(f"{_where(self.node)}: {name} of {self.node.target} is {value!r}; allowed: an activation")
        return value

    def parameter(self, position: int, name: str) -> Parameter:
        """An argument that must be a trained tensor, as it is stored."""
        value = self.get(position, name)
        if not isinstance(value, Parameter):
            raise ImportModelError(f"{_where(self.node)}: {name} of {self.node.target} is {value!r}; allowed: a trained parameter")
        return value

    def optional_parameter(self, position: int, name: str) -> tuple[Parameter, ...]:
        """A trained tensor that may be absent: none or one."""
        return () if self.get(position, name) is None else (self.parameter(position, name),)

    def sole_reader(self, position: int) -> bool:
        """True if this call alone reads the argument."""
        source = self.node.args[position]
        return isinstance(source, torch.fx.Node) and len(source.users) == 1


def _linear(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    weight, bias = args.parameter(1, "weight"), args.optional_parameter(2, "bias")
    result = walk.builder.linear(_owner(weight), args.view(0, "input"), weight.shape[0], bool(bias))
    walk.keep_weight(result, weight)
    walk.keep_constant(result, "bias", *bias)
    return result


def _conv2d(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    weight, bias = args.parameter(1, "weight"), args.optional_parameter(2, "bias")
    conv = Convolution(
        outputs=weight.shape[0],
        taps=(weight.shape[2], weight.shape[3]),
        strides=_pair(args.get(3, "stride", [1])),
        padding=_pair(args.get(4, "padding", [0])),
        dilation=_pair(args.get(5, "dilation", [1])),
        groups=args.get(6, "groups", 1),
    )
    result = walk.builder.conv2d(_owner(weight), args.view(0, "input"), conv, bool(bias))
    walk.keep_weight(result, weight)
    walk.keep_constant(result, "bias", *bias)
    return result


def _matmul(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    return walk.builder.matmul(_path(node, "matmul"), args.view(0, "self"), args.view(1, "other"))


def _attention(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    """Fused attention, as its definition has it: softmax(Q K^T * scale) V."""
    query, key, value = args.view(0, "query"), args.view(1, "key"), args.view(2, "value")
    mask = args.get(3, "attn_mask")
    if args.get(5, "is_causal", False) or not (mask is None or _is_zero(mask) or _is_true(mask)):
        raise ImportModelError(f"{_where(node)}: attention with a mask is not supported")
    scores = walk.builder.matmul(_path(node, "matmul"), query, key.transpose(-2, -1))
    scale = args.get(6, "scale")
    scores = walk.builder.scale(_path(node, "mul"), scores, query.shape[-1] ** -0.5 if scale is None else float(scale))
    return walk.builder.matmul(_path(node, "matmul"), walk.builder.softmax(_path(node, "softmax"), scores, -1), value)


def _scale(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    factor = args.get(1, "other")
    factor = float(factor.value) if isinstance(factor, Constant) and _numel(factor) == 1 else factor
    if not isinstance(factor, int | float) or not args.sole_reader(0):
        raise ImportModelError(f"{_where(node)}: {node.target} by {factor!r} is not supported; allowed: a factor on an attention product")
    divide = str(node.target).startswith("aten.div")
    return walk.builder.scale(_where(node), args.view(0, "self"), 1 / factor if divide else float(factor))


def _add(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    first, second = args.get(0, "self"), args.get(1, "other")
    if args.get(2, "alpha", 1) != 1:
        raise ImportModelError(f"{_where(node)}: a sum with alpha is not supported")
    if isinstance(first, View) and isinstance(second, View):
        return walk.builder.add(_path(node, "add"), first, second)
    position = 0 if isinstance(first, View) else 1
    view, other = args.view(position, "self" if position == 0 else "other"), (second if position == 0 else first)
    if isinstance(other, Parameter) and view.shape == other.shape:
        result = walk.builder.add_positions(_path(node, "positions"), view, args.sole_reader(position))
        walk.keep_constant(result, "positions", other)
        return result
    if _is_zero(other):
        return view
    raise ImportModelError(
        f"{_where(node)}: the sum of {view.shape} with {other!r} is not supported; allowed: a residual, positions, a zero mask"
    )


def _cat(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    parts = args.get(0, "tensors")
    trained, view = parts[:-1], parts[-1]
    rows = args.get(1, "dim", 0) % 3
    fits = isinstance(view, View) and len(view.shape) == 3 and rows == 1 and all(isinstance(part, Parameter) for part in trained)
    if not fits or any(part.shape[::2] != view.shape[::2] for part in trained):
        raise ImportModelError(f"{_where(node)}: a concatenation of anything but trained rows before an activation is not supported")
    result = walk.builder.prepend_rows(_path(node), view, sum(part.shape[1] for part in trained))
    walk.keep_constant(result, "prepended", *trained)
    return result


def _layer_norm(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    gamma, beta = args.parameter(2, "weight"), args.parameter(3, "bias")
    result = walk.builder.layernorm(_owner(gamma), args.view(0, "input"), args.get(1, "normalized_shape"))
    walk.keep_constant(result, "gamma", gamma)
    walk.keep_constant(result, "beta", beta)
    return result


def _softmax(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    return walk.builder.softmax(_path(node, "softmax"), args.view(0, "self"), args.get(1, "dim"))


def _gelu(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    return walk.builder.gelu(_path(node, "gelu"), args.view(0, "self"))


def _transpose(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    return args.view(0, "self").transpose(args.get(1, "dim0"), args.get(2, "dim1"))


def _permute(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    return args.view(0, "self").permute(args.get(1, "dims"))


def _select(walk: _Walk, node: torch.fx.Node, args: _Arguments) -> View:
    return args.view(0, "self").select(args.get(1, "dim"), args.get(2, "index"))


def _pair(values: list[int]) -> tuple[int, int]:
    return (values[0], values[-1])


def _numel(constant: Constant) -> int:
    return int(constant.value.numel()) if isinstance(constant.value, torch.Tensor) else 1


def _is_zero(value: object) -> bool:
    """True for 0, and for a constant tensor of zeros."""
    known = value.value if isinstance(value, Constant) else value
    if isinstance(known, torch.Tensor):
        return known.dtype != torch.bool and not bool(torch.any(known != 0))
    return isinstance(known, int | float) and known == 0


def _is_true(value: object) -> bool:
    """True for a constant boolean tensor that is True everywhere: a mask that hides nothing."""
    known = value.value if isinstance(value, Constant) else value
    return isinstance(known, torch.Tensor) and known.dtype == torch.bool and bool(torch.all(known))


def _shape(node: torch.fx.Node) -> tuple[int, ...]:
    shape = node.meta["val"].shape
    if not all(isinstance(size, int) for size in shape):
        raise ImportModelError(f"{_where(node)}: shape {tuple(shape)} is not fixed; export the model without dynamic shapes")
    return tuple(shape)


def _owner(parameter: Parameter) -> str:
    """The module that owns a parameter: 'classifier.weight' -> 'classifier'."""
    return parameter.name.rpartition(".")[0] or parameter.name


def _path(node: torch.fx.Node, operation: str = "") -> str:
    """The innermost module around a call, and the operation: 'vit.layers.0.attention.matmul'."""
    stack = node.meta.get("nn_module_stack") or {}
    path = [entry[0] for entry in stack.values()][-1] if stack else ""
    return ".".join(part for part in (path, operation) if part) or node.name


def _where(node: torch.fx.Node) -> str:
    return f"{_path(node)} (node {node.name})"


_DROPOUTS = {"aten.dropout.default", "aten.feature_dropout.default"}
_SAME_ELEMENTS = _DROPOUTS | {
    "aten.view.default",
    "aten.reshape.default",
    "aten.flatten.using_ints",
    "aten.unflatten.int",
    "aten.unsqueeze.default",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.expand.default",
    "aten.contiguous.default",
    "aten.clone.default",
    "aten.alias.default",
    "aten.detach.default",
    "aten.to.dtype",
    "aten._to_copy.default",
}
_IGNORED = {"aten._assert_tensor_metadata.default"}
_HANDLERS: dict[str, Callable[[_Walk, torch.fx.Node, _Arguments], View]] = {
    "aten.linear.default": _linear,
    "aten.conv2d.default": _conv2d,
    "aten.matmul.default": _matmul,
    "aten.bmm.default": _matmul,
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.mul.Tensor": _scale,
    "aten.mul.Scalar": _scale,
    "aten.div.Tensor": _scale,
    "aten.div.Scalar": _scale,
    "aten.add.Tensor": _add,
    "aten.cat.default": _cat,
    "aten.layer_norm.default": _layer_norm,
    "aten.softmax.int": _softmax,
    "aten._softmax.default": _softmax,
    "aten.gelu.default": _gelu,
    "aten.transpose.int": _transpose,
    "aten.permute.default": _permute,
    "aten.select.int": _select,
}
