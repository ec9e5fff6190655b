"""Records read from files: frozen, no unknown fields, and one message for a person when something does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from accelsim.errors import AccelsimError, ConfigError
from accelsim.problems import MISSING, UNKNOWN_FIELD, UNKNOWN_KIND, field_place, in_words, unknown_field
from accelsim.quantities import Unit, parse_bytes_per_s, parse_ps
from accelsim.wording import first_lines, shown

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

    def with_fields(self, **changes: Any) -> Self:
        """See `FrozenModel.with_fields`; ConfigError names the field, the value and what is allowed."""
        try:
            return super().with_fields(**changes)
        except ValidationError as error:
            raise ConfigError(explain(error, f"copy of {type(self).__name__}", type(self), {**self.as_given(), **changes})) from None

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, fields: Any) -> Any:
        """YAML reads yes, no, on and off as truth values, and true would pass for 1."""
        for name, value in fields.items() if isinstance(fields, Mapping) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise ValueError(f"{name} is {str(value).lower()}, a truth value in YAML: put text in quotes, or give a number")
        return fields


class ExplainedRecord(type(BaseModel)):  # type: ignore[misc]  # pydantic's metaclass has no public name
    """The metaclass of a public record: one that is made by a call is refused with ConfigError, as one that a file describes."""

    def __call__(cls, *arguments: Any, **fields: Any) -> Any:
        """The record of `fields`; validation of a mapping does not come here."""
        try:
            return super().__call__(*arguments, **fields)
        except ValidationError as error:
            raise ConfigError(explain(error, cls.__name__, cls, fields)) from None


_R = TypeVar("_R", bound=BaseModel)


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
    return first_lines(lines)


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


def field_at(record: type[BaseModel], path: str) -> FieldInfo | None:
    """The field at a dotted path of `record`, of a group that may be absent too; None where there is none."""
    name, _, rest = path.partition(".")
    field = record.model_fields.get(name)
    if field is None or not rest:
        return field
    groups = [item for item in getattr(field.annotation, "__args__", (field.annotation,)) if isinstance(item, type)]
    return next((found for item in groups if issubclass(item, BaseModel) and (found := field_at(item, rest)) is not None), None)


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
