"""Completion of names through the protocol that the installed scripts use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.accelerator import Accelerator
from accelsim.cli.completion import joined
from accelsim.cli.names import accelerator_paths, kinds, parameters
from accelsim.formats.catalog import format_kinds, format_module
from accelsim.records import field_paths
from accelsim.registry import members

ROOT = Path(__file__).resolve().parents[2]


def offered(*words: str) -> list[str]:
    """The answer to bash, whose last word is being typed."""
    line = ["accelsim", *words]
    asked = {"_ACCELSIM_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "accelsim"], env={**os.environ, **asked}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["ru"], ["run"]),
        (["validate", ""], ["core", "systolic", "dram", "area", "outside", "silicon"]),
        (["run", "--fr"], ["--frames"]),
        (["run", "edge-64"], ["edge-64x64", "edge-64x64-x16"]),
        (["run", "edge-32x32", "tiny_vit_s"], ["tiny_vit_ssvq"]),
        (["run", "edge-32x32", "tiny_vit_float", "@", "univ"], ["universal_vq"]),
        (["run", "edge-32x32", "tiny_vit_float", "@", "ssvq", ":"], ["k=", "d="]),
        (["run", "edge-32x32", "tiny_vit_float", "@", "ssvq", ":", "k", "=", "16,"], ["16,d="]),
        (["run", "edge-32x32", "x", "--then", "tiny_vit_s"], ["tiny_vit_ssvq"]),
        (["run", "--set", "array.ro"], ["array.rows="]),
        (["run", "--set", "dram.device", "=", "ddr4"], ["ddr4-2400-x64"]),
        (["run", "--technology", "nan"], ["nangate45"]),
        (["compare", "mcu"], ["mcu-16x16:"]),
        (["compare", "edge-32x32", ":", "tiny_vit_s"], ["tiny_vit_ssvq"]),
        (["compare", "edge-32x32", ":"], ["tiny_vit_ssvq", "tiny_vit_int8"]),
        (["compare", "edge-32x32", ":", "x", "+codebook.por"], ["+codebook.ports="]),
        (["sweep", "code"], ["codebook"]),
        (["compress", "--format", "ssvq", ":", ""], ["k=", "d="]),
        (["compress", "--format", "ssv"], ["ssvq"]),
        (["formats", "edge-32x32", "a", "tiny_vit_s"], ["tiny_vit_ssvq"]),
        (["ablation", "edge-32x32", "a", "tiny_vit_s"], ["tiny_vit_ssvq"]),
        (["dram", "replay", "--device", "lpddr5"], ["lpddr5-6400-x16"]),
        (["list", "tech"], ["technologies"]),
        (["describe", "array.sh"], ["array.shadow_sets"]),
        (["describe", "codeb"], ["codebook", "codebook.ports"]),
        (["describe", "sweep.ax"], ["sweep.axes"]),
        (["describe", "dram.n_rc"], ["dram.n_rcd"]),
        (["schema", "tr"], ["trace"]),
        (["new", "accelerator", "--from", "mcu"], ["mcu-16x16"]),
        (["inspect", "tiny_vit_f"], ["tiny_vit_float"]),
    ],
)
def test_a_name_is_completed(words: list[str], some: list[str]) -> None:
    assert set(some) <= set(offered(*words))


@pytest.mark.parametrize(
    "words", [["run", "./edge"], ["run", "edge-32x32", "/tmp/"], ["compress", "--format", "sqv"], ["compare", "x:y@z:q"]]
)
def test_what_is_no_name_is_left_to_the_shell(words: list[str]) -> None:
    assert offered(*words) == []


@pytest.mark.parametrize(
    ("words", "current", "whole", "place"),
    [
        (["a", "run", "x"], 2, ["a", "run", "x"], 2),
        (["a", "compare", "x", ":", "y"], 4, ["a", "compare", "x:y"], 2),
        (["a", "compare", "x", ":"], 3, ["a", "compare", "x:"], 2),
        (["a", "compare", "x", ":", "y", "z"], 5, ["a", "compare", "x:y", "z"], 3),
        (["a", "t", "@", "f", ":", "k", "=", "1", ""], 8, ["a", "t@f:k=1", ""], 2),
        (["a", "--set", "=", "p", "=", "3"], 5, ["a", "--set=p=3"], 1),
        ([":"], 0, [":"], 0),
    ],
)
def test_words_that_bash_parted_are_put_together(words: list[str], current: int, whole: list[str], place: int) -> None:
    assert joined(words, current) == (whole, place)


def test_the_names_in_the_source_are_those_of_the_program() -> None:
    paths = field_paths(Accelerator)
    assert accelerator_paths() == [path for path in paths if not any(other.startswith(f"{path}.") for other in paths)]
    for package in ("formats", "dataflows", "hw"):
        assert sorted(kinds(package)) == sorted(members(f"accelsim.{package}"))
    for kind in format_kinds():
        spec = format_module(kind).SPEC
        assert parameters(kind) == [name for name in spec.model_fields if name not in spec.unwritten]
    assert parameters("huffman-vecq") == ["bits"]
    assert parameters("sqv") == []


@pytest.mark.parametrize("words", ["run --set array.", "run edge", "compare edge-32x32:tiny", "compress --format ssvq:"])
def test_completion_imports_nothing_heavy(words: str) -> None:
    code = (
        "import sys, accelsim.cli\n"
        "try: accelsim.cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('numba', 'numpy', 'simpy', 'matplotlib', 'torch', 'yaml') if name in sys.modules])"
    )
    asked = {"_ACCELSIM_COMPLETE": "complete_bash", "COMP_WORDS": f"accelsim {words}", "COMP_CWORD": str(len(words.split()))}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_answered(shell: str) -> None:
    asked = {
        "_ACCELSIM_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "accelsim run edge-64",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": "accelsim run edge-64",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "accelsim"], env={**os.environ, **asked}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "edge-64x64-x16" in done.stdout


def test_the_script_for_bash_completes_in_bash(tmp_path: Path) -> None:
    command = tmp_path / "accelsim"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m accelsim "$@"\n')
    command.chmod(0o755)
    script = (
        f'eval "$(_ACCELSIM_COMPLETE=source_bash {command})"; COMP_WORDS=(accelsim compare edge-32x32 : tiny_vit_s); COMP_CWORD=4; '
        f'_accelsim_completion {command}; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tiny_vit_ssvq"]


def test_completion_installs_itself(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    words = [sys.executable, "-m", "accelsim", "--install-completion", "bash"]
    done = subprocess.run(words, env={**os.environ, **home}, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "bash completion installed" in done.stdout
    assert "_ACCELSIM_COMPLETE=complete_bash" in (tmp_path / ".bash_completions" / "accelsim.sh").read_text()
