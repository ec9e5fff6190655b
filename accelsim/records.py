"""Records read from files: frozen, no unknown fields, and one message for a person when something does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from accelsim.errors import AccelsimError, ConfigError
from accelsim.problems import MISSING, UNKNOWN_FIELD, UNKNOWN_KIND, field_place, in_words, shown, unknown_field
from accelsim.quantities import Unit, parse_bytes_per_s, parse_ps

_UNITS = {parse_ps: "ps", parse_bytes_per_s: "B/s"}


class FrozenModel(BaseModel):
    """An immutable model without unknown fields, of which every copy with changed fields is validated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_given(self) -> dict[str, Any]:
        """Every field as validation takes it again; models in it as they are."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def with_fields(self, **changes: Any) -> Self:
        """The same record with some fields replaced by values as a file would give them, validated."""
        return type(self).model_validate({**self.as_given(), **changes})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; pydantic's own would take any `update`, this one is `with_fields`."""
        changed = self.with_fields(**update) if update else self
        return super(FrozenModel, changed).model_copy(deep=deep)

    def copy(self, **options: Any) -> Self:
        """The older name of `model_copy`, closed in the same way."""
        return self.model_copy(**options)


class Record(FrozenModel):
    """Base of every record that comes from YAML or JSON."""

    model_config = ConfigDict(ser_json_inf_nan="constants", allow_inf_nan=False)

    def as_given(self) -> dict[str, Any]:
        """Every field as validation takes it again, with the units that their parsers ask for; records in it as they are."""
        out = super().as_given()
        for name, field in type(self).model_fields.items():
            units = [_UNITS[item.func] for item in field.metadata if getattr(item, "func", None) in _UNITS]
            if units:
                out[name] = f"{out[name]} {units[0]}"
        return out

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, fields: Any) -> Any:
        """YAML reads yes, no, on and off as truth values, and true would pass for 1."""
        for name, value in fields.items() if isinstance(fields, Mapping) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise ValueError(f"{name} is {str(value).lower()}, a truth value in YAML: put text in quotes, or give a number")
        return fields


_R = TypeVar("_R", bound=BaseModel)

_LARGEST_FILE = 64 << 20  # bytes of text that a person writes
_LARGEST_YAML = 1_000_000  # values in a file, with every alias expanded


def explain(error: ValidationError, source: str, record: type[BaseModel], fields: Any) -> str:
    """'FILE: field `a.b`: MESSAGE (got VALUE)' for each problem that pydantic found in `fields`, one per line."""
    lines = []
    problems = error.errors(include_url=False)
    for problem in problems:
        if problem["type"] == "too_short" and any(other["loc"][:-1][: len(problem["loc"])] == problem["loc"] for other in problems):
            continue  # the list is short for the items that were refused
        path = ".".join(map(str, field_place(problem, fields)))
        unknown = problem["type"] == UNKNOWN_FIELD
        message = unknown_field(problem, record) if unknown else in_words(problem)
        value = problem["ctx"]["tag"] if problem["type"] == UNKNOWN_KIND else problem["input"]
        whole = isinstance(value, Mapping)  # the message of a check over several fields names them itself
        got = "" if whole or unknown or problem["type"] == MISSING else f" (got {shown(value)})"
        lines.append(f"{source}: field `{path}`: {message}{got}" if path else f"{source}: {message}{got}")
    return "\n".join(lines)


def field_paths(record: type[BaseModel]) -> list[str]:
    """Dotted names of all fields of `record`, groups and their members."""
    out: list[str] = []
    for name, field in record.model_fields.items():
        out.append(name)
        options = getattr(field.annotation, "__args__", (field.annotation,))
        for inner in options:
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                out += [f"{name}.{path}" for path in field_paths(inner)]
    return out


def unit_of(field: FieldInfo) -> Unit | None:
    """The unit that a field's type carries, if it carries one."""
    return next((item for item in reversed(field.metadata) if isinstance(item, Unit)), None)


def written_fields(record: BaseModel) -> dict[str, Any]:
    """The fields of a record as a person writes them, groups as mappings: '64 KiB', not 65536."""
    out: dict[str, Any] = {}
    for name, field in type(record).model_fields.items():
        value, unit = getattr(record, name), unit_of(field)
        if isinstance(value, BaseModel):
            out[name] = written_fields(value)
        else:
            out[name] = unit.written(value) if unit is not None and isinstance(value, int) else value
    return out


def build(record: type[_R], fields: Mapping[str, Any], source: str, error: type[AccelsimError] = ConfigError) -> _R:
    """The record that `fields` describes; `error` with `explain`'s text if they do not fit."""
    try:
        return record.model_validate(fields)
    except ValidationError as problem:
        raise error(explain(problem, source, record, fields)) from problem


_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_SafeDumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _UniqueKeyLoader(_SafeLoader):  # type: ignore[valid-type, misc]  # the base is chosen at run time
    """Safe YAML that rejects duplicate keys: the first value would be dropped silently."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise yaml.constructor.ConstructorError(None, None, f"field {key!r} is given twice", node.start_mark)
    return dict(zip(keys, (loader.construct_object(value, deep=True) for _, value in node.value), strict=True))


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_yaml(text: str) -> Any:
    """Parse YAML text; yaml.YAMLError if it is invalid, repeats a key, or expands beyond the limit through aliases."""
    content = yaml.load(text, _UniqueKeyLoader)
    if _values(content, {}) > _LARGEST_YAML:
        raise yaml.constructor.ConstructorError(None, None, f"its aliases expand to more than {_LARGEST_YAML} values")
    return content


def _values(content: Any, known: dict[int, int]) -> int:
    """Number of values with aliases expanded; `known` caches by identity, so the work is linear in the text."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        known[id(content)] = _LARGEST_YAML + 1  # for an alias inside of what it stands for
        items = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_values(item, known) for item in items)
    return known[id(content)]


def read_text(path: Path, error: type[AccelsimError] = ConfigError, encoding: str = "utf-8") -> str:
    """The text of a file of at most 64 MiB; `error` if it cannot be read, is longer or is not text."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise error(f"{path}: has more than {_LARGEST_FILE} bytes, the most that is allowed")
        return content.decode(encoding)
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: cannot be read: it is not {encoding.removesuffix('-sig').upper()} text") from None


def dump_yaml(content: Mapping[str, Any]) -> str:
    """Plain data as YAML, fields in their order."""
    return yaml.dump(content, Dumper=_SafeDumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if it cannot be read, is not YAML or not a mapping."""
    text = read_text(path)
    try:
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {yaml_problem(error)}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    if not isinstance(content, dict):
        what = "is empty" if content is None else "is a list" if isinstance(content, list) else f"is {shown(content)}"
        raise ConfigError(f"{path}: must be a mapping of fields to values, {what}")
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(f"{path}: must be a mapping of fields to values; {shown(key)} is no field's name")
    return content


def yaml_problem(error: yaml.YAMLError) -> str:
    """'line 3, column 5: did not find expected key' on one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or getattr(error, "reason", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return where + (problem or "it cannot be read")
