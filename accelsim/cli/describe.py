"""describe, schema and new: the fields of the files that accelsim reads, from the records that read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli.completion import choices, described_fields, presets
from accelsim.cli.inputs import AsJson, Quiet
from accelsim.cli.shell import GuardedGroup, print_json, print_line
from accelsim.errors import ConfigError, OutputError
from accelsim.reference.kinds import KINDS, find_kind
from accelsim.registry import close_names, either

if TYPE_CHECKING:
    from accelsim.reference.fields import FieldDoc

new_app = typer.Typer(cls=GuardedGroup, no_args_is_help=True, rich_markup_mode=None, help="Write a commented file to start from.")
PRESET = "edge-64x64"  # a new chip's, where none is named
_MOST_NEAR = 3  # names that a message offers in place of an unknown one


def describe(
    field: Annotated[
        str,
        typer.Argument(
            metavar="FIELD",
            help="array.rows, a group such as codebook, sweep.axes, or a kind of file: " + ", ".join(KINDS) + ".",
            autocompletion=described_fields,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Meaning, unit, type, default and allowed values of a field."""
    from accelsim.reference.fields import fields_of

    found, others = _found(field)
    if found is None:
        top = [item for item in fields_of(field) if "." not in item.path]
        kind = find_kind(field)
        if as_json:
            print_json({"file": field, "meaning": kind.title, "example": kind.example, "fields": [item.to_dict() for item in top]})
        else:
            _print_lines([f"{field}: {kind.title[:1].lower()}{kind.title[1:]}", f"  file     {kind.example}"], top)
        return
    inside = _inside(found)
    if as_json:
        out: dict[str, Any] = {**found.to_dict(), "set": _set_example(found), "fields": [item.to_dict() for item in inside]}
        print_json({**out, "also": others})
    else:
        _print_lines(_lines(found, others), inside)


def schema(
    kind: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="The kind of file.", autocompletion=choices(*KINDS))],
    as_json: Annotated[bool, typer.Option("--json", help="JSON, as without it.")] = False,
) -> None:
    """JSON Schema of a kind of file, for editors."""
    del as_json  # taken as by all commands; a schema is JSON
    from accelsim.reference.schema import file_schema

    find_kind(kind)
    print_json(file_schema(kind))


@new_app.command("accelerator")
def new_accelerator(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the chip; the preset's if none is given.")] = None,
    preset: Annotated[
        str, typer.Option("--from", metavar="PRESET", help="Chip to start from.", autocompletion=presets("accelerators"))
    ] = PRESET,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write this file instead of printing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """A chip as commented YAML: each field, unit, default, meaning."""
    from accelsim.accelerator import build_accelerator, read_accelerator
    from accelsim.reference.template import accelerator_template
    from accelsim.report.export.whole_file import new_file

    if out is not None and out.exists() and not force:
        raise OutputError(f"{out}: exists; allowed: another name, or --force to replace it")
    fields, source = read_accelerator(preset)
    chip = build_accelerator(fields if name is None else {**fields, "name": name}, source)
    text = accelerator_template(chip, preset)
    if out is not None:
        with new_file(out) as file:
            file.write(text.encode())
    if as_json:
        print_json({"path": None if out is None else str(out), "accelerator": chip.written()})
    elif out is None:
        typer.echo(text, nl=False)
    elif not quiet:
        print_line(f"{out}: a chip made from {preset}; run it: accelsim run {out} TRACE")


def _found(name: str) -> tuple[FieldDoc | None, list[str]]:
    """The field of a name, with or without the kind of its file before it, and further fields of that name; None for a kind."""
    from accelsim.reference.fields import all_fields

    fields = all_fields()
    matches = [full for full in fields if name in (full, full.partition(".")[2])]
    if matches:
        return fields[matches[0]], [*matches[1:], *([f"{name}.FIELD of {find_kind(name).example}"] if name in KINDS else [])]
    if name in KINDS:
        return None, []
    endings = [full for full in fields if full.endswith(f".{name}")]
    containing = [full for full in fields if name.lower() in full]
    near = endings or close_names(name, [*KINDS, *fields, *(full.partition(".")[2] for full in fields)]) or containing
    meant = f"; did you mean {either(map(repr, near[:_MOST_NEAR]))}?" if near else ""
    raise ConfigError(
        f"unknown field {name!r}{meant}; allowed: a field, a group or a kind of file ({', '.join(KINDS)}); "
        "`accelsim describe accelerator` lists the fields of a chip"
    )


def _inside(group: FieldDoc) -> list[FieldDoc]:
    """The fields of a group, one level down."""
    from accelsim.reference.fields import record_fields

    return [
        item
        for tag, record in group.inner
        for item in record_fields(group.file, record, f"{group.path}.{tag}." if tag else f"{group.path}.")
    ]


def _lines(item: FieldDoc, others: list[str]) -> list[str]:
    from accelsim.reference.fields import REQUIRED

    words = item.words
    figures = {
        "unit": words.unit,
        "type": words.kind,
        "default": "none: a value is required" if item.default == REQUIRED else item.default,
        "allowed": words.allowed,
        "file": f"{item.file} ({find_kind(item.file).example})",
        "example": _set_example(item) or "",
        "also": ", ".join(others),
    }
    return [f"{item.path}: {item.meaning}", *(f"  {name:<8} {text}" for name, text in figures.items() if text)]


def _set_example(item: FieldDoc) -> str | None:
    """A --set of a preset's own value: it changes nothing, and shows how the value is written."""
    if item.file != "accelerator" or item.inner:
        return None
    from accelsim.accelerator import load_accelerator
    from accelsim.presets import preset_names
    from accelsim.reading import dump_yaml
    from accelsim.reference.fields import REQUIRED

    default = item.default
    for name in preset_names("accelerators"):
        value: Any = load_accelerator(name).written()
        for part in item.path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value not in (None, ""):
            text = dump_yaml({"x": value}).strip().partition(": ")[2]
            return f"--set '{item.path}={text}'" if " " in text else f"--set {item.path}={text}"
    shown = default if default not in (REQUIRED, "null") else _own_example(item) or "VALUE"
    return f"--set '{item.path}={shown}'" if " " in shown else f"--set {item.path}={shown}"


def _own_example(item: FieldDoc) -> str | None:
    """The example that the field's record gives, or the field's value in that of the optional group that it is in."""
    from accelsim.reference.fields import all_fields

    if item.example is not None and not isinstance(item.example, Mapping):
        return str(item.example)
    group = all_fields().get(f"{item.file}.{item.path.rpartition('.')[0]}")
    given = group.example if group is not None else None
    return str(given[item.name]) if isinstance(given, Mapping) and item.name in given else None


def _print_lines(lines: list[str], fields: list[FieldDoc]) -> None:
    from accelsim.report.tables.terminal import row, say, show, stdout_console, table

    console = stdout_console()
    for line in lines:
        say(console, line)
    if not fields:
        return
    out = table(["field", "meaning", "unit", "default"], dense=True)
    for item in fields:
        row(out, item.path, item.meaning, item.words.unit, item.default)
    show(console, "Fields", out)
