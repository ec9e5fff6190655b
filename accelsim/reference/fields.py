"""The fields of a file by dotted path: meaning, unit, type, default and limits of each.

A field's meaning is its description, or its entry under "Attributes" in the docstring of its record; that of a tag (`op`, `kind`) is
the first line of the record that the tag chooses. In a list or a choice of records, the tag is part of the path: `layers.gemm.bounds`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from accelsim.formats.catalog import format_kinds, format_module
from accelsim.formats.weight_format import WeightFormat
from accelsim.records import unit_of
from accelsim.reference.field_types import FieldType, field_type
from accelsim.reference.kinds import KINDS, find_kind
from accelsim.wording import shown

REQUIRED = "required"
_ENTRY = re.compile(r"^(\w+(?:, \w+)*)(?: : (.*))?$")


@dataclass(frozen=True)
class FieldDoc:
    """A field.

    Attributes
    ----------
    path : dotted, from the top of its file
    default : as the file would write it; REQUIRED if there is none
    record : the class that it is a field of
    inner : classes of the group, or of the groups of a list, with the tag of each ('' if there is no choice)
    example : value of an optional field, as a file might give it; of a group its fields; None elsewhere
    """

    file: str
    path: str
    meaning: str
    words: FieldType
    default: str
    record: type[BaseModel]
    inner: tuple[tuple[str, type[BaseModel]], ...]
    example: Any

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def to_dict(self) -> dict[str, Any]:
        """As `accelsim describe --json` prints it."""
        return {
            "file": self.file,
            "path": self.path,
            "meaning": self.meaning,
            "type": self.words.kind,
            "unit": self.words.unit or None,
            "default": None if self.default == REQUIRED else self.default,
            "needed": self.default == REQUIRED,
            "allowed": self.words.allowed or None,
        }


@cache
def fields_of(kind: str) -> tuple[FieldDoc, ...]:
    """All fields of a kind of file, a group before its members."""
    return tuple(_walk(kind, find_kind(kind).load(), ""))


def all_fields() -> dict[str, FieldDoc]:
    """Every field of every file by 'KIND.path'."""
    return {f"{kind}.{item.path}": item for kind in KINDS for item in fields_of(kind)}


def record_fields(kind: str, record: type[BaseModel], prefix: str = "") -> list[FieldDoc]:
    """The fields of one record, without those of its groups."""
    return [_document(kind, record, name, field, prefix) for name, field in record.model_fields.items()]


def _walk(kind: str, record: type[BaseModel], prefix: str) -> Iterator[FieldDoc]:
    for item in record_fields(kind, record, prefix):
        yield item
        for tag, inner in item.inner:
            yield from _walk(kind, inner, f"{item.path}.{tag}." if tag else f"{item.path}.")


def _document(kind: str, record: type[BaseModel], name: str, field: FieldInfo, prefix: str) -> FieldDoc:
    meaning = field.description or attribute_docs(record).get(name, "")
    if not meaning and get_origin(field.annotation) is Literal:
        meaning = (inspect.getdoc(record) or "").partition("\n")[0].rstrip(".")
    found = [] if issubclass(record, WeightFormat) else _records_in(field.annotation)  # a format inside a format is described already
    tags = [_tag(item) for item in found] if len(found) > 1 else [""] * len(found)
    return FieldDoc(
        kind,
        prefix + name,
        meaning,
        field_type(name, field),
        _default(field),
        record,
        tuple(zip(tags, found, strict=True)),
        (field.examples or [None])[0],
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "the defaults of its fields"
    unit = unit_of(field)
    return shown(value) if unit is None or not isinstance(value, int) else str(unit.written(value))


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    """The records that a field's type names; for a weight format, the record of each format."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation is WeightFormat:
            return [format_module(kind).SPEC for kind in format_kinds()]
        return [annotation]
    return [record for item in get_args(annotation) for record in _records_in(item)]


def _tag(record: type[BaseModel]) -> str:
    """The first value of the field that tells a record from the others of its choice."""
    choices = (get_args(field.annotation) for field in record.model_fields.values() if get_origin(field.annotation) is Literal)
    return next((items[0] for items in choices if isinstance(items[0], str)), "")


@cache
def attribute_docs(record: type[BaseModel]) -> dict[str, str]:
    """Entries under "Attributes" in the docstrings of a record and of its bases, by name."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        _, heading, rest = inspect.cleandoc(base.__doc__ or "").partition("Attributes\n----------\n")
        names: list[str] = []
        lines = rest.split("\n") if heading else []
        for line in lines:
            entry = _ENTRY.match(line)
            if entry is not None:
                names = entry.group(1).split(", ")
                found |= dict.fromkeys(names, entry.group(2) or "")
            elif line.startswith("    "):
                found |= {name: f"{found[name]} {textwrap.dedent(line).strip()}".strip() for name in names}
    return {name: text.rstrip(".") for name, text in found.items()}
