"""Configurations of SCALE-Sim (.cfg) as overrides of an accelerator: the array, the buffers and the dataflow.

Only settings with a counterpart are taken: the buffers for inputs and outputs become one activation buffer, a kB there is 1024 bytes, and
all else (addresses, request queues, SRAM banks, bandwidths) is named as a warning, because our memories are described otherwise.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import ImportModelError
from accelsim.reading import read_text

SECTION = "architecture_presets"
MAX_VALUE = 1 << 20  # PEs on a side, or KiB
KEYS = ("ArrayHeight", "ArrayWidth", "IfmapSramSzkB", "FilterSramSzkB", "OfmapSramSzkB", "Dataflow")
DATAFLOWS = {"os": "output_stationary", "ws": "weight_stationary", "is": "input_stationary"}


@dataclass(frozen=True)
class ScaleSimConfig:
    """Settings of a chip read from a configuration.

    Attributes
    ----------
    overrides : for `load_accelerator`, such as "array.rows=32"
    dataflow : kind of the dataflow, "" if the file names none
    warnings : one for each key that has no counterpart here
    """

    overrides: tuple[str, ...]
    dataflow: str
    warnings: tuple[str, ...]


def read_scale_sim_config(path: Path) -> ScaleSimConfig:
    """Read a .cfg file.

    Raises
    ------
    ImportModelError
        The file cannot be read or is none, or a key has a value that is not allowed.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path, ImportModelError, "utf-8-sig"), source=str(path))
    except configparser.Error as error:
        raise ImportModelError(f"{path}: is not a configuration: {str(error).splitlines()[0]}") from error
    if not parser.has_section(SECTION):
        raise ImportModelError(f"{path}: section [{SECTION}] is missing; the file has: {parser.sections()}")
    given = dict(parser.items(SECTION))  # configparser gives keys in lower case
    numbers = {key: _number(path, key, given[key.lower()]) for key in KEYS[:-1] if key.lower() in given}
    return ScaleSimConfig(_overrides(numbers), _dataflow(path, given.get("dataflow", "")), tuple(_warnings(parser)))


def _overrides(numbers: dict[str, int]) -> tuple[str, ...]:
    """Overrides for the keys that are there."""
    activations = numbers.get("IfmapSramSzkB", 0) + numbers.get("OfmapSramSzkB", 0)
    out = [f"array.rows={numbers['ArrayHeight']}"] if "ArrayHeight" in numbers else []
    out += [f"array.cols={numbers['ArrayWidth']}"] if "ArrayWidth" in numbers else []
    out += [f"weight_buffer.capacity={numbers['FilterSramSzkB']} KiB"] if "FilterSramSzkB" in numbers else []
    return (*out, f"activation_buffer.capacity={activations} KiB") if activations else tuple(out)


def _dataflow(path: Path, short: str) -> str:
    if short and short.lower() not in DATAFLOWS:
        raise ImportModelError(f"{path}: [{SECTION}] Dataflow = {short!r:.80} is not allowed; allowed: {', '.join(DATAFLOWS)}")
    return DATAFLOWS[short.lower()] if short else ""


def _number(path: Path, key: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 30 or not 1 <= int(text) <= MAX_VALUE:
        raise ImportModelError(f"{path}: [{SECTION}] {key} = {text!r:.80} is not allowed; allowed: an integer from 1 to {MAX_VALUE}")
    return int(text)


def _warnings(parser: configparser.ConfigParser) -> list[str]:
    """A warning for each key that is not taken; the name of the run is no property of a chip."""
    taken = {(SECTION, key.lower()) for key in KEYS} | {("general", "run_name")}
    return [
        f"[{section}] {key} = {value!r:.80} has no counterpart and is ignored"
        for section in parser.sections()
        for key, value in parser.items(section)
        if (section, key) not in taken
    ]
