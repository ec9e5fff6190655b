"""Act-order of GPTQ: each input has the number of its group, and a trace gathers the inputs of a group side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule
from accelsim.importers.from_huggingface.quantized.quantized_matrix import ComposedMatrix, QuantizedMatrix, steps_to
from accelsim.importers.language_models.stored_tensors import Surroundings


def inputs_by_group(module: QuantizedModule, part: str, k: int, group: int, ordered: bool) -> Integers:
    """The K inputs, group after group, by the numbers of their groups in a tensor; in their own order where it is missing.

    Raises
    ------
    ImportModelError
        A tensor of another shape, or groups of other sizes; or without act-order (`ordered`) inputs that are no neighbours.
    """
    own = np.arange(k)
    if part in module.places:
        module.expect(part, (k,))
    numbers = module.integers(part) if part in module.places else own // group
    places = np.argsort(numbers, kind="stable") if ordered else own
    if not np.array_equal(numbers[places], own // group):
        allowed = f"{group} inputs per group" if ordered else f"groups of {group} neighbouring inputs, as config.json states no act-order"
        raise module.refuse(f"{part!r} permutes its inputs; allowed: {allowed}")
    return places


def gathered(matrix: QuantizedMatrix, inputs: Callable[[], Integers]) -> ComposedMatrix:
    """A matrix whose rows lie in the order of these inputs."""
    around = Surroundings(pieces=(matrix.k,))
    return ComposedMatrix(matrix.k, matrix.n, around, {".0": matrix}, {".steps.0": lambda: steps_to(inputs())})
