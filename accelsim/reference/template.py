"""A commented YAML file of a chip: every field with its value, meaning, unit, default and limits.

A line that starts with `#` and no space behind it is an optional group with example values: it counts once the `#` is removed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from accelsim.accelerator import Accelerator
from accelsim.reading import dump_yaml
from accelsim.records import unit_of
from accelsim.reference.fields import REQUIRED, FieldDoc, record_fields

KIND = "accelerator"
COLUMNS = 100
_HEAD = """\
# A chip for accelsim, made from {source}. Run a network on it: accelsim run FILE TRACE (accelsim list traces).
# Bytes, times, frequencies and bandwidths take a unit: 64 KiB, 100 ns, 800 MHz, 0.4 GB/s.
# To add a commented group, remove the # before its name. More on a field: accelsim describe FIELD.
"""


def accelerator_template(chip: Accelerator, source: str) -> str:
    """The text of a file that loads as `chip`."""
    return _HEAD.format(source=source) + "\n" + "\n".join(_group(chip, "", ""))


def _group(record: BaseModel, prefix: str, indent: str) -> Iterator[str]:
    for item in record_fields(KIND, type(record), prefix):
        value = getattr(record, item.name)
        field = type(record).model_fields[item.name]
        if isinstance(value, BaseModel):
            yield from _comment(item.meaning, indent)
            yield f"{indent}{item.name}:"
            yield from _group(value, f"{item.path}.", f"{indent}  ")
        elif value is None and item.inner:
            yield from _example(item, indent)
        else:
            yield from _comment(sentence(item), indent)
            unit = unit_of(field)
            yield f"{indent}{_line(item.name, unit.written(value) if unit is not None and isinstance(value, int) else value)}"
        if not indent:
            yield ""


def _example(group: FieldDoc, indent: str) -> Iterator[str]:
    """A group that the chip does not have: its fields in words, then one line to uncomment."""
    yield from _comment(f"Optional: {group.meaning}.", indent)
    for path, item in _inside(group, ""):
        yield from _comment(f"- {path}: {sentence(item)}", indent)
    pairs = ", ".join(_line(name, value) for name, value in (group.example or {}).items())
    yield f"{indent}#{group.name}: {{{pairs}}}"


def _inside(group: FieldDoc, prefix: str) -> Iterator[tuple[str, FieldDoc]]:
    """The fields of a group and of its groups, by their path inside it."""
    for _, record in group.inner:
        for item in record_fields(KIND, record, f"{group.path}."):
            yield prefix + item.name, item
            yield from _inside(item, f"{prefix}{item.name}.")


def sentence(item: FieldDoc) -> str:
    """'PEs along the reduction [PEs; 1 to 4,096; needed]'."""
    default = REQUIRED if item.default == REQUIRED else f"default {item.default}"
    return f"{item.meaning} [{'; '.join(filter(None, (item.words.unit, item.words.allowed, default)))}]"


def _line(name: str, value: Any) -> str:
    return dump_yaml({name: value}).strip()


def _comment(text: str, indent: str) -> list[str]:
    mark = f"{indent}# "
    further = f"{mark}  " if text.startswith("- ") else mark
    return textwrap.wrap(text, COLUMNS, initial_indent=mark, subsequent_indent=further, break_long_words=False, break_on_hyphens=False)
