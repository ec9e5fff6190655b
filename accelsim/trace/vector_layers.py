"""Layers that the vector unit computes: element by element, row by row, or window by window.

Disputable assumption: trained constants of these layers are read as `parameter_bits` wide numbers; bounds of a clip are constants of
the requantization and cost no traffic.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.trace.layer_base import ConstantBits, LayerBase, Pad, SameShapeLayer, Step
from accelsim.trace.shapes import Bound, TensorShape, window_positions


class SoftmaxLayer(SameShapeLayer):
    """Softmax over each row of each group.

    Attributes
    ----------
    mask
        "causal": row r is the softmax of its elements 0 to r, and 0 behind them (attention that sees no later token). It costs nothing
        and saves nothing: the array computes all scores, and the unit passes over whole rows.
    """

    op: Literal["softmax"] = "softmax"
    mask: Literal["causal"] | None = None

    @model_validator(mode="after")
    def _rows_meet_the_mask(self) -> SoftmaxLayer:
        self._expect_inputs(1)
        if self.mask == "causal" and self.output.rows != self.output.width:
            raise self._refuse(f"a causal mask of {self.output.rows} rows of {self.output.width}; allowed: as many rows as columns")
        return self


class GeluLayer(SameShapeLayer):
    """GELU of each element."""

    op: Literal["gelu"] = "gelu"

    @model_validator(mode="after")
    def _one_input(self) -> GeluLayer:
        self._expect_inputs(1)
        return self


class ClipLayer(SameShapeLayer):
    """Each element held between two bounds: ReLU (from 0 up), ReLU6 (from 0 to 6), hard tanh.

    Attributes
    ----------
    minimum, maximum
        Bounds of a clip, in the activation's real values; one of them may be absent. A relu has its own: 0 and none.
    """

    op: Literal["relu", "clip"] = "relu"
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _bounds_belong_to_the_op(self) -> ClipLayer:
        self._expect_inputs(1)
        given = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if self.op == "relu" and given:
            raise self._refuse(f"a relu has no bounds of its own, but {given} are given; allowed: op 'clip'")
        if self.op == "clip" and (not given or given != sorted(given)):
            raise self._refuse(f"clip has minimum={self.minimum}, maximum={self.maximum}; allowed: at least one, minimum <= maximum")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """(lowest, highest) value that comes out."""
        if self.op == "relu":
            return 0.0, float("inf")
        return (-float("inf") if self.minimum is None else self.minimum, float("inf") if self.maximum is None else self.maximum)


class TableLayer(SameShapeLayer):
    """A smooth function of each element, which a vector unit reads from a table of its 256 values: sigmoid, SiLU, hard swish, tanh."""

    op: Literal["sigmoid", "silu", "hardswish", "tanh"]

    @model_validator(mode="after")
    def _one_input(self) -> TableLayer:
        self._expect_inputs(1)
        return self


class PoolLayer(LayerBase):
    """The largest or the average element of each window of an image, channel by channel; a global average has one window.

    Attributes
    ----------
    image
        (height, width) of the input, which lies as the array writes it: one row a position (rows = height*width, width = channels).
    taps
        (FY, FX) of the window.
    strides, padding
        (y, x); padding is that of the top and the left, and never wins a maximum.
    padding_end
        (y, x) padding of the bottom and the right; None: the same as `padding`.
    count_padding
        An average divides by all taps of a window; otherwise by those inside the image.
    """

    op: Literal["max_pool2d", "avg_pool2d"]
    image: tuple[Bound, Bound]
    taps: tuple[Step, Step]
    strides: tuple[Step, Step]
    padding: tuple[Pad, Pad] = (0, 0)
    padding_end: tuple[Pad, Pad] | None = None
    count_padding: bool = False

    @model_validator(mode="after")
    def _windows_meet_the_image(self) -> PoolLayer:
        self._expect_inputs(1)
        for axis, name in enumerate(("height", "width")):
            before, places = self.padding[axis], self.positions[axis]
            last = (places - 1) * self.strides[axis] - before  # first line of the last window
            if places < 1 or before >= self.taps[axis] or last >= self.image[axis]:
                raise self._refuse(
                    f"windows of {self.taps} by strides {self.strides} with padding {self.padding} and {self.far_padding} do not fit "
                    f"an image of {self.image} along its {name}: each must hold at least one position of the image"
                )
        if self.count_padding and self.op != "avg_pool2d":
            raise self._refuse("count_padding is of an average; allowed with op 'avg_pool2d'")
        self._expect("output", self.output.dims, (1, self.positions[0] * self.positions[1], self.output.width))
        return self

    @property
    def far_padding(self) -> tuple[int, int]:
        """Padding of the bottom and the right."""
        return self.padding if self.padding_end is None else self.padding_end

    @property
    def positions(self) -> tuple[int, int]:
        """(OY, OX)."""
        oy, ox = (
            window_positions(self.image[axis], self.taps[axis], self.strides[axis], self.padding[axis], self.far_padding[axis])
            for axis in (0, 1)
        )
        return oy, ox

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One row of channels a position of the image."""
        height, width = self.image
        self._expect("input", shapes[0].dims, (1, height * width, self.output.width))


class AddLayer(SameShapeLayer):
    """The sum of two activations: a residual connection."""

    op: Literal["add"] = "add"

    @model_validator(mode="after")
    def _two_inputs(self) -> AddLayer:
        self._expect_inputs(2)
        return self


class LayerNormLayer(SameShapeLayer):
    """Layer normalization of each row, with gamma and beta of `parameter_bits` bits a channel."""

    op: Literal["layernorm"] = "layernorm"
    parameter_bits: ConstantBits = 32

    @model_validator(mode="after")
    def _one_input(self) -> LayerNormLayer:
        self._expect_inputs(1)
        return self

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Gamma and beta."""
        return {"gamma": self.output.width, "beta": self.output.width}

    @property
    def parameter_bytes(self) -> int:
        """Gamma and beta as read from memory."""
        return self.parameters * self.parameter_bits // 8


class EmbedLayer(LayerBase):
    """Put trained rows (class token) before the input's rows, and add a trained matrix (position embeddings) to all of them."""

    op: Literal["embed"] = "embed"
    prepended_rows: Annotated[int, Field(ge=0, le=1 << 16)]
    positions: bool
    parameter_bits: ConstantBits = 8

    @model_validator(mode="after")
    def _one_input(self) -> EmbedLayer:
        self._expect_inputs(1)
        return self

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One matrix, shorter than the output by the prepended rows."""
        self._expect("input", shapes[0].dims, (1, self.output.rows - self.prepended_rows, self.output.width))

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Prepended rows and position embeddings."""
        sizes = {"prepended": self.prepended_rows * self.output.width, "positions": self.output.elements if self.positions else 0}
        return {name: size for name, size in sizes.items() if size}

    @property
    def parameter_bytes(self) -> int:
        """The same as read from memory."""
        return self.parameters * self.parameter_bits // 8
