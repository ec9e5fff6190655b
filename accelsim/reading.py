"""Text that users hand in, as plain data: YAML and JSON with one sentence for all that cannot be read.

YAML here is what people mean: a date is text, a number has a bounded number of digits, and base 60 (`1:30` is 90 in YAML 1.1) is
refused instead of being read.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from accelsim.errors import AccelsimError, ConfigError
from accelsim.wording import shown

LARGEST_FILE = 4 << 20  # bytes of text that a person writes; YAML takes two CPU seconds per MiB
_LARGEST_YAML = 1_000_000  # values in a file, with every alias expanded
_DEEPEST_YAML = 100  # lists and mappings in one another; pydantic writes some 250, and libyaml overflows the C stack at some 30,000
LONGEST_NUMBER = 40  # characters; 2^128 has 39 digits
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_DATE = "tag:yaml.org,2002:timestamp"
# Errors with which PyYAML's constructors meet a tag such as `!!int abc`, `!!bool 7` or `!!timestamp x`.
_UNREADABLE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)

_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_SafeDumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def check_file(path: Path, error: type[AccelsimError]) -> None:
    """`error` if a pipe, a socket or a device has the name: to read it would wait for a writer, or never end.

    Raises
    ------
    AccelsimError
        It is none of a file, a folder and nothing; of the class `error`.
    OSError
        Its folder may not be searched.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise error(f"{path}: cannot be read: is not a file")


def read_text(path: Path, error: type[AccelsimError] = ConfigError, encoding: str = "utf-8", limit: int = LARGEST_FILE) -> str:
    """The text of a file of at most `limit` bytes; `error` if it cannot be read, is longer or is not text."""
    try:
        check_file(path, error)
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise error(f"{path}: has more than {limit} bytes, the most that is allowed")
        return content.decode(encoding)
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: cannot be read: it is not {encoding.removesuffix('-sig').upper()} text") from None


class _Loader(_SafeLoader):  # type: ignore[valid-type, misc]  # the base is chosen at run time
    """Safe YAML that refuses duplicate keys (the first value would be dropped silently), and numbers that no field can take."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except _UNREADABLE:
            kind = node.tag.rpartition(":")[2]
            value = shown(node.value) if isinstance(node, yaml.ScalarNode) else "this value"
            raise yaml.constructor.ConstructorError(None, None, f"{value} cannot be read as !!{kind}", node.start_mark) from None


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    text = node.value
    if len(text) > LONGEST_NUMBER:
        problem = f"a number of {len(text):,} characters; allowed: at most {LONGEST_NUMBER}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    if ":" in text:
        problem = f"{shown(text)} without quotes is a number in base 60; put it in quotes, or write the number"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    value: int | float = loader.construct_yaml_int(node) if node.tag == _NUMBERS[0] else loader.construct_yaml_float(node)
    return value


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, f"{shown(key)} cannot be the name of a field", key_node.start_mark)
        if key in out:
            raise yaml.constructor.ConstructorError(None, None, f"field {shown(key)} is given twice", node.start_mark)
        out[key] = loader.construct_object(value_node, deep=True)
    return out


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor(_DATE, yaml.SafeLoader.construct_yaml_str)
for _tag in _NUMBERS:
    _Loader.add_constructor(_tag, _number)


def parse_yaml(text: str) -> Any:
    """Plain data of YAML text.

    Raises
    ------
    yaml.YAMLError
        It is invalid, repeats a key, is nested too deeply, holds a number beyond the limit, or expands beyond the limit through aliases;
        `yaml_problem` says it in words.
    """
    try:
        _check_depth(text)
        content = yaml.load(text, _Loader)
        values = _values(content, {})
    except RecursionError:
        raise yaml.constructor.ConstructorError(None, None, "nested too deeply") from None
    except UnicodeEncodeError:  # of a command line's bytes, or of Python's text
        raise yaml.constructor.ConstructorError(None, None, "it holds bytes that are not UTF-8") from None
    if values > _LARGEST_YAML:
        raise yaml.constructor.ConstructorError(None, None, f"its aliases expand to more than {_LARGEST_YAML} values")
    return content


def _check_depth(text: str) -> None:
    """RecursionError for text that is nested too deeply; no text is nested more deeply than it is long."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader) if len(text) > _DEEPEST_YAML else ():
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST_YAML:
                raise RecursionError
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _values(content: Any, known: dict[int, int]) -> int:
    """Number of values with aliases expanded; `known` caches by identity, so the work is linear in the text."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        known[id(content)] = _LARGEST_YAML + 1  # for an alias inside of what it stands for
        items = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_values(item, known) for item in items)
    return known[id(content)]


def yaml_problem(error: yaml.YAMLError, text: str = "") -> str:
    """'line 3, column 5: did not find expected key' on one line, with a hint for a tab of the `text`."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or getattr(error, "reason", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    lines = text.splitlines()
    tab = mark is not None and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
    return where + (problem or "it cannot be read") + (": a tab; YAML is indented with spaces" if tab else "")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if it cannot be read, is not YAML or not a mapping."""
    text = read_text(path)
    try:
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {yaml_problem(error, text)}") from error
    if not isinstance(content, dict):
        what = "is empty" if content is None else "is a list" if isinstance(content, list) else f"is {shown(content)}"
        raise ConfigError(f"{path}: must be a mapping of fields to values, {what}")
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(f"{path}: must be a mapping of fields to values; {shown(key)} is no field's name")
    return content


def dump_yaml(content: Mapping[str, Any]) -> str:
    """Plain data as YAML, fields in their order."""
    return yaml.dump(content, Dumper=_SafeDumper, sort_keys=False, allow_unicode=True)


def parse_json(text: str | bytes) -> Any:
    """Plain data of JSON text.

    Raises
    ------
    ValueError
        It is invalid, repeats a key, is nested too deeply, or holds a number beyond the limit: one line in words.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} characters; allowed: at most {LONGEST_NUMBER}")
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError for a key given twice, of which one would be lost silently."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {shown(key)} is given twice")
            seen.add(key)
    return fields
