"""A worked example of an operation, against which the contract tests check `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """One input and the output that the definition gives.

    Attributes
    ----------
    fields : of the record, beside name, inputs and output
    operands : elements of each operand, row by row
    output : elements of the result, row by row
    constants : trained numbers by name
    rows, output_rows : rows of the operands and of the result
    operand_rows : rows of each operand, where they differ; () for `rows`
    width : elements of an operand's row; 0: those of the result
    """

    fields: Mapping[str, object]
    operands: tuple[tuple[float, ...], ...]
    output: tuple[float, ...]
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rows: int = 1
    output_rows: int = 1
    operand_rows: tuple[int, ...] = ()
    width: int = 0
