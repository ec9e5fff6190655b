"""Files that people write: bounded in size and in what their aliases stand for, each problem told once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from accelsim.errors import ConfigError, TraceError
from accelsim.records import Record, build, parse_yaml, read_text, read_yaml


class _Item(Record):
    name: str


class _List(Record):
    items: Annotated[tuple[_Item, ...], Field(min_length=1)]


def test_aliases_that_stand_for_more_than_a_million_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 10) + "]" for level in range(1, 30)]
    path = tmp_path / "laughs.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=r"laughs\.yaml: not valid YAML: its aliases expand to more than 1000000 values"):
        read_yaml(path)


def test_an_alias_inside_of_what_it_stands_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "self.yaml"
    path.write_text("a: &a [*a]")
    with pytest.raises(ConfigError, match=r"self\.yaml: not valid YAML"):
        read_yaml(path)


def test_a_plain_alias_is_what_it_stands_for() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a") == {"a": [1, 2], "b": [1, 2]}


def test_a_file_longer_than_64_mib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(TraceError, match=r"long\.yaml: has more than 67108864 bytes"):
        read_text(path, TraceError)


def test_a_missing_file_and_a_folder_are_named_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing:
        read_yaml(tmp_path / "none.yaml")
    assert str(missing.value) == f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_a_wrong_item_is_one_problem_and_not_also_a_short_list() -> None:
    with pytest.raises(ConfigError) as problem:
        build(_List, {"items": [{"name": "a", "nmae": "b"}]}, "f.yaml")
    assert str(problem.value) == "f.yaml: field `items.0.nmae`: unknown field; allowed: name; did you mean 'name'?"
    with pytest.raises(ConfigError, match="field `items`: must have 1 or more items"):
        build(_List, {"items": []}, "f.yaml")
