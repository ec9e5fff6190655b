"""Messages about values from files speak the file's language, not that of the library that checks them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError
from pydantic_core import PydanticKnownError
from pydantic_core._pydantic_core import list_all_errors

from accelsim.accelerator import load_accelerator
from accelsim.errors import ConfigError, FormatError, TraceError
from accelsim.formats.catalog import parse_format
from accelsim.problems import in_words
from accelsim.records import Record, build
from accelsim.sweeps.spec import load_sweep
from accelsim.wording import shown

PHRASES = re.compile(
    r"Input|should|valid (?!YAML)|parse|Extra|permitted|Field required|dictionary|instance|string|integer|boolean|tuple|None|True|False|"
    r"Value error|validation|pydantic"
)


class Line(Record):
    kind: Literal["line"]
    axis: str = Field(max_length=3)


class Dots(Record):
    kind: Literal["dots"]
    size: int = Field(ge=1, lt=1000)


class Page(Record):
    title: Annotated[str, Field(min_length=2, pattern="^[a-z]+$")]
    colour: Literal["red", "green"] = "red"
    wide: bool = False
    scale: float = Field(default=1.0, gt=0, le=8)
    columns: int = Field(default=2, multiple_of=2)
    notes: tuple[str, ...] = Field(default=(), max_length=2)
    marks: dict[str, int] = Field(default_factory=dict)
    first: Dots | None = None
    pictures: tuple[Annotated[Line | Dots, Field(discriminator="kind")], ...] = ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "page: field `title`: is missing, and has no default"),
        ({"title": "ab", "tilte": 3}, "page: field `tilte`: unknown field; allowed: title, colour, "),
        ({"title": "ab", "tilte": 3}, "did you mean 'title'?"),
        ({"title": 3}, "page: field `title`: must be text (got 3)"),
        ({"title": None}, "page: field `title`: must be text (got null)"),
        ({"title": "a"}, "page: field `title`: must have 2 or more characters (got 'a')"),
        ({"title": "A1"}, "page: field `title`: must be text of the form ^[a-z]+$ (got 'A1')"),
        ({"title": "ab", "colour": "gren"}, "page: field `colour`: must be 'red' or 'green'; did you mean 'green'? (got 'gren')"),
        ({"title": "ab", "wide": "perhaps"}, "page: field `wide`: must be true or false (got 'perhaps')"),
        ({"title": "ab", "wide": 2.5}, "page: field `wide`: must be true or false (got 2.5)"),
        ({"title": "ab", "scale": "big"}, "page: field `scale`: must be a number (got 'big')"),
        ({"title": "ab", "scale": 0}, "page: field `scale`: must be more than 0 (got 0)"),
        ({"title": "ab", "scale": 9}, "page: field `scale`: must be at most 8 (got 9)"),
        ({"title": "ab", "scale": float("nan")}, "page: field `scale`: must be a finite number (got nan)"),
        ({"title": "ab", "scale": []}, "page: field `scale`: must be a number (got [])"),
        ({"title": "ab", "columns": 3}, "page: field `columns`: must be a multiple of 2 (got 3)"),
        ({"title": "ab", "columns": "two"}, "page: field `columns`: must be a whole number (got 'two')"),
        ({"title": "ab", "columns": 2.5}, "page: field `columns`: must be a whole number (got 2.5)"),
        ({"title": "ab", "columns": "9" * 5000}, "page: field `columns`: must be a whole number of fewer digits (got '99999"),
        ({"title": "ab", "columns": True}, "columns is true, a truth value in YAML"),
        ({"title": "ab", "notes": "abc"}, "page: field `notes`: must be a list (got 'abc')"),
        ({"title": "ab", "notes": ["a", 2]}, "page: field `notes.1`: must be text (got 2)"),
        ({"title": "ab", "notes": ["a", "b", "c"]}, "page: field `notes`: must have at most 2 items, has 3 (got ['a', 'b', 'c'])"),
        ({"title": "ab", "marks": [1]}, "page: field `marks`: must be a group of fields (got [1])"),
        ({"title": "ab", "marks": {"a": "b"}}, "page: field `marks.a`: must be a whole number (got 'b')"),
        ({"title": "ab", "first": 3}, "page: field `first`: must be a group of fields (got 3)"),
        (
            {"title": "ab", "first": {"kind": "dots", "size": 1, "siez": 1}},
            "page: field `first.siez`: unknown field; allowed: kind, size; did",
        ),
        (
            {"title": "ab", "pictures": [{"kind": "lime"}]},
            "page: field `pictures.0.kind`: must be one of 'line', 'dots'; did you mean",
        ),
        ({"title": "ab", "pictures": [{"kind": "lime"}]}, "(got 'lime')"),
        ({"title": "ab", "pictures": [{"axis": "x"}]}, "page: field `pictures.0`: needs the field 'kind'"),
        ({"title": "ab", "pictures": [{"kind": "line", "axis": "long"}]}, "page: field `pictures.0.axis`: must have at most 3 characters"),
        (
            {"title": "ab", "pictures": [{"kind": "dots", "size": 1000}]},
            "field `pictures.0.size`: must be less than 1,000 (got 1000)",
        ),
        ({"title": "ab", "pictures": [{"kind": "dots"}]}, "page: field `pictures.0.size`: is missing, and has no default"),
        ({"title": "ab", "pictures": [{"kind": "dots", "sice": 3, "size": 1}]}, "allowed: kind, size; did you mean 'size'?"),
        ({"title": "ab", "pictures": [3]}, "page: field `pictures.0`: must be a group of fields (got 3)"),
        ([1], "page: must be a group of fields (got [1])"),
    ],
)
def test_a_value_that_does_not_fit_is_answered_in_words(fields: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Page, fields, "page")
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert not PHRASES.search(message.replace("did you mean", ""))


@pytest.mark.parametrize("kind", list_all_errors(), ids=lambda kind: kind["type"])
def test_no_type_of_error_shows_the_checking_librarys_own_words(kind: Any) -> None:
    context = kind["example_context"]
    example = {name: 3 if value is None else value for name, value in (context or {}).items()} or None
    if kind["type"] in ("value_error", "assertion_error"):
        example = {"error": ValueError("too odd")}
    error = PydanticKnownError(kind["type"], example)
    problem: Any = {"type": kind["type"], "loc": ("a",), "input": 3, "ctx": example or {}, "msg": error.message()}
    words = in_words(problem)
    assert words
    assert not PHRASES.search(words)
    assert "{" not in words


def test_a_value_is_shown_as_its_file_writes_it() -> None:
    assert [shown(value) for value in (None, True, False, 3, "x", (1, 2))] == ["null", "true", "false", "3", "'x'", "[1, 2]"]
    assert len(shown("x" * 1000)) == 80


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda: load_accelerator("edge-32x32", ["placement.weights=flahs"]),
            ConfigError,
            "must be 'dram', 'flash' or 'l2'; did you mean 'flash'?",
        ),
        (
            lambda: load_accelerator("edge-32x32", ["array.rows=lots"]),
            ConfigError,
            "`array.rows`: must be a whole number (got 'lots')",
        ),
        (lambda: load_accelerator("edge-32x32", ["dram.background.bandwith=1 GB/s"]), ConfigError, "did you mean 'bandwidth'?"),
        (lambda: parse_format("ssvq:k=many"), FormatError, "parameter 'k' has value 'many': must be a whole number"),
        (lambda: parse_format("ssvq:k=16,dd=8"), FormatError, "unknown parameter 'dd'"),
        (
            lambda: load_sweep({"name": "s", "pictures": [{"kind": "line", "name": "a"}]}),
            ConfigError,
            "field `pictures.0.kind`: must be one of 'speedup_map', 'heat_map', 'pareto', 'lines'; did you mean 'lines'? (got 'line')",
        ),
    ],
)
def test_files_and_options_are_answered_in_words(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)) as caught:
        call()
    assert not PHRASES.search(str(caught.value).replace("did you mean", ""))


def test_an_unknown_field_of_a_trace_is_answered_with_the_known_ones(tmp_path: Any) -> None:
    import json

    from accelsim.presets import find_trace
    from accelsim.trace.manifest import read_manifest

    manifest = json.loads((find_trace("tiny_vit_float") / "trace.json").read_text())
    layer = next(item for item in manifest["layers"] if item["op"] == "gemm")
    layer["wieght"] = 3
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(manifest))
    with pytest.raises(TraceError, match=r"\.wieght \(layer '.*'\): unknown field; allowed: .*weight.*did you mean 'weight'\?"):
        read_manifest(path)


def test_every_message_of_the_library_is_known_to_be_one() -> None:
    with pytest.raises(ValidationError) as caught:
        Page.model_validate({"title": 3, "columns": "x"})
    assert all(PHRASES.search(problem["msg"]) for problem in caught.value.errors())
