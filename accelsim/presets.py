"""Named presets: YAML files in `configs/` and traces in `traces/`, found by name, and files that a user names by path."""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import ConfigError
from accelsim.registry import suggest

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
TRACES = CONFIGS.parent / "traces"


def preset_names(folder: str) -> list[str]:
    """Names of the presets in `configs/FOLDER`, sorted."""
    return sorted(path.stem for path in (CONFIGS / folder).glob("*.yaml"))


def find_preset(folder: str, name: str, what: str) -> Path:
    """Path of a preset by name, or of a file; ConfigError naming the known ones."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"{what} {name!r}: no such file")
        return path
    known = preset_names(folder)
    if name not in known:
        raise ConfigError(f"unknown {what} {name!r}; known: {', '.join(known)} (or the path of a .yaml file){suggest(name, known)}")
    return CONFIGS / folder / f"{name}.yaml"


def trace_names() -> list[str]:
    """Names of the traces in `traces/`, sorted."""
    return sorted(item.parent.name for item in TRACES.glob("*/trace.json"))


def find_trace(name: str) -> Path:
    """The directory of a trace given by path, or by its name in `traces/`; ConfigError with the known names."""
    path = Path(name)
    if path.is_dir() or "/" in name:
        return path
    known = trace_names()
    if name not in known:
        raise ConfigError(f"unknown trace {name!r}; known: {', '.join(known)} (or the path of a trace's directory){suggest(name, known)}")
    return TRACES / name
