"""Validation errors in words: the field, the value as the file writes it, and what is allowed.

A reader of a YAML or JSON file need not know Python: text, numbers, lists and groups of fields, not str, int, tuple and dict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from accelsim.registry import suggest
from accelsim.wording import shown

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

UNKNOWN_FIELD, UNKNOWN_KIND, MISSING = "extra_forbidden", "union_tag_invalid", "missing"
_OTHER = "must be another kind of value"
_GROUP, _LIST, _TEXT = "must be a group of fields", "must be a list", "must be text"
_WHOLE, _NUMBER, _TRUTH = "must be a whole number", "must be a number", "must be true or false"

# Each type of pydantic error in words; names in braces come with the error.
_WORDS: Mapping[str, str] = {
    MISSING: "is missing, and has no default",
    UNKNOWN_FIELD: "unknown field",
    "unexpected_keyword_argument": "unknown field",
    "invalid_key": "must have names that are text",
    "none_required": "must be null",
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
    "dataclass_type": _GROUP,
    "dict_type": _GROUP,
    "mapping_type": _GROUP,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "too_short": "must have {min_length} or more items, has {actual_length}",
    "too_long": "must have at most {max_length} items, has {actual_length}",
    "string_type": _TEXT,
    "string_unicode": "must be UTF-8 text",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must be text of the form {pattern}",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    UNKNOWN_KIND: "must be one of {expected_tags}",
    "union_tag_not_found": "needs the field {discriminator}",
    "recursion_loop": "must not contain itself",
    "recursion_depth_exceeded": "is nested too deeply",
    "json_invalid": "must be JSON: {error}",
    "value_error": "{error}",
    "assertion_error": "{error}",
}


def in_words(problem: ErrorDetails) -> str:
    """Allowed values, as the end of a sentence: 'must be at least 1', "must be 'ram' or 'rom'; did you mean 'rom'?"."""
    context: Mapping[str, Any] = problem.get("ctx", {})
    text = _WORDS.get(problem["type"], _OTHER).format(**{name: _figure(value) for name, value in context.items()})
    name = context["tag"] if problem["type"] == UNKNOWN_KIND else problem["input"] if problem["type"] == "literal_error" else None
    return text + suggest(name, re.findall(r"'([^']*)'", text)) if isinstance(name, str) else text


def one_problem(error: ValidationError) -> str:
    """The first problem alone: 'output.rows has value -1: must be at least 1'."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    return f"{field} has value {shown(problem['input'])}: {in_words(problem)}" if field else in_words(problem)


def field_place(problem: ErrorDetails, fields: Any) -> tuple[int | str, ...]:
    """Path of the problem in `fields`: names and positions, without the record kinds that pydantic inserts."""
    place: list[int | str] = []
    here = fields
    for part in problem["loc"]:
        inside = (
            part < len(here) if isinstance(part, int) and isinstance(here, list | tuple) else isinstance(here, Mapping) and part in here
        )
        if inside:
            here = here[part]
        elif not (problem["type"] == MISSING and part == problem["loc"][-1]):
            continue
        place.append(part)
    if problem["type"] == UNKNOWN_KIND:
        place.append(str(problem["ctx"]["discriminator"]).strip("'"))
    return tuple(place)


def unknown_field(problem: ErrorDetails, record: type[BaseModel]) -> str:
    """'unknown field; allowed: rows, cols; did you mean 'rows'?' for a field that `record`, or one inside it, does not have."""
    known = fields_at(record, problem["loc"][:-1])
    return f"unknown field; allowed: {', '.join(known)}{suggest(str(problem['loc'][-1]), known)}" if known else "unknown field"


def fields_at(record: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Fields of the records that may stand at `path` (pydantic's form, with the kinds of tagged records between the names)."""
    current = [record]
    for part in path:
        if isinstance(part, int):
            continue
        found = [model for item in current if part in item.model_fields for model in _records_in(item.model_fields[part].annotation)]
        tagged = [item for item in current if any(part in _choices(field.annotation) for field in item.model_fields.values())]
        current = found or tagged or current
    return list(dict.fromkeys(name for item in current for name in item.model_fields))


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    """Every record that a field's type names: inside unions, tuples, mappings and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [record for item in get_args(annotation) for record in _records_in(item)]


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _figure(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)
