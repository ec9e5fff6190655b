"""What every layer of a network has: a name, inputs, an output, trained constants, and the checks of its shapes.

Disputable assumption: a layer writes one activation and reads whole activations; batch is 1, a machine that batches repeats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from accelsim.errors import TraceError
from accelsim.trace.shapes import ManifestRecord, TensorShape
from accelsim.trace.streams import StreamRecord

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Step = Annotated[int, Field(ge=1, le=1 << 16)]
Pad = Annotated[int, Field(ge=0, le=1 << 16)]
ConstantBits = Literal[8, 16, 32]


class LayerBase(ManifestRecord, ABC):
    """What every layer has.

    Attributes
    ----------
    constants
        Float32 streams by the names of `constant_sizes`, all or none: a real model's payload holds them. No timing depends on them.
    """

    name: Name
    inputs: tuple[Name, ...]
    output: TensorShape
    constants: dict[str, StreamRecord] = Field(default_factory=dict)

    def with_fields(self, **changes: object) -> Self:
        """The same layer with some fields replaced, validated again."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **changes})

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for vector layers."""
        return 0

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Trained numbers besides the weights, by name."""
        return {}

    @property
    def parameters(self) -> int:
        """Trained numbers: weights, biases, normalization, embeddings."""
        return sum(self.constant_sizes.values())

    @property
    def parameter_bytes(self) -> int:
        """Bytes read from memory besides weights and bias."""
        return 0

    @model_validator(mode="after")
    def _constants_are_those_of_the_op(self) -> Self:
        found = {name: record.bits for name, record in self.constants.items()}
        wanted = {name: 32 * size for name, size in self.constant_sizes.items()}
        if found and found != wanted:
            raise self._refuse(f"constants hold {found} bits; the layer has {wanted} (float32)")
        return self

    @abstractmethod
    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Check that the inputs' shapes are those this layer reads; TraceError if not."""

    def _refuse(self, message: str) -> TraceError:
        return TraceError(f"layer {self.name!r}: {message}")

    def _expect(self, what: str, found: tuple[int, int, int], wanted: tuple[int, int, int]) -> None:
        if found != wanted:
            as_text = " x ".join(map(str, wanted))
            raise self._refuse(f"{what} is {' x '.join(map(str, found))} (groups x rows x width), but the layer needs {as_text}")

    def _expect_inputs(self, count: int) -> None:
        if len(self.inputs) != count:
            raise self._refuse(f"has {len(self.inputs)} inputs {list(self.inputs)}; {getattr(self, 'op', 'it')} takes {count}")


class SameShapeLayer(LayerBase):
    """A vector layer whose output has its inputs' shape (not necessarily their bits)."""

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Every input has the output's groups, rows and width."""
        for name, shape in zip(self.inputs, shapes, strict=True):
            self._expect(f"input {name!r}", shape.dims, self.output.dims)
