"""Reference cycles are collected again once a program is compiled, or refused, unless the caller had turned that off."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from accelsim.compiler import compile as entry
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from tests.tiny_machines import tiny_accelerator, tiny_encoder


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_as_before_behind_a_compilation(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    (gc.enable if enabled else gc.disable)()
    inside: list[bool] = []
    compile_for = entry.compile_for

    def watched(*args: object) -> object:
        inside.append(gc.isenabled())
        return compile_for(*args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(entry, "compile_for", watched)
    compile_trace(tiny_accelerator(), tiny_encoder(5, 8, 2, 12, "ssvq:16,2"))
    assert inside == [False]
    assert gc.isenabled() == enabled


def test_collection_is_as_before_behind_a_refusal() -> None:
    gc.enable()
    with pytest.raises(CompileError):
        compile_trace(
            tiny_accelerator(activation_buffer__capacity=16, placement={"activations": "none"}), tiny_encoder(5, 8, 2, 12, "ssvq:16,2")
        )
    assert gc.isenabled()
