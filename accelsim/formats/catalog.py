"""From text or a manifest's mapping to a format: 'ssvq:k=16,d=8' and {"kind": "ssvq", "k": 16, "d": 8} are the same record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType
from typing import cast

from pydantic import ValidationError

from accelsim.errors import FormatError
from accelsim.formats.weight_format import WeightFormat
from accelsim.problems import MISSING, UNKNOWN_FIELD, in_words
from accelsim.registry import lookup, members, suggest
from accelsim.wording import shown

_INTEGER = re.compile(r"-?[0-9]{1,18}$")


def format_kinds() -> list[str]:
    """Known kinds, sorted."""
    return sorted(members(__package__))


def format_module(kind: str) -> ModuleType:
    """The module of a kind, or of the name that its paper gives it ('mvq', 'vq4all'); FormatError with a suggestion for an unknown one."""
    return lookup(__package__, kind, "format", FormatError)


def format_examples() -> list[str]:
    """Texts that the formats' modules give as examples: the contract tests run over them, and help shows them."""
    return [text for kind in format_kinds() for text in format_module(kind).EXAMPLES]


def format_from_mapping(fields: Mapping[str, object]) -> WeightFormat:
    """The format that `fields` (with its "kind") describes.

    Raises
    ------
    FormatError
        Unknown kind, unknown parameter (with a suggestion), or a value outside its range.
    """
    kind = fields.get("kind")
    if not isinstance(kind, str):
        raise FormatError(f"format has kind {kind!r}; allowed: one of {format_kinds()}")
    module = format_module(kind)
    spec = cast(type[WeightFormat], module.SPEC)
    try:
        return spec.model_validate({**fields, "kind": module.KIND})
    except ValidationError as error:
        raise FormatError(f"format {kind!r}: {_first_problem(error, spec)}") from None


def parse_format(text: str) -> WeightFormat:
    """'ssvq:k=16,d=8' -> SPEC(k=16, d=8); 'uniform' -> SPEC() with its defaults; 'huffman-uniform' -> uniform inside huffman.

    Raises
    ------
    FormatError
        The text is not KIND or KIND:name=value,...; or an error of `format_from_mapping`.
    """
    kind, colon, rest = text.strip().partition(":")
    fields: dict[str, object] = {}
    for item in rest.split(",") if colon else ():
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (name and equals and value):
            raise FormatError(f"format {text!r}: {item!r} is not name=value; allowed: KIND or KIND:name=value,name=value")
        if name in fields or name == "kind":
            raise FormatError(f"format {text!r}: {name!r} is given twice")
        fields[name] = int(value) if _INTEGER.match(value) else value
    outer, dash, inner = kind.partition("-")
    return format_from_mapping({"kind": outer, "inside": {"kind": inner, **fields}} if dash else {"kind": kind, **fields})


def describe_format(spec: WeightFormat) -> str:
    """The shortest text that `parse_format` turns back into `spec`, but for lengths that follow from values: 'ssvq:k=16,d=8'."""
    if spec.quantizer is not spec:
        return f"{spec.kind}-{describe_format(spec.quantizer)}"
    fields = spec.model_dump(exclude=set(spec.unwritten), exclude_defaults=True)
    return spec.kind + (":" + ",".join(f"{name}={value}" for name, value in fields.items()) if fields else "")


def _first_problem(error: ValidationError, spec: type[WeightFormat]) -> str:
    """One line for the first problem: the parameter, its value and what is allowed."""
    problems = error.errors(include_url=False)
    problem = next((item for item in problems if item["type"] == UNKNOWN_FIELD), problems[0])  # a mistyped name is also a missing one
    name = ".".join(str(part) for part in problem["loc"])
    known = [field for field in spec.model_fields if field == "inside" or field not in spec.unwritten]
    if problem["type"] == UNKNOWN_FIELD:
        return f"unknown parameter {name!r}; known: {', '.join(known) or 'none'}{suggest(name, known)}"
    if problem["type"] == MISSING:
        return f"parameter {name!r} is missing; needed: {[field for field in known if spec.model_fields[field].is_required()]}"
    return f"parameter {name!r} has value {shown(problem['input'])}: {in_words(problem)}"
