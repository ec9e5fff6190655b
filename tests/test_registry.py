"""Kinds are found by folder: a new module is a member because it exists, and a mistyped kind is answered with the known ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accelsim.errors import ConfigError, FormatError
from accelsim.registry import lookup, members, suggest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package with two members and a module that is none."""
    folder = tmp_path / "animals"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "zebra.py").write_text("KIND = 'zebra'\n")
    (folder / "ant.py").write_text("KIND = 'small_ant'\n")
    (folder / "helper.py").write_text("LEGS = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "animals"
    for name in [name for name in sys.modules if name.split(".")[0] == "animals"]:
        del sys.modules[name]
    members.cache_clear()


def test_members_are_the_modules_with_a_kind_in_the_order_of_their_names(package: str) -> None:
    assert list(members(package)) == ["small_ant", "zebra"]


def test_a_module_that_is_added_to_the_folder_is_a_member(package: str, tmp_path: Path) -> None:
    (tmp_path / "animals" / "newt.py").write_text("KIND = 'newt'\n")
    assert lookup(package, "newt", "animal").KIND == "newt"


def test_an_unknown_kind_is_answered_with_the_known_ones_and_the_nearest(package: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown animal 'zebar'; known: small_ant, zebra; did you mean 'zebra'\?"):
        lookup(package, "zebar", "animal")


def test_the_error_is_of_the_class_that_the_caller_names(package: str) -> None:
    with pytest.raises(FormatError, match="unknown animal 'x'"):
        lookup(package, "x", "animal", FormatError)


def test_nothing_is_suggested_for_a_name_that_is_like_none() -> None:
    assert suggest("quux", ["zebra", "ant"]) == ""
