"""list: the names that commands and files may use, each with a one-line description."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import choices
from accelsim.cli.inputs import AsJson
from accelsim.cli.shell import EXIT_CHECK_FAILED, print_json, print_line
from accelsim.errors import AccelsimError, ConfigError
from accelsim.presets import TRACES, presets, reference_presets
from accelsim.registry import lookup, members, suggest

if TYPE_CHECKING:
    from accelsim.presets import Preset
    from accelsim.trace.manifest import Manifest

NAMES = ("formats", "operations", "dataflows", "presets", "dram", "technologies", "sweeps", "traces", "references")
_MATRIX = 768  # K and N of the matrix that a format's bits per weight are counted on
_RETIRED = {"units": "a chip's units are the groups of its file, which no name chooses: accelsim describe accelerator"}


def list_(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of {', '.join(NAMES)}.", autocompletion=choices(*NAMES))],
    full: Annotated[bool, typer.Option("--full", help="Of formats: also each example with its bits per weight and decoder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Names that commands and files may use, with one line each.

    With --json names alone. A file that cannot be used is left out, named on stderr with the reason, and makes the exit status 1.
    """
    from accelsim.report.tables.markup import MARKUP
    from accelsim.report.tables.text import clean

    if what in _RETIRED:
        typer.echo(f"there is no list of {what}: {_RETIRED[what]}", err=True)
        if as_json:
            print_json([])
        return
    if what not in LISTS:
        raise ConfigError(f"cannot list {what!r}; known: {', '.join(LISTS)}{suggest(what, LISTS)}")
    found, broken = _read(_members("accelsim.formats", _format_in_full) if full and what == "formats" else LISTS[what]())
    if as_json:
        print_json(list(found))
    elif MARKUP.get() is not None:
        _show_table(what, found)
    else:
        width = max(map(len, found), default=0) + 2
        for name, line in found.items():
            _print_entry(f"{name:<{width}}", line)
    for name, problem in broken.items():
        typer.echo(clean(f"accelsim: cannot use {name!r}: {problem}"), err=True)
    if broken:
        raise typer.Exit(EXIT_CHECK_FAILED)  # as doctor: the call was right, a file that it looked at is not


def _read(entries: Mapping[str, Callable[[], str]]) -> tuple[dict[str, str], dict[str, str]]:
    """The line of each name, and of each name that cannot be used the reason."""
    found, broken = {}, {}
    for name, line in entries.items():
        try:
            found[name] = line()
        except AccelsimError as error:
            broken[name] = "; ".join(str(error).splitlines())
    return found, broken


def _show_table(what: str, found: Mapping[str, str]) -> None:
    """The names for a page: the lines of one are a cell."""
    from accelsim.report.tables.terminal import row, show, stdout_console, table

    out = table(["name", "meaning"])
    for name, text in found.items():
        row(out, name, "; ".join(text.splitlines()))
    show(stdout_console(), what.capitalize(), out)


def _print_entry(name: str, text: str) -> None:
    """A name and its lines, folded under themselves on a terminal or pipe that is too narrow for them."""
    from accelsim.report.tables.terminal import PIPE_COLUMNS, stdout_console

    columns = max(stdout_console().width, PIPE_COLUMNS)
    indent = " " * len(name)
    lines = [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(
            part, columns, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    ]
    print_line(name + lines[0][len(name) :] if lines else name.rstrip())
    for line in lines[1:]:
        print_line(line)


def _chip(preset: Preset) -> str:
    from accelsim.accelerator import load_accelerator

    return _from(load_accelerator(str(preset.path)).description, preset)


def _device(preset: Preset) -> str:
    from accelsim.hw.dram.device import load_device

    return _from(load_device(str(preset.path)).description, preset)


def _technology(preset: Preset) -> str:
    from accelsim.cost.technology import load_technology

    return _from(load_technology(str(preset.path)).description, preset)


def _sweep(preset: Preset) -> str:
    from accelsim.sweeps.spec import load_sweep

    return _from(load_sweep(str(preset.path)).description, preset)


def _from(text: str, preset: Preset) -> str:
    """`text`, and where the preset comes from."""
    replaces = f", replaces the one of {preset.replaces}" if preset.replaces else ""
    return f"{text} ({preset.origin}{replaces})".strip()


def _format(kind: str) -> str:
    """The format and its parameters."""
    from accelsim.reference.fields import REQUIRED, record_fields

    module = lookup("accelsim.formats", kind, "format")
    parameters = []
    for item in record_fields("trace", module.SPEC):
        if item.path not in module.SPEC.unwritten:
            default = "" if item.default == REQUIRED else f", default {item.default}"
            parameters.append(f"{item.path} ({item.words.allowed}{default})")
    none = "those of the format inside" if "inside" in module.SPEC.unwritten else "none"
    return f"{_first_sentence(module)} Parameters: {', '.join(parameters) or none}"


def _format_in_full(kind: str) -> str:
    """The same, then a line per example: '1.5 bits per weight as ssvq:k=16,d=8: lookup of ..., a sign ...'."""
    from accelsim.formats.catalog import parse_format

    lines = [_format(kind)]
    for text in lookup("accelsim.formats", kind, "format").EXAMPLES:
        example = parse_format(text)
        decoder = ", ".join(part.words for part in example.decode_path().parts)
        values = ", ".join(map(str, example.element_values or ()))
        table = f"; elements are one of {values}" if values else ""
        lines.append(f"{example.bits_per_weight(_MATRIX, _MATRIX).paper:g} bits per weight as {text}: {decoder}{table}")
    return "\n".join(lines)


def _operation(kind: str) -> str:
    module = lookup("accelsim.ops", kind, "operation")
    return f"{_first_sentence(module)} Passes: vector_unit.passes.{module.SPEC.pass_name}, default {module.SPEC.default_passes}"


def _dataflow(kind: str) -> str:
    module = lookup("accelsim.dataflows", kind, "dataflow")
    use = "of a run by `array.dataflow`, and " if module.SPEC.runs else ""
    return f"{use}cycle rule for `validate systolic`: {_first_sentence(module)}"


def _first_sentence(module: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split())


def _trace(preset: Preset) -> str:
    from accelsim.trace.manifest import read_manifest

    return _from(_network(read_manifest(preset.path / "trace.json")), preset)


def _reference(preset: Preset) -> str:
    from accelsim.validate.reference_csv import read_reference

    read_reference(preset.path, needed=())
    return _from(f"figures for `accelsim validate {preset.name}`", preset)


def _network(manifest: Manifest) -> str:
    """'62 layers, 5.72 M parameters, ssvq:k=16,d=8 and uniform; seeded weights'."""
    from accelsim.formats.catalog import describe_format

    formats = dict.fromkeys(describe_format(layer.weights.format) for layer in manifest.layers if layer.weights is not None)
    millions = sum(layer.parameters for layer in manifest.layers) / 1e6
    return f"{len(manifest.layers)} layers, {millions:.2f} M parameters, {' and '.join(formats)}; weights: {manifest.source.kind}"


def _members(package: str, line: Callable[[str], str]) -> dict[str, Callable[[], str]]:
    return {kind: partial(line, kind) for kind in sorted(members(package))}


def _presets(found: Iterable[Preset], line: Callable[[Preset], str]) -> dict[str, Callable[[], str]]:
    return {preset.name: partial(line, preset) for preset in found}


# The lists: names, each with the call that gives its line.
LISTS: Mapping[str, Callable[[], dict[str, Callable[[], str]]]] = {
    "formats": lambda: _members("accelsim.formats", _format),
    "operations": lambda: _members("accelsim.ops", _operation),
    "dataflows": lambda: _members("accelsim.dataflows", _dataflow),
    "presets": lambda: _presets(presets("accelerators").values(), _chip),
    "dram": lambda: _presets(presets("dram").values(), _device),
    "technologies": lambda: _presets(presets("technology").values(), _technology),
    "sweeps": lambda: _presets(presets("sweeps").values(), _sweep),
    "traces": lambda: _presets(presets(TRACES).values(), _trace),
    "references": lambda: _presets(reference_presets(), _reference),
}
