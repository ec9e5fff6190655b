"""Inputs of a network as users give them: arrays, `.npy` files, or a mapping of names to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.api.checks import wrong_type
from accelsim.api.paths import path_of
from accelsim.errors import ConfigError
from accelsim.execution.inputs import read_npy
from accelsim.trace import trace as core

ArrayLike = npt.ArrayLike | str | Path


def arrays_of(trace: core.Trace, given: ArrayLike | Mapping[str, ArrayLike] | None) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `input` argument by the names of the network's inputs; none for None."""
    names = [source.name for source in trace.manifest.inputs]
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {name: _array(f"input[{name!r}]", item) for name, item in given.items()}
    if len(names) > 1:
        raise ConfigError(f"trace {trace.name!r} has several inputs, but one is given without a name; its inputs: {', '.join(names)}")
    return {names[0]: _array("input", given)}


def _array(what: str, given: ArrayLike) -> npt.NDArray[Any]:
    if isinstance(given, str | Path):
        return read_npy(path_of(what, given))
    try:
        return np.asarray(given)
    except (TypeError, ValueError):
        raise wrong_type(what, given, "an array, or the path of a .npy file") from None
