"""doctor: check that the installation is complete, and list optional extras.

Its self-check is one small simulation whose number of cycles is known; it needs the presets, the traces and the compiled kernels.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

import typer

import accelsim
from accelsim.cli.inputs import AsJson, Quiet
from accelsim.cli.shell import EXIT_CHECK_FAILED, print_json, print_line
from accelsim.errors import AccelsimError, ConfigError

LIBRARIES = ("numpy", "numba", "llvmlite", "simpy", "pydantic", "matplotlib")  # named first; the package's own requirements follow
# (chip, trace, cycles), as tests/golden has them
SELF_CHECK = ("edge-32x32", "tiny_vit_ssvq", 8761)
_EXTRA = re.compile(r"extra == ['\"](\w+)['\"]")
_PROJECT = re.compile(r"[A-Za-z0-9._-]+")
_MODULES = {"pyyaml": "yaml"}  # project, as the metadata of a wheel spells it, -> its module, where they differ
_DEVELOPMENT = ("dev",)  # extras for work on accelsim itself


@dataclass(frozen=True)
class Finding:
    """One line of the report; `missing` can be added, `broken` must be repaired."""

    topic: str
    name: str
    state: Literal["ok", "missing", "broken"]
    text: str


def doctor(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Check the installation: versions, files, cache, a small run."""
    findings = [*_libraries(), *_files(), *_machine(), *_extras()]
    if not _broken(findings):
        findings += [_cache(), _self_check()]  # both load the libraries
    broken = _broken(findings)
    if as_json:
        print_json({"ok": not broken, "findings": [asdict(item) for item in findings]})
    elif quiet:
        print_line("; ".join(f"{item.name}: {item.text}" for item in broken) or "ok")
    else:
        _render(findings)
    if broken:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _broken(findings: list[Finding]) -> list[Finding]:
    return [item for item in findings if item.state == "broken"]


def _libraries() -> Iterator[Finding]:
    """Python, this package, and the libraries it needs."""
    yield Finding("versions", "python", "ok", platform.python_version())
    yield Finding("versions", "accelsim", "ok", accelsim.__version__)
    for name in dict.fromkeys((*LIBRARIES, *_needed())):
        yield _library(name)


def _library(project: str) -> Finding:
    try:
        importlib.import_module(_MODULES.get(project.lower(), project))
        return Finding("versions", project, "ok", version(project))
    except (ImportError, PackageNotFoundError) as error:
        return Finding("versions", project, "broken", f"{error}; to get it: pip install --force-reinstall accelsim")


def _needed() -> list[str]:
    return [_project(text) for text in _requirements() if _EXTRA.search(text) is None]


def _requirements() -> list[str]:
    """Requirements of the installed package; none if the sources run without being installed."""
    try:
        return requires("accelsim") or []
    except PackageNotFoundError:
        return []


def _project(requirement: str) -> str:
    found = _PROJECT.match(requirement)
    return found.group(0) if found else requirement


def _files() -> Iterator[Finding]:
    """Presets and traces, and where they are read."""
    from accelsim.presets import TRACES, presets, search_path

    try:
        folders = search_path()
    except ConfigError as error:
        yield Finding("files", "presets", "broken", str(error))
        return
    for folder in folders:
        places = dict.fromkeys((_short(folder.configs), _short(folder.traces)))
        yield Finding("files", folder.origin, "ok", ", ".join(places))
    for name, kind in (("presets", "accelerators"), ("traces", TRACES)):
        found = presets(kind)
        text = f"{len(found)} found" if found else "none; to get them: pip install --force-reinstall accelsim"
        yield Finding("files", name, "ok" if found else "broken", text)


def _cache() -> Finding:
    """The folder of compiled kernels."""
    from accelsim.kernels.kernel import CACHE_DIR

    if not CACHE_DIR:
        return Finding("machine", "kernel cache", "ok", "none: Numba's compiler is off (NUMBA_DISABLE_JIT)")
    folder = Path(CACHE_DIR)
    files = [path.stat().st_size for path in folder.glob("**/*") if path.is_file()]
    text = f"{len(files)} files, {sum(files) / 1e6:.1f} MB in {_short(folder)}"
    lasting = Path(tempfile.gettempdir()) not in folder.parents or "ACCELSIM_CACHE_DIR" in os.environ
    if os.access(folder, os.W_OK) and lasting:
        return Finding("machine", "kernel cache", "ok", text)
    advice = "each process compiles all kernels; to keep them: set ACCELSIM_CACHE_DIR to a folder that can be written"
    return Finding("machine", "kernel cache", "missing", f"{text}; {advice}")


def _short(folder: Path) -> str:
    """A path without the name of its user."""
    return f"~/{folder.relative_to(Path.home())}" if folder.is_relative_to(Path.home()) else str(folder)


def _machine() -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("machine", "cores", "ok", f"{usable} usable of {os.cpu_count()}")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        yield Finding("machine", "memory", "ok", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB")


def _extras() -> Iterator[Finding]:
    """Each extra of the package: its installed projects, or how to get them."""
    extras: dict[str, list[str]] = {}
    for text in _requirements():
        found = _EXTRA.search(text)
        if found is not None and found.group(1) not in _DEVELOPMENT:
            extras.setdefault(found.group(1), []).append(_project(text))
    for extra, projects in extras.items():
        installed = {name: shown for name in projects if (shown := _version(name)) is not None}
        have = ", ".join(f"{name} {shown}" for name, shown in installed.items())
        if len(installed) == len(projects):
            yield Finding("extras", extra, "ok", have)
        else:
            lacks = ", ".join(name for name in projects if name not in installed)
            yield Finding("extras", extra, "missing", f"{lacks} not installed; to get it: pip install 'accelsim[{extra}]'")


def _version(project: str) -> str | None:
    try:
        return version(project)
    except PackageNotFoundError:
        return None


def _self_check() -> Finding:
    """The small simulation."""
    from accelsim.accelerator import load_accelerator
    from accelsim.compression.open_trace import open_trace
    from accelsim.simulation import simulate

    chip, trace, cycles = SELF_CHECK
    name = f"{trace} on {chip}"
    try:
        taken = simulate(load_accelerator(chip), open_trace(trace)).total_cycles
    except AccelsimError as error:
        return Finding("self-check", name, "broken", str(error))
    if taken != cycles:
        return Finding("self-check", name, "broken", f"{taken:,} cycles, but {cycles:,} are right for accelsim {accelsim.__version__}")
    return Finding("self-check", name, "ok", f"{taken:,} cycles, as they should be")


def _render(findings: list[Finding]) -> None:
    from accelsim.report.tables.terminal import row, say, show, stdout_console, table

    console = stdout_console()
    colours: dict[str, Any] = {"ok": None, "missing": "yellow", "broken": "red"}
    for topic in dict.fromkeys(item.topic for item in findings):
        out = table(["name", "state", "found"])
        for item in findings:
            if item.topic == topic:
                row(out, item.name, item.state, item.text, style=colours[item.state])
        show(console, topic.capitalize() + (" (optional)" if topic == "extras" else ""), out)
    broken = [item.name for item in findings if item.state == "broken"]
    console.print()
    say(
        console,
        f"broken: {', '.join(broken)}" if broken else "Everything required is there.",
        style="red" if broken else "green",
    )
