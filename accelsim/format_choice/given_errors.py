"""Errors of layers in formats that a user has measured, in any unit that adds up: a rise of the loss, an error of the outputs.

They are given by layer and format, or as a CSV file with the columns `layer`, `format` and `error`; other columns are not read, so the
table of an earlier choice is such a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelsim.csv_table import read_table
from accelsim.errors import ConfigError
from accelsim.format_choice.candidates import Candidates
from accelsim.formats.catalog import describe_format, parse_format
from accelsim.registry import suggest

Errors = Mapping[str, Mapping[str, float]]  # layer -> format -> error
MOST = 1e300  # of an error's magnitude: a sum over layers stays finite
COLUMNS = ("layer", "format", "error")


def read_errors(path: Path) -> dict[str, dict[str, float]]:
    """The errors of a CSV file.

    Raises
    ------
    ConfigError
        The file cannot be read or lacks a column, a pair is given twice, or an error is no number.
    """
    found: dict[str, dict[str, float]] = {}
    for line, row in read_table(path, COLUMNS):
        layer, text, value = (row[name] for name in COLUMNS)
        own = found.setdefault(layer, {})
        if text in own:
            raise ConfigError(f"{path}, line {line}: {text!r} of layer {layer!r} is given twice")
        try:
            own[text] = float(value)
        except ValueError:
            raise ConfigError(f"{path}, line {line}: `error` is {value!r:.80}; allowed: a finite number") from None
    return found


def given_errors(candidates: Candidates, errors: Errors) -> npt.NDArray[np.float64]:
    """The errors as an array [layers, formats].

    Raises
    ------
    ConfigError, FormatError
        A layer that the network does not have, a text that is no format, an error that is not finite or too large to be added, one that is
        given twice, or one that is needed and not given.
    """
    known: dict[tuple[str, str], float] = {}
    for layer, by_format in errors.items():
        if layer not in candidates.layers:
            raise ConfigError(f"errors are given for {layer!r}, which is no layer with weights{suggest(layer, candidates.layers)}")
        for text, value in by_format.items():
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not abs(value) <= MOST:
                raise ConfigError(
                    f"the error of layer {layer!r} in {text!r} is {value!r:.80}; allowed: a finite number of at most {MOST:g}"
                )
            key = layer, describe_format(parse_format(text))
            if key in known:
                raise ConfigError(f"the error of layer {layer!r} in {key[1]!r} is given twice, once as {text!r}; allowed: once")
            known[key] = float(value)
    found = np.zeros(candidates.allowed.shape)
    for layer, place in np.argwhere(candidates.allowed):
        key = candidates.layers[layer], candidates.formats[place]
        fixed = candidates.allowed[layer].sum() == 1  # nothing to choose
        if key not in known and not fixed:
            raise ConfigError(f"no error is given of layer {key[0]!r} in {key[1]!r}, which it may take; allowed: a number for each of them")
        found[layer, place] = known.get(key, 0.0)
    return found
