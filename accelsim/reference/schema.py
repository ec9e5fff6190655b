"""JSON Schema of each kind of file, for editors and other programs.

A schema holds constraints on single fields. Constraints between fields (codeword_length divides cols), limits of a number
that is written with a unit, and whether a name names something are checked when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.formats.catalog import format_kinds, format_module
from accelsim.formats.weight_format import WeightFormat
from accelsim.reference.kinds import find_kind
from accelsim.sweeps.spec import known_names

_EXPONENT = r"^[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+$"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema(kind: str) -> dict[str, Any]:
    """The schema of a kind of file; ConfigError for an unknown kind."""
    file = find_kind(kind)
    schema = file.load().model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    if WeightFormat.__name__ in definitions:
        definitions[WeightFormat.__name__] = _any_format()
    for union in list(_unions(schema)):
        for name in union["discriminator"]["mapping"].values():
            _require(definitions[name.rpartition("/")[2]], union["discriminator"]["propertyName"])
    if kind != "trace":
        _let_numbers_be_text(schema)
    if kind == "sweep":
        _name_axes(schema["properties"])
    return {"$schema": DIALECT, **schema, "title": f"accelsim {kind}: {file.title[:1].lower()}{file.title[1:]}"}


def _any_format() -> dict[str, Any]:
    """The parameters of every weight format; its kind says which."""
    schemas = [format_module(kind).SPEC.model_json_schema() for kind in format_kinds()]
    for schema in schemas:
        _require(schema, "kind")
        schema.pop("$defs", None)  # a format inside another is any format again
    return {"oneOf": schemas}


def _require(schema: dict[str, Any], name: str) -> None:
    """A tag has a default in Python, but a file must give it."""
    schema["required"] = sorted({*schema.get("required", ()), name})


def _let_numbers_be_text(schema: Any) -> None:
    """YAML 1.1 reads 8e-05 as text, and the records of YAML files take it as the number that it is."""
    if isinstance(schema, dict):
        if schema.get("type") == "number":
            schema |= {"type": ["number", "string"], "pattern": _EXPONENT}
        for inner in schema.values():
            _let_numbers_be_text(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _let_numbers_be_text(inner)


def _unions(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "discriminator" in schema:
            yield schema
        for inner in schema.values():
            yield from _unions(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _unions(inner)


def _name_axes(properties: dict[str, Any]) -> None:
    """Only a field of an accelerator, of a run, of the trace's format or of its step can be fixed or stepped."""
    names = {"enum": list(known_names())}
    for mapping in (properties["base"], properties["axes"], properties["linked"]["items"]):
        mapping["propertyNames"] = names
