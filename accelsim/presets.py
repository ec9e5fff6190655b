"""Presets, traces and reference figures by name: the folders of ACCELSIM_PATH are searched first, then those that come with accelsim.

All folders of presets have one layout:

    accelerators/NAME.yaml    dram/NAME.yaml    technology/NAME.yaml    sweeps/NAME.yaml
    traces/NAME/trace.json    references/KIND/NAME.csv    accelerators/GROUP/NAME.yaml

An installed accelsim has such a folder in `_data`; a checkout keeps the same files in `configs/`, `traces/` and
`tests/validation/data/`. The first folder with a name wins, so a user's preset replaces a built-in one of its name. A name is
therefore no identity: run ids cover contents.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from os.path import isfile
from pathlib import Path

from accelsim.errors import ConfigError
from accelsim.registry import suggest

PATH_VARIABLE = "ACCELSIM_PATH"
BUILT_IN = "built-in"
TRACES = "traces"
REFERENCES = "references"
KINDS = ("accelerators", "dram", "technology", "sweeps", TRACES, REFERENCES)

_PACKAGE = Path(__file__).resolve().parent
_REFERENCE_KINDS = ("area", "cluster", "core", "dram", "outside", "silicon", "systolic")


@dataclass(frozen=True)
class Preset:
    """A name and the file or the trace directory behind it.

    Attributes
    ----------
    origin : the folder of ACCELSIM_PATH that holds it, or BUILT_IN
    replaces : origin of the preset of the same name that it takes the place of; '' if there is none
    """

    name: str
    path: Path
    origin: str
    replaces: str = ""


@dataclass(frozen=True)
class PresetFolder:
    """One folder to search; in a checkout, traces and references lie beside the other kinds."""

    origin: str
    configs: Path
    traces: Path
    references: Path

    def entries(self, kind: str) -> dict[str, Path]:
        """Path of each preset of a kind ('dram', 'traces', 'references/core', ...) by its name; unsorted."""
        folder, end, inside = self._layout(kind)
        found = (path for path in _entries(folder) if path.name.endswith(end) and path.name != end)
        return {path.name.removesuffix(end): path for path in found if _is_file(path / inside)}

    def find(self, kind: str, name: str) -> Path | None:
        """Path of one preset; the folder is listed only where no file is found under that name."""
        folder, end, inside = self._layout(kind)
        path = folder / f"{name}{end}"
        return path if isfile(path / inside) else self.entries(kind).get(name)

    def _layout(self, kind: str) -> tuple[Path, str, str]:
        """(folder of a kind, end of the names in it, the file that makes a folder a preset: '' where presets are files)."""
        if kind == TRACES:
            return self.traces, "", "trace.json"
        if kind.startswith(f"{REFERENCES}/"):
            return self.references / kind.partition("/")[2], ".csv", ""
        return self.configs / kind, ".yaml", ""


@cache
def built_in() -> PresetFolder:
    """The presets that come with accelsim; ConfigError if this copy of it has none."""
    shipped, checkout = _PACKAGE / "_data", _PACKAGE.parent
    if shipped.is_dir():
        return _preset_folder(BUILT_IN, shipped)
    if (checkout / "configs" / "accelerators").is_dir():
        return PresetFolder(BUILT_IN, checkout / "configs", checkout / "traces", checkout / "tests" / "validation" / "data")
    raise ConfigError(
        f"this accelsim has no presets and no traces: there is no folder {shipped}; install a wheel that `pip wheel .` built in a "
        "complete checkout"
    )


def search_path() -> list[PresetFolder]:
    """All folders of presets, the first to be searched first.

    Raises
    ------
    ConfigError
        ACCELSIM_PATH names no folder, or one without presets; this accelsim has none of its own.
    """
    entries = [entry for entry in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if entry]
    return [*(_user_folder(entry) for entry in entries), built_in()]


def presets(kind: str) -> Mapping[str, Preset]:
    """The presets of a kind by name, sorted."""
    found: dict[str, Preset] = {}
    for folder in reversed(search_path()):
        for name, path in folder.entries(kind).items():
            found[name] = Preset(name, path, folder.origin, found[name].origin if name in found else "")
    return dict(sorted(found.items()))


def preset_names(kind: str) -> list[str]:
    """Names of the presets of a kind, sorted."""
    return list(presets(kind))


def trace_names() -> list[str]:
    """Names of the traces, sorted."""
    return preset_names(TRACES)


def reference_presets() -> list[Preset]:
    """Reference figures of every kind, named as `accelsim validate` takes them: 'core core_cycles'."""
    return [
        Preset(f"{kind} {item.name}", item.path, item.origin, item.replaces)
        for kind in _REFERENCE_KINDS
        for item in presets(f"{REFERENCES}/{kind}").values()
    ]


def source_name(path: Path) -> str:
    """A file as messages name it: with its folder, unless it is built in; a user's own may have the name of a built-in one."""
    return path.name if path.is_relative_to(built_in().configs) else str(path)


def find_preset(kind: str, name: str, what: str) -> Path:
    """Path of a preset by name (of one in a group: GROUP/NAME), or of a YAML file; ConfigError naming the known ones."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        group, _, short = name.rpartition("/")
        in_group = path.suffix == "" and name[0] not in "/." and presets(f"{kind}/{group}")
        if not path.is_file() and in_group:
            return _named(f"{kind}/{group}", short, f"{what} of {group}/", "the path of a .yaml file")
        if not path.is_file():
            hint = f"; the preset {path.name!r} is named as text, without a folder" if path.name in presets(kind) else ""
            raise ConfigError(f"{what} {name!r}: {'is a folder' if path.is_dir() else 'no such file'}{hint}; allowed: a .yaml file")
        return path
    return _named(kind, name, what, "the path of a .yaml file")


def find_trace(name: str) -> Path:
    """Directory of a trace by path or by name, or a file of the name, which whoever opens it refuses; ConfigError naming the known ones."""
    path = Path(name)
    if (name and path.is_dir()) or "/" in name or (path.is_file() and name not in preset_names(TRACES)):
        return path
    return _named(TRACES, name, "trace", "the path of a trace's directory")


def find_reference(kind: str, name: str) -> Path:
    """Path of a file of reference figures, by path or by its name among those of `kind`; ConfigError naming the known ones."""
    path = Path(name)
    if path.is_file() or "/" in name or path.suffix == ".csv":
        return path
    return _named(f"{REFERENCES}/{kind}", name, f"{kind} reference", "the path of a .csv file")


def _named(kind: str, name: str, what: str, alternative: str) -> Path:
    for folder in search_path():
        if (path := folder.find(kind, name)) is not None:
            if not path.exists():
                raise ConfigError(f"{what} {name!r}: {path} is a link to a file that does not exist")
            return path
    known = preset_names(kind)
    raise ConfigError(f"unknown {what} {name!r}; known: {', '.join(known)} (or {alternative}){suggest(name, known)}")


def _user_folder(entry: str) -> PresetFolder:
    root = Path(entry).absolute()
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise ConfigError(f"{PATH_VARIABLE}: {entry!r} {problem}; allowed: folders of presets, separated by {os.pathsep!r}")
    if not any((root / kind).is_dir() for kind in KINDS):
        raise ConfigError(
            f"{PATH_VARIABLE}: {entry!r} holds no presets; allowed: a folder with any of {', '.join(f'{kind}/' for kind in KINDS)}"
        )
    return _preset_folder(entry, root)


def _entries(folder: Path) -> list[Path]:
    """All that is in a folder, sorted; nothing if there is no such folder: none need have every kind of preset."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}") from None


def _is_file(path: Path) -> bool:
    """Whether a file is there, or a link that leads nowhere: that one is named where it is used, not passed over."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _preset_folder(origin: str, root: Path) -> PresetFolder:
    return PresetFolder(origin, root, root / TRACES, root / REFERENCES)
