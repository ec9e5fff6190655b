"""Files that people write: bounded in size and in what their aliases stand for, each problem told once."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from accelsim.errors import ConfigError, TraceError
from accelsim.reading import parse_json, parse_yaml, read_text, read_yaml
from accelsim.records import Record, build
from accelsim.wording import shown
from tests.fuzz.fork_server import CPU_SECONDS


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


def test_a_file_longer_than_4_mib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(TraceError, match=r"long\.yaml: has more than 4194304 bytes"):
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


HOSTILE_YAML = {
    "a number of 5,000 digits": ("rows: " + "9" * 5000, "line 1, column 7: a number of 5,000 characters; allowed: at most 40"),
    "a hexadecimal bomb": ("rows: 0x" + "f" * 99, "a number of 101 characters"),
    "base 60": ("rows: 1:30", "'1:30' without quotes is a number in base 60"),
    "base 60 without end": ("rows: " + ":".join(["1"] * 3000), "a number of 5,999 characters"),
    "a list as a key": ("? [1, 2]\n: 3", "[1, 2] cannot be the name of a field"),
    "a mapping as a key": ("{a: 1}: 3", "{'a': 1} cannot be the name of a field"),
    "a tag that does not fit": ("rows: !!int abc", "'abc' cannot be read as !!int"),
    "a truth value that is none": ("rows: !!bool 7", "'7' cannot be read as !!bool"),
    "a day that is none": ("rows: !!timestamp x", "must be a whole number"),
    "a nest": ("rows: " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
    "a nest as deep as the C stack": ("rows: " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
    "a nest of mappings without an end": ("rows: " + "{a: " * 900_000, "nested too deeply"),
    "a nest that cannot be written": ("rows: " + "[" * 120 + "]" * 120, "nested too deeply"),
    "a nest by dashes": ("- " * 100_000, "nested too deeply"),
    "an object of Python": ("rows: !!python/object:os.system {}", "could not determine a constructor"),
}


class Rows(Record):
    """A record of one whole number."""

    rows: int


@pytest.mark.parametrize(("text", "message"), HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_hostile_yaml_is_one_short_sentence(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        build(Rows, read_yaml(file), str(file))
    told = str(caught.value)
    assert message in told
    assert told.startswith(str(file))
    assert "\n" not in told
    assert len(told) < len(str(file)) + 200


def test_a_date_is_text_also_one_that_no_calendar_has() -> None:
    assert parse_yaml("[2020-01-31, 2020-13-45]") == ["2020-01-31", "2020-13-45"]


def test_json_with_a_number_without_end_a_nest_or_a_key_twice_is_one_line() -> None:
    for text, message in (("9" * 50, "50 characters"), ("[" * 200_000, "nested too deeply"), ('{"a": 1, "a": 2}', "'a' is given twice")):
        with pytest.raises(ValueError, match=message) as caught:
            parse_json(text)
        assert "\n" not in str(caught.value)
    assert parse_json("9" * 40) == 10**40 - 1


def test_a_key_twice_in_a_large_object_is_found_within_the_fuzzers_limit_of_cpu_time() -> None:
    """The last of 200,000 keys is given twice: to compare each with each takes minutes."""
    text = "{" + ", ".join(f'"k{number}": 0' for number in (*range(200_000), 199_999)) + "}"
    script = "import sys; from accelsim.reading import parse_json; parse_json(sys.stdin.read())"
    ended = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, text=True, check=False, preexec_fn=_limit_cpu)
    assert "ValueError: key 'k199999' is given twice" in ended.stderr


def _limit_cpu() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def test_a_message_shows_numbers_and_nests_that_python_does_not_write() -> None:
    nest: list[object] = []
    for _ in range(100_000):
        nest = [nest]
    assert shown(10**5000) == "a number of thousands of digits"
    assert shown(nest) == "values nested too deeply to be shown"


def test_a_message_lists_twenty_problems_and_counts_the_others() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Rows, {f"field_{number}": 0 for number in range(50)}, "file")
    lines = str(caught.value).split("\n")
    assert len(lines) == 21
    assert lines[-1] == "and 31 more problems"
