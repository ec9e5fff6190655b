"""Accelerators and technologies as users give them, and overrides of their fields; the command line reads its arguments here too."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.accelerator import Accelerator
from accelsim.accelerator import load_accelerator as read_accelerator
from accelsim.api.checks import wrong_type
from accelsim.api.paths import path_text

if TYPE_CHECKING:
    from accelsim.cost.technology import Technology
    from accelsim.trace.trace import Trace

    TechnologyLike = str | Path | Technology

AcceleratorLike = str | Path | Mapping[str, Any] | Accelerator
Overrides = Mapping[str, Any] | Sequence[str]
Warn = Callable[[str], None]

DEFAULT_TECHNOLOGY = "nangate45"


def as_warning(text: str) -> None:
    """Python's own warning."""
    warnings.warn(text, UserWarning, stacklevel=4)


def load_accelerator(accelerator: AcceleratorLike, *, set: Overrides | None = None) -> Accelerator:
    """The chip of a preset's name, a YAML file, a mapping of its fields, or another chip, with fields overridden.

    Parameters
    ----------
    accelerator : a name of `accelsim list presets`, the path of a YAML file, plain data, or an `Accelerator`
    set : fields by their dotted paths, {'codebook.ports': 2}, a text as it is, or as on the command line, ['codebook.ports=2']

    Raises
    ------
    AccelsimError
        Unknown preset, unreadable file, unknown or ill-fitting field: names the file, the field, the value and what is allowed.
    """
    return accelerator_of(accelerator, set)


def accelerator_of(source: AcceleratorLike, overrides: Overrides | None = None, warn: Warn = as_warning) -> Accelerator:
    """See `load_accelerator`; `warn` is called with each setting of a SCALE-Sim configuration that has no effect."""
    texts = _expanded(override_texts(overrides), warn)
    if isinstance(source, Accelerator):
        if not texts:
            return source
        from accelsim.what_if import with_overrides

        return with_overrides(source, tuple(texts))
    if not isinstance(source, str | Path | Mapping):
        raise wrong_type("accelerator", source, "a preset's name, the path of a YAML file, a mapping of fields or an Accelerator")
    return read_accelerator(path_text("accelerator", source) if isinstance(source, str | Path) else source, texts)


def fitted(accelerator: Accelerator, trace: Trace) -> Accelerator:
    """`accelerator` with the codebook that `trace` asks for."""
    from accelsim.compiler.codebook_fit import codebook_overrides
    from accelsim.what_if import with_overrides

    return with_overrides(accelerator, codebook_overrides(accelerator, trace))


def technology_of(source: TechnologyLike) -> Technology:
    """The technology of a preset's name, a YAML file or an object."""
    from accelsim.cost.technology import Technology, load_technology

    if isinstance(source, Technology):
        return source
    if not isinstance(source, str | Path):
        raise wrong_type("technology", source, "a preset's name, the path of a YAML file or a Technology")
    return load_technology(path_text("technology", source))


def override_texts(overrides: Overrides | None) -> list[str]:
    """Overrides as 'path=value'; the values of a mapping are written as JSON, so that a text is that text and never a number or null."""
    if overrides is None:
        return []
    if isinstance(overrides, str) or not isinstance(overrides, Mapping | Sequence):
        raise wrong_type("set", overrides, "a mapping such as {'codebook.ports': 2} or a list such as ['codebook.ports=2']")
    if not isinstance(overrides, Mapping):
        for item in overrides:
            if not isinstance(item, str):
                raise wrong_type("an item of set", item, "a text such as 'codebook.ports=2'")
        return list(overrides)
    return [f"{path}={_as_json(str(path), value)}" for path, value in overrides.items()]


def _as_json(path: str, value: Any) -> str:
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False)
    except (TypeError, ValueError):
        raise wrong_type(f"set: {path!r}", value, "a number, a text, None, True, False, or a list or mapping of these") from None


def _plain(value: object) -> int | float:
    """A number of NumPy as Python's own; TypeError for anything else."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    raise TypeError


def _expanded(overrides: Sequence[str], warn: Warn) -> list[str]:
    """`overrides` with each SCALE-Sim configuration (FILE.cfg) replaced by the overrides in it."""
    out: list[str] = []
    for item in overrides:
        if "=" in item or not item.endswith(".cfg"):
            out.append(item)
            continue
        from accelsim.importers.scale_sim_config import read_scale_sim_config

        config = read_scale_sim_config(Path(item))
        out += config.overrides
        for warning in config.warnings:
            warn(f"{item}: {warning}")
        if config.dataflow in ("output_stationary", "input_stationary"):
            out.append(f"array.dataflow={config.dataflow}")
        elif config.dataflow not in ("", "weight_stationary"):
            warn(f"{item}: dataflow {config.dataflow}: a run is weight stationary")
    return out
