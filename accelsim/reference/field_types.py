"""A field's type in words: the values that a file may write, their unit and limits.

Read from the annotation and the constraints that pydantic enforces, so that the words cannot differ from the checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from accelsim.quantities import Unit
from accelsim.registry import KnownNames, either
from accelsim.wording import shown

NUMBERS = ("whole number", "number")
_LEAVES = {bool: "true or false", int: NUMBERS[0], float: NUMBERS[1], str: "text"}

# STYLE: the unit is in the name. The longest ending that fits decides.
_ENDINGS = {
    "bits": "bits",
    "bytes": "bytes",
    "cycles": "cycles",
    "_fs": "fs",
    "_ns": "ns",
    "_nm": "nm",
    "_pj": "pJ",
    "_pj_per_bit": "pJ/bit",
    "_mw": "mW",
    "_um2": "um2",
    "_um2_per_bit": "um2/bit",
    "um2_per_ge": "um2/GE",
    "_nw_per_ge": "nW/GE",
    "_factor": "ratio",
    "_fraction": "ratio",
}
_CK_CYCLES = "n_"  # of a DRAM device's fields


@dataclass(frozen=True)
class FieldType:
    """Words for a type; `unit` and `limits` are empty where there is nothing to say, `names` is None where any text is taken."""

    kind: str
    unit: str = ""
    limits: str = ""
    names: KnownNames | None = None

    @property
    def allowed(self) -> str:
        """The names or the limits."""
        return self.limits if self.names is None else str(self.names)

    @property
    def is_number(self) -> bool:
        """Whether the field holds numbers, alone or in a list."""
        return any(name in self.kind for name in NUMBERS)


def field_type(name: str, field: FieldInfo) -> FieldType:
    """The type of a record's field."""
    found = _read(field.annotation, field.metadata)
    return found if found.unit or "true" in found.kind else replace(found, unit=_unit_in_name(name))


def _read(annotation: Any, metadata: Iterable[Any]) -> FieldType:
    origin, items = get_origin(annotation), get_args(annotation)
    meta = list(_expanded(metadata))
    unit = _last_unit(meta)
    if origin is Annotated:
        return _read(items[0], [*items[1:], *meta])
    if origin in (Union, UnionType):
        return _either([_read(item, meta) for item in items if item is not NoneType], NoneType in items)
    if origin is Literal:
        return FieldType(
            "choice" if isinstance(items[0], str) else NUMBERS[0], unit.name if unit else "", either(shown(item) for item in items)
        )
    if origin is tuple:
        inner = _read(items[0], [item for item in meta if isinstance(item, Unit)])
        length = _limits(meta, None) if Ellipsis in items else f"{len(items)} items"
        return FieldType(f"list of {_plural(inner.kind)}", inner.unit, "; ".join(filter(None, (length, inner.allowed))))
    if origin is dict:
        inner = _read(items[1], [])
        return FieldType(
            f"mapping of names to {_plural(inner.kind)}", inner.unit, "; ".join(filter(None, (_limits(meta, None), inner.allowed)))
        )
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return FieldType("group")
    kind = _LEAVES.get(annotation, "any value")
    if unit is not None and unit.scales:
        kind = f"{kind} or text with a unit" if "" in unit.scales else "text with a unit"
    names = next((item for item in meta if isinstance(item, KnownNames)), None)
    return FieldType(kind, unit.name if unit else "", _limits(meta, unit), names)


def _either(found: list[FieldType], nullable: bool) -> FieldType:
    kinds = list(dict.fromkeys(item.kind for item in found)) + (["null"] if nullable else [])
    allowed = list(dict.fromkeys(item.allowed for item in found if item.allowed))
    return FieldType(" or ".join(kinds), next((item.unit for item in found if item.unit), ""), "; ".join(allowed))


def _limits(metadata: Iterable[Any], unit: Unit | None) -> str:
    """'1 to 4,096', 'more than 0, at most 16 GiB', '1 to 100 characters', 'of the form ...'."""
    found = {name: value for item in metadata for name in _LIMITS if (value := getattr(item, name, None)) is not None}

    def figure(value: Any) -> str:
        if unit is not None and unit.scales and isinstance(value, int):
            return str(unit.written(value))
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"

    parts = []
    if "ge" in found and "le" in found:
        parts.append(f"{figure(found['ge'])} to {figure(found['le'])}")
    else:
        parts += [f"{_LIMITS[name]} {figure(found[name])}" for name in ("ge", "gt", "le", "lt") if name in found]
    if "multiple_of" in found:
        parts.append(f"{_LIMITS['multiple_of']} {figure(found['multiple_of'])}")
    lengths = [f"{_LIMITS[name]} {found[name]:,}" for name in ("min_length", "max_length") if name in found]
    if lengths:
        parts.append(f"length {' and '.join(lengths)}")
    if "pattern" in found:
        parts.append(f"of the form {found['pattern']}")
    return ", ".join(parts)


_LIMITS = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
    "multiple_of": "a multiple of",
    "min_length": "at least",
    "max_length": "at most",
    "pattern": "of the form",
}


def _expanded(metadata: Iterable[Any]) -> Iterable[Any]:
    """Constraints, with those of a Field() inside an Annotated put in its place."""
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from item.metadata
        else:
            yield item


def _last_unit(metadata: Iterable[Any]) -> Unit | None:
    return next((item for item in reversed(list(metadata)) if isinstance(item, Unit)), None)


def _unit_in_name(name: str) -> str:
    if name.startswith(_CK_CYCLES):
        return "cycles of CK"
    fits = [ending for ending in _ENDINGS if name.endswith(ending)]
    return _ENDINGS[max(fits, key=len)] if fits else ""


def _plural(kind: str) -> str:
    return kind if kind == "text" or kind.startswith(("true", "list", "any", "mapping")) else f"{kind}s"
