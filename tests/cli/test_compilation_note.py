"""The line that announces the compilation of kernels: when it is printed, and how a cached kernel is recognized."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.cli.simulating import COMPILING
from accelsim.kernels import kernel, loader_step

RUN = ("run", "edge-32x32", "tiny_vit_int8")


def stderr(*words: str) -> str:
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stderr


@pytest.mark.parametrize(
    "command",
    [
        RUN,
        (*RUN, "--json"),
        ("compare", "edge-32x32:tiny_vit_int8", "tiny_vit_ssvq"),
        ("formats", "edge-32x32", "tiny_vit_int8", "tiny_vit_ssvq"),
        ("ablation", "edge-32x32", "tiny_vit_ssvq", "tiny_vit_int8"),
    ],
    ids=lambda words: words[0] + words[-1],
)
def test_a_compilation_is_announced_without_a_terminal_and_not_with_quiet(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "is_cached", lambda function: function is not loader_step.step_loader)
    assert stderr(*command) == f"{COMPILING}\n"
    assert stderr(*command, "--quiet") == ""


def test_kernels_in_the_cache_are_not_announced() -> None:
    assert kernel.is_cached(loader_step.step_loader)
    assert stderr(*RUN) == ""


def test_a_kernel_is_cached_once_the_folder_of_its_installation_has_its_file(tmp_path: Path) -> None:
    class Kernel:
        __module__, __qualname__ = "accelsim.kernels.compute", "advance"
        stats = SimpleNamespace(cache_path=str(tmp_path))

    assert not kernel.is_cached(Kernel)
    (tmp_path / "dram.advance-147.py311.0123456789abcdef.kernel").touch()
    assert not kernel.is_cached(Kernel)
    (tmp_path / "compute.advance-43.py311.0123456789abcdef.kernel").touch()
    assert kernel.is_cached(Kernel)


def test_kernels_that_run_as_plain_python_are_never_compiled() -> None:
    assert kernel.is_cached(kernel.uncompiled(test_kernels_in_the_cache_are_not_announced))
