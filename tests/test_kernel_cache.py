"""The kernels' disk cache cannot serve a stale build: its folder's name changes with every source and every flag that matters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import accelsim.kernels.kernel as kernel_module

CALLEE = """from accelsim.kernels.kernel import kernel


@kernel
def step(x):
    return x + 1
"""
CALLER = """from accelsim.kernels.kernel import kernel
from accelsim.kernels.callee import step


@kernel
def twice(x):
    return step(step(x))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package of the same name that holds the decorator and two kernels, one in each file."""
    kernels = tmp_path / "accelsim" / "kernels"
    kernels.mkdir(parents=True)
    (tmp_path / "accelsim" / "__init__.py").write_text("")
    (kernels / "__init__.py").write_text("")
    for name in ("kernel.py", "kernel_cache.py"):
        shutil.copy(Path(kernel_module.__file__).with_name(name), kernels / name)
    (kernels / "callee.py").write_text(CALLEE)
    (kernels / "caller.py").write_text(CALLER)
    return tmp_path


def run(package: Path, code: str, **environment: str) -> str:
    """What `code` prints in a fresh process that sees `package` first and keeps its cache there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    variables = {**clean, "PYTHONPATH": str(package), "ACCELSIM_CACHE_DIR": str(package / "cache"), "TMPDIR": str(package)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**variables, **environment}, cwd=package, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


TWICE = "from accelsim.kernels.caller import twice; print(twice(10))"
HITS = "from accelsim.kernels.caller import twice; twice(10); print(sum(twice.stats.cache_hits.values()))"
FOLDER = "from accelsim.kernels.kernel import CACHE_DIR; print(CACHE_DIR)"


def test_a_change_of_a_callee_in_another_file_is_seen(package: Path) -> None:
    assert run(package, TWICE) == "12"
    (package / "accelsim" / "kernels" / "callee.py").write_text(CALLEE.replace("x + 1", "x + 5"))
    assert run(package, TWICE) == "20"


def test_the_second_process_compiles_nothing(package: Path) -> None:
    assert run(package, HITS) == "0"
    assert run(package, HITS) == "1"


def test_a_flag_that_changes_the_code_has_a_folder_of_its_own(package: Path) -> None:
    folders = {run(package, FOLDER), run(package, FOLDER, NUMBA_BOUNDSCHECK="1"), run(package, FOLDER, NUMBA_OPT="0")}
    assert len(folders) == 3
    assert all(Path(folder).parent == package / "cache" for folder in folders)


def test_code_for_another_processor_is_not_reused(package: Path) -> None:
    assert run(package, HITS) == "0"
    assert run(package, HITS, NUMBA_CPU_NAME="generic") == "0"
    assert run(package, HITS, NUMBA_CPU_NAME="generic") == "1"
    assert run(package, HITS, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="+sse4.2") == "0"
    assert run(package, HITS) == "1"


def test_without_the_compiler_there_is_no_cache_and_the_same_result(package: Path) -> None:
    assert run(package, FOLDER, NUMBA_DISABLE_JIT="1") == ""
    assert run(package, TWICE, NUMBA_DISABLE_JIT="1") == "12"
    assert not (package / "cache").exists()


def test_a_cache_folder_that_cannot_be_written_is_replaced_by_a_private_one(package: Path) -> None:
    (package / "cache").write_text("a file where the folder would be")
    assert Path(run(package, FOLDER)).name.startswith("accelsim-kernels-")
    assert run(package, TWICE) == "12"


def files(package: Path) -> list[Path]:
    """The compiled kernels on disk."""
    return sorted(package.glob("cache/**/*.kernel"))


def run_again(package: Path) -> tuple[str, str]:
    """What `HITS` prints on stdout and stderr in a process that finds the cache as it is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    variables = {**clean, "PYTHONPATH": str(package), "ACCELSIM_CACHE_DIR": str(package / "cache")}
    done = subprocess.run([sys.executable, "-c", HITS], env=variables, cwd=package, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_a_damaged_file_is_compiled_anew_with_one_line_and_then_used(package: Path, damage: str) -> None:
    assert run(package, HITS) == "0"
    for path in files(package):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(
            {
                "empty": b"",
                "cut": content[:middle],
                "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
                "foreign": b"not a kernel at all",
            }[damage]
        )
    hits, told = run_again(package)
    assert hits == "0"
    assert told.endswith("are damaged: they are compiled again")
    assert told.count("\n") == 0
    assert run_again(package) == ("1", "")


def test_a_file_that_others_may_write_is_not_loaded(package: Path) -> None:
    run(package, HITS)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files(package))
    for path in files(package):
        path.chmod(0o666)
    hits, told = run_again(package)
    assert hits == "0"
    assert "others may write them" in told
    assert run_again(package) == ("1", "")


def test_a_file_under_the_name_of_another_signature_is_not_used(package: Path) -> None:
    run(package, "from accelsim.kernels.callee import step; step(10); step(1.5)")
    first, second = (path for path in files(package) if path.name.startswith("callee"))
    first.write_bytes(second.read_bytes())
    code = "from accelsim.kernels.callee import step; print(step(10), step(1.5))"
    assert run(package, code) == "11 2.5"


def test_a_full_disk_costs_the_cache_alone(package: Path) -> None:
    code = (
        "import errno, tempfile; from accelsim.kernels import kernel_cache\n"
        "def full(*args, **options): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "kernel_cache.tempfile.mkstemp = full\n" + TWICE
    )
    assert run(package, code) == "12"
    assert files(package) == []
